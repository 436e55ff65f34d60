"""Costs, amounts and weights, against sums that are made row by row."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from focal_gbm.compare import Protocol, Roles, Settings, TableError, prepare, run, score
from focal_gbm.compare.money import cheapest_threshold, mean_cost, share_at_stake
from focal_gbm.compare.protocol import CHOSEN, LOG_LOSS, SHIFTED, WEIGHTS
from focal_gbm.compare.scores import at_top, calibration_error

DRAW = np.random.default_rng(0)
N = 500
ETA = expit(DRAW.normal(-2, 1.5, N))
Y = DRAW.random(N) < ETA
COST_FP, COST_FN = DRAW.uniform(1, 9, N), DRAW.lognormal(3, 1, N)


def test_the_cost_of_decisions_is_that_of_each_row():
    alarm = DRAW.random(N) < 0.3
    total = 0.0
    for i in range(N):
        if alarm[i] and not Y[i]:
            total += COST_FP[i]
        if Y[i] and not alarm[i]:
            total += COST_FN[i]
    assert mean_cost(Y, alarm, COST_FP, COST_FN) == pytest.approx(total / N)
    twice = np.where(np.arange(N) < 100, 2.0, 1.0)
    rows = np.repeat(np.arange(N), twice.astype(int))
    assert mean_cost(Y, alarm, COST_FP, COST_FN, twice) == pytest.approx(
        mean_cost(Y[rows], alarm[rows], COST_FP[rows], COST_FN[rows])
    )


def test_an_alarm_where_it_is_cheaper_on_average():
    at_stake = share_at_stake(ETA, COST_FP, COST_FN)
    np.testing.assert_array_equal(at_stake > 0.5, ETA * COST_FN > (1 - ETA) * COST_FP)
    # with true probabilities no other decision costs less in expectation
    expected = np.where(at_stake > 0.5, (1 - ETA) * COST_FP, ETA * COST_FN)
    assert (expected <= np.minimum((1 - ETA) * COST_FP, ETA * COST_FN) + 1e-12).all()
    assert (share_at_stake(ETA, np.zeros(N), np.zeros(N)) == 0).all()


def test_the_cheapest_threshold_is_the_cheapest():
    at_stake = share_at_stake(ETA**2, COST_FP, COST_FN)  # probabilities that are wrong
    threshold = cheapest_threshold(Y, at_stake, COST_FP, COST_FN)
    cost = mean_cost(Y, at_stake >= threshold, COST_FP, COST_FN)
    every = [mean_cost(Y, at_stake >= one, COST_FP, COST_FN) for one in [*at_stake, np.inf]]
    assert cost <= 1.01 * min(every)
    assert cost < mean_cost(Y, at_stake > 0.5, COST_FP, COST_FN)


@pytest.mark.parametrize(("top", "rows"), [(0.1, 50), (50, 50), (0.0001, 1), (10_000, N)])
def test_what_is_found_at_the_top(top, rows):
    found = at_top(Y, ETA, top, amount=COST_FN)
    first = sorted(range(N), key=lambda i: -ETA[i])[:rows]
    hits = [i for i in first if Y[i]]
    assert found["precision_at_top"] == pytest.approx(len(hits) / rows)
    assert found["recall_at_top"] == pytest.approx(len(hits) / Y.sum())
    assert found["amount_at_top"] == pytest.approx(COST_FN[hits].sum() / COST_FN[Y].sum())


def test_a_weight_of_two_is_a_row_twice():
    weight = 1.0 + (np.arange(N) % 3)
    rows = np.repeat(np.arange(N), weight.astype(int))
    proba = np.column_stack([1 - ETA, ETA])
    one = score(Y.astype(np.int64), proba, weight=weight, precision=0.5)
    other = score(Y[rows].astype(np.int64), proba[rows], precision=0.5)
    for name in ("average_precision", "roc_auc", "log_loss", "brier", "recall_at_precision"):
        assert one[name] == pytest.approx(other[name]), name
    assert calibration_error(Y, ETA, weight=np.full(N, 7.0)) == pytest.approx(calibration_error(Y, ETA))


@pytest.fixture(scope="module")
def comparison():
    x = np.log(ETA / (1 - ETA))
    frame = pd.DataFrame({"x": x, "noise": DRAW.normal(size=N), "amount": COST_FN.round(2), "fraud": Y})
    frame["day"] = np.arange(N) // 2
    table = prepare(
        frame, "fraud", name="costs", folds=3, roles=Roles(cost_fp=5.0, cost_fn="amount", time="day")
    )
    protocol = Protocol(
        gammas=(1.0,), alphas=(None,), folds=3, settings=Settings(rounds=20), jobs=1, top=0.05
    )
    return run(table, protocol)


def test_costs_are_scores_like_others(comparison):
    assert comparison.decisive == ["cost", "average_precision", "log_loss"]
    assert comparison.n_splits == 3
    scores = comparison.results[["cost", "cost_at_threshold", "amount_at_top", "recall_at_top"]]
    assert scores.notna().all(axis=None)
    assert (comparison.results.cost > 0).all()
    # of the rows to test on, by the probabilities of each contestant
    table = comparison.table
    for name in (LOG_LOSS, WEIGHTS, SHIFTED, CHOSEN):
        proba = comparison.out_of_fold["xgboost", name]
        for number in range(3):
            rows = comparison.split_of == number
            alarm = proba[rows, 1] * table.rows.cost_fn[rows] > (1 - proba[rows, 1]) * 5.0
            cost = mean_cost(table.y[rows] == 1, alarm, table.rows.cost_fp[rows], table.rows.cost_fn[rows])
            assert comparison.values("xgboost", name, "cost")[number] == pytest.approx(cost)


def test_the_amount_is_a_feature_and_the_time_is_none(comparison):
    assert comparison.table.columns == ("x", "noise", "amount")


def test_costs_are_for_two_classes():
    frame = pd.DataFrame({"x": np.arange(90) % 7, "y": np.arange(90) % 3})
    with pytest.raises(TableError, match=r"are for two classes, the target has 3: take --positive LABEL"):
        prepare(frame, "y", name="three", roles=Roles(cost_fp=1.0, cost_fn=2.0))
    assert prepare(frame, "y", name="three", positive="1", roles=Roles(cost_fp=1.0, cost_fn=2.0)).is_binary


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        (Roles(weight="w"), r"column 'w': a weight must be >= 0, got -1"),
        (Roles(cost_fp="w", cost_fn=1.0), r"column 'w': a cost must be >= 0"),
        (Roles(weight="zero"), r"must have a weight > 0, got zeros only"),
        (Roles(weight="inf"), r"row 2, column 'inf': inf is no number"),
        (Roles(cost_fp=float("nan"), cost_fn=1.0), r"--cost-fp must be a number >= 0"),
    ],
)
def test_weights_and_costs_that_are_none(roles, message):
    frame = pd.DataFrame(
        {"x": np.arange(60) % 7, "y": np.arange(60) % 3 == 0, "zero": 0.0, "w": 1.0, "inf": 1.0}
    )
    frame.loc[4, "w"], frame.loc[1, "inf"] = -1.0, np.inf
    with pytest.raises(TableError, match=message):
        prepare(frame, "y", name="t", roles=roles)
