"""The comparison itself, its summary and its report."""

import dataclasses
import json
from html.parser import HTMLParser

import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from focal_gbm.compare import (
    Contestant,
    Parts,
    Protocol,
    Settings,
    json_schema,
    prepare,
    run,
    splits,
    summarise,
)  # fmt: skip
from focal_gbm.compare.figures import precision_recall_svg
from focal_gbm.compare.html import render
from focal_gbm.compare.protocol import CHOSEN, LOG_LOSS, SHIFTED, WEIGHTS
from focal_gbm.compare.summary import SCHEMA_VERSION

FEW = Settings(rounds=8, patience=4)
LIBRARIES = ("xgboost", "lightgbm")


def made(n=240, n_classes=2, seed=0):
    draw = np.random.default_rng(seed)
    y = np.minimum((draw.random(n) < 0.3).astype(int) * draw.integers(1, n_classes, size=n), n_classes - 1)
    return pd.DataFrame(
        {
            "amount [€]": draw.normal(size=n) + y,  # a name that neither host takes
            "colour": np.where(
                draw.random(n) < 0.1, None, np.array(["red", "green"])[draw.integers(0, 2, n)]
            ),
            "gap": np.where(draw.random(n) < 0.2, np.nan, draw.normal(size=n)),
            "kind": np.array(["good", "bad", "ugly"])[y],
        }
    )


@pytest.fixture(scope="module")
def comparison():
    table = prepare(made(), "kind", name="made <b>up</b>", folds=3)
    protocol = Protocol(gammas=(0.0, 2.0), alphas=(None,), folds=3, repeats=1, settings=FEW, jobs=1)
    return run(table, protocol)


@pytest.mark.parametrize("library", LIBRARIES)
def test_focal_loss_at_gamma_zero_is_the_log_loss(comparison, library):
    for metric in comparison.metrics:
        base = comparison.values(library, LOG_LOSS, metric)
        # XGBoost starts from another rounding of the base rate
        assert comparison.values(library, "focal γ=0", metric) == pytest.approx(base, abs=1e-4)


def test_every_contestant_is_there_once_a_split(comparison):
    rows = comparison.results.groupby(["library", "contestant"]).split.apply(list)
    assert set(rows.index) == {
        (library, name)
        for library in LIBRARIES
        for name in (LOG_LOSS, WEIGHTS, SHIFTED, CHOSEN, "focal γ=0", "focal γ=2")
    }
    assert all(sorted(numbers) == [0, 1, 2] for numbers in rows)
    assert (comparison.results[["seconds", "rounds", "leaves"]] > 0).all(axis=None)
    assert comparison.results.rounds.max() <= FEW.rounds


def test_the_choice_is_made_on_the_rows_set_aside(comparison):
    table, protocol = comparison.table, comparison.protocol
    for library in LIBRARIES:
        expected = []
        for split in splits(table.y, 3, 1):
            parts = Parts(
                table.X.iloc[split.fit], table.y[split.fit], table.X.iloc[split.stop], table.y[split.stop]
            )
            losses = {}
            for contestant in protocol.contestants(library)[2:]:
                proba = contestant.fit(parts, protocol.settings).predict_proba(parts.X_stop)
                losses[contestant.label] = log_loss(parts.y_stop, proba)
            expected.append(min(losses, key=losses.get))
        rows = comparison.results[comparison.results.library == library].set_index(["contestant", "split"])
        for number, name in enumerate(expected):
            picked, of_grid = rows.loc[(CHOSEN, number)], rows.loc[(name, number)]
            assert picked.average_precision == of_grid.average_precision
            assert picked.seconds >= of_grid.seconds
        assert comparison.chosen[library] == pd.Series(expected).value_counts().to_dict()


def parts_of(table, weight=None):
    split = next(splits(table.y, 3, 1))
    return Parts(
        table.X.iloc[split.fit], table.y[split.fit], table.X.iloc[split.stop], table.y[split.stop],
        None if weight is None else weight[split.fit], None if weight is None else weight[split.stop],
    )  # fmt: skip


@pytest.mark.parametrize("library", LIBRARIES)
def test_class_weights_balance_the_classes(library):
    parts = parts_of(prepare(made(), "kind", name="made", folds=3))
    weighted = Contestant(library, "weights")
    weights = weighted.class_weights(parts)
    counts = np.bincount(parts.y)
    assert weights[0] * counts[0] == pytest.approx(weights[1] * counts[1])
    assert weights[parts.y].mean() == pytest.approx(1.0)
    half = Contestant(library, "weights", weight_power=0.5).class_weights(parts)
    assert max(half) / min(half) == pytest.approx((max(weights) / min(weights)) ** 0.5)
    none = Contestant(library, "weights", weight_power=0.0).fit(parts, FEW).predict_proba(parts.X_stop)
    plain = Contestant(library, "log_loss").fit(parts, FEW).predict_proba(parts.X_stop)
    np.testing.assert_allclose(none, plain, atol=1e-6)
    assert not np.allclose(weighted.fit(parts, FEW).predict_proba(parts.X_stop), plain, atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_shift_undoes_class_weights(library, n_classes):
    parts = parts_of(prepare(made(n=400, n_classes=n_classes), "kind", name="made", folds=3))
    fitted = Contestant(library, "weights").fit(parts, FEW)
    come, shifted = fitted.predict_proba(parts.X_stop), fitted.predict_proba_shifted(parts.X_stop)
    # Bayes: what training finds is proportional to weight times probability
    expected = come / fitted.class_weights
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shifted, expected, rtol=2e-5)
    np.testing.assert_allclose(shifted.sum(axis=1), 1.0)
    plain = Contestant(library, "log_loss").fit(parts, FEW)
    np.testing.assert_array_equal(
        plain.predict_proba_shifted(parts.X_stop), plain.predict_proba(parts.X_stop)
    )


