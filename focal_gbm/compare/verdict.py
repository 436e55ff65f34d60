"""What a difference means: better, worse, level, or too uncertain to tell; and what to do about it.

A word and the interval beside it come from one test with one adjustment, everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from focal_gbm.compare.columns import FloatArray

#: Intervals hold the truth in so many of 100 cases.
CONFIDENCE = 0.95

#: From so many splits on, more of them narrow an interval by little.
MANY_SPLITS = 20


class Improvement(NamedTuple):
    """What a contestant gains over another in a score; more is better, whichever way the score goes.

    Attributes
    ----------
    mean, low, high : float
        Of the splits, with the interval; NaN where one split shows no spread.
    margin : float
        What does not matter, in the units of the score.
    word : {"better", "worse", "level", ""}
        "level" where the whole interval lies within the margin; "better" or "worse" where it lies on one side
        of zero; "" where the rows do not tell.
    told_by_splits : bool
        Whether `MANY_SPLITS` splits with this mean and spread would tell.
    """

    mean: float
    low: float
    high: float
    margin: float
    word: str
    told_by_splits: bool = False


def improvement(differences: ArrayLike, test_to_train: float, margin: float, tests: int = 1) -> Improvement:
    """Return the mean of differences over the splits, with its interval and its word.

    Splits share most of their training rows, so that their scores are alike and a plain paired t-test finds
    differences where there are none. The corrected test widens the variance of the mean from 1/J to
    1/J + n_test/n_train (Nadeau and Bengio 2003, Inference for the generalization error,
    doi:10.1023/A:1024068626366; for repeated k-fold Bouckaert and Frank 2004). For windows of time it is a
    rule of thumb: they follow each other, and their training rows grow.

    Parameters
    ----------
    differences : array-like of shape (n_splits,)
        Of the same splits, one contestant less the other; positive is better.
    test_to_train : float
        Rows to test on over rows to train on.
    margin : float
        A difference that does not matter.
    tests : int, default=1
        Comparisons made at once: the interval is widened by Bonferroni's rule, and the word follows it.

    Returns
    -------
    Improvement

    Examples
    --------
    >>> improvement([0.02, 0.021, 0.019, 0.02, 0.022], 0.25, margin=0.01).word
    'better'
    >>> improvement([0.01, -0.02, 0.015, 0.0, 0.005], 0.25, margin=0.01).word
    ''
    """
    values: FloatArray = np.asarray(differences, dtype=np.float64)
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return Improvement(mean, math.nan, math.nan, margin, "")
    spread = float(values.std(ddof=1))

    def interval(n: int) -> tuple[float, float]:
        quantile = float(stats.t.ppf(1 - (1 - CONFIDENCE) / (2 * tests), n - 1))
        half = quantile * spread * math.sqrt(1 / n + test_to_train)
        return mean - half, mean + half

    low, high = interval(count)
    told = bool(_word(*interval(max(count, MANY_SPLITS)), margin))
    return Improvement(mean, low, high, margin, _word(low, high, margin), told)


def _word(low: float, high: float, margin: float) -> str:
    if -margin <= low and high <= margin:
        return "level"
    return "better" if low > 0 else "worse" if high < 0 else ""


@dataclass(frozen=True)
class Verdict:
    """The answer for one library.

    Attributes
    ----------
    words : dict of {str: str}
        What focal loss is against the log loss, by the scores that decide; "" where the rows do not tell.
    sentence : str
        The answer and the advice.
    recommended : str
        The contestant to take.
    snippet : str
        Python that fits it.
    """

    words: dict[str, str]
    sentence: str
    recommended: str
    snippet: str


def sentence(words: dict[str, str], untold: str) -> str:
    """Return what focal loss is, by places such as "in ranking (average precision)".

    Parameters
    ----------
    words : dict of {str: str}
        By place.
    untold : str
        Why the rows do not tell, where they do not.

    Examples
    --------
    >>> sentence({"in ranking": "level", "for probabilities": ""}, "90 rows are too few to tell")
    'focal loss and log loss are equivalent in ranking; for probabilities, 90 rows are too few to tell'
    """
    places: dict[str, list[str]] = {}
    for place, word in words.items():
        places.setdefault(word, []).append(place)
    phrases = {
        "better": "focal loss is better {}", "worse": "focal loss is worse {}",
        "level": "focal loss and log loss are equivalent {}", "": "{}, " + untold,
    }  # fmt: skip
    return "; ".join(phrases[word].format(" and ".join(where)) for word, where in places.items())
