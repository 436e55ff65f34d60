"""What a round may allocate, and what a fit keeps: the guard against a wasteful rewrite."""

import tracemalloc

import numpy as np
import pytest
from focal_gbm.training.evaluation import Evaluation
from focal_gbm.training.state import FocalState

from focal_gbm import BinaryFocalLoss, FocalLGBMObjective, FocalXGBObjective, MulticlassFocalLoss

N_ROWS = 1_000_000

#: Numbers that a round may hold at once, whatever the number of rows: eight times 65,536.
MOST_NUMBERS = 8 * 2**16


def peak_of(call):
    call()  # what is allocated once a fit
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("Objective", "dtype"),
    [(FocalXGBObjective, np.float32), (FocalLGBMObjective, np.float64)],
    ids=["xgboost", "lightgbm"],
)
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_a_round_allocates_no_more_than_its_block(gamma, Objective, dtype):
    z = np.random.default_rng(0).normal(size=N_ROWS).astype(dtype)
    bound = Objective(BinaryFocalLoss(gamma, 0.3), n_jobs=1).bind(z > 1, np.ones(N_ROWS))
    assert 0 < peak_of(lambda: bound(z)) < MOST_NUMBERS * z.itemsize < N_ROWS * z.itemsize


def kept_bytes(loss, labels):
    """Bytes that a bound objective keeps from round to round, and its first round's predictions not."""
    z = np.zeros(loss.raw_shape(len(labels)), np.float32)
    tracemalloc.start()
    try:
        bound = FocalXGBObjective(loss, n_jobs=1).bind(labels, None)
        bound(z)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("loss", "n_scores"), [(BinaryFocalLoss(), 1), (MulticlassFocalLoss(5), 5)], ids=["binary", "softmax"]
)
def test_a_fit_keeps_gradient_hessian_and_a_byte_a_row(loss, n_scores):
    for dtype, n_bytes in (
        (np.intp, 1),
        (bool if n_scores == 1 else np.uint8, 0),
    ):  # labels in bytes are not copied
        labels = np.zeros(N_ROWS // 5, dtype=dtype)
        both = len(labels) * (8 * n_scores + n_bytes)
        assert both <= kept_bytes(loss, labels) < 1.02 * both


def test_a_round_of_many_classes_allocates_no_more_than_its_block():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N_ROWS // 5, 5)).astype(np.float32)
    bound = FocalXGBObjective(MulticlassFocalLoss(5), n_jobs=1).bind(rng.integers(0, 5, len(z)), None)
    assert 0 < peak_of(lambda: bound(z)) < MOST_NUMBERS * 4 < N_ROWS * 4


def test_the_metric_of_a_round_allocates_one_loss_a_row():
    z = np.random.default_rng(0).normal(size=N_ROWS).astype(np.float32)
    evaluation = Evaluation(FocalState(np.arange(2), BinaryFocalLoss()), "posterior")
    labels = z > 1
    peak = peak_of(lambda: evaluation.value("focal_loss", labels, z, None))
    assert 0 < peak < N_ROWS * 20  # the loss, the sign and what makes it of the label
