"""What the study computes with: ranks, candidates, and what is undone in closed form."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from focal_gbm.compare import Parts, Settings, prepare, splits

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from _ranks import average_ranks, critical_difference, draw
from _signed_rank import bayesian_signed_rank
from _study_contestants import CANDIDATES, _fewer, _shifted, candidates, for_rare
from _study_made import BASE_RATE, ROWS, drifting, noisy, rare
from _study_run import COST_OF_A_MISS, average_precision, cheapest_threshold, cost, log_loss, run_case
from _study_summary import besides, chosen, of_pairs, of_tables, untuned, with_tuned
from _study_tables import Problem


def test_the_critical_difference_is_demsars():
    # Demšar 2006, table 5 and section 3.2.2: q = 2.569 for 4 contestants; 14 tables give 1.25
    assert critical_difference(4, 14) == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), rel=1e-3)


def test_ranks_share_ties_and_follow_the_direction():
    scores = pd.DataFrame({"a": [0.9, 0.8, 0.7], "b": [0.9, 0.7, 0.6], "c": [0.1, 0.1, 0.1]})
    assert average_ranks(scores, higher_is_better=True).to_dict() == pytest.approx(
        {"a": 3.5 / 3, "b": 5.5 / 3, "c": 3.0}
    )
    assert list(average_ranks(scores, higher_is_better=False).index) == ["c", "b", "a"]


def test_bars_join_what_is_not_told_apart():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    draw(axes, pd.Series({"a": 1.0, "b": 1.5, "c": 3.5}), 1.0, "title")
    texts = [text.get_text() for text in axes.texts]
    assert {"a (1.00)", "b (1.50)", "c (3.50)"} <= set(texts)
    bars = [one for one in axes.collections if one.get_linewidth()[0] == 4]
    assert len(bars) == 1  # a and b


@pytest.mark.parametrize("many", [False, True])
def test_every_contestant_has_the_same_number_of_candidates(many):
    found = candidates(many, catboost=True)
    counts = pd.Series([(one.library, one.contestant) for one in found]).value_counts()
    assert set(counts) == {CANDIDATES}
    assert len(counts) == 2 * 5 if many else 2 * 6 + 2
    settings = [(one.library, one.contestant, one.setting) for one in found]
    assert len(set(settings)) == len(settings)


def test_the_link_is_that_of_focal_loss_alone():
    for one in candidates(link="logit"):
        assert (one.trained.parameters.get("focal_link") == "logit") == (one.trained.loss == "focal")
        assert one.setting == str({k: v for k, v in one.trained.parameters.items() if k != "focal_link"}) or (
            one.contestant in ("class weights", "undersampling")
        )


def test_undersampling_keeps_the_rare_class():
    y = (np.arange(1000) % 50 == 0).astype(np.int64)
    kept = _fewer(y, 3, seed=0)
    assert y[kept].sum() == 20
    assert len(kept) == 80
    assert len(_fewer(y, 1000, seed=0)) == 1000


def test_the_shift_undoes_a_change_of_the_base_rate():
    # Bayes: taking a fraction of class 0 adds -log(fraction) to the logit
    p, fraction = np.array([0.001, 0.2, 0.7]), 0.05
    changed = p / (p + fraction * (1 - p))
    np.testing.assert_allclose(_shifted(changed, np.log(fraction)), p, rtol=1e-9)


@pytest.fixture(scope="module")
def parts():
    draw_ = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw_.normal(size=6000), "b": draw_.choice(["u", "v"], size=6000)})
    frame["y"] = draw_.random(6000) < 1 / (1 + np.exp(3 - frame.a))
    table = prepare(frame, "y", name="made")
    split = next(splits(table.y, 5, 1))
    X, y = table.X, table.y
    return (
        Parts(X.iloc[split.fit], y[split.fit], X.iloc[split.stop], y[split.stop]),
        X.iloc[split.test],
        y[split.test],
    )


@pytest.mark.parametrize("contestant", ["class weights", "undersampling", "focal γ=2", "CatBoost Focal"])
def test_undone_probabilities_have_the_base_rate(parts, contestant):
    if contestant == "CatBoost Focal":
        pytest.importorskip("catboost")
    fitting, X, y = parts
    strongest = {"class weights": "power 1 {}", "undersampling": "1:3 {}", "focal γ=2": "{}"}
    for one in candidates(catboost=True):
        if one.contestant == contestant and one.setting == strongest.get(contestant, one.setting):
            outcome = one.run(fitting, X, Settings(learning_rate=0.1))
            np.testing.assert_allclose(outcome.new.sum(axis=1), 1.0)
            assert outcome.new[:, 1].mean() == pytest.approx(y.mean(), rel=0.3)


def test_the_signed_rank_test_is_the_authors():
    # baycomp 1.0.3: SignedRankTest.probs(0, d, rope=0.01, nsamples=200_000, random_state=1)
    d = [0.0183, 0.0022, 0.0115, 0.0291, -0.0044, 0.0134, 0.0217, 0.0071, -0.0312]
    found = bayesian_signed_rank(d, region=0.01)
    assert sum(found) == pytest.approx(1.0)
    assert found == pytest.approx((0.0090, 0.4424, 0.5486), abs=0.01)
    mirrored = bayesian_signed_rank(np.negative(d), region=0.01)
    assert mirrored == pytest.approx(found[::-1], abs=0.01)


def test_expected_scores_are_those_of_many_draws():
    draw_ = np.random.default_rng(0)
    true = draw_.beta(0.5, 4, size=5000)  # few rows bias the average precision of a draw
    proba = np.column_stack([1 - true, true]) * 0.9 + 0.05
    labels = (draw_.random((100, 5000)) < true).astype(int)
    assert log_loss(true, proba) == pytest.approx(np.mean([log_loss(y, proba) for y in labels]), rel=1e-2)
    drawn = np.mean([average_precision(y, proba) for y in labels])
    assert average_precision(true, proba) == pytest.approx(drawn, rel=1e-2)


def test_many_classes_are_scored_each_against_the_rest():
    proba = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    assert average_precision(np.array([0, 1, 2, 0]), proba) == 1.0
    assert log_loss(np.array([0, 1, 2, 0]), proba) == pytest.approx(-np.log([0.7, 0.7, 0.7, 0.6]).mean())


def test_the_cheapest_threshold_is_the_cheapest():
    draw_ = np.random.default_rng(1)
    positive = draw_.random(300)
    y = (draw_.random(300) < positive**2).astype(int)
    found = cost(y, positive, cheapest_threshold(y, positive))
    assert found == pytest.approx(min(cost(y, positive, t) for t in np.linspace(0, 1.001, 5000)), abs=1e-12)
    assert cost(np.array([0, 1, 1, 0]), np.array([0.9, 0.1, 0.9, 0.1]), 0.5) == (1 + COST_OF_A_MISS) / 4


@pytest.mark.parametrize(("kind", "share"), [("symmetric", 0.2), ("hidden", 0.2), ("hidden", 0.0)])
def test_labels_are_as_noisy_as_they_are_called(kind, share):
    case = noisy(kind, share, np.random.default_rng(0))
    y = np.concatenate([case.parts.y, case.parts.y_stop])
    assert len(y) == ROWS
    flipped = BASE_RATE * (1 - share) + ((1 - BASE_RATE) * share if kind == "symmetric" else 0.0)
    assert y.mean() == pytest.approx(flipped, rel=0.1)
    assert case.seen.mean() == pytest.approx(flipped, rel=0.05)
    assert case.true.mean() == pytest.approx(BASE_RATE, rel=0.05)


def test_rare_positives_are_as_many_as_said_and_where_they_are_probable():
    case = rare(1e-3, 20_000, np.random.default_rng(0))
    assert (case.parts.y.sum(), case.parts.y_stop.sum()) == (16, 4)
    assert (len(case.parts.y), len(case.parts.y_stop)) == (16_000, 4_000)
    X = case.parts.X.to_numpy()
    assert X[case.parts.y == 1, 4].mean() > X[:, 4].mean() + 0.3  # a feature that adds to the log-odds
    assert case.true.mean() == pytest.approx(1e-3, rel=0.05)


def test_a_table_without_enough_positives_is_refused():
    with pytest.raises(ValueError, match=r"10 positives or more at a rate of 0\.001, got 9000"):
        rare(1e-3, 9_000, np.random.default_rng(0))


def test_a_rare_table_has_one_candidate_a_contestant():
    found = for_rare(candidates())
    assert len(found) == 2 * 6 + 1
    assert all(one.setting.endswith("{}") for one in found)


@pytest.mark.parametrize("kind", ["features", "base rate", "relation"])
def test_drift_moves_what_it_says(kind):
    case = drifting(kind, np.random.default_rng(0))
    past, future = case.parts.X, case.X
    moved = float(future["x0"].mean() - past["x0"].mean())
    assert moved > 0.5 if kind == "features" else abs(moved) < 0.05
    assert (case.true.mean() > 1.5 * case.parts.y.mean()) == (kind in ("features", "base rate"))


@pytest.fixture(scope="module")
def results(parts):
    """Two made-up tables of three splits each, of which one table has its scores moved."""
    from _study_made import Case

    fitting, X, y = parts
    few = Parts(fitting.X[:1500], fitting.y[:1500], fitting.X_stop[:400], fitting.y_stop[:400])
    problem = Problem("one", "two classes", 3, 1, lambda: iter(()), lambda: "")
    one = pd.concat(
        [run_case(problem, n, Case(few, X[:800], y[:800], y[:800]), False, None) for n in range(3)]
    )
    rng = np.random.default_rng(0)
    for column in ("log loss", "average precision"):
        one[column] *= rng.uniform(0.98, 1.02, len(one))
    other = one.assign(table="two", **{"log loss": one["log loss"] * rng.uniform(0.98, 1.02, len(one))})
    return pd.concat([one, other], ignore_index=True)


def test_the_rows_set_aside_choose(results):
    best = chosen(results, "log loss on stop", higher_is_better=False)
    keys = ["table", "library", "contestant", "split"]
    least = results.groupby(keys)["log loss on stop"].min()
    assert np.allclose(best.set_index(keys)["log loss on stop"].sort_index(), least.sort_index())
    tuned = with_tuned(results)
    count = tuned[tuned.contestant == "focal γ tuned"].groupby(["table", "library", "split"]).size()
    assert set(count) == {CANDIDATES}
    count = tuned[tuned.contestant == "focal γ and trees tuned"].groupby(["table", "library", "split"]).size()
    assert set(count) == {4 * CANDIDATES}


def test_tables_are_the_units(results):
    rows = of_tables(results, {"one": 3, "two": 3})
    pairs = pd.DataFrame(of_pairs(rows)).set_index(["contest", "trees", "library", "contestant", "against"])
    row = pairs.loc[("log loss", "default", "xgboost", "focal γ=1", "log loss")]
    of = untuned(results)
    of = of[of.library == "xgboost"].groupby(["contestant", "table"])["log loss"].mean()
    ratio = of["focal γ=1"] / of["log loss"]
    assert row["ratio"] == pytest.approx(np.exp(np.log(ratio).mean()))
    assert row["better on"] == (ratio < 1).sum()
    assert row["tables"] == 2
    assert row[["win", "tie", "loss"]].sum() == 2
    assert row[["P better", "P level", "P worse"]].sum() == pytest.approx(1.0)
    both = pairs.loc[("log loss", "default", "both", "focal γ=1", "log loss")]
    other = pairs.loc[("log loss", "default", "lightgbm", "focal γ=1", "log loss")]
    assert both["ratio"] == pytest.approx(np.sqrt(row["ratio"] * other["ratio"]))


def test_what_a_fit_takes_is_over_the_log_loss(results):
    rows = pd.DataFrame(besides(results)).set_index(["library", "contestant"])
    own = rows.loc[("xgboost", "log loss")]
    assert (own[["rounds", "leaves", "rounds to the loss", "share that reaches the loss"]] == 1.0).all()
    assert np.isnan(rows.loc[("xgboost", "class weights, full"), "rounds to the loss"])
    rounds = (
        results[(results.library == "xgboost") & (results.setting == "{}")]
        .groupby("contestant")
        .rounds.mean()
    )
    assert rows.loc[("xgboost", "focal γ=2"), "rounds"] == pytest.approx(
        rounds["focal γ=2"] / rounds["log loss"]
    )
