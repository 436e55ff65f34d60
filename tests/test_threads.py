"""Threads over the rows: the same numbers, and the same errors, whatever their number."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from focal_gbm import BinaryFocalLoss, FocalObjective, MulticlassFocalLoss, MultilabelFocalLoss
from focal_gbm._arrays import BLOCK_SIZE
from focal_gbm._threads import RowThreads

N_ROWS = 3 * BLOCK_SIZE + 17


@pytest.fixture(autouse=True)
def many_cores(monkeypatch):
    monkeypatch.setattr("focal_gbm._threads.joblib.cpu_count", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")


def n_parts(n_jobs, n_rows=100 * BLOCK_SIZE, row_size=1):
    return len(RowThreads(n_rows, row_size, n_jobs).parts)


def test_parts_cover_the_rows_once():
    for n_jobs in (1, 2, 3, 5):
        parts = RowThreads(N_ROWS, 2, n_jobs).parts
        assert len(parts) == n_jobs
        assert_array_equal(np.concatenate([np.arange(N_ROWS)[part] for part in parts]), np.arange(N_ROWS))


def test_n_jobs_as_the_hosts_read_it(monkeypatch):
    assert n_parts(1) == 1
    assert n_parts(3) == 3
    assert n_parts(None) == n_parts(0) == n_parts(-1) == n_parts(99) == 8  # the most that pay
    assert n_parts(-12) == 5
    assert n_parts(-99) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2,4")
    assert n_parts(None) == 2
    assert n_parts(4) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert n_parts(None) == 8


def test_cores_on_which_the_hosts_threads_spin_are_left_to_them(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY")
    assert n_parts(None) == n_parts(16) == n_parts(-1) == 1
    assert n_parts(-4) == 4
    assert n_parts(14) == 3
    assert n_parts(1) == 1  # asked for one, as where others run beside it
    assert n_parts(6) == 6
    for spins, expected in (("10000", 8), ("0", 8), ("300000", 1), ("infinity", 1)):
        monkeypatch.setenv("GOMP_SPINCOUNT", spins)
        assert n_parts(None) == expected


def test_small_tables_have_one_thread():
    assert n_parts(4, BLOCK_SIZE - 1) == n_parts(4, 2 * BLOCK_SIZE - 1) == n_parts(4, 0) == 1
    assert n_parts(4, 2 * BLOCK_SIZE) == n_parts(4, BLOCK_SIZE, 2) == 2


@pytest.mark.parametrize("host", ["xgboost", "lightgbm"])
@pytest.mark.parametrize(
    "loss",
    [
        BinaryFocalLoss((2.0, 1.5), (0.3, 0.9)),
        MulticlassFocalLoss(3, 2.0, (1.0, 2.0, 3.0)),
        MultilabelFocalLoss((BinaryFocalLoss(2.0, 0.3), BinaryFocalLoss(0.0))),
    ],
)
def test_result_does_not_depend_on_threads(loss, host):
    rng = np.random.default_rng(0)
    shape = loss.raw_shape(N_ROWS)
    z = rng.normal(size=shape).astype(np.float32 if host == "xgboost" else np.float64)
    labels = rng.integers(0, 2, shape if isinstance(loss, MultilabelFocalLoss) else N_ROWS) == 1
    if isinstance(loss, MulticlassFocalLoss):
        labels = rng.integers(0, 3, N_ROWS)
    weight = rng.random(N_ROWS)
    one, four = (FocalObjective(loss, n_jobs=n).bind(labels, weight, host) for n in (1, 4))
    assert_array_equal(one(z), four(z))
    assert_array_equal(one(z), FocalObjective(loss, n_jobs=3)(labels, z, weight))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_gradient_over_the_raw_prediction_is_the_same(n_classes):
    rng = np.random.default_rng(1)
    loss = BinaryFocalLoss(2.0) if n_classes == 2 else MulticlassFocalLoss(3, 2.0)
    labels = rng.integers(0, n_classes, N_ROWS)
    labels = labels == 1 if n_classes == 2 else labels
    z = rng.normal(size=loss.raw_shape(N_ROWS)).astype(np.float32)
    over = FocalObjective(loss, n_jobs=3).bind(labels, None, "xgboost", overwrite_raw_prediction=True)
    gradient, hessian = FocalObjective(loss, n_jobs=3).bind(labels, None, "xgboost")(z)
    z.flags.writeable = False
    assert_array_equal(over(z), (gradient, hessian))
    written = z.copy()
    assert over(written)[0] is written
    assert_array_equal(written, gradient)
    assert_array_equal(over(z.copy())[1], hessian)
    bad = z.copy()
    bad[N_ROWS - 2] = np.inf
    with pytest.raises(ValueError, match=rf"at row {N_ROWS - 2}, where the raw prediction is \[?inf"):
        over(bad)


def test_not_finite_in_any_part_raises_with_its_row():
    y = np.zeros(N_ROWS, dtype=bool)
    bound = FocalObjective(n_jobs=3).bind(y, None, "xgboost")
    for row in (0, N_ROWS // 2, N_ROWS - 1):
        for value in (np.nan, np.inf, -np.inf):
            z = np.zeros(N_ROWS, dtype=np.float32)
            z[row] = value
            with pytest.raises(ValueError, match=f"at row {row}, where the raw prediction is {value}"):
                bound(z)
    bound(np.full(N_ROWS, np.finfo(np.float32).max))  # whose sum is not finite, but all its terms are


def test_error_in_a_thread_is_raised_after_all_have_ended():
    ended = []

    def work(i):
        if i == 2:
            raise KeyError(i)
        ended.append(i)

    with pytest.raises(KeyError):
        RowThreads(4 * BLOCK_SIZE, 1, 4).run(work)
    assert sorted(ended) == [0, 1, 3]


def test_n_jobs_must_be_a_whole_number():
    with pytest.raises(TypeError, match=r"n_jobs must be None or an integer, got 1\.5"):
        FocalObjective(n_jobs=1.5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_objective_works_in_a_forked_process():
    y, z = np.zeros(N_ROWS, dtype=bool), np.zeros(N_ROWS, dtype=np.float32)
    FocalObjective(n_jobs=3).bind(y, None, "xgboost")(z)
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(1) as pool:
        total = pool.apply(_gradient_sum, (y, z))
    assert total == pytest.approx(N_ROWS * 0.5**2 * (0.5 + np.log(2)), rel=1e-5)


def _gradient_sum(y, z):
    return float(FocalObjective(n_jobs=3).bind(y, None, "xgboost")(z)[0].sum(dtype=np.float64))
