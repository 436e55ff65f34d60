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
from focal_gbm.compare.scores import reliability

#: Of Okabe and Ito's palette, told apart by colour-blind people; line styles tell them apart in print, too.
_STYLES: dict[str, dict[str, Any]] = {
    OWN: {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    WEIGHTS: {"color": "#E69F00", "linestyle": "--", "marker": "s"},
    CHOSEN: {"color": "#D55E00", "linestyle": "-.", "marker": "^"},
}


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
    curve.legend(loc="lower left", frameon=False)
    _scale(diagram, share)
    diagram.set_title("Reliability: is what is predicted what happens?")
    diagram.legend(loc="upper left", frameon=False)
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
    bins = reliability(positive, proba)
    means, shares = [mean for _, mean, _ in bins], [share for _, _, share in bins]
    diagram.plot(means, shares, label=name, linewidth=1.5, markersize=6, **style)


def _scale(diagram: Any, share: float) -> None:
    """Give the reliability diagram a scale on which a rare class shows."""
    low = min(share, 0.5) / 100
    if share < 0.2:
        diagram.set_xscale("symlog", linthresh=low)
        diagram.set_yscale("symlog", linthresh=low)
    ends = [0, 1]
    line = np.concatenate([[0.0], np.geomspace(low / 10, 1, 50)])
    diagram.plot(line, line, color="0.6", linewidth=1, linestyle=":", label="perfect")
    diagram.set(xlim=ends, ylim=(0, 1.1), xlabel="predicted probability", ylabel="share of positives")
