"""Splits of a table into rows to train on, to stop on and to test on: by chance, by customer, by time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedGroupKFold, train_test_split

from focal_gbm.compare.columns import FloatArray
from focal_gbm.compare.errors import TableError

#: Share of each split's training rows that are set aside to stop on, and to choose γ and α on.
_STOP_SHARE = 0.2

#: With times and groups, each window is tested in so many parts of the groups, without which its past is
#: trained on: more would leave more to train on, and take more fits.
_GROUP_PARTS = 3

_Pairs = Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]


class Split(NamedTuple):
    """Positions of the rows to train on, to stop on and to test on."""

    fit: NDArray[np.intp]
    stop: NDArray[np.intp]
    test: NDArray[np.intp]


def splits(
    y: NDArray[np.int64], folds: int, repeats: int = 1, seed: int = 0, *, time: FloatArray | None = None,
    group: NDArray[np.intp] | None = None,
) -> list[Split]:  # fmt: skip
    """Return splits, each with rows set aside to stop on.

    * Without time and group: repeated stratified k-fold.
    * With groups: the same with all rows of a group on one side, those set aside included.
    * With times: the rows in order of time fall into k + 1 windows. Each but the first is tested once, by
      models that were trained on all windows before it and stopped on the latest fifth of them. Rows of the
      same time stay in one window.
    * With both: each window is tested in three parts of its groups, each by a model that knows the past of
      the other groups only. (The rows to stop on are the latest, whatever their group: as it will be in use.)

    Parameters
    ----------
    y : ndarray of int of shape (n_rows,)
    folds : int
        Or windows.
    repeats : int
        Not with times: there is one order.
    seed : int
    time : ndarray of float64 of shape (n_rows,) or None
    group : ndarray of int of shape (n_rows,) or None

    Returns
    -------
    list of Split

    Raises
    ------
    TableError
        Where a part lacks a class.

    Examples
    --------
    >>> [len(part) for part in splits(np.arange(100) % 2, folds=5)[0]]
    [64, 16, 20]
    """
    pairs = _by_chance(y, folds, repeats, seed, group) if time is None else _by_time(y, folds, seed, time, group)
    every = []
    for number, (train, test) in enumerate(pairs):
        split = Split(*_set_aside(y, train, seed + number, time, group), test)
        for what, part in zip(("train", "stop", "test"), split, strict=True):
            missing = np.setdiff1d(y, y[part])
            # of many classes, one may be absent from the rows to test on
            if len(part) == 0 or (len(missing) and (what != "test" or y.max() == 1)):
                raise TableError(
                    f"split {number + 1} has no row of one class to {what} on: it is too rare, or absent "
                    "for a time; take fewer folds (--folds) or --positive LABEL."
                )
        every.append(split)
    return every


def _by_chance(y: NDArray[np.int64], folds: int, repeats: int, seed: int, group: NDArray[np.intp] | None) -> _Pairs:
    if group is None:
        chance = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
        yield from chance.split(np.zeros((len(y), 1)), y)
        return
    _refuse_few_groups(y, group, folds)
    for repeat in range(repeats):
        by_group = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + repeat)
        yield from by_group.split(np.zeros((len(y), 1)), y, group)


def _by_time(y: NDArray[np.int64], windows: int, seed: int, time: FloatArray, group: NDArray[np.intp] | None) -> _Pairs:
    window = _windows(time, windows + 1)
    every = np.ones(len(y), dtype=bool)
    parts = [every]
    if group is not None:
        parts = [np.isin(np.arange(len(y)), test) for _, test in _by_chance(y, _GROUP_PARTS, 1, seed, group)]
    for number in range(1, windows + 1):
        for part in parts:
            past = (window < number) & (every if group is None else ~part)
            yield np.flatnonzero(past), np.flatnonzero((window == number) & part)


def _windows(time: FloatArray, count: int) -> NDArray[np.intp]:
    """Return for each row its window of as many rows as the others, without a border between equal times."""
    times, place, rows = np.unique(time, return_inverse=True, return_counts=True)
    middle = np.cumsum(rows) - rows / 2
    window = np.minimum((middle * count / len(time)).astype(np.intp), count - 1)
    if len(np.unique(window)) < count:
        raise TableError(f"{len(times):,} different times (--time) do not make {count} windows: take fewer (--folds).")
    return np.asarray(window[place], dtype=np.intp)


def _set_aside(
    y: NDArray[np.int64], train: NDArray[np.intp], seed: int, time: FloatArray | None,
    group: NDArray[np.intp] | None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:  # fmt: skip
    if time is not None:
        times = time[train]
        first = np.quantile(times, 1 - _STOP_SHARE, method="higher")
        late = times >= first if (times < first).any() else times > first
        return train[~late], train[late]
    if group is not None:
        _refuse_few_groups(y[train], group[train], 2)
        parts = StratifiedGroupKFold(round(1 / _STOP_SHARE), shuffle=True, random_state=seed)
        fit, stop = next(parts.split(np.zeros((len(train), 1)), y[train], group[train]))
        return train[fit], train[stop]
    fit, stop = train_test_split(train, test_size=_STOP_SHARE, stratify=y[train], random_state=seed)
    return fit, stop


def _refuse_few_groups(y: NDArray[np.int64], group: NDArray[np.intp], folds: int) -> None:
    count = min(len(np.unique(group[y == label])) for label in np.unique(y))
    if count < folds:
        raise TableError(
            f"the rows of one class are of {count} groups only (--group), fewer than {folds} parts (--folds)."
        )