def test_shifted_class_weights_are_better_probabilities(comparison):
    for library in LIBRARIES:
        come = comparison.values(library, WEIGHTS, "log_loss").mean()
        assert comparison.values(library, SHIFTED, "log_loss").mean() < come
        # the ranking is the same
        np.testing.assert_allclose(
            comparison.values(library, SHIFTED, "average_precision"),
            comparison.values(library, WEIGHTS, "average_precision"), rtol=1e-3,
        )  # fmt: skip


@pytest.mark.parametrize("loss", ["log_loss", "focal"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_row_weights_reach_the_training(library, loss):
    table = prepare(made(300), "kind", name="made", folds=3)
    contestant, few = Contestant(library, loss, gamma=1.0), Settings(rounds=20, patience=20)
    plain, ones, heavy = (
        contestant.fit(parts, few).predict_proba(parts.X_stop)[:, 1].mean()
        for parts in (
            parts_of(table), parts_of(table, np.ones(300)), parts_of(table, np.where(table.y == 1, 3.0, 1.0)),
        )
    )  # fmt: skip
    assert ones == pytest.approx(plain, rel=1e-5)
    assert heavy > 1.3 * plain


def test_class_weights_count_rows_by_their_weight():
    table = prepare(made(300), "kind", name="made", folds=3)
    weighted = Contestant("xgboost", "weights")
    heavy = parts_of(table, np.where(table.y == 1, 3.0, 1.0))
    plain = weighted.class_weights(parts_of(table))
    found = weighted.class_weights(heavy)
    # three times the weight of the rare class: a third of the ratio is left to balance
    assert found[1] / found[0] == pytest.approx(plain[1] / plain[0] / 3)


def test_leaves_and_rounds_are_counted():
    table = prepare(made(), "kind", name="made", folds=3)
    split = next(splits(table.y, 3, 1))
    parts = Parts(table.X.iloc[split.fit], table.y[split.fit], table.X.iloc[split.stop], table.y[split.stop])
    for library in LIBRARIES:
        fitted = Contestant(library, "log_loss").fit(parts, Settings(rounds=60, patience=3))
        model = fitted.model
        assert fitted.rounds < 50  # there are trees after the best round
        if library == "xgboost":
            trees = model.get_booster().trees_to_dataframe()
            counted = ((trees.Feature == "Leaf") & (trees.Tree < fitted.rounds)).sum()
        else:
            trees = model.booster_.trees_to_dataframe()
            counted = (trees.left_child.isna() & (trees.tree_index < fitted.rounds)).sum()
        assert fitted.leaves == counted


def test_many_classes():
    table = prepare(made(n_classes=3, n=300), "kind", name="three", folds=3)
    assert len(table.labels) == 3
    protocol = Protocol(gammas=(1.0,), alphas=("balanced",), folds=3, repeats=1, settings=FEW, jobs=1)
    comparison = run(table, protocol)
    assert comparison.results[protocol.metrics()].notna().all(axis=None)
    assert comparison.out_of_fold["xgboost", LOG_LOSS].shape == (300, 3)
    assert (
        summarise(comparison)["libraries"]["xgboost"]["contestants"][SHIFTED]["scores"]["log_loss"]["mean"]
        > 0
    )
    assert "<svg" in render(comparison)


def test_a_short_time_leaves_two_splits_and_says_so():
    table = prepare(made(), "kind", name="made", folds=3)
    protocol = Protocol(
        ("lightgbm",), gammas=(1.0,), alphas=(None,), folds=3, repeats=3, settings=FEW, jobs=1, minutes=1e-9
    )
    comparison = run(table, protocol)
    assert (comparison.n_splits, comparison.n_splits_planned) == (2, 9)
    assert any("2 of 9 splits" in note for note in summarise(comparison)["notes"])
    assert "<svg" in render(comparison)  # of the rows that were predicted


def test_side_by_side_is_one_after_the_other(comparison):
    table = comparison.table
    protocol = Protocol(
        ("lightgbm",), gammas=(0.0, 2.0), alphas=(None,), folds=3, repeats=1, settings=FEW, jobs=2
    )
    steps = []
    parallel = run(table, protocol, lambda *step: steps.append(step))
    for name in (LOG_LOSS, CHOSEN):
        np.testing.assert_array_equal(
            parallel.values("lightgbm", name, "log_loss"), comparison.values("lightgbm", name, "log_loss")
        )
    assert [done for done, _, _ in steps] == list(range(1, 13))
    assert {total for _, total, _ in steps} == {12}


def changed(comparison, gains):
    """The comparison with other differences of focal loss to log loss, nearly the same in every split."""
    results = comparison.results.copy()
    focal = results.contestant == CHOSEN
    for metric, gain in gains.items():
        base = results[results.contestant == LOG_LOSS].set_index(["library", "split"])[metric]
        rows = results.loc[focal, ["library", "split"]].values
        results.loc[focal, metric] = [
            base[library, split] + gain * (1 + split / 100) for library, split in rows
        ]
    return dataclasses.replace(comparison, results=results)


def test_the_verdict_follows_the_numbers(comparison):
    better = summarise(changed(comparison, {"average_precision": 0.1, "log_loss": -0.1}))["verdict"][
        "xgboost"
    ]
    assert better["decision"] == better["by_metric"]["log_loss"]["decision"] == "better"
    assert (better["metric"], better["difference"]) == ("average_precision", pytest.approx(0.101))
    assert better["low"] < better["difference"] < better["high"]
    assert better["sentence"].endswith("(log loss: better). Focal loss helps here.")
    worse = summarise(changed(comparison, {"average_precision": -0.1, "log_loss": 0.001}))["verdict"][
        "lightgbm"
    ]
    assert worse["decision"] == "worse"
    assert worse["by_metric"]["log_loss"]["decision"] == "equivalent"
    assert worse["sentence"].endswith("Keep the log loss.")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("folds", 1),
        ("repeats", 0),
        ("precision", 0.0),
        ("top", 0),
        ("top", 1.5),
        ("minutes", 0.0),
        ("gammas", ()),
        ("margin", 0.0),
        ("decide", "speed"),
    ],
)
def test_a_protocol_that_makes_no_sense(field, value):
    with pytest.raises(ValueError, match=field):
        Protocol(**{field: value})


