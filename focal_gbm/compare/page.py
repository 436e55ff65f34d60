"""The comparison as one HTML file that loads nothing else, with its pictures.

Each picture is narrow enough to be read on a phone; the page sets them side by side where there is room.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from focal_gbm.compare.comparison import Comparison
from focal_gbm.compare.contestants import CHOSEN, LIBRARIES, LOG_LOSS
from focal_gbm.compare.summary import EFFORT, FOOTNOTE, number, summarise

#: Of Okabe and Ito's palette, told apart by colour-blind people; markers tell libraries apart in print, too.
_STYLES: dict[str, dict[str, Any]] = {
    "xgboost": {"color": "#0072B2", "marker": "o"}, "lightgbm": {"color": "#D55E00", "marker": "s"},
}  # fmt: skip

#: Inches: at 72 points each it is the width of a phone, so that letters have the size of the text there.
_WIDTH = 5.0

#: A scale shows so many margins, and so many times the longest interval of focal loss; more is an arrow.
_MARGINS, _TIMES = 2.5, 1.6


def render(comparison: Comparison) -> str:
    """Return the page.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
        HTML with its style and its pictures inside.
    """
    loader = PackageLoader("focal_gbm.compare", ".")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number)
    answers = [Markup(improvement_svg(comparison, metric)) for metric in comparison.decisive]
    shown = {"answers": answers, "effort": EFFORT, "footnote": FOOTNOTE, "first": (LOG_LOSS, CHOSEN)}
    return environment.get_template("page.html.jinja").render(**summarise(comparison), **shown)


def improvement_svg(comparison: Comparison, metric: str) -> str:
    """Return what every contestant gains over the log loss in one score, with its interval; right is better.

    Parameters
    ----------
    comparison : Comparison
    metric : str

    Returns
    -------
    str
        ``<svg ...>...</svg>``
    """
    libraries = comparison.protocol.libraries
    names = [name for name in comparison.names(libraries[-1]) if name != LOG_LOSS]  # LightGBM's may be one more
    found = {
        (library, name): comparison.improvement(library, name, metric)
        for library in libraries
        for name in comparison.names(library)
        if name != LOG_LOSS
    }
    margin = max(one.margin for one in found.values())
    of_focal = [found[library, CHOSEN] for library in libraries]
    longest = np.nanmax(np.abs([[one.mean, one.low, one.high] for one in of_focal]))
    limit = max(_MARGINS * margin, _TIMES * float(longest)) or 1.0
    figure = Figure(figsize=(_WIDTH, 1.1 + 0.18 * len(names) * len(libraries)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-margin, margin, color="0.9", zorder=0)
    axes.axvline(0, color="0.35", linewidth=1)
    for (library, name), one in found.items():
        height = names.index(name) + (libraries.index(library) - (len(libraries) - 1) / 2) * 0.36
        color, thick = _STYLES[library]["color"], name == CHOSEN
        if abs(one.mean) > limit:
            edge, arrow = float(limit * np.sign(one.mean)), {"arrowstyle": "->", "color": color}
            how: dict[str, Any] = {"fontsize": 8, "color": color, "va": "center", "ha": "center"}
            text, tip, start = f"{one.mean:+.3g}", (edge, height), (0.8 * edge, height)
            axes.annotate(text, tip, start, arrowprops=arrow, **how)
            continue
        ends = np.clip([one.low, one.high], -limit, limit)
        axes.plot(ends, [height] * 2, color=color, linewidth=2.4 if thick else 1.2)
        axes.plot([one.mean], [height], linestyle="", markersize=7 if thick else 5, **_STYLES[library])
    for library in libraries:
        axes.plot([], [], linewidth=1.5, label=LIBRARIES[library], **_STYLES[library])
    axes.set(xlim=(-limit, limit), ylim=(len(names) - 0.4, -0.6))
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, symmetric=True))
    title = f"gain in {comparison.metrics[metric].label} →"
    axes.set_title(title, fontsize=11, fontweight="bold", parse_math=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]
