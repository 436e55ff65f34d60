"""The comparison itself: contestants, the choice, the verdict, the JSON and the page."""

import dataclasses
import json
import re
from collections import Counter

import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import PredefinedSplit

import focal_gbm
from focal_gbm.compare import Protocol, Roles, compare, json_schema, summarise
from focal_gbm.compare.contestants import CHOSEN, LOG_LOSS, PRUDENT, SHIFTED, WEIGHTS, Contestant, fit
from focal_gbm.compare.page import render
from focal_gbm.compare.splits import splits
from focal_gbm.compare.table import prepare
from focal_gbm.early_stopping import EarlyStoppingClassifier

FEW = {"rounds": 8, "patience": 4, "folds": 3, "repeats": 1, "jobs": 1}
LIBRARIES = ("xgboost", "lightgbm")


def made(n=240, n_classes=2, seed=0):
    draw = np.random.default_rng(seed)
    y = np.minimum((draw.random(n) < 0.3).astype(int) * draw.integers(1, n_classes, size=n), n_classes - 1)
    colours = np.array(["red", "green"])[draw.integers(0, 2, n)]
    return pd.DataFrame(
        {
            "amount [€]": draw.normal(size=n) + y,  # a name that neither library takes
            "colour": np.where(draw.random(n) < 0.1, None, colours),
            "gap": np.where(draw.random(n) < 0.2, np.nan, draw.normal(size=n)),
            "kind": np.array(["good", "bad", "ugly"])[y],
        }
    )


