"""Scores against scikit-learn's and sums row by row; intervals and words that always agree."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from focal_gbm.compare.scores import mean_cost, metrics, rows_at_top, score
from focal_gbm.compare.verdict import improvement

DRAW = np.random.default_rng(0)
N = 500
ETA = expit(DRAW.normal(-2, 1.5, N))
Y = (DRAW.random(N) < ETA).astype(np.int64)
COST_FP, COST_FN = DRAW.uniform(1, 9, N), DRAW.lognormal(3, 1, N)
PROBA = np.column_stack([1 - ETA, ETA])


def test_scores_are_scikit_learns():
    how = {"top": ("4%", "50"), "precision": 0.5, "cost_fp": COST_FP, "cost_fn": COST_FN}
    scores = score(Y, PROBA, **how)
    assert set(scores) == set(metrics(how["top"], 0.5, has_amounts=True, has_costs=True))
    assert scores["average_precision"] == pytest.approx(average_precision_score(Y, ETA))
    assert scores["roc_auc"] == pytest.approx(roc_auc_score(Y, ETA))
    assert scores["log_loss"] == pytest.approx(log_loss(Y, ETA))
    assert scores["brier"] == pytest.approx(brier_score_loss(Y, ETA))
    found = max(Y[t <= ETA].sum() / Y.sum() for t in ETA if Y[t <= ETA].mean() >= 0.5)
    assert scores["recall_at_0.5"] == pytest.approx(found)
    for top, rows in (("4%", 20), ("50", 50)):
        hits = [i for i in sorted(range(N), key=lambda i: -ETA[i])[:rows] if Y[i]]
        assert scores[f"precision_top_{top}"] == pytest.approx(len(hits) / rows)
        assert scores[f"recall_top_{top}"] == pytest.approx(len(hits) / Y.sum())
        assert scores[f"amount_top_{top}"] == pytest.approx(COST_FN[hits].sum() / COST_FN[Y == 1].sum())
    alarm = [ETA[i] * COST_FN[i] > (1 - ETA[i]) * COST_FP[i] for i in range(N)]
    total = sum(COST_FP[i] * (1 - Y[i]) if alarm[i] else COST_FN[i] * Y[i] for i in range(N))
    assert scores["cost"] == pytest.approx(total / N)
    p = np.array([0.9, 0.5, 0.4, 0.1])
    assert score(np.array([0, 1, 0, 0]), np.column_stack([1 - p, p]), precision=0.9)["recall_at_0.9"] == 0.0


def test_a_weight_of_two_is_a_row_twice():
    weight = 1.0 + (np.arange(N) % 3)
    rows = np.repeat(np.arange(N), weight.astype(int))
    one = score(Y, PROBA, weight=weight, precision=0.5, cost_fp=COST_FP, cost_fn=COST_FN)
    other = score(Y[rows], PROBA[rows], precision=0.5, cost_fp=COST_FP[rows], cost_fn=COST_FN[rows])
    assert one == pytest.approx(other)
    assert mean_cost(Y == 1, ETA, np.zeros(N), np.zeros(N)) == 0.0


def test_many_classes_are_means_over_the_classes():
    y = DRAW.integers(0, 3, size=300)
    proba = DRAW.dirichlet(np.ones(3), size=300) + np.eye(3)[y]
    proba /= proba.sum(axis=1, keepdims=True)
    scores = score(y, proba, top=("10%",))
    assert scores["roc_auc"] == pytest.approx(np.mean([roc_auc_score(y == k, proba[:, k]) for k in range(3)]))
    assert scores["log_loss"] == pytest.approx(log_loss(y, proba))
    assert scores["brier"] == pytest.approx(sum(brier_score_loss(y == k, proba[:, k]) for k in range(3)))
    assert all(np.isfinite(one) for one in score(np.minimum(y, 1), proba).values())  # a class without a row


@pytest.mark.parametrize("top", ["0%", "100%", "few", "0", "-3", "0.5", "%"])
def test_a_top_that_is_none(top):
    with pytest.raises(ValueError, match=r"top must be a share of the rows such as 1% or a number of them"):
        rows_at_top(top, 100)


def test_the_corrected_test_widens_the_plain_one():
    values = DRAW.normal(0.1, 0.2, size=10)
    plain = stats.ttest_1samp(values, 0)
    ratio = math.sqrt(1 / 10 + 1 / 4) / math.sqrt(1 / 10)
    found = improvement(values, 1 / 4, margin=0.01)
    assert found.mean == pytest.approx(values.mean())
    half = ratio * (plain.confidence_interval().high - values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))
    # the interval for several comparisons excludes zero where Bonferroni's p value is below 5 %
    for shift in np.linspace(-0.5, 0.5, 40):
        p = 2 * stats.t.sf(abs(stats.ttest_1samp(values, shift).statistic) / ratio, 9)
        for tests in (1, 2, 7):
            one = improvement(values - shift, 1 / 4, margin=1e-9, tests=tests)
            assert (one.low > 0 or one.high < 0) == (tests * p < 0.05)
    mirror = improvement(-values, 1 / 4, margin=0.01)
    assert (mirror.mean, mirror.low, mirror.high) == pytest.approx((-found.mean, -found.high, -found.low))


@pytest.mark.parametrize("tests", [1, 6])
def test_a_word_always_follows_from_its_interval(tests):
    words = set()
    for seed in range(300):
        draw = np.random.default_rng(seed)
        spread, size = draw.choice([0.001, 0.01, 0.05]), int(draw.integers(1, 11))
        values = draw.normal(draw.normal(0, 0.03), spread, size)
        one = improvement(values, 0.25, margin=0.02, tests=tests)
        inside, above, below = one.low >= -0.02 and one.high <= 0.02, one.low > 0, one.high < 0
        assert one.word == ("level" if inside else "better" if above else "worse" if below else "")
        words.add(one.word)
        if one.told_by_splits and len(values) > 1:  # the same mean and spread in 20 splits do tell
            spread = values.std(ddof=1) * np.sqrt(19 / 20) / np.std([-1, 1] * 10, ddof=1)
            many = values.mean() + np.sqrt(20 / 19) * spread * np.array([-1, 1] * 10)
            assert improvement(many, 0.25, 0.02, tests).word
    assert words == {"better", "worse", "level", ""}
    same = improvement([0.1] * 3, 0.25, margin=0.01)
    assert (same.word, same.low, same.high) == ("better", pytest.approx(0.1), pytest.approx(0.1))
    assert improvement([0.0] * 3, 0.25, margin=0.0).word == "level"
