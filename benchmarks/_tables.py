"""Real imbalanced tables, their splits, and one fit of either library as the study and others run it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

#: Folder of CSV files whose last column is the target; without it there is scikit-learn's digits alone.
FOLDER = os.environ.get("FOCAL_GBM_DATA", "")

#: Of many classes the rarest that has as many rows is told apart from the rest; a rarer one is left out where
#: all are told apart.
LEAST_ROWS = 30

#: From so many rows on a table is split 3-fold once: its differences vary less than those of small tables.
LARGE = 20_000

#: Everybody's learning rate, most rounds, and rounds without improvement after which a fit stops.
RATE, ROUNDS, PATIENCE = 0.1, 500, 30


class Split(NamedTuple):
    """Rows to train on, to stop on and to test on."""

    X: pd.DataFrame
    y: np.ndarray
    X_stop: pd.DataFrame
    y_stop: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray


class Problem(NamedTuple):
    """A table with its target as codes, and how it is split."""

    name: str
    X: pd.DataFrame
    y: np.ndarray
    folds: int
    repeats: int

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.y.max()) + 1

    @property
    def about(self) -> str:
        """Rows, features and the share of the rare class in words."""
        classes = f"{self.y.mean():.1%} positives" if self.n_classes == 2 else f"{self.n_classes} classes"
        return f"{len(self.y):,} rows, {self.X.shape[1]} features, {classes}"

    def splits(self) -> Iterator[Split]:
        """Yield the splits, a fifth of the training rows to stop on."""
        for repeat in range(self.repeats):
            folds = StratifiedKFold(self.folds, shuffle=True, random_state=repeat)
            for train, test in folds.split(self.X, self.y):
                fit, stop = train_test_split(train, test_size=0.2, stratify=self.y[train], random_state=repeat)
                parts = ((self.X.iloc[rows], self.y[rows]) for rows in (fit, stop, test))
                yield Split(*(array for pair in parts for array in pair))


def problems(folder: str = FOLDER) -> Iterator[Problem]:
    """Yield every table as two classes, the smallest first, and those of more classes as they are, too."""
    digits, digit = load_digits(return_X_y=True, as_frame=True)
    tables = [("digits", digits, (digit == 8).to_numpy())]
    for path in sorted(Path(folder).glob("*.csv*"), key=lambda path: path.stat().st_size) if folder else []:
        if path.name != "MANIFEST.csv":
            frame = pd.read_csv(path).dropna(axis="columns", how="all")
            X = frame.iloc[:, :-1]
            text = [name for name in X.columns if not pd.api.types.is_numeric_dtype(X[name])]
            tables.append((path.name.split(".")[0], X.astype(dict.fromkeys(text, "category")), frame.iloc[:, -1]))
    for name, X, y in tables:
        folds, repeats = (5, 2) if len(y) < LARGE else (3, 1)
        counts = pd.Series(y).value_counts()
        counts = counts[counts >= LEAST_ROWS]
        yield Problem(name, X, np.asarray(y == counts.idxmin()).astype(int), folds, repeats)
        if len(counts) > 2:
            kept = pd.Series(y).isin(counts.index).to_numpy()
            codes = np.unique(np.asarray(y)[kept], return_inverse=True)[1]
            yield Problem(f"{name} all classes", X[kept], codes, 5, 1)


def fitted(library: str, split: Split, gamma: float = 0.0, weights: Any = None, **parameters: Any) -> Any:
    """Return a model that stopped early on the log loss; γ=0 is the library's own loss.

    Parameters
    ----------
    weights : ndarray of shape (n_classes,), default=None
        Class weights, in training and in the metric that it stops on.
    """
    common = {"n_estimators": ROUNDS, "learning_rate": RATE, "n_jobs": 1, "random_state": 0, **parameters}
    by_row = None if weights is None else weights[split.y]
    by_row_stop = None if weights is None else [weights[split.y_stop]]
    if library == "xgboost":
        xgb = FocalXGBClassifier(focal_gamma=gamma, early_stopping_rounds=PATIENCE, enable_categorical=True, **common)
        return xgb.fit(
            split.X, split.y, sample_weight=by_row, eval_set=[(split.X_stop, split.y_stop)],
            sample_weight_eval_set=by_row_stop, verbose=False,
        )  # fmt: skip
    lgb = FocalLGBMClassifier(focal_gamma=gamma, verbose=-1, **common)
    return lgb.fit(
        split.X, split.y, sample_weight=by_row, eval_X=split.X_stop, eval_y=split.y_stop,
        eval_sample_weight=by_row_stop,
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )  # fmt: skip


def rounds_of(model: Any) -> int:
    """Return the rounds of a model that stopped early."""
    return model.best_iteration + 1 if hasattr(model, "get_booster") else model.best_iteration_
