"""The logit link by table: what would take a search for every row is a smooth function of one number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from focal_gbm.kernels.formula import Formula

#: Steps of a table in one unit of its argument, a power of two. Cubics through values and slopes are right
#: to 1e-7 for γ up to 5, which is all that gradients in float32 hold, and their slopes, of which exact
#: Hessians are made, to 2e-6; derivatives in float64 are searched for.
STEPS_PER_UNIT = 16

#: More nodes than these, for γ beyond 25 or so, are not looked up faster than the search goes.
MOST_NODES = 32_768

#: Scores beyond which the weight is constant to 1e-8 for γ=0; for others log(1+γ) further out.
_REACH = 24.0

#: exp(T) of a class with less than a half stays far inside of float32 up to here.
_MOST_GAMMA = 32.0


class Table(NamedTuple):
    """Functions on equal steps: a cubic of 0 to 1 in each."""

    first: int  #: the first step begins at so many steps
    cubics: NDArray[np.float64]  #: of shape (n_steps, n_functions, 4), the constant first

    @classmethod
    def through(cls, first: int, nodes: NDArray[np.float64]) -> Table:
        """Return the table with given values and slopes, times the step, at the ends of steps.

        Parameters
        ----------
        first : int
        nodes : ndarray of shape (n_steps + 1, n_functions, 2)
        """
        value, slope = nodes[..., 0], nodes[..., 1]
        rise = np.diff(value, axis=0)
        cubic = slope[:-1] + slope[1:] - 2.0 * rise
        return cls(first, np.stack([value[:-1], slope[:-1], rise - slope[:-1] - cubic, cubic], axis=-1))


def attention_tables(
    formula: Formula, derivatives: Callable[[Formula, NDArray[np.float64], int], NDArray[np.float64]]
) -> list[Table] | None:
    """Return the weight w of ``gradient = w (η - y)`` as a function of the log-odds, for every column.

    Parameters
    ----------
    formula : Formula
        A "sigmoid" with the logit link.
    derivatives : callable
        Returns gradient and exact Hessian, of shape (2, n), for a formula, log-odds of shape (n,) and one
        label.

    Returns
    -------
    list of Table, one a column, or None
        None where a table would be too long.
    """
    tables = []
    for gamma, weight in zip(np.asarray(formula.gamma), np.asarray(formula.class_weight), strict=True):
        reach = _REACH + math.log1p(gamma.max())
        middle = math.log(weight[0]) - math.log(weight[1])
        first = math.floor((middle - (1.0 + gamma[0]) * reach) * STEPS_PER_UNIT)
        last = math.ceil((middle + (1.0 + gamma[1]) * reach) * STEPS_PER_UNIT)
        if last - first > MOST_NODES:
            return None
        log_odds = np.arange(first, last + 1) / STEPS_PER_UNIT
        column = Formula("sigmoid", [gamma], [weight], "logit", "exact")
        # gradient = w (η - y) and hessian = w' (η - y) + w η (1 - η): differences of the labels' own
        w, slope = derivatives(column, log_odds, 0) - derivatives(column, log_odds, 1)
        tables.append(Table.through(first, np.stack([w, slope / STEPS_PER_UNIT], axis=-1)[:, np.newaxis]))
    return tables


def share_tables(
    formula: Formula, table_of_share: Callable[[float, int, int, float], NDArray[np.float64]]
) -> list[Table] | None:
    """Return ``p exp(-T)`` and ``B exp(-T)``, B = dp/dT, as functions of T for classes with at most a half.

    Here T is ``log p + γ softplus(m) - log1p(γ r)``, the map from the margin m of p to the logarithm of a
    probability but for a constant, see kernel.h.

    Parameters
    ----------
    formula : Formula
        A "softmax" with the logit link.
    table_of_share : callable
        Returns the nodes for γ, the first node, their number, and the steps in a unit.

    Returns
    -------
    list of Table, one a class, or None
        None where a γ is too large.
    """
    gammas = np.asarray(formula.gamma)
    if gammas.max() > _MOST_GAMMA:
        return None
    log_2, by_gamma = math.log(2.0), {}
    for gamma in np.unique(gammas).tolist():
        at_a_half = (gamma - 1.0) * log_2 - math.log1p(gamma * log_2)
        first = math.floor((min(at_a_half, 0.0) - _REACH - math.log1p(gamma)) * STEPS_PER_UNIT)
        n_nodes = math.ceil(at_a_half * STEPS_PER_UNIT) - first + 1
        nodes = table_of_share(gamma, first, n_nodes, STEPS_PER_UNIT)
        by_gamma[gamma] = Table.through(first, nodes)
    return [by_gamma[gamma] for gamma in gammas.tolist()]
