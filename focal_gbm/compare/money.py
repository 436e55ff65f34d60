"""What decisions cost that are made from probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray

#: More thresholds are not tried: the cost between two of so many quantiles differs by little.
_THRESHOLDS = 200


def share_at_stake(proba: FloatArray, cost_fp: FloatArray, cost_fn: FloatArray) -> FloatArray:
    """Return the share of a row's expected cost that a missed positive has; above 1/2 an alarm is cheaper.

    With costs that are the same in every row it is a monotone function of the probability.

    Parameters
    ----------
    proba : ndarray of float64 of shape (n_rows,)
        Of the class that an alarm is for.
    cost_fp, cost_fn : ndarray of float64 of shape (n_rows,)
    """
    missed, alarm = proba * cost_fn, (1 - proba) * cost_fp
    total = missed + alarm
    # where nothing costs anything, no alarm
    return np.divide(missed, total, out=np.zeros_like(total), where=total > 0)


def mean_cost(
    positive: NDArray[np.bool_],
    alarm: NDArray[np.bool_],
    cost_fp: FloatArray,
    cost_fn: FloatArray,
    weight: FloatArray | None = None,
) -> float:
    """Return what decisions cost a row.

    Parameters
    ----------
    positive, alarm : ndarray of bool of shape (n_rows,)
    cost_fp, cost_fn : ndarray of float64 of shape (n_rows,)
    weight : ndarray of float64 of shape (n_rows,) or None

    Examples
    --------
    >>> import numpy as np
    >>> positive, alarm = np.array([True, False, False]), np.array([False, True, False])
    >>> mean_cost(positive, alarm, np.full(3, 5.0), np.array([100.0, 10.0, 10.0]))
    35.0
    """
    cost = np.where(alarm, np.where(positive, 0.0, cost_fp), np.where(positive, cost_fn, 0.0))
    return float(np.average(cost, weights=weight))


def cheapest_threshold(
    positive: NDArray[np.bool_],
    at_stake: FloatArray,
    cost_fp: FloatArray,
    cost_fn: FloatArray,
    weight: FloatArray | None = None,
) -> float:
    """Return the threshold on `share_at_stake` that costs the least on these rows.

    Parameters
    ----------
    positive : ndarray of bool of shape (n_rows,)
    at_stake : ndarray of float64 of shape (n_rows,)
    cost_fp, cost_fn : ndarray of float64 of shape (n_rows,)
    weight : ndarray of float64 of shape (n_rows,) or None
    """
    shares = np.linspace(0, 1, _THRESHOLDS + 1)
    candidates = np.unique(np.append(np.quantile(at_stake, shares), [0.5, np.inf]))
    costs = [mean_cost(positive, at_stake >= one, cost_fp, cost_fn, weight) for one in candidates]
    return float(candidates[int(np.argmin(costs))])
