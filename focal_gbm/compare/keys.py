"""Columns that name rows or customers: running numbers, keys, and ids that repeat."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray

#: With fewer rows, whole numbers differ by chance; with fewer values, what counts up may be the hour.
_FEW_ROWS = 50

#: A column in which such a share of the steps from row to row is the same counts the rows, also where it
#: starts again (extracts that were put together).
_SAME_STEP = 0.9

#: A column that never falls, or never rises, and has at least one value for so many rows, counts blocks of
#: rows. A quantity that a table is sorted by (ages) has fewer different values.
_ROWS_A_BLOCK = 10

#: The fewest different values of a counter of blocks, and of an id.
_FEW_VALUES = 20

#: An id has at most so many rows a value on average.
_ROWS_AN_ID = 20

#: No customer has so many times the rows of the mean one; the zeros of a quantity may be that many.
_MOST_TIMES_MEAN = 10

#: Rows with the same value of an id agree in their label more often than rows of neighbouring values by so
#: many standard errors. Hundreds of columns may be looked at.
_ERRORS = 5.0

#: Rows of one customer mostly have one label. Where they do not, they tell little of each other: for equal
#: survey weights of the census table "adult" the share is 0.27.
_AGREEMENT = 0.5

_UNNAMED = re.compile(
    r"Unnamed: \d+|index|level_\d+|__index_level_\d+__|row_?(number|num|id|nr)?|", re.IGNORECASE
)


def key_reason(values: FloatArray, name: str) -> str | None:
    """Return why a column of numbers is a key or a running number, in words; None where it is a quantity.

    Parameters
    ----------
    values : ndarray of float64 of shape (n_rows,)
        In the order of the file, NaN for missing.
    name : str

    Examples
    --------
    >>> key_reason(np.arange(1.0, 101.0), "n")
    'counts the rows'
    >>> key_reason(np.random.default_rng(0).permutation(np.arange(1.0, 101.0)), "n")
    'has another whole number in every row, as a key has'
    >>> key_reason(np.random.default_rng(0).normal(size=100), "n") is None
    True
    """
    present = values[~np.isnan(values)]
    if len(present) < 2:
        return None
    steps = np.diff(present)
    different = len(np.unique(present))
    if different < min(_FEW_VALUES, len(present)):
        return None
    common = np.bincount(np.unique(steps, return_inverse=True)[1]).max() / len(steps)
    whole = bool((present == np.round(present)).all())
    if common >= _SAME_STEP and (steps != 0).mean() >= _SAME_STEP and different >= _FEW_ROWS:
        return "counts the rows"
    if not whole:
        return None
    if different == len(present) and (len(present) >= _FEW_ROWS or _UNNAMED.fullmatch(name)):
        return "has another whole number in every row, as a key has"
    one_way = bool((steps >= 0).all() or (steps <= 0).all())
    if one_way and different * _ROWS_A_BLOCK >= len(present):
        return (
            "is a whole number that never falls from row to row, as a running number"
            if (steps >= 0).all()
            else "is a whole number that never rises from row to row, as a running number"
        )
    return None


class Repeated(NamedTuple):
    """A column whose values seem to be one customer each, with several rows.

    Attributes
    ----------
    name : str
    values : int
        How many there are.
    is_key : bool
        Whether it is an id, which is no feature, and not one of the customer's attributes.
    """

    name: str
    values: int
    is_key: bool


def repeated_ids(X: pd.DataFrame, y: NDArray[np.int64]) -> list[Repeated]:
    """Return columns whose equal values go with equal labels, more than neighbouring values do.

    A quantity that predicts the target does so for its neighbouring values, too; an id, or an attribute that
    is the same in all rows of a customer, does not. Rows of a customer in training and test make noise look
    predictive.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_columns)
        From `as_features`.
    y : ndarray of int of shape (n_rows,)
    """
    found = []
    for name in X.columns:
        column = X[name]
        is_category = isinstance(column.dtype, pd.CategoricalDtype)
        values: FloatArray = np.asarray(column.cat.codes if is_category else column, dtype=np.float64)
        present = (values >= 0) if is_category else ~np.isnan(values)
        values, labels = values[present], y[present]
        rows = np.unique(values, return_counts=True)[1]
        different = len(rows)
        if different < _FEW_VALUES or different * _ROWS_AN_ID < len(values) or different == len(values):
            continue
        if rows.max() * different > _MOST_TIMES_MEAN * len(values):
            continue
        if _excess_of_agreement(values, labels) > _ERRORS:
            whole = is_category or bool((values == np.round(values)).all())
            found.append(Repeated(name, different, whole))
    return found


def _excess_of_agreement(values: FloatArray, labels: NDArray[np.int64]) -> float:
    """Return by how many standard errors rows of one value agree more than neighbours of two values.

    Pairs of the most frequent class do not count: they agree anyway, and a value may have come from that
    class alone (round amounts).
    """
    order = np.argsort(values, kind="stable")
    values, labels = values[order], labels[order]
    same_label = np.diff(labels) == 0
    is_common = same_label & (labels[1:] == np.bincount(labels).argmax())
    same_value = (np.diff(values) == 0)[~is_common]
    same_label = same_label[~is_common]
    n_same, n_other = int(same_value.sum()), int((~same_value).sum())
    if min(n_same, n_other) < _FEW_VALUES:
        return 0.0
    if same_label[same_value].mean() < _AGREEMENT:
        return 0.0
    share = float(same_label.mean())
    excess = float(same_label[same_value].mean() - same_label[~same_value].mean())
    error = math.sqrt(share * (1 - share) * (1 / n_same + 1 / n_other))
    return excess / error if error > 0 else 0.0
