"""Find single columns that give the target away."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder
from sklearn.tree import DecisionTreeClassifier

from focal_gbm.compare.read import TableError

#: Balanced accuracy from which a column alone is taken for a copy of the target. What real columns reach is
#: mostly far below.
_ALMOST_PERFECT = 0.995

#: A sample of so many rows shows a leak.
_ROWS = 20_000


def leak_of(X: pd.DataFrame, y: NDArray[np.int64], seed: int = 0) -> list[tuple[str, float]]:
    """Return the columns that tell the classes apart alone, with their balanced accuracy.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_columns)
        From `as_features`.
    y : ndarray of int of shape (n_rows,)

    Returns
    -------
    list of (column, balanced accuracy)
        Out of fold, of a small tree that sees that column only. A missing value counts as a value: that
        a field is filled in can give the target away, too.
    """
    if len(y) > _ROWS:
        keep = np.random.default_rng(seed).choice(len(y), _ROWS, replace=False)
        keep = np.union1d(keep, _some_of_each(y))
        X, y = X.iloc[keep], y[keep]
    folds = min(3, int(np.bincount(y).min()))
    if folds < 2:
        return []
    found = []
    for name in X.columns:
        column = X[name]
        if column.nunique(dropna=False) < 2:
            continue
        tree = DecisionTreeClassifier(
            max_leaf_nodes=4 * len(np.unique(y)), class_weight="balanced", random_state=seed
        )
        if isinstance(column.dtype, pd.CategoricalDtype):
            # categories in the order of their mean class, found on each fold's training rows
            values = column.cat.codes.to_numpy()
            model = make_pipeline(TargetEncoder(), tree)
        else:
            values, model = column.to_numpy(), tree
        cv = StratifiedKFold(folds, shuffle=True, random_state=seed)
        accuracy = balanced_accuracy_score(y, cross_val_predict(model, values[:, None], y, cv=cv))
        if accuracy >= _ALMOST_PERFECT:
            found.append((name, float(accuracy)))
    return found


def refuse_leaks(X: pd.DataFrame, y: NDArray[np.int64], target: str) -> None:
    """Refuse columns that tell the classes apart alone.

    Raises
    ------
    TableError
        Naming them.
    """
    found = leak_of(X, y)
    if found:
        name, accuracy = found[0]
        more = f" (and {', '.join(repr(other) for other, _ in found[1:])})" if found[1:] else ""
        raise TableError(
            f"column {name!r}{more} alone predicts {target!r} almost perfectly (balanced accuracy "
            f"{accuracy:.4f}): it looks like a copy or a consequence of the target, and every model would "
            f"look perfect. Leave it out (--drop {name!r}), or keep it if it is known at prediction time "
            "(--allow-leaky)."
        )


def _some_of_each(y: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.concatenate([np.flatnonzero(y == label)[:50] for label in np.unique(y)])
