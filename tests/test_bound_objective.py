"""The objective of one fit: the same numbers and errors on any number of threads, by either kernel."""

import multiprocessing
import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from focal_gbm import (
    BinaryFocalLoss,
    FocalLGBMObjective,
    FocalXGBObjective,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
)

N_ROWS = 3 * 2**16 + 17  # several blocks and threads, and no whole number of blocks


pytestmark = pytest.mark.usefixtures("kernel")

LOSSES = [
    BinaryFocalLoss((2.0, 1.5), (0.3, 0.9)),
    MulticlassFocalLoss(3, 2.0, (1.0, 2.0, 3.0)),
    MultilabelFocalLoss((BinaryFocalLoss(2.0, 0.3), BinaryFocalLoss(0.0))),
]


def problem(loss, dtype, n_rows=N_ROWS):
    """Labels, weights and scores of many rows."""
    rng = np.random.default_rng(0)
    shape = loss.raw_shape(n_rows)
    labels = rng.random(shape) < 0.3
    if loss.kind == "multiclass":
        labels = rng.integers(0, 3, n_rows)
    return labels, rng.random(n_rows), rng.normal(size=shape).astype(dtype)


# Threads


@pytest.mark.parametrize(
    ("Objective", "dtype"),
    [(FocalXGBObjective, np.float32), (FocalLGBMObjective, np.float64)],
    ids=["xgboost", "lightgbm"],
)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_the_result_does_not_depend_on_the_number_of_threads(loss, Objective, dtype):
    labels, weight, z = problem(loss, dtype)
    one = Objective(loss, n_jobs=1).bind(labels, weight)(z)
    for n_jobs in (None, 0, 2, 3, -1, -99):
        assert_array_equal(Objective(loss, n_jobs=n_jobs).bind(labels, weight)(z), one)
    assert_array_equal(Objective(loss, n_jobs=3)(labels, z, weight), one)


@pytest.mark.parametrize("Objective", [FocalXGBObjective, FocalLGBMObjective], ids=["xgboost", "lightgbm"])
@pytest.mark.parametrize("n_jobs", [1.5, "2"])
def test_n_jobs_must_be_a_whole_number(Objective, n_jobs):
    with pytest.raises(TypeError, match=rf"^n_jobs must be None or an integer, got {n_jobs!r}\.$"):
        Objective(n_jobs=n_jobs)


def gradient_sum(y, z):
    return float(FocalXGBObjective(n_jobs=3).bind(y, None)(z)[0].sum(dtype=np.float64))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_an_objective_works_in_a_forked_process():
    y, z = np.zeros(N_ROWS, dtype=bool), np.zeros(N_ROWS, dtype=np.float32)
    gradient_sum(y, z)  # the parent's threads have started
    with multiprocessing.get_context("fork").Pool(1) as pool:
        total = pool.apply_async(gradient_sum, (y, z)).get(timeout=60)
    assert total == pytest.approx(N_ROWS * 0.5**2 * (0.5 + np.log(2)), rel=1e-5)


# Buffers


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_a_raw_prediction_is_read_alone_and_buffers_come_again(loss):
    labels, weight, z = problem(loss, np.float32)
    z.flags.writeable = False
    bound = FocalXGBObjective(loss).bind(labels, weight)
    first = bound(z)
    before = [array.copy() for array in first]
    assert all(a is b for a, b in zip(bound(-z), first, strict=True))
    assert_array_equal(bound(z), before)


# What is not finite


@pytest.mark.parametrize("Objective", [FocalXGBObjective, FocalLGBMObjective], ids=["xgboost", "lightgbm"])
def test_the_row_of_what_is_not_finite_is_named_wherever_it_is(Objective):
    y = np.zeros(N_ROWS, dtype=bool)
    bound = Objective(n_jobs=3).bind(y, None)
    for row in (0, N_ROWS // 2, N_ROWS - 1):
        for value in (np.nan, np.inf, -np.inf):
            z = np.zeros(N_ROWS, dtype=np.float32)
            z[row] = value
            with pytest.raises(ValueError, match=f"at row {row}, where the raw prediction is {value}"):
                bound(z)
    bound(np.full(N_ROWS, np.finfo(np.float32).max))  # whose sum is not finite, but all its terms are


def test_the_first_of_many_rows_is_named():
    z = np.zeros(N_ROWS, dtype=np.float32)
    z[[70_000, 140_000, N_ROWS - 1]] = np.nan
    with pytest.raises(ValueError, match="at row 70000, where the raw prediction is nan"):
        FocalXGBObjective(n_jobs=3).bind(np.zeros(N_ROWS, dtype=bool), None)(z)


@pytest.mark.parametrize("Objective", [FocalXGBObjective, FocalLGBMObjective], ids=["xgboost", "lightgbm"])
def test_the_row_of_a_label_that_is_not_finite_is_named(Objective):
    objective = Objective(MultilabelFocalLoss((BinaryFocalLoss(),) * 2))
    z = np.zeros((4, 2), np.float32)
    z[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"at row 2"):
        objective(np.zeros((4, 2)), z)


# Small tables of XGBoost


def test_a_small_table_of_xgboost_has_gradients_rounded_to_three_bits_less():
    rng = np.random.default_rng(0)
    z = rng.normal(size=1024).astype(np.float32)
    loss, positive = BinaryFocalLoss(2.0), rng.random(1024) < 0.3
    # what the kernel computes without the rounding, which LightGBM has no use for
    expected = [array.copy() for array in FocalLGBMObjective(loss).bind(positive, None)(z)]
    rounded = [array.copy() for array in FocalXGBObjective(loss).bind(positive, None)(z)]
    for result, exact in zip(rounded, expected, strict=True):
        assert not (result.view(np.int32) & 7).any()
        assert (np.abs(result - exact) <= 4 * np.spacing(np.abs(exact))).all()
    # one row more than that, and nothing is rounded
    z, positive = np.append(z, z[:1]), np.append(positive, positive[:1])
    gradient, _ = FocalXGBObjective(loss).bind(positive, None)(z)
    assert_array_equal(gradient[:1024], expected[0])


def test_weights_too_large_for_a_small_table_of_xgboost():
    bound = FocalXGBObjective().bind(np.array([False, True]), np.array([1.0, 1e300]))
    with pytest.raises(ValueError, match=r"must return finite numbers, .*at row 1"):
        bound(np.zeros(2, np.float32))
