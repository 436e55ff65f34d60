"""The comparison itself, its reports and the command line."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss
from typer.testing import CliRunner

from focal_gbm import __main__ as entry
from focal_gbm.cli import app
from focal_gbm.compare import Contestant, Parts, Protocol, Settings, prepare, run, splits
from focal_gbm.compare.cross_validation import CHOSEN, OWN, WEIGHTS
from focal_gbm.compare.html import render
from focal_gbm.compare.statistics import Paired
from focal_gbm.compare.summary import summarise
from focal_gbm.compare.verdict import answer, direction

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
def test_focal_loss_at_gamma_zero_is_the_own_loss(comparison, library):
    for metric in comparison.protocol.metrics():
        own = comparison.values(library, OWN, metric)
        # XGBoost starts from another rounding of the base rate
        assert comparison.values(library, "focal γ=0", metric) == pytest.approx(own, abs=1e-4)


def test_every_contestant_is_there_once_a_split(comparison):
    rows = comparison.results.groupby(["library", "contestant"]).split.apply(list)
    assert set(rows.index) == {
        (library, name) for library in LIBRARIES for name in (OWN, WEIGHTS, CHOSEN, "focal γ=0", "focal γ=2")
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


@pytest.mark.parametrize("library", LIBRARIES)
def test_weights_are_the_hosts_own(library):
    table = prepare(made(), "kind", name="made", folds=3)
    split = next(splits(table.y, 3, 1))
    parts = Parts(table.X.iloc[split.fit], table.y[split.fit], table.X.iloc[split.stop], table.y[split.stop])
    weighted = Contestant(library, "weights")
    weights, on_stop = weighted.row_weights(parts.y, parts.y_stop)
    # classes weigh the same in all, and a row of a class the same in both parts
    assert weights[parts.y == 0].sum() == pytest.approx(weights[parts.y == 1].sum())
    assert set(on_stop) == set(weights)
    half, _ = Contestant(library, "weights", weight_power=0.5).row_weights(parts.y, parts.y_stop)
    assert half.mean() == pytest.approx(1.0)
    assert max(half) / min(half) == pytest.approx((max(weights) / min(weights)) ** 0.5)
    none = Contestant(library, "weights", weight_power=0.0).fit(parts, FEW).predict_proba(parts.X_stop)
    own = Contestant(library, "own").fit(parts, FEW).predict_proba(parts.X_stop)
    np.testing.assert_allclose(none, own, atol=1e-6)
    assert not np.allclose(weighted.fit(parts, FEW).predict_proba(parts.X_stop), own, atol=1e-3)


def test_leaves_and_rounds_are_counted():
    table = prepare(made(), "kind", name="made", folds=3)
    split = next(splits(table.y, 3, 1))
    parts = Parts(table.X.iloc[split.fit], table.y[split.fit], table.X.iloc[split.stop], table.y[split.stop])
    for library in LIBRARIES:
        fitted = Contestant(library, "own").fit(parts, Settings(rounds=60, patience=3))
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
    assert comparison.out_of_fold["xgboost", OWN].shape == (300, 3)
    assert "the rare class" not in answer(comparison, "xgboost")
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
    for name in (OWN, CHOSEN):
        np.testing.assert_array_equal(
            parallel.values("lightgbm", name, "log_loss"), comparison.values("lightgbm", name, "log_loss")
        )
    assert [done for done, _, _ in steps] == list(range(1, 13))
    assert {total for _, total, _ in steps} == {12}


def test_words():
    up, down = Paired(0.1, 0.05, 0.15, 0.01), Paired(-0.1, -0.15, -0.05, 0.01)
    assert direction("average_precision", up) == direction("log_loss", down) == "better"
    assert direction("average_precision", down) == direction("log_loss", up) == "worse"
    assert direction("log_loss", Paired(0.1, -0.1, 0.3, 0.3)) == "noise"
    assert direction("log_loss", Paired(0.1, np.nan, np.nan, np.nan)) == "noise"
    assert direction("log_loss", up, p=0.2) == "noise"


def test_the_answer_follows_the_numbers(comparison):
    import dataclasses

    changed = comparison.results.copy()
    focal = changed.contestant == CHOSEN
    for metric, gain in (("average_precision", 0.1), ("log_loss", -0.1)):
        own = changed[changed.contestant == OWN].set_index(["library", "split"])[metric]
        moved = [
            own[library, split] + gain for library, split in changed.loc[focal, ["library", "split"]].values
        ]
        changed.loc[focal, metric] = moved
    better = dataclasses.replace(comparison, results=changed)
    assert answer(better, "xgboost").startswith("XGBoost: yes. Focal loss ranks the rare class better, and")
    changed.loc[focal, "average_precision"] -= 0.2
    changed.loc[focal, "log_loss"] += 0.2
    assert answer(better, "lightgbm").endswith("ranks the rare class worse, and its probabilities are worse.")


@pytest.mark.parametrize(
    ("field", "value"),
    [("folds", 1), ("repeats", 0), ("precision", 0.0), ("top", 0), ("minutes", 0.0), ("gammas", ())],
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
    assert text.count("<svg") == 2
    for library in LIBRARIES:
        assert answer(comparison, library) in page.text


def test_the_summary_is_json(comparison):
    summary = summarise(comparison)
    again = json.loads(json.dumps(summary, allow_nan=False))
    assert again == summary
    one = summary["libraries"]["lightgbm"]["contestants"]["focal γ=2"]["scores"]["log_loss"]
    assert one["mean"] == pytest.approx(np.mean(one["values"]))
    assert one["against_own_loss"]["p_holm"] >= one["against_own_loss"]["p"]


# The command line

QUICK = ["--folds", "3", "--repeats", "1", "--rounds", "5", "--gamma", "1", "--alpha", "none", "--jobs", "1"]


def call(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "made.csv"
    made().to_csv(path, index=False)
    return path


def test_the_command_prints_tables_and_an_answer_and_writes_html(file, tmp_path):
    report = tmp_path / "report.html"
    result = call(file, "--target", "kind", "--html", report, *QUICK)
    assert result.exit_code == 0, result.output
    for text in ("made.csv: 240 rows, 3 features (1 categorical)", "XGBoost", "LightGBM", "average precision",
                 "class weights", "Would focal loss help on this table?", "noise"):  # fmt: skip
        assert text in result.output
    assert re.search(r"the class looked for is 'bad' \(\d+ of 240 rows", result.output)
    assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_command_prints_json_alone(file):
    result = call(file, "--target", "kind", "--json", "--library", "lightgbm", "--top", 10, *QUICK)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert list(summary["libraries"]) == ["lightgbm"]
    scores = summary["libraries"]["lightgbm"]["contestants"]["own loss"]["scores"]
    assert "precision_at_top" in scores
    assert "recall_at_precision" not in scores
    assert summary["table"]["classes"] == {"good": 240 - summary["table"]["classes"]["bad"],
                                           "bad": summary["table"]["classes"]["bad"]}  # fmt: skip


def test_the_command_without_data_takes_the_embedded_table():
    result = call("--json", "--library", "lightgbm", *QUICK)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["table"]["rows"] == 1797


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DATA"], r"say which column to predict: --target COLUMN"),
        (["DATA", "--target", "kin"], r"no column 'kin' .*did you mean 'kind'\?"),
        (["DATA", "--target", "kind", "--positive", "god"], r"no label 'god'.*did you mean 'good'"),
        (["DATA", "--target", "kind", "--gamma", "-1"], r"--gamma must be a finite number >= 0"),
        (["DATA", "--target", "kind", "--gamma", "1,x"], r"--gamma must be numbers.*got 'x'"),
        (["DATA", "--target", "kind", "--alpha", "1.5"], r"--alpha must be none, balanced, effective"),
        (["DATA", "--target", "kind", "--html", "nowhere/r.html"], r"the folder of .* does not exist"),
        (["DATA", "--target", "kind", "--precision", "2"], r"precision must lie in \(0, 1\]"),
        (["nowhere.csv", "--target", "kind"], r"nowhere\.csv does not exist"),
        (["--target", "kind"], r"no DATA was given"),
    ],
)
def test_the_command_refuses_in_one_line(file, arguments, message):
    result = call(*(str(file) if one == "DATA" else one for one in arguments))
    assert result.exit_code == 2
    assert re.search(message, result.stderr)
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_number_for_alpha_needs_two_classes(tmp_path):
    made(n_classes=3, n=300).to_csv(tmp_path / "three.csv", index=False)
    result = call(tmp_path / "three.csv", "--target", "kind", "--alpha", "0.25")
    assert result.exit_code == 2
    assert "--alpha as a number is for two classes, the target has 3" in result.stderr


def test_the_module_is_the_command():
    result = subprocess.run(
        [sys.executable, "-m", "focal_gbm"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "compare" in result.stdout


def test_without_its_libraries_the_command_says_what_to_install(monkeypatch):
    real = entry.find_spec
    monkeypatch.setattr(entry, "find_spec", lambda name: None if name == "rich" else real(name))
    with pytest.raises(SystemExit, match=r"needs rich: pip install 'focal-gbm\[cli\]'$"):
        entry.main()
