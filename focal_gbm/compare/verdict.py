"""What a difference means: better, worse, equivalent, or too uncertain to tell."""

from __future__ import annotations

import math
from typing import NamedTuple

from focal_gbm.compare.contestants import LIBRARIES
from focal_gbm.compare.cross_validation import Comparison
from focal_gbm.compare.protocol import CHOSEN, LOG_LOSS
from focal_gbm.compare.scores import METRICS
from focal_gbm.compare.statistics import LEVEL, Paired

BETTER, WORSE, EQUIVALENT, CANNOT_TELL = "better", "worse", "equivalent", "cannot tell"

NOT_SIGNIFICANT = "not significant"

_WORDS = {
    BETTER: "focal loss is better",
    WORSE: "focal loss is worse",
    EQUIVALENT: "focal loss and log loss are equivalent",
    CANNOT_TELL: "too few rows to tell",
}
_ADVICE = {
    BETTER: "Focal loss helps here.",
    WORSE: "Keep the log loss.",
    EQUIVALENT: "Keep the log loss: focal loss changes nothing that matters.",
    CANNOT_TELL: "Keep the log loss until there are more.",
}


class Verdict(NamedTuple):
    """The decision on one score.

    Attributes
    ----------
    metric : str
    decision : {"better", "worse", "equivalent", "cannot tell"}
    difference, low, high : float
        Focal loss less log loss, with its 95 % interval; NaN where there is none.
    margin : float
        What does not matter, in the units of the score.
    """

    metric: str
    decision: str
    difference: float
    low: float
    high: float
    margin: float


def decide(metric: str, paired: Paired, base: float, margin: float = 0.02) -> Verdict:
    """Return the decision on a difference.

    Parameters
    ----------
    metric : str
        One of `METRICS`, which says whether more is better.
    paired : Paired
        Of the difference to the log loss.
    base : float
        The score of the log loss.
    margin : float, default=0.02
        The share of `base` that does not matter.

    Returns
    -------
    Verdict
        "equivalent" where the whole interval lies within the margin, zero inside or not; "better" or "worse"
        where the interval lies on one side of zero; "cannot tell" otherwise, and where there is no interval.

    Examples
    --------
    >>> decide("average_precision", Paired(0.001, -0.002, 0.004, 0.4), base=0.6).decision
    'equivalent'
    >>> decide("average_precision", Paired(0.001, -0.05, 0.052, 0.9), base=0.6).decision
    'cannot tell'
    >>> decide("log_loss", Paired(-0.03, -0.05, -0.01, 0.01), base=0.2).decision
    'better'
    """
    width = margin * abs(base)
    low, high = (paired.low, paired.high) if METRICS[metric].higher_is_better else (-paired.high, -paired.low)
    if math.isnan(low):
        decision = CANNOT_TELL
    elif -width <= low and high <= width:
        decision = EQUIVALENT
    elif low > 0:
        decision = BETTER
    elif high < 0:
        decision = WORSE
    else:
        decision = CANNOT_TELL
    return Verdict(metric, decision, paired.mean, paired.low, paired.high, width)


def verdicts(comparison: Comparison, library: str) -> list[Verdict]:
    """Return the decision on each score that decides, the first being that of the verdict."""
    found = []
    for metric in comparison.decisive:
        base = float(comparison.values(library, LOG_LOSS, metric).mean())
        pair = comparison.paired(library, CHOSEN, metric)
        found.append(decide(metric, pair, base, comparison.protocol.margin))
    return found


def sentence(comparison: Comparison, library: str) -> str:
    """Return the verdict on a library in a sentence."""
    first, *others = verdicts(comparison, library)
    label = comparison.protocol.label
    rest = "; ".join(f"{label(one.metric)}: {one.decision}" for one in others)
    more = f" ({rest})" if rest else ""
    words = f"{_WORDS[first.decision]} in {label(first.metric)}{more}"
    return f"{LIBRARIES[library]}: {words}. {_ADVICE[first.decision]}"


def details(comparison: Comparison, library: str) -> list[str]:
    """Return a sentence with the numbers for each score that decides."""
    return [_numbers(comparison, library, one) for one in verdicts(comparison, library)]


def _numbers(comparison: Comparison, library: str, one: Verdict) -> str:
    label = comparison.protocol.label(one.metric)
    base = float(comparison.values(library, LOG_LOSS, one.metric).mean())
    share = f" ({one.difference / base:+.1%})" if base else ""
    interval = "" if math.isnan(one.low) else f", 95 % interval {one.low:+.4g} to {one.high:+.4g}"
    better = "higher" if METRICS[one.metric].higher_is_better else "lower"
    return (
        f"{label[:1].upper()}{label[1:]} ({better} is better): focal − log loss "
        f"{one.difference:+.4g}{share}{interval}; margin ±{one.margin:.4g}: {one.decision}."
    )


def direction(metric: str, paired: Paired, p: float | None = None) -> str:
    """Return "better", "worse" or "not significant": what a difference means for a score, whatever its size.

    Parameters
    ----------
    metric : str
    paired : Paired
    p : float or None
        A p value that allows for several tests, in place of the pair's own.
    """
    if not (paired.p if p is None else p) < LEVEL:  # NaN, too: one split shows no spread
        return NOT_SIGNIFICANT
    return BETTER if (paired.mean > 0) == METRICS[metric].higher_is_better else WORSE
