"""What the study computes with: ranks, candidates, and what is undone in closed form."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from focal_gbm.compare import Parts, Settings, prepare, splits

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from _ranks import average_ranks, critical_difference, draw, friedman_p
from _study_contestants import CANDIDATES, _fewer, _shifted, candidates


def test_the_critical_difference_is_demsars():
    # Demšar 2006, table 5 and section 3.2.2: q = 2.569 for 4 contestants; 14 tables give 1.25
    assert critical_difference(4, 14) == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), rel=1e-3)


def test_ranks_share_ties_and_follow_the_direction():
    scores = pd.DataFrame({"a": [0.9, 0.8, 0.7], "b": [0.9, 0.7, 0.6], "c": [0.1, 0.1, 0.1]})
    assert average_ranks(scores, higher_is_better=True).to_dict() == pytest.approx(
        {"a": 3.5 / 3, "b": 5.5 / 3, "c": 3.0}
    )
    assert list(average_ranks(scores, higher_is_better=False).index) == ["c", "b", "a"]
    assert friedman_p(scores) < 0.2


def test_bars_join_what_is_not_told_apart():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    draw(axes, pd.Series({"a": 1.0, "b": 1.5, "c": 3.5}), 1.0, "title")
    texts = [text.get_text() for text in axes.texts]
    assert {"a (1.00)", "b (1.50)", "c (3.50)"} <= set(texts)
    bars = [one for one in axes.collections if one.get_linewidth()[0] == 4]
    assert len(bars) == 1  # a and b


def test_every_contestant_has_the_same_number_of_candidates():
    counts = pd.Series([(one.library, one.contestant) for one in candidates(catboost=True)]).value_counts()
    assert set(counts) == {CANDIDATES}
    assert len(counts) == 2 * 4 + 2
    settings = [(one.library, one.contestant, one.setting) for one in candidates(catboost=True)]
    assert len(set(settings)) == len(settings)


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


@pytest.mark.parametrize("contestant", ["class weights", "undersampling", "focal loss", "CatBoost Focal"])
def test_undone_probabilities_have_the_base_rate(parts, contestant):
    if contestant == "CatBoost Focal":
        pytest.importorskip("catboost")
    fitting, X, y = parts
    strongest = {"class weights": "power 1 ", "undersampling": "1:1 ", "focal loss": "γ=2, α balanced"}
    for one in candidates(catboost=True):
        if one.contestant == contestant and one.setting.startswith(strongest.get(contestant, "")):
            outcome = one.run(fitting, X, Settings(learning_rate=0.1))
            assert outcome.undone.mean() == pytest.approx(y.mean(), rel=0.3)
            if contestant in ("class weights", "undersampling"):
                assert logit(outcome.as_they_come.mean()) > logit(y.mean()) + 1
