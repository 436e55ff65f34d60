"""What the study computes with: candidates, what is undone, scores, tests, and its tables."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from _signed_rank import bayesian_signed_rank
from _tables import Problem
from study import (
    COST_OF_A_MISS,
    FOCAL,
    OWN,
    average_precision,
    besides,
    candidates,
    cheapest_threshold,
    chosen,
    cost,
    fewer,
    log_loss,
    of_pairs,
    of_tables,
    outcome,
)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_every_contestant_has_four_candidates(n_classes):
    found = candidates(n_classes, default_trees=False)
    counts = pd.Series([(one.library, one.contestant) for one in found]).value_counts()
    assert set(counts) == {4}
    assert len(counts) == 2 * (6 if n_classes == 2 else 5)
    assert len({(one.library, one.contestant, one.setting) for one in found}) == len(found)


def test_undersampling_keeps_the_rare_class():
    y = (np.arange(1000) % 50 == 0).astype(int)
    kept = fewer(y, 3)
    assert (y[kept].sum(), len(kept)) == (20, 80)
    assert len(fewer(y, 1000)) == 1000


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=4000), "b": pd.Categorical(rng.choice(["u", "v"], size=4000))})
    y = (rng.random(4000) < 1 / (1 + np.exp(3 - X.a))).astype(int)
    return Problem("one", X, y.to_numpy(), 5, 1)


@pytest.mark.parametrize("contestant", ["class weights", "undersampling", "focal γ=2"])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_undone_probabilities_have_the_base_rate(problem, library, contestant):
    split = next(problem.splits())
    of = [one for one in candidates(2, True) if (one.library, one.contestant) == (library, contestant)]
    _, proba, rounds = of[-1].probabilities(split)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert proba[:, 1].mean() == pytest.approx(split.y_test.mean(), rel=0.3)
    assert rounds < 500


def test_scores_of_many_classes():
    proba = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    assert average_precision(np.array([0, 1, 2, 0]), proba) == 1.0
    assert log_loss(np.array([0, 1, 2, 0]), proba) == pytest.approx(-np.log([0.7, 0.7, 0.7, 0.6]).mean())


def test_the_cheapest_threshold_is_the_cheapest():
    rng = np.random.default_rng(1)
    positive = rng.random(300)
    y = (rng.random(300) < positive**2).astype(int)
    found = cost(y, positive, cheapest_threshold(y, positive))
    assert found == pytest.approx(min(cost(y, positive, t) for t in np.linspace(0, 1.001, 5000)), abs=1e-12)
    assert cost(np.array([0, 1, 1, 0]), np.array([0.9, 0.1, 0.9, 0.1]), 0.5) == (1 + COST_OF_A_MISS) / 4


def test_the_signed_rank_test_is_the_authors():
    # baycomp 1.0.3: SignedRankTest.probs(0, d, rope=0.01, nsamples=200_000, random_state=1)
    d = [0.0183, 0.0022, 0.0115, 0.0291, -0.0044, 0.0134, 0.0217, 0.0071, -0.0312]
    assert bayesian_signed_rank(d, region=0.01) == pytest.approx((0.0090, 0.4424, 0.5486), abs=0.01)


def test_outcomes_allow_for_shared_rows():
    assert outcome(np.array([0.01, -0.02, 0.015, 0.0, 0.005]), folds=5) == "tie"
    assert outcome(np.array([0.02, 0.021, 0.019, 0.02, 0.022]), folds=5) == "win"
    assert outcome(-np.array([0.02, 0.021, 0.019, 0.02, 0.022]), folds=5) == "loss"


@pytest.fixture(scope="module")
def results():
    """Made-up scores of two tables, five splits each."""
    rng = np.random.default_rng(0)
    rows = [
        {"table": table, "split": split, "library": one.library, "contestant": one.contestant,
         "setting": one.setting, "rounds": int(rng.integers(20, 90)),
         **{name: rng.uniform(0.1, 0.2) for name in (
             "log loss", "log loss on stop", "average precision", "average precision on stop",
             "cost, threshold chosen", "cost, threshold by arithmetic")}}
        for table in ("one", "two") for split in range(5) for one in candidates(2, False)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_rows_set_aside_choose(results):
    best = chosen(results, "log loss").set_index(["table", "library", "contestant", "split"])
    least = results.groupby(["table", "library", "contestant", "split"])["log loss on stop"].min()
    for key, value in least.items():
        assert best.loc[key, "log loss on stop"] == value
    could = results[results.contestant.isin((OWN, *FOCAL))]
    most = could.groupby(["table", "library", "split"])["log loss on stop"].min()
    both = best.xs("focal γ and trees tuned", level="contestant")["log loss on stop"]
    np.testing.assert_array_equal(both.sort_index(), most.sort_index())


def test_tables_are_the_units(results, problem):
    known = {name: problem._replace(name=name) for name in ("one", "two")}
    pairs = pd.DataFrame(of_pairs(of_tables(results, known)))
    pairs = pairs.set_index(["contest", "trees", "library", "contestant"]).sort_index()
    row = pairs.loc[("log loss", "default", "xgboost", "focal γ=1")]
    of = results[(results.library == "xgboost") & (results.setting == "{}")]
    mean = of.groupby(["contestant", "table"])["log loss"].mean()
    ratio = mean["focal γ=1"] / mean[OWN]
    assert row["ratio"] == pytest.approx(np.exp(np.log(ratio).mean()))
    assert row["better on"] == (ratio < 1).sum()
    assert row["win"] + row["tie"] + row["loss"] == row["tables"] == 2
    assert row["P better"] + row["P level"] + row["P worse"] == pytest.approx(1.0)
    other = pairs.loc[("log loss", "default", "lightgbm", "focal γ=1")]
    both = pairs.loc[("log loss", "default", "both", "focal γ=1")]
    assert both["ratio"] == pytest.approx(np.sqrt(row["ratio"] * other["ratio"]))
    costs = pd.DataFrame(besides(results, known)).set_index(["library", "contestant"])
    assert costs.loc[("xgboost", OWN), "rounds"] == pytest.approx(1.0)
