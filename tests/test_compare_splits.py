"""Splits by chance, by customer and by time: who may be on which side."""

import numpy as np
import pytest

from focal_gbm.compare import TableError
from focal_gbm.compare.splits import splits

N = 1000
DRAW = np.random.default_rng(0)
Y = (DRAW.random(N) < 0.2).astype(np.int64)
TIME = DRAW.permutation(N // 4).repeat(4).astype(float)  # four rows at a time
GROUP = DRAW.integers(0, 150, N)


def found(time=None, group=None, y=Y, folds=5, repeats=2):
    every, again = (splits(y, folds, repeats, seed=3, time=time, group=group) for _ in range(2))
    for one, other in zip(every, again, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
    for split in every:
        assert len(np.unique(np.concatenate(split))) == sum(map(len, split))  # no row twice
        assert all(y[part].any() and not y[part].all() for part in split)
    return every


@pytest.mark.parametrize("group", [None, GROUP])
def test_each_row_is_tested_once_a_repeat(group):
    every = found(group=group)
    assert len(every) == 10
    for repeat in (every[:5], every[5:]):
        assert sorted(np.concatenate([split.test for split in repeat])) == list(range(N))
        for split in repeat:
            assert sorted(np.concatenate(split)) == list(range(N))
            assert 0.1 < len(split.stop) / (len(split.stop) + len(split.fit)) < 0.3
            assert abs(Y[split.test].mean() - Y.mean()) < 0.06  # stratified
            if group is not None:
                sides = [set(group[part]) for part in split]
                assert not sides[0] & sides[1]
                assert not sides[2] & (sides[0] | sides[1])


def test_windows_of_time_expand():
    every = found(time=TIME)
    assert len(every) == 5
    tested = np.concatenate([split.test for split in every])
    assert len(tested) == len(np.unique(tested))
    for before, split in zip([None, *every], every, strict=False):
        assert TIME[split.fit].max() < TIME[split.stop].min()
        assert TIME[split.stop].max() < TIME[split.test].min()
        assert 0.15 < len(split.stop) / (len(split.stop) + len(split.fit)) < 0.25
        if before is not None:  # all the past is trained on
            assert set(np.concatenate(before)) == {*split.fit, *split.stop}
    assert TIME[every[-1].test].max() == TIME.max()


def test_windows_of_time_and_groups():
    every = found(time=TIME, group=GROUP)
    assert len(every) == 15
    tested = np.concatenate([split.test for split in every])
    assert len(tested) == len(np.unique(tested))
    for split in every:
        past = np.concatenate([split.fit, split.stop])
        assert TIME[past].max() < TIME[split.test].min()
        assert not set(GROUP[past]) & set(GROUP[split.test])


@pytest.mark.parametrize(
    ("time", "group", "y", "message"),
    [
        (np.arange(N) % 3, None, Y, r"3 different times \(--time\) do not make 6 windows"),
        (np.where(np.arange(N) < 990, 0, np.arange(N)), None, Y, r"do not make 6 windows"),
        (np.arange(N), None, (np.arange(N) > 900).astype(np.int64), r"no row of one class to train on"),
        (None, np.arange(N) * 4 // N, Y, r"4 groups only \(--group\), fewer than 5 parts"),
    ],
)
def test_splits_that_cannot_be_made(time, group, y, message):
    with pytest.raises(TableError, match=message):
        splits(y, 5, 1, time=None if time is None else time.astype(float), group=group)
