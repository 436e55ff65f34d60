"""What a column is good for: keys that name rows, copies of the target, codes that look like numbers."""

from __future__ import annotations

import re
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.isotonic import isotonic_regression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.tree import DecisionTreeClassifier

from focal_gbm.compare.columns import Column
from focal_gbm.compare.errors import TableError

#: Categories with fewer rows each name customers or things rather than kinds of them.
_ROWS_A_CATEGORY, _FEW_CATEGORIES = 20, 50

#: With fewer rows, whole numbers all differ by chance.
_FEW_ROWS = 50

#: A column in which such a share of the steps from row to row is the same counts rows, also where it starts
#: again (extracts that were put together).
_SAME_STEP = 0.9

_NAMED_AS_KEY = re.compile(
    r"(?i:^|.*[\W_])(?i:id|key|uuid|guid)|.*[a-z]I[Dd]|(?i:index|row_?n(?:r|o|um|umber))|Unnamed: \d+"
)

#: Rows that show what a column tells alone.
_ROWS = 10_000

#: Whole numbers with so many different values may be codes; below, two values have no order to lose.
_FEWEST_CODES, _MOST_CODES = 3, 50

#: Chance makes a column of numbers look like codes once in a million.
_LEVEL = 1e-6


def why_no_feature(column: Column, name: str, is_kept: bool = False) -> str | None:
    """Return why a column is left out: it has one value, or names rows or customers; None for a feature.

    Raises
    ------
    TableError
        For an infinite number.

    Examples
    --------
    >>> why_no_feature(Column("number", pd.Series(np.arange(100.0))), "n")
    'a count of the rows (--keep n keeps it)'
    >>> why_no_feature(Column("number", pd.Series([1.5, 2.5, 2.0] * 20)), "amount") is None
    True
    """
    values, present = column.values, column.values.dropna()
    if column.kind == "number" and np.isinf(present).any():
        row = int(values.index[int(np.isinf(values).to_numpy().argmax())]) + 1
        raise TableError(f"row {row}, column {name!r}: an infinite value is none to split on; leave it empty.")
    different = present.nunique()
    if different < 2 - values.isna().any():
        return "one value in all rows, or none"
    reason = None
    if column.kind == "category" and different > max(_FEW_CATEGORIES, len(present) / _ROWS_A_CATEGORY):
        reason = f"{different:,} different texts in {len(present):,} rows (customers? --group {quote(name)}"
    elif column.kind == "number" and len(present) > _FEW_ROWS and different > _FEW_CATEGORIES // 2:
        numbers = present.to_numpy()
        steps, counts = np.unique(np.diff(numbers), return_counts=True)
        is_whole = bool((numbers == np.round(numbers)).all())
        if counts.max() > _SAME_STEP * len(numbers) and steps[counts.argmax()] != 0:
            reason = "a count of the rows ("
        elif is_whole and (different == len(numbers) or _NAMED_AS_KEY.fullmatch(name)):
            reason = "whole numbers that all differ, or the name of a key ("
    if reason is None or is_kept:
        return None
    return f"{reason}{'' if reason.endswith('(') else ', '}--keep {quote(name)} keeps it)"


def explained_alone(X: pd.DataFrame, y: NDArray[np.int64], seed: int) -> dict[str, float]:
    """Return the share of the target's variance that each column explains alone.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_columns)
        Numbers and categories.
    y : ndarray of int of shape (n_rows,)
    seed : int

    Returns
    -------
    dict of float
        1 - Brier score / that of the base rate, out of fold, of a small tree that sees the column alone. A
        missing value counts as a value: that a field is filled in can give the target away, too.
    """
    if len(y) > _ROWS:
        rows, _ = train_test_split(np.arange(len(y)), train_size=_ROWS, stratify=y, random_state=seed)
        some_of_each = [np.flatnonzero(y == label)[:_FEW_ROWS] for label in np.unique(y)]
        rows = np.unique(np.concatenate([rows, *some_of_each]))
        X, y = X.iloc[rows], y[rows]
    truth = np.eye(int(y.max()) + 1)[y]
    folds = StratifiedKFold(min(3, int(np.bincount(y).min())), shuffle=True, random_state=seed)
    tree = DecisionTreeClassifier(max_leaf_nodes=16, random_state=seed)
    largest = float(np.finfo(np.float32).max) / 4
    shares = {}
    for name in X.columns:
        is_category, proba = X[name].dtype == "category", np.empty_like(truth)
        column = X[name].cat.codes + 1 if is_category else X[name].clip(-largest, largest).fillna(-2 * largest)
        for train, test in folds.split(truth, y):
            values = column.to_numpy(np.float64 if not is_category else np.intp)
            if is_category:  # in the order of their mean class, found on each fold's training rows
                rows = np.maximum(np.bincount(values[train], minlength=values.max() + 1), 1)
                values = (np.bincount(values[train], y[train], len(rows)) / rows)[values]
            tree.fit(values[train, None], y[train])
            proba[test] = tree.predict_proba(values[test, None])
        shares[name] = 1 - float(((proba - truth) ** 2).sum() / ((truth.mean(axis=0) - truth) ** 2).sum())
    return shares


def looks_like_codes(values: pd.Series, y: NDArray[np.int64]) -> bool:
    """Whether whole numbers go with the target in no order, as codes of categories do.

    The likelihood of one chance for each value is compared with that of chances that only rise, or only fall,
    with the value; of many classes, the chance of the most frequent one.

    Examples
    --------
    >>> draw = np.random.default_rng(0)
    >>> code = draw.integers(1, 6, 5000)
    >>> rising, jumping = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5]), np.array([0, 0.1, 0.5, 0.1, 0.4, 0.1])
    >>> [looks_like_codes(pd.Series(code), draw.random(5000) < chance[code]) for chance in (rising, jumping)]
    [False, True]
    """
    numbers = values.to_numpy(np.float64)
    present = ~np.isnan(numbers)
    numbers, positive = numbers[present], (y == np.bincount(y).argmax())[present]
    codes, place, rows = np.unique(numbers, return_inverse=True, return_counts=True)
    if not _FEWEST_CODES <= len(codes) <= _MOST_CODES or (codes != np.round(codes)).any():
        return False
    share = np.bincount(place, weights=positive) / rows

    def log_likelihood(chance: Any) -> float:
        chance = np.clip(chance, 1e-9, 1 - 1e-9)
        return float((rows * (share * np.log(chance) + (1 - share) * np.log1p(-chance))).sum())

    ordered = max(log_likelihood(isotonic_regression(share, sample_weight=rows, increasing=up)) for up in (True, False))
    return bool(chi2.sf(2 * (log_likelihood(share) - ordered), len(codes) - 1) < _LEVEL)
