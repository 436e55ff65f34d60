"""The scores against scikit-learn's, the tests against scipy's and against what chance does."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from focal_gbm.compare import METRICS, Paired, compare_paired, decide, score
from focal_gbm.compare.scores import calibration_error, reliability
from focal_gbm.compare.statistics import holm
from focal_gbm.compare.verdict import direction


def test_the_corrected_test_widens_the_plain_one():
    draw = np.random.default_rng(0)
    differences = draw.normal(0.1, 0.2, size=10)
    pair = compare_paired(differences, folds=5)
    plain = stats.ttest_1samp(differences, 0)
    ratio = math.sqrt(1 / 10 + 1 / 4) / math.sqrt(1 / 10)
    assert pair.mean == pytest.approx(differences.mean())
    assert (pair.high - pair.low) / 2 == pytest.approx(
        ratio * (plain.confidence_interval().high - differences.mean())
    )
    assert pair.p == pytest.approx(2 * stats.t.sf(abs(plain.statistic) / ratio, 9))
    # the interval and the test say the same
    assert (pair.low > 0 or pair.high < 0) == pair.is_significant


def test_a_difference_and_its_negative_mirror_each_other():
    differences = np.array([0.3, -0.1, 0.2, 0.4, 0.1])
    pair, mirrored = compare_paired(differences, 5), compare_paired(-differences, 5)
    assert (mirrored.mean, mirrored.low, mirrored.high) == pytest.approx((-pair.mean, -pair.high, -pair.low))
    assert mirrored.p == pytest.approx(pair.p)


def test_no_spread():
    assert compare_paired([0.0, 0.0, 0.0], 3).p == 1.0
    same = compare_paired([0.1, 0.1, 0.1], 3)
    assert (same.p, same.low, same.high) == (0.0, same.mean, same.mean)
    one = compare_paired([0.1], 5)
    assert math.isnan(one.p)
    assert not one.is_significant


def test_holm():
    assert holm([0.04]) == [0.04]
    assert holm([0.02, 0.001, 0.5]) == pytest.approx([0.04, 0.003, 0.5])
    assert max(holm([0.9, 0.8])) == 1.0


def test_scores_are_scikit_learns():
    draw = np.random.default_rng(0)
    y = (draw.random(400) < 0.2).astype(np.int64)
    p = np.clip(0.3 * y + draw.random(400) * 0.6, 0.01, 0.99)
    scores = score(y, np.column_stack([1 - p, p]), precision=0.5, top=20)
    assert set(METRICS) - set(scores) == {"amount_at_top", "cost", "cost_at_threshold"}
    assert scores["average_precision"] == pytest.approx(average_precision_score(y, p))
    assert scores["roc_auc"] == pytest.approx(roc_auc_score(y, p))
    assert scores["log_loss"] == pytest.approx(log_loss(y, p))
    assert scores["brier"] == pytest.approx(brier_score_loss(y, p))
    assert scores["precision_at_top"] == y[np.argsort(-p)[:20]].mean()
    found = max(y[p >= t].sum() / y.sum() for t in p if y[p >= t].mean() >= 0.5)
    assert scores["recall_at_precision"] == pytest.approx(found)


def test_no_recall_at_a_precision_that_is_not_reached():
    y, p = np.array([0, 1, 0, 0]), np.array([0.9, 0.5, 0.4, 0.1])
    assert score(y, np.column_stack([1 - p, p]), precision=0.9)["recall_at_precision"] == 0.0


def test_many_classes_are_means_over_the_classes():
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, size=300)
    proba = draw.dirichlet(np.ones(3), size=300) + np.eye(3)[y]
    proba /= proba.sum(axis=1, keepdims=True)
    scores = score(y, proba)
    by_class = [roc_auc_score(y == k, proba[:, k]) for k in range(3)]
    assert scores["roc_auc"] == pytest.approx(np.mean(by_class))
    assert scores["log_loss"] == pytest.approx(log_loss(y, proba))
    assert scores["brier"] == pytest.approx(sum(brier_score_loss(y == k, proba[:, k]) for k in range(3)))


def test_a_class_without_a_row_counts_in_no_mean():
    draw = np.random.default_rng(0)
    proba = draw.dirichlet(np.ones(3), size=50)
    y = draw.integers(0, 2, size=50)
    assert all(np.isfinite(value) for value in score(y, proba).values())


def test_calibration_error():
    draw = np.random.default_rng(0)
    p = draw.random(50_000)
    y = draw.random(50_000) < p
    assert calibration_error(y, p) < 0.01
    assert calibration_error(y, np.clip(p + 0.2, 0, 1)) == pytest.approx(0.18, abs=0.02)
    bins = reliability(y, p)
    assert sum(rows for rows, _, _ in bins) == 50_000
    assert sum(rows * share for rows, _, share in bins) == pytest.approx(y.sum())


def test_another_ratio_of_test_to_training_rows():
    differences = [0.3, -0.1, 0.2, 0.4, 0.1]
    assert compare_paired(differences, 5, 1 / 4) == compare_paired(differences, 5)
    assert compare_paired(differences, 5, 0.457).high > compare_paired(differences, 5).high


def paired(low, high):
    return Paired((low + high) / 2, low, high, 0.01 if low * high > 0 else 0.5)


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [
        (0.02, 0.2, "better"),
        (-0.2, -0.02, "worse"),
        (-0.2, 0.2, "cannot tell"),
        (-0.001, 0.009, "equivalent"),
        (0.001, 0.009, "equivalent"),  # above zero, but within the margin
        (-0.009, -0.001, "equivalent"),
        (0.001, 0.011, "better"),  # reaches out of the margin
        (-0.001, 0.011, "cannot tell"),
        (math.nan, math.nan, "cannot tell"),
    ],
)
def test_decisions_against_a_margin(low, high, decision):
    up = decide("average_precision", paired(low, high), base=0.5, margin=0.02)
    assert (up.decision, up.margin) == (decision, pytest.approx(0.01))
    # of a score that is better when it is lower, the mirror image
    down = decide("log_loss", paired(-high, -low), base=0.5, margin=0.02)
    assert down.decision == decision
    assert down.difference == pytest.approx(-up.difference, nan_ok=True)


def test_significance_is_apart_from_the_margin():
    up, down = Paired(0.1, 0.05, 0.15, 0.01), Paired(-0.1, -0.15, -0.05, 0.01)
    assert direction("average_precision", up) == direction("log_loss", down) == "better"
    assert direction("average_precision", down) == direction("log_loss", up) == "worse"
    assert direction("log_loss", Paired(0.1, -0.1, 0.3, 0.3)) == "not significant"
    assert direction("log_loss", Paired(0.1, np.nan, np.nan, np.nan)) == "not significant"
    assert direction("log_loss", up, p=0.2) == "not significant"
