"""The rows of a training part that are set aside to stop on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

#: Draws of whole groups to stop on, until one leaves every class rows to train on.
_DRAWS_OF_GROUPS = 20

#: Which rows of a training part can be set aside.
VALIDATION_ROWS = ("auto", "random", "latest")


@dataclass(frozen=True)
class Stopping:
    """Which rows to set aside.

    Parameters
    ----------
    fraction : float
        Share of the rows, or of the groups.
    latest : bool
        Whether they are the last in the order of the rows, and not drawn.
    """

    fraction: float
    latest: bool

    def set_aside(
        self, train: NDArray[np.intp], y: NDArray[Any], groups: Any, draw: np.random.RandomState, fold: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Split the training rows of a fold into those to train on and those to stop on."""
        codes = np.zeros(len(train)) if y.ndim == 2 else y[train]
        if groups is not None:
            aside = self._groups(train, codes, np.asarray(_safe_indexing(groups, train)), draw, fold)
        elif self.latest:
            aside = train >= np.sort(train)[len(train) - self._n_aside(len(train))]
            if not _has_all(codes[~aside], codes):
                raise ValueError(
                    f"y must hold rows of every class before the latest {self.fraction:g} of the training "
                    f"rows, which are set aside to stop on, not so in fold {fold}."
                )
        else:
            aside = np.zeros(len(train), dtype=bool)
            for label in np.unique(codes):
                of_class = np.flatnonzero(codes == label)
                aside[draw.permutation(of_class)[: self._n_aside(len(of_class))]] = True
        if not aside.any():
            raise ValueError(
                "y must have two rows or more of a class in the training part of every fold, one of them to "
                f"stop on, not so in fold {fold}: lower the number of folds, or early_stopping_rounds=None."
            )
        return train[~aside], train[aside]

    def _groups(
        self,
        train: NDArray[np.intp],
        codes: NDArray[Any],
        groups: NDArray[Any],
        draw: np.random.RandomState,
        fold: int,
    ) -> NDArray[np.bool_]:
        """Say which rows are of the groups set aside."""
        group = np.unique(groups, return_inverse=True)[1]
        n_groups = group.max() + 1
        last_row = np.full(n_groups, -1)
        np.maximum.at(last_row, group, train)
        for _ in range(_DRAWS_OF_GROUPS):
            order = np.argsort(-last_row) if self.latest else draw.permutation(n_groups)
            aside = np.isin(group, order[: self._n_aside(n_groups)])
            if aside.any() and _has_all(codes[~aside], codes):
                return aside
        raise ValueError(
            f"groups must leave rows of every class to train on when validation_fraction="
            f"{self.fraction} of the groups are set aside to stop on, not so in fold {fold}."
        )

    def _n_aside(self, n: int) -> int:
        """Return how many of n to set aside: at least one, and not all."""
        return max(0, min(n - 1, max(1, round(self.fraction * n))))


def in_order_of_time(splits: list[tuple[NDArray[np.intp], NDArray[np.intp]]]) -> bool:
    """Say whether every split trains on rows that come before those that it tests on."""
    return all(len(train) and len(test) and train.max() < test.min() for train, test in splits)


def _has_all(codes: NDArray[Any], of: NDArray[Any]) -> bool:
    return len(np.unique(codes)) == len(np.unique(of))
