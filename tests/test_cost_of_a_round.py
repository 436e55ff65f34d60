"""What a round may allocate, and how often it may pass over the rows: the guard against a slow rewrite."""

import tracemalloc

import numpy as np
import pytest

from focal_gbm import BinaryFocalLoss, FocalObjective, MulticlassFocalLoss
from focal_gbm._arrays import BLOCK_SIZE
from focal_gbm._evaluation import Evaluation
from focal_gbm._state import FocalState

N_ROWS = 1_000_000


def peak_of(call):
    call()  # what is allocated once a fit
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("host", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_a_round_allocates_no_more_than_its_block(gamma, host):
    rng = np.random.default_rng(0)
    z = rng.normal(size=N_ROWS).astype(np.float32 if host == "xgboost" else np.float64)
    bound = FocalObjective(BinaryFocalLoss(gamma, 0.3), n_jobs=1).bind(z > 1, np.ones(N_ROWS), host)
    assert 0 < peak_of(lambda: bound(z)) < 8 * BLOCK_SIZE * z.itemsize < N_ROWS * z.itemsize


def kept_bytes(loss, labels, **options):
    """Bytes that a bound objective keeps from round to round, and its first round's predictions not."""
    z = np.zeros(loss.raw_shape(len(labels)), np.float32)
    tracemalloc.start()
    try:
        bound = FocalObjective(loss, n_jobs=1).bind(labels, None, "xgboost", **options)
        bound(z)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("loss", "n_scores"), [(BinaryFocalLoss(), 1), (MulticlassFocalLoss(5), 5)], ids=["binary", "softmax"]
)
def test_a_fit_keeps_a_hessian_a_score_and_a_byte_a_row(loss, n_scores):
    labels = np.zeros(N_ROWS // 5, dtype=bool if n_scores == 1 else np.intp)
    least = len(labels) * (4 * n_scores + 1)
    assert least <= kept_bytes(loss, labels, overwrite_raw_prediction=True) < 1.02 * least
    both = len(labels) * (8 * n_scores + 1)
    assert both <= kept_bytes(loss, labels) < 1.02 * both


def test_a_round_of_many_classes_allocates_no_more_than_its_block():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N_ROWS // 5, 5)).astype(np.float32)
    bound = FocalObjective(MulticlassFocalLoss(5), n_jobs=1).bind(rng.integers(0, 5, len(z)), None, "xgboost")
    assert 0 < peak_of(lambda: bound(z)) < 8 * BLOCK_SIZE * 4 < N_ROWS * 4


def test_the_metric_of_a_round_allocates_one_loss_a_row():
    z = np.random.default_rng(0).normal(size=N_ROWS).astype(np.float32)
    evaluation = Evaluation(FocalState(np.arange(2), BinaryFocalLoss()), "posterior")
    labels = z > 1
    peak = peak_of(lambda: evaluation.value("focal_loss", labels, z, None))
    assert 0 < peak < N_ROWS * 20  # the loss, the sign and what makes it of the label


class Counting(np.ndarray):
    """An array that counts the passes of NumPy's functions over it and what is made of it."""

    passes = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        Counting.passes += 1
        plain = [x.view(np.ndarray) if isinstance(x, Counting) else x for x in inputs]
        plain_out = tuple(x.view(np.ndarray) if isinstance(x, Counting) else x for x in out)
        result = getattr(ufunc, method)(*plain, **({"out": plain_out} if out else {}), **options)
        if out:
            return out[0]
        return result.view(Counting) if isinstance(result, np.ndarray) else result


@pytest.mark.parametrize(
    ("gamma", "most"),
    [(0.0, 9), (2.0, 22)],  # as counted; one more pass is a fifth of a nanosecond a row
)
def test_passes_over_a_block(gamma, most, monkeypatch):
    loss = BinaryFocalLoss(gamma)
    z = np.linspace(-3, 3, 1000, dtype=np.float32).view(Counting)
    targets = loss.prepare(np.asarray(z) > 0, None)
    empty = np.empty
    monkeypatch.setattr("focal_gbm.losses._margin.np.empty", lambda *a, **k: empty(*a, **k).view(Counting))
    out = empty((2, 1000), np.float32)
    Counting.passes = 0
    loss.gradient_hessian_prepared(targets, z, "floored", *out, loss_scale=0.5)
    assert 0 < Counting.passes <= most