@pytest.mark.parametrize(("field", "value"), [("rounds", 0), ("patience", 0), ("learning_rate", 0.0)])
def test_settings_that_make_no_sense(field, value):
    with pytest.raises(ValueError, match=field):
        Settings(**{field: value})


class _Page(HTMLParser):
    """What a page loads, which tags are left open, and its text."""

    def __init__(self):
        super().__init__()
        self.loads, self.open, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        loads = [
            value for name, value in attrs
            if name in ("src", "href", "xlink:href", "data") and not value.startswith("#")
        ]  # fmt: skip
        self.loads += loads
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_data(self, data):
        self.text += data


def test_the_html_stands_alone(comparison):
    text = render(comparison)
    page = _Page()
    page.feed(text)
    assert page.loads == []
    assert page.open == []
    assert "url(http" not in text
    assert "made <b>up</b>" in page.text  # escaped, not bold
    summary = summarise(comparison)
    # the first picture is the answer, one for each score that decides; two of each library come after it
    assert text.count("<svg") == 2 + 2 * 2
    assert text.index("<svg") < text.index("<table")
    for verdict in summary["verdict"].values():
        assert verdict["sentence"] in page.text
    for words in ("own loss", "noise", "host"):
        assert words not in page.text


def test_pooled_figures_are_not_mixed_in(comparison):
    """No number of the report is a score of all rows together: the legends have none."""
    for library in LIBRARIES:
        svg = precision_recall_svg(comparison, library)
        assert "average precision" not in svg


def test_the_summary_is_json_as_published(comparison):
    summary = summarise(comparison)
    again = json.loads(json.dumps(summary, allow_nan=False))
    assert again == summary
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(again, schema)
    assert summary["schema_version"] == SCHEMA_VERSION
    assert schema["$id"].endswith(SCHEMA_VERSION)
    point = summary["libraries"]["lightgbm"]["contestants"]["focal γ=2"]
    assert (point["loss"], point["gamma"], point["alpha"], point["of_grid"]) == (
        "focal loss",
        2.0,
        None,
        True,
    )
    one = point["scores"]["log_loss"]
    assert one["mean"] == pytest.approx(np.mean(one["values"]))
    assert one["difference"]["p_adjusted"] >= one["difference"]["p"]
    assert {"decision", "metric", "difference", "low", "high"} < set(summary["verdict"]["xgboost"])


def test_the_schema_describes_every_key():
    def walk(node, where):
        for name, inside in node.get("properties", {}).items():
            assert "description" in inside, f"{where}.{name}"
        if "properties" in node:
            assert node["additionalProperties"] is False, where
            assert set(node["required"]) == set(node["properties"]), where
        for name, inside in node.items():
            if isinstance(inside, dict):
                walk(inside, f"{where}.{name}")

    walk(json_schema(), "")


def test_one_split_shows_no_interval(comparison):
    one = dataclasses.replace(
        comparison, results=comparison.results[comparison.results.split == 0], n_splits=1
    )
    summary = summarise(one)
    jsonschema.validate(summary, json_schema())
    assert summary["verdict"]["xgboost"]["decision"] == "cannot tell"
    assert "<svg" in render(one)
