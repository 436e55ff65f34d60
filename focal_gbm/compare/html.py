"""The comparison as one HTML file that needs nothing else."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from focal_gbm.compare.cross_validation import EFFORT, Comparison
from focal_gbm.compare.figures import answer_svg, precision_recall_svg, reliability_svg
from focal_gbm.compare.protocol import CHOSEN, LOG_LOSS, SHIFTED, WEIGHTS
from focal_gbm.compare.summary import summarise
from focal_gbm.compare.wording import FOOTNOTE, how_split, number, settings, with_spread


def render(comparison: Comparison, summary: dict[str, Any] | None = None) -> str:
    """Return the report.

    Parameters
    ----------
    comparison : Comparison
    summary : dict or None
        From `summarise`, where it is at hand.

    Returns
    -------
    str
        HTML with its style and its figures inside; it loads nothing.
    """
    summary = summary or summarise(comparison)
    environment = Environment(
        loader=PackageLoader("focal_gbm.compare", "."), autoescape=select_autoescape(("html", "jinja")),
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number, with_spread=with_spread)
    return environment.get_template("report.html.jinja").render(
        summary=summary,
        how_split=how_split(summary["protocol"]),
        settings=settings(summary["protocol"]),
        decisive=comparison.decisive,
        effort=EFFORT,
        four=(CHOSEN, LOG_LOSS, SHIFTED, WEIGHTS),
        answers=[Markup(answer_svg(comparison, metric)) for metric in comparison.decisive],
        curves={
            library: [
                Markup(precision_recall_svg(comparison, library)),
                Markup(reliability_svg(comparison, library)),
            ]
            for library in comparison.protocol.libraries
        },
        footnote=FOOTNOTE,
    )
