"""The comparison as one HTML file that needs nothing else."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from focal_gbm.compare.cross_validation import CHOSEN, COSTS, OWN, WEIGHTS, Comparison
from focal_gbm.compare.figures import svg_of
from focal_gbm.compare.scores import METRICS
from focal_gbm.compare.summary import FOOTNOTE, number, summarise, with_spread


def render(comparison: Comparison) -> str:
    """Return the report.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
        HTML with its style and its figures inside; it loads nothing.
    """
    environment = Environment(
        loader=PackageLoader("focal_gbm.compare", "."), autoescape=select_autoescape(("html", "jinja")),
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number, with_spread=with_spread)
    protocol = comparison.protocol
    return environment.get_template("report.html.jinja").render(
        summary=summarise(comparison),
        metrics=[(name, protocol.label(name), METRICS[name]) for name in protocol.metrics()],
        costs=COSTS,
        own=OWN,
        three=(OWN, WEIGHTS, CHOSEN),
        figures={library: Markup(svg_of(comparison, library)) for library in protocol.libraries},
        footnote=FOOTNOTE,
    )
