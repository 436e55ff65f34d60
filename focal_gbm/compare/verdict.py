"""The outcome in plain words."""

from __future__ import annotations

import math

from focal_gbm.compare.contestants import LIBRARIES
from focal_gbm.compare.cross_validation import CHOSEN, OWN, Comparison
from focal_gbm.compare.scores import METRICS
from focal_gbm.compare.statistics import Paired

#: What is decided on: does it rank the rare class better, and are its probabilities better?
HEADLINES = ("average_precision", "log_loss")

_ANSWERS = {
    ("better", "better"): "yes. Focal loss ranks the rare class better, and its probabilities are better.",
    ("better", "noise"): "yes. Focal loss ranks the rare class better; its probabilities are as good.",
    (
        "better",
        "worse",
    ): "it depends. Focal loss ranks the rare class better, but its probabilities are worse.",
    ("noise", "better"): "for probabilities, yes: they are better. The ranking is the same but for noise.",
    ("noise", "noise"): "no. Neither ranking nor probabilities differ by more than noise: keep the own loss.",
    ("noise", "worse"): "no. The ranking is the same but for noise, and the probabilities are worse.",
    (
        "worse",
        "better",
    ): "it depends. Focal loss ranks the rare class worse, but its probabilities are better.",
    ("worse", "noise"): "no. Focal loss ranks the rare class worse, and its probabilities are no better.",
    ("worse", "worse"): "no. Focal loss ranks the rare class worse, and its probabilities are worse.",
}


def direction(metric: str, paired: Paired, p: float | None = None) -> str:
    """Return "better", "worse" or "noise": what a difference means for a score.

    Parameters
    ----------
    metric : str
    paired : Paired
    p : float or None
        A p value that allows for several tests, in place of the pair's own.
    """
    is_noise = not (paired.p if p is None else p) < 0.05  # NaN, too: one split shows no spread
    if is_noise:
        return "noise"
    return "better" if (paired.mean > 0) == METRICS[metric].higher_is_better else "worse"


def answer(comparison: Comparison, library: str) -> str:
    """Return whether focal loss helps with a library, in a sentence."""
    pairs = [comparison.paired(library, CHOSEN, metric) for metric in HEADLINES]
    if any(math.isnan(pair.p) for pair in pairs):
        return f"{LIBRARIES[library]}: one split shows no spread, so that nothing can be said."
    outcome = [direction(metric, pair) for metric, pair in zip(HEADLINES, pairs, strict=True)]
    words = _ANSWERS[outcome[0], outcome[1]]
    if not comparison.table.is_binary:
        words = words.replace("the rare class", "the classes")
    return f"{LIBRARIES[library]}: {words}"


def details(comparison: Comparison, library: str) -> list[str]:
    """Return a sentence with the numbers for each of `HEADLINES`."""
    sentences = []
    for metric in HEADLINES:
        pair = comparison.paired(library, CHOSEN, metric)
        words = {"noise": "no more than noise", "better": "better", "worse": "worse"}[direction(metric, pair)]
        own = float(comparison.values(library, OWN, metric).mean())
        sentences.append(
            f"{METRICS[metric].label}: focal loss less own loss {pair.mean:+.4f} or {pair.mean / own:+.2%} "
            f"(95 % interval {pair.low:+.4f} to {pair.high:+.4f}): {words}."
        )
    return sentences
