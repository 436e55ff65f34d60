"""The figures of the HTML report: precision against recall, and reliability."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from focal_gbm._validation import FloatArray
from focal_gbm.compare.cross_validation import CHOSEN, OWN, WEIGHTS, Comparison

#: Of Okabe and Ito's palette, told apart by colour-blind people; line styles tell them apart in print, too.
_STYLES: dict[str, dict[str, Any]] = {
    OWN: {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    WEIGHTS: {"color": "#E69F00", "linestyle": "--", "marker": "s"},
    CHOSEN: {"color": "#D55E00", "linestyle": "-.", "marker": "^"},
}

#: White, so that no line runs through its words.
_LEGEND: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "framealpha": 1.0}

_BINS = 8

#: A class rarer than this needs a logarithmic scale of probabilities.
_RARE = 0.2


def svg_of(comparison: Comparison, library: str) -> str:
    """Return both figures of a library as one SVG element.

    Parameters
    ----------
    comparison : Comparison
    library : str

    Returns
    -------
    str
        ``<svg ...>...</svg>``, for two classes of class 1, for more of the rarest.
    """
    y = comparison.table.y
    k = 1 if comparison.table.is_binary else int(np.bincount(y).argmin())
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    curve, diagram = figure.subplots(1, 2)
    for name, style in _STYLES.items():
        proba = comparison.out_of_fold[library, name]
        seen = ~np.isnan(proba).any(axis=1)
        _draw(curve, diagram, y[seen] == k, proba[seen, k], name, style)
    share = float(np.mean(y == k))
    curve.axhline(share, color="0.6", linewidth=1, linestyle=":")
    curve.set(xlim=(-0.01, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    curve.set_title(f"Precision and recall of “{comparison.table.labels[k]}”", parse_math=False)
    curve.legend(loc="lower left", **_LEGEND)
    _scale(diagram, share)
    diagram.set_title("Reliability: is what is predicted what happens?")
    diagram.legend(loc="upper left", **_LEGEND)
    for axes in (curve, diagram):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _draw(
    curve: Any, diagram: Any, positive: NDArray[np.bool_], proba: FloatArray, name: str, style: dict[str, Any]
) -> None:
    precision, recall, _ = precision_recall_curve(positive, proba)
    label = f"{name} (average precision {average_precision_score(positive, proba):.3f})"
    line = {key: value for key, value in style.items() if key != "marker"}
    curve.step(recall, precision, where="post", label=label, linewidth=1.8, **line)
    means, shares = _bins(positive, proba)
    diagram.plot(means, shares, label=name, linewidth=1.5, markersize=6, **style)


def _bins(positive: NDArray[np.bool_], proba: FloatArray) -> tuple[list[float], list[float]]:
    """Return mean probability and share of positives in bins with the same number of expected positives.

    With equal counts of rows nearly all bins of a rare class would hold no positive.
    """
    order = np.argsort(proba, kind="stable")
    expected = np.cumsum(proba[order])
    ends = np.searchsorted(expected, expected[-1] * np.arange(1, _BINS) / _BINS, side="right")
    parts = [part for part in np.split(order, np.unique(ends)) if len(part)]
    return [float(proba[part].mean()) for part in parts], [float(positive[part].mean()) for part in parts]


def _scale(diagram: Any, share: float) -> None:
    """Give the reliability diagram a scale on which a rare class shows."""
    line = [0.0, 1.0]
    if share < _RARE:
        low = share / 100
        line = [low, 1.0]
        diagram.set(xscale="log", yscale="log", xlim=(low, 1.3), ylim=(low, 1.3))
        decades = [10.0**power for power in range(int(np.ceil(np.log10(low))), 1)]
        labels = [f"{100 * one:g} %" for one in decades]
        diagram.set_xticks(decades, labels)
        diagram.set_yticks(decades, labels)
        diagram.minorticks_off()
    else:
        diagram.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.05))
    diagram.plot(line, line, color="0.6", linewidth=1, linestyle=":", label="perfect")
    diagram.set(xlabel="predicted probability", ylabel="share of positives")