@pytest.fixture(scope="module")
def comparison():
    return compare(made(), "kind", name="made <b>up</b>", gamma=[0.0, 2.0], **FEW)


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_contestant_is_there_once_a_split(comparison, library):
    names = [LOG_LOSS, CHOSEN, SHIFTED, WEIGHTS, "focal γ=0", "focal γ=2"]
    assert comparison.names(library) == names
    for name in names:
        assert (comparison.values(library, name, "rounds") <= 8).all()
        assert len(comparison.values(library, name, "seconds")) == comparison.n_splits == 3
    for metric in comparison.metrics:  # at γ=0 focal loss is the log loss
        base = comparison.values(library, LOG_LOSS, metric)
        assert comparison.values(library, "focal γ=0", metric) == pytest.approx(base, abs=1e-4)
    # with two classes the ranking of class weights is the same shifted
    of_weights = [comparison.values(library, name, "roc_auc") for name in (WEIGHTS, SHIFTED)]
    np.testing.assert_allclose(*of_weights, rtol=1e-3)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_choice_is_made_on_the_rows_set_aside(comparison, library):
    loss, seconds, scores = (
        np.array([comparison.values(library, name, what) for name in ("focal γ=0", "focal γ=2", CHOSEN)])
        for what in ("loss_on_stop", "seconds", "average_precision")
    )
    best = loss[:2].argmin(axis=0)
    np.testing.assert_array_equal(scores[2], scores[best, range(3)])
    np.testing.assert_allclose(seconds[2], seconds[:2].sum(axis=0))
    assert comparison.chosen[library] == Counter(f"focal γ={2 * one}" for one in best)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_contestant_is_what_one_would_fit_by_hand(library, n_classes):
    """Early stopping on the rows set aside, class weights that balance, and the shift by Bayes' rule."""
    table = prepare(made(n=400, n_classes=n_classes), "kind", folds=3)
    protocol, split = Protocol(**FEW), splits(table.y, 3)[0]
    train = np.concatenate([split.fit, split.stop])
    counts = np.bincount(table.y[train])
    true = table.y[split.test]

    def loss(proba):
        return pytest.approx(-np.log(proba[range(len(true)), true]).mean(), rel=1e-4)

    set_aside = PredefinedSplit([-1] * len(split.fit) + [0] * len(split.stop))
    for name, weight in ((LOG_LOSS, None), (WEIGHTS, (len(train) / counts)[table.y[train]] / n_classes)):
        contestant = Contestant(library, name)
        estimator = contestant.model(protocol, n_jobs=1)
        model = EarlyStoppingClassifier(estimator, validation=set_aside, rounds=4, refit=False)
        model.fit(table.X.iloc[train], table.y[train], sample_weight=weight)
        proba = model.predict_proba(table.X.iloc[split.test]).astype(float)
        scores = fit(table, protocol, split, contestant)[0]
        assert (scores[name]["log_loss"], scores[name]["rounds"]) == (loss(proba), model.n_rounds_)
    assert scores[SHIFTED]["log_loss"] == loss(proba * counts / (proba * counts).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("library", LIBRARIES)
def test_row_weights_reach_training_and_scores(library):
    """A weight of two is a row twice, up to what the libraries' bins make of it."""
    frame = made(300).assign(w=lambda frame: np.where(frame.kind == "bad", 3.0, 1.0), ones=1.0)
    of = {"drop": ["w", "ones"]}
    tables = [prepare(frame, "kind", roles=Roles(weight=name), **of) for name in (None, "ones", "w")]
    split, protocol = splits(tables[0].y, 3)[0], Protocol(**FEW)
    found = [fit(table, protocol, split, Contestant(library, LOG_LOSS))[0][LOG_LOSS] for table in tables]
    plain, ones, heavy = ([one["log_loss"], one["loss_on_stop"]] for one in found)
    assert ones == pytest.approx(plain, rel=1e-5)
    assert min(np.array(heavy) / plain) > 1.1


def test_a_rare_class_brings_min_child_weight_into_lightgbm():
    y = np.arange(2000) == 7
    assert Protocol().contestants("lightgbm", y.astype(int))[1].name == PRUDENT
    assert Protocol().contestants("lightgbm", y.astype(int))[1].model(Protocol()).min_child_weight == 1
    for library, labels in (("xgboost", y), ("lightgbm", np.arange(2000) % 500 == 7)):
        names = [one.name for one in Protocol(alpha=[None, 0.25]).contestants(library, labels.astype(int))]
        grid = [f"focal γ={gamma}{alpha}" for gamma in (0.5, 1, 2) for alpha in ("", ", α 0.25")]
        assert names == [LOG_LOSS, WEIGHTS, *grid]


def changed(comparison, gains, rows_in_file=240):
    """The comparison with other differences to the log loss, nearly the same in every split."""
    scores = comparison.scores.copy()
    for metric, gain in gains.items():
        for library in LIBRARIES:
            of = (scores.library == library) & (scores.contestant == CHOSEN)
            base = comparison.values(library, LOG_LOSS, metric)
            scores.loc[of, metric] = base + gain * np.array([1, 1.01, 0.99])
    table = dataclasses.replace(comparison.table, rows_in_file=rows_in_file)
    return dataclasses.replace(comparison, scores=scores, table=table)


@pytest.mark.parametrize(
    ("gain", "loss", "words", "advice", "takes"),
    [
        (0.1, -0.1, ("better", "better"), "Take focal γ=", "focal"),
        (0.1, 0.1, ("better", "worse"), ", if probabilities matter less.", "focal"),
        (0.0, -0.1, ("level", "better"), "Take focal γ=", "focal"),
        (-0.1, -0.1, ("worse", "better"), "Keep the log loss.", "log"),
        (-0.1, 0.0, ("worse", "level"), "Keep the log loss.", "log"),
        (0.0, 0.0, ("level", "level"), "equivalent in ranking (average precision) and for pro", "log"),
    ],
)  # fmt: skip
def test_the_verdict_follows_from_both_scores(comparison, gain, loss, words, advice, takes):
    verdict = changed(comparison, {"average_precision": gain, "log_loss": loss}).verdict("xgboost")
    assert tuple(verdict.words.values()) == words
    assert advice in verdict.sentence
    assert verdict.recommended.startswith(takes)


@pytest.mark.parametrize(
    ("gains", "rows", "words"),
    [
        ((9.0, 0.0, -9.0), 240, "240 rows are too few to tell"),
        ((0.02, 0.04, 0.06), 240, "3 splits are too few to tell (--repeats 7)"),
        ((0.02, 0.04, 0.06), 9000, "a sample of 240 rows is too small to tell (--max-rows 9000)"),
    ],
)
def test_what_is_not_told_says_what_would_tell(comparison, gains, rows, words):
    found = changed(comparison, {"average_precision": 0.0, "log_loss": 0.0}, rows)
    base = found.values("xgboost", LOG_LOSS, "log_loss")
    of = (found.scores.library == "xgboost") & (found.scores.contestant == CHOSEN)
    found.scores.loc[of, "log_loss"] = base - np.array(gains) * base.mean()
    assert f"for probabilities (log loss), {words}. " in found.verdict("xgboost").sentence


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_snippet_fits_what_is_recommended(comparison, library, monkeypatch):
    monkeypatch.setattr(focal_gbm, "EarlyStoppingClassifier", EarlyStoppingClassifier, raising=False)
    for gain in (0.1, -0.1):
        verdict = changed(comparison, {"average_precision": gain, "log_loss": -gain}).verdict(library)
        names = {"X": comparison.table.X, "y": comparison.table.y}
        exec(verdict.snippet, names)
        assert names["model"].predict_proba(names["X"]).shape == (240, 2)
        assert ("focal_gamma=2.0" in verdict.snippet or "focal_gamma=0.0" in verdict.snippet) == (gain > 0)


@pytest.mark.parametrize(("weights", "is_told"), [((3.0, 1.0, 0.0), True), ((1.5, 1.5, 1.5), False)])
def test_a_feature_that_explains_most_alone_is_pointed_at(weights, is_told):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(1500, 3)), columns=["duration", "b", "c"])
    frame["y"] = draw.random(1500) < 1 / (1 + np.exp(3 - frame @ weights))
    notes = compare(frame, "y", library="lightgbm", gamma=[1.0], **{**FEW, "rounds": 60}).notes
    assert [note.split()[0] for note in notes if "alone explains" in note] == ["'duration'"] * is_told


