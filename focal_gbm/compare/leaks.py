"""Find single columns that give the target away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder
from sklearn.tree import DecisionTreeClassifier

from focal_gbm._validation import FloatArray
from focal_gbm.compare.errors import TableError

#: Balanced accuracy from which a column alone is taken for a copy of the target. What real columns reach is
#: mostly far below.
_ALMOST_PERFECT = 0.995

#: On the few rows of the first look a tree must get this far, on the rows that it was trained on.
_WORTH_A_LOOK = 0.97

#: Trees compare float32; the fourth leaves room for what stands for missing.
_LARGEST = float(np.finfo(np.float32).max) / 4

#: A sample of so many rows shows a leak, and of so many shows that there is none.
_ROWS, _ROWS_AT_FIRST = 20_000, 2_000


class Deadline:
    """A time that was given, and whether it is over."""

    def __init__(self, seconds: float = np.inf) -> None:
        self._end = time.perf_counter() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.perf_counter() > self._end


def leak_of(
    X: pd.DataFrame,
    y: NDArray[np.int64],
    seed: int = 0,
    *,
    deadline: Deadline | None = None,
    step: Callable[[str], None] | None = None,
) -> tuple[list[tuple[str, float]], int]:
    """Return the columns that tell the classes apart alone, and how many columns were looked at.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_columns)
        From `as_features`.
    y : ndarray of int of shape (n_rows,)
    seed : int
    deadline : Deadline or None
    step : callable or None
        Called with what is being done.

    Returns
    -------
    found : list of (column, balanced accuracy)
        Out of fold, of a small tree that sees that column only. A missing value counts as a value: that
        a field is filled in can give the target away, too.
    n_seen : int
    """
    draw = np.random.default_rng(seed)
    if len(y) > _ROWS:
        rows = np.union1d(draw.choice(len(y), _ROWS, replace=False), _some_of_each(y))
        X, y = X.iloc[rows], y[rows]
    if int(np.bincount(y).min()) < 2:
        return [], len(X.columns)
    few = np.union1d(draw.choice(len(y), min(_ROWS_AT_FIRST, len(y)), replace=False), _some_of_each(y))
    found: list[tuple[str, float]] = []
    for number, name in enumerate(X.columns):
        if deadline is not None and deadline.is_over:
            return found, number
        if step is not None:
            step(f"looking for leaks, column {number + 1:,} of {len(X.columns):,}")
        column = X[name]
        if not _is_worth_a_look(column.iloc[few], y[few], seed):
            continue
        accuracy = _out_of_fold(column, y, seed)
        if accuracy >= _ALMOST_PERFECT:
            found.append((name, accuracy))
    return found, len(X.columns)


def _tree(y: NDArray[np.int64], seed: int) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(
        max_leaf_nodes=4 * len(np.unique(y)), class_weight="balanced", random_state=seed
    )


def _is_worth_a_look(column: pd.Series, y: NDArray[np.int64], seed: int) -> bool:
    """Whether a tree gets nearly all of a few rows right, which it has seen.

    Most columns go no further than here, so that what scikit-learn checks before a fit would be most of the
    time.
    """
    values: Any
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy() + 1
        rows = np.maximum(np.bincount(codes), 1)
        shares = [np.bincount(codes, weights=y == k, minlength=len(rows)) / rows for k in np.unique(y)[1:]]
        values = np.column_stack([share[codes] for share in shares])
    else:
        values = _numbers(column)[:, None]
    values = np.ascontiguousarray(values, dtype=np.float32)
    tree = _tree(y, seed).set_params(class_weight=None)
    weight = len(y) / np.bincount(y)[y]
    with config_context(assume_finite=True, skip_parameter_validation=True):
        predicted = tree.fit(values, y, sample_weight=weight, check_input=False).tree_.predict(values)
    right = predicted.argmax(axis=1) == y
    return bool(np.mean([right[y == k].mean() for k in np.unique(y)]) >= _WORTH_A_LOOK)


def _numbers(column: pd.Series) -> FloatArray:
    """Return a column with missing as its lowest value, which not every scikit-learn splits off otherwise."""
    values = np.clip(column.to_numpy(np.float64), -_LARGEST, _LARGEST)
    lowest = np.nanmin(values, initial=0.0)
    filled: FloatArray = np.where(np.isnan(values), lowest - 1.0 - abs(lowest), values)
    return filled


def _out_of_fold(column: pd.Series, y: NDArray[np.int64], seed: int) -> float:
    tree = _tree(y, seed)
    values: Any
    if isinstance(column.dtype, pd.CategoricalDtype):
        # categories in the order of their mean class, found on each fold's training rows
        values, model = column.cat.codes.to_numpy(), make_pipeline(TargetEncoder(), tree)
    else:
        values, model = _numbers(column), tree
    cv = StratifiedKFold(min(3, int(np.bincount(y).min())), shuffle=True, random_state=seed)
    return float(balanced_accuracy_score(y, cross_val_predict(model, values[:, None], y, cv=cv)))


def refuse_leaks(
    X: pd.DataFrame,
    y: NDArray[np.int64],
    target: str,
    *,
    deadline: Deadline | None = None,
    step: Callable[[str], None] | None = None,
) -> list[str]:
    """Refuse columns that tell the classes apart alone; return notes.

    Raises
    ------
    TableError
        Naming them.
    """
    found, n_seen = leak_of(X, y, deadline=deadline, step=step)
    if found:
        name, accuracy = found[0]
        more = f" (and {', '.join(repr(other) for other, _ in found[1:])})" if found[1:] else ""
        raise TableError(
            f"column {name!r}{more} alone predicts {target!r} almost perfectly (balanced accuracy "
            f"{accuracy:.4f}): it looks like a copy or a consequence of the target, and every model would "
            f"look perfect. Leave it out (--drop {name!r}), or keep it if it is known at prediction time "
            "(--allow-leaky)."
        )
    if n_seen < len(X.columns):
        return [f"looked for leaks in {n_seen:,} of the {len(X.columns):,} columns: time was up (--minutes)."]
    return []


def _some_of_each(y: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.concatenate([np.flatnonzero(y == label)[:50] for label in np.unique(y)])
