"""The figures of the HTML report: the answer, precision against recall, and reliability.

Each is narrow enough to be read on a phone; a page sets them side by side where there is room.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from focal_gbm._validation import FloatArray
from focal_gbm.compare.contestants import LIBRARIES
from focal_gbm.compare.cross_validation import Comparison
from focal_gbm.compare.protocol import CHOSEN, LOG_LOSS, SHIFTED, WEIGHTS
from focal_gbm.compare.scores import METRICS
from focal_gbm.compare.verdict import decide

#: Of Okabe and Ito's palette, told apart by colour-blind people; line styles tell them apart in print, too.
_STYLES: dict[str, dict[str, Any]] = {
    LOG_LOSS: {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    SHIFTED: {"color": "#E69F00", "linestyle": "--", "marker": "s"},
    CHOSEN: {"color": "#D55E00", "linestyle": "-.", "marker": "^"},
}
_OF_LIBRARY: dict[str, dict[str, Any]] = {
    "xgboost": {"color": "#0072B2", "marker": "o"},
    "lightgbm": {"color": "#D55E00", "marker": "s"},
}

#: White, so that no line runs through its words.
_LEGEND: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "framealpha": 1.0}

#: Inches: at 72 points each it is the width of a phone, so that letters have the size of the text there.
_WIDTH = 5.0

_BINS = 8

#: A class rarer than this needs a logarithmic scale of probabilities.
_RARE = 0.2

#: A scale shows so many margins in any case, and no more than so many times the longest interval of focal
#: loss: what lies further out becomes an arrow.
_MARGINS, _TIMES = 2.5, 1.6

_RECALLS = np.linspace(0, 1, 201)


def answer_svg(comparison: Comparison, metric: str) -> str:
    """Return every contestant's difference to the log loss in one score, with its interval.

    Parameters
    ----------
    comparison : Comparison
    metric : str

    Returns
    -------
    str
        ``<svg ...>...</svg>``; better is on the right, whichever way the score goes.
    """
    protocol = comparison.protocol
    libraries = protocol.libraries
    names = [name for name in comparison.names(libraries[0]) if name != LOG_LOSS]
    names.sort(key=lambda name: name != CHOSEN)  # the decision comes first
    figure = Figure(figsize=(_WIDTH, 1.25 + 0.21 * len(names) * len(libraries)), layout="constrained")
    axes = figure.subplots()
    base = {one: float(comparison.values(one, LOG_LOSS, metric).mean()) for one in libraries}
    pairs = {(one, name): comparison.paired(one, name, metric) for one in libraries for name in names}
    margin = max(decide(metric, pairs[one, CHOSEN], base[one], protocol.margin).margin for one in libraries)
    of_focal = [pairs[one, CHOSEN] for one in libraries]
    furthest = float(np.nanmax(np.abs([[one.mean, one.low, one.high] for one in of_focal])))
    limit = max(_MARGINS * margin, _TIMES * furthest) or 1.0
    axes.axvspan(-margin, margin, color="0.9", zorder=0)
    axes.axvline(0, color="0.35", linewidth=1)
    for row, name in enumerate(names):
        for number, library in enumerate(libraries):
            height = row + (number - (len(libraries) - 1) / 2) * 0.36
            _draw_difference(axes, height, pairs[library, name], limit, library, name == CHOSEN)
    for library in libraries:
        axes.plot([], [], linestyle="-", linewidth=1.5, label=LIBRARIES[library], **_OF_LIBRARY[library])
    up = METRICS[metric].higher_is_better
    axes.set(xlim=(-limit, limit) if up else (limit, -limit), ylim=(len(names) - 0.4, -0.6))
    axes.set_yticks(range(len(names)), [_row_name(name) for name in names], fontsize=9)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(_few_ticks())
    axes.set_xlabel(f"difference to log loss, better →\n(grey: margin ±{margin:.3g})", fontsize=9)
    axes.set_title(_capital(protocol.label(metric)), fontsize=11, fontweight="bold")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return _svg(figure)


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=5, symmetric=True)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _row_name(name: str) -> str:
    names = {WEIGHTS: "class weights, as they come", CHOSEN: "focal loss, chosen"}
    return names.get(name, name.replace("focal γ", "γ"))


def _draw_difference(
    axes: Any, height: float, pair: Any, limit: float, library: str, is_chosen: bool
) -> None:
    style = _OF_LIBRARY[library]
    size = 7 if is_chosen else 5
    if abs(pair.mean) > limit:
        edge = limit * float(np.sign(pair.mean))
        axes.annotate(
            f"{pair.mean:+.3g}", xy=(edge, height), xytext=(0.8 * edge, height), fontsize=8,
            color=style["color"], va="center", ha="center",
            arrowprops={"arrowstyle": "->", "color": style["color"]},
        )  # fmt: skip
        return
    if not np.isnan(pair.low):
        ends = np.clip([pair.low, pair.high], -limit, limit)
        axes.plot(ends, [height] * 2, color=style["color"], linewidth=2.4 if is_chosen else 1.2)
    axes.plot([pair.mean], [height], markersize=size, linestyle="", **style)


def precision_recall_svg(comparison: Comparison, library: str) -> str:
    """Return precision against recall, the mean over the splits of the first repeat.

    Parameters
    ----------
    comparison : Comparison
    library : str

    Returns
    -------
    str
        For two classes of class 1, for more of the rarest.
    """
    y, k = _class_shown(comparison)
    figure = Figure(figsize=(_WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    for name, style in _STYLES.items():
        line = {key: value for key, value in style.items() if key != "marker"}
        precision = _mean_precision(comparison, library, name, k)
        axes.plot(_RECALLS, precision, label=name, linewidth=1.8, **line)
    axes.axhline(float(np.mean(y == k)), color="0.6", linewidth=1, linestyle=":", label="chance")
    axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title(f"Precision and recall of “{comparison.table.labels[k]}”", parse_math=False, fontsize=11)
    _finish(axes, "best")
    return _svg(figure)


def reliability_svg(comparison: Comparison, library: str) -> str:
    """Return observed against predicted frequency, of the tested rows of the first repeat.

    Parameters
    ----------
    comparison : Comparison
    library : str

    Returns
    -------
    str
    """
    y, k = _class_shown(comparison)
    figure = Figure(figsize=(_WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    for name, style in _STYLES.items():
        proba = comparison.out_of_fold[library, name]
        seen = ~np.isnan(proba).any(axis=1)
        means, shares = _bins(y[seen] == k, proba[seen, k])
        axes.plot(means, shares, label=name, linewidth=1.5, markersize=6, **style)
    _scale(axes, float(np.mean(y == k)))
    axes.set_title("Reliability: is what is predicted what happens?", fontsize=11)
    _finish(axes, "upper left")
    return _svg(figure)


def _class_shown(comparison: Comparison) -> tuple[NDArray[np.int64], int]:
    y = comparison.table.y
    return y, 1 if comparison.table.is_binary else int(np.bincount(y).argmin())


def _mean_precision(comparison: Comparison, library: str, name: str, k: int) -> FloatArray:
    """Return the precision at each of `_RECALLS`: what the best threshold of each split reaches, averaged."""
    y, proba, split_of = comparison.table.y, comparison.out_of_fold[library, name], comparison.split_of
    curves = []
    for number in np.unique(split_of[split_of >= 0]):
        rows = split_of == number
        if not (y[rows] == k).any():
            continue
        precision, recall, _ = precision_recall_curve(y[rows] == k, proba[rows, k])
        best = np.maximum.accumulate(precision)  # recall falls along the curve
        curves.append(np.interp(_RECALLS, recall[::-1], best[::-1]))
    mean: FloatArray = np.mean(curves, axis=0)
    return mean


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


def _finish(axes: Any, legend: str) -> None:
    axes.legend(loc=legend, fontsize=9, **_LEGEND)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