def test_side_by_side_is_one_after_the_other(comparison):
    steps = []
    how = {**FEW, "jobs": 2, "step": lambda *what: steps.append(what)}
    two = compare(made(), "kind", gamma=[0.0, 2.0], **how)
    same = two.scores.drop(columns="seconds"), comparison.scores.drop(columns="seconds")
    pd.testing.assert_frame_equal(*same)
    assert [done for done, total, _ in steps if total] == list(range(1, 25))


@pytest.mark.parametrize(
    "options",
    [{"folds": 1}, {"repeats": 0}, {"precision": 2}, {"top": ["few"]}, {"gamma": []}, {"margin": -1},
     {"library": "sklearn"}, {"decide": "speed"}, {"rounds": 0}, {"learning_rate": 0}, {"decimal": "ab"},
     {"gamma": [-1.0]}],
)  # fmt: skip
def test_options_that_make_no_sense(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        compare(made(), "kind", **{**FEW, "jobs": 1, **options})
    with pytest.raises(TypeError, match=r"compare\(\) has no option 'goup': did you mean 'group'"):
        compare(made(), "kind", goup="x")


# What comes out


def test_the_summary_is_json_as_published(comparison):
    costly = {"cost_fp": 1.0, "cost_fn": "w", "precision": 0.5, "top": ["10"], "alpha": [None, "balanced"]}
    frame = made().assign(w=np.arange(240) % 7, day=np.arange(240), who=np.arange(240) % 40)
    others = [
        compare(frame, "kind", library="xgboost", gamma=[1.0], time="day", group="who", **costly, **FEW),
        compare(made(300, n_classes=3), "kind", library="lightgbm", gamma=[1.0], **FEW),
        dataclasses.replace(comparison, scores=comparison.scores[comparison.scores.split == 0]),
    ]
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for one in (comparison, *others):
        summary = summarise(one)
        again = json.loads(json.dumps(summary, allow_nan=False))
        assert again == summary
        jsonschema.validate(again, schema)
        assert summary["schema_version"] == schema["$id"].rpartition(":")[2] == "2.0"
        # words and intervals agree, in the verdict as in tables
        for library, found in summary["libraries"].items():
            words = summary["verdict"][library]["words"]
            for score in (score for of in found["contestants"].values() for score in of["scores"].values()):
                gain = score["gain"] or {"low": None, "word": None}
                assert gain["word"] != "better" or gain["low"] > 0
                assert gain["low"] is not None or gain["word"] is None
            of_focal = found["contestants"][CHOSEN]["scores"]
            assert words == {metric: of_focal[metric]["gain"]["word"] for metric in words}
    assert [one.decisive[0] for one in others] == ["cost", "average_precision", "average_precision"]
    assert set(others[2].verdict("xgboost").words.values()) == {""}
    assert {"amount_top_10", "recall_at_0.5"} < set(others[0].metrics)
    assert others[0].n_splits == 9


def test_the_page_stands_alone(comparison):
    text = render(comparison)
    assert not re.search(r"(?:src|href|data)=\"(?!#)|url\(http|@import", text)  # loads nothing
    assert "made &lt;b&gt;up" in text
    assert "<b>up" not in text
    assert text.count("<svg") == 2
    assert text.index("<svg") < text.index("<table")
    for library in LIBRARIES:
        assert comparison.verdict(library).sentence in text
        assert comparison.verdict(library).sentence in str(comparison)
