"""Is a difference significant? Tests for repeated cross-validation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

#: A difference that chance alone would make as large in fewer than 1 of 20 comparisons is called significant.
LEVEL = 0.05


@dataclass(frozen=True)
class Paired:
    """The mean difference over the splits, its 95 % interval and p value; NaN where one split has no spread.

    Attributes
    ----------
    mean, low, high, p : float
    """

    mean: float
    low: float
    high: float
    p: float

    @property
    def is_significant(self) -> bool:
        """Whether p is below 5 %."""
        return self.p < LEVEL


def compare_paired(differences: ArrayLike, folds: int, test_to_train: float | None = None) -> Paired:
    """Return the corrected resampled t-test of repeated k-fold cross-validation.

    The splits share most of their training rows, so that their scores are alike and a plain paired t-test
    finds differences where there are none. The corrected test widens the variance of the mean from
    1/J to 1/J + n_test/n_train (Nadeau and Bengio 2003, Inference for the generalization error,
    doi:10.1023/A:1024068626366; for repeated k-fold Bouckaert and Frank 2004).

    Parameters
    ----------
    differences : array-like of shape (n_splits,)
        Of the same splits, one contestant less the other.
    folds : int
        k: a split tests 1/k of the rows, and the ratio of test to training rows is 1/(k-1).
    test_to_train : float or None, default=None
        That ratio, where the splits are others: the mean over windows of time. (For these the test is a rule
        of thumb: windows follow each other, and their training rows grow.)

    Returns
    -------
    Paired

    Examples
    --------
    >>> compare_paired([0.01, -0.02, 0.015, 0.0, 0.005], folds=5).is_significant
    False
    >>> compare_paired([0.02, 0.021, 0.019, 0.02, 0.022], folds=5).is_significant
    True
    """
    values = np.asarray(differences, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Paired(mean, math.nan, math.nan, math.nan)
    ratio = 1 / (folds - 1) if test_to_train is None else test_to_train
    error = float(values.std(ddof=1)) * math.sqrt(1 / len(values) + ratio)
    # equal differences have a spread of rounding errors: below those of the mean it is none
    if error <= 1e-12 * abs(mean) or error == 0.0:
        return Paired(mean, mean, mean, 1.0 if mean == 0.0 else 0.0)
    free = len(values) - 1
    half = float(stats.t.ppf(1 - LEVEL / 2, free)) * error
    return Paired(mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, free)))


def holm(p_values: ArrayLike) -> list[float]:
    """Return p values that allow for their number: Holm's step-down adjustment (1979).

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)

    Returns
    -------
    list of float

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1.0)
    return [float(value) for value in adjusted]
