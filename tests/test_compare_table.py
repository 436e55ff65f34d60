"""Tables that can be compared on: the target, what is no feature, what columns say about a row."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from focal_gbm.compare import Reading, Roles, TableError, read_frame
from focal_gbm.compare.features import explained_alone, looks_like_codes
from focal_gbm.compare.table import prepare
from focal_gbm.compare.target import read_target

N = 1200
DRAW = np.random.default_rng(0)


def frame_of(n=60, **columns):
    draw = np.random.default_rng(0)
    columns = {"a": draw.normal(size=n), "b": draw.normal(size=n), **columns}
    return pd.DataFrame({**columns, "y": np.arange(n) % 4 == 0})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [*range(30), np.inf, *range(29)]}, r"row 31, column 'x': an infinite value"),
        ({"twin": np.arange(60) % 4 == 0}, r"column 'twin' alone predicts 'y' almost perfectly"),
        ({"twin": ["ny"[i % 4 == 0] for i in range(60)]}, r"'twin' alone .*--drop twin, or --keep twin"),
        ({"filled": [1.0 if i % 4 == 0 else np.nan for i in range(60)]}, r"'filled' alone predicts 'y'"),
    ],
)
def test_columns_that_are_refused(columns, message):
    with pytest.raises(TableError, match=message):
        prepare(frame_of(**columns), "y")
    assert prepare(frame_of(**columns), "y", drop=list(columns)).columns == ("a", "b")
    if "x" not in columns:
        assert prepare(frame_of(**columns), "y", keep=list(columns)).columns == ("a", "b", *columns)


@pytest.mark.parametrize("share", [0.01, 0.3])
def test_what_a_column_explains_alone(share):
    """A threshold, a category and a missing value that give the target away among 30,000 rows, and noise."""
    n = 30_000
    y = (DRAW.random(n) < share).astype(np.int64)
    X = pd.DataFrame(
        {
            "threshold": y + DRAW.uniform(0, 0.99, n),
            "category": pd.Categorical(y * 10 + DRAW.integers(0, 5, n)),
            "missing": np.where(y > 0, np.nan, DRAW.normal(size=n)),
            "noise": DRAW.normal(size=n),
            "customer": pd.Categorical(DRAW.integers(0, 9000, n)),
            "good": DRAW.normal(size=n) + 2 * y,
        }
    )
    alone = explained_alone(X, y, seed=0)
    assert min(alone[name] for name in ("threshold", "category", "missing")) > 0.97
    assert max(alone["noise"], alone["customer"]) < 0.02
    assert -0.1 < alone["good"] < 0.6
    y[:2] = 2  # a class of two rows among 30,000
    assert -0.1 < explained_alone(X[["noise"]], y, seed=0)["noise"] < 0.1


def test_codes_that_look_like_numbers_are_pointed_at():
    n = 5000
    region, step = DRAW.integers(1, 8, n), DRAW.integers(1, 8, n)
    chance = np.array([0, 0.1, 0.5, 0.1, 0.4, 0.1, 0.6, 0.1])[region] * (0.5 + step / 8)
    frame = pd.DataFrame({"region": region, "step": step, "zip": [f"0{i % 9}" for i in range(n)]})
    frame["y"] = DRAW.random(n) < chance
    note = next(note for note in prepare(frame, "y").notes if note.startswith("codes?"))
    assert note.endswith("--categorical region --categorical zip")
    for said in ("categorical", "numeric"):
        notes = prepare(frame, "y", reading=Reading(**{said: ["region", "zip"]})).notes
        assert not any(note.startswith("codes?") for note in notes)
    assert not looks_like_codes(pd.Series(DRAW.normal(size=n)), frame.y.to_numpy().astype(int))


@pytest.mark.parametrize(
    "values",
    [
        np.arange(N), np.arange(N)[::-1], np.arange(N) * 10, np.arange(N).astype(float), np.arange(N) % 100,
        DRAW.permutation(N), np.sort(DRAW.choice(10**9, N, False)), [f"C{i % 99}" for i in range(N)],
        [f"{i:06d}" for i in range(N)], [f"id-{i}" for i in range(N)], np.arange(N) * 0.5,
    ],
)  # fmt: skip
def test_row_numbers_and_keys_are_no_features(values):
    frame = pd.DataFrame({"a": DRAW.normal(size=N), "k": values, "y": DRAW.random(N) < 0.1})
    table = prepare(frame, "y")
    assert table.columns == ("a",)
    assert any(note.startswith("left out: 'k', ") and "--keep k" in note for note in table.notes)
    assert prepare(frame, "y", keep=["k"]).columns == ("a", "k")


def test_quantities_and_names_are_features():
    for values in (
        DRAW.normal(size=N), DRAW.integers(0, 500, N), np.sort(DRAW.integers(18, 90, N)), np.arange(N) // 300,
        DRAW.normal(size=N).round(2), np.sort(DRAW.normal(size=N)), DRAW.lognormal(8, 1, N).round(),
        np.sort(DRAW.integers(0, 2, N)), np.arange(N) % 24, [f"C{i % 40}" for i in range(N)],
    ):  # fmt: skip
        frame = pd.DataFrame({"a": DRAW.normal(size=N), "k": values, "y": DRAW.random(N) < 0.1})
        assert prepare(frame, "y").columns == ("a", "k")


def test_ids_by_their_name_and_columns_of_one_value():
    names = ("customer_id", "userID", "ID", "key", "grid", "paid")
    columns = {name: DRAW.integers(0, 400, N) for name in names}
    frame = pd.DataFrame({**columns, "one": 1, "none": [None] * N, "y": DRAW.random(N) < 0.1})
    table = prepare(frame, "y")
    assert table.columns == ("grid", "paid")
    assert "left out: 'one', 'none', one value in all rows, or none." in table.notes
    filled = prepare(frame_of(x=[1.0, np.nan, np.nan] * 20), "y")
    assert filled.columns == ("a", "b", "x")  # filled in or not
    with pytest.raises(TableError, match=r"no column is left to predict from"):
        prepare(frame[["one", "y"]], "y")


# The target


def test_the_rarer_label_of_any_type_is_looked_for():
    for labels in (
        [0, 0, 1], [0.0, 0.0, 1.0], [False, False, True], [7, 7, -3], ["no", " no ", "yes"],
        ["10", "10", "9"],        pd.Categorical(["b", "b", "a"]), pd.array([1, 1, 2], dtype="Int64"),
    ):  # fmt: skip
        y, known, note = read_target(pd.Series(labels, name="y"))
        assert (y.tolist(), "(1 of 3 rows, 33.33%): the rarer one" in note) == ([0, 0, 1], True)
        y, other, _ = read_target(pd.Series(labels, name="y"), positive=known[0])
        assert (y.tolist(), other) == ([1, 1, 0], known[::-1])


def test_one_of_many_classes_against_the_rest():
    column = pd.Series(["a", "10", "9", "9", "10"], name="y")
    assert read_target(column)[1] == ("9", "10", "a")
    y, labels, _ = read_target(column, positive="10")
    assert (y.tolist(), labels) == ([0, 1, 0, 0, 1], ("the rest", "10"))
    assert read_target(pd.Series([1.0, 2.0, 2.0], name="y"), positive="1.0")[1] == ("2", "1")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["x"] * 60, r"must have 2 to 50 classes, got 1: 'x'"),
        ([None, *["x", "z"] * 29, None], r"row 1, column 'y': the target is missing, in 2 rows"),
        (["z", "  ", *["x"] * 58], r"row 2, column 'y': the target is missing, in 1 rows"),
        (np.linspace(0, 1, 60), r"must have 2 to 50 classes, got 60"),
        ([1, 1, 1, *[0] * 57], r"class '1' has 3 rows, fewer than the 5 folds"),
        (["a", *["b", "c"] * 29, "b"], r"class 'a' has 1 rows.*or --positive LABEL"),
    ],
)
def test_targets_that_are_refused(labels, message):
    with pytest.raises(TableError, match=message):
        prepare(frame_of().assign(y=labels), "y")


def test_names_that_are_not_there():
    frame = frame_of().rename(columns={"y": "is_fraud"})
    for how, message in [
        ({"target": "isfraud"}, r"no column 'isfraud' \(--target\): did you mean 'is_fraud'\?"),
        ({"drop": ["c"]}, r"no column 'c' \(--drop\): there are 'a', 'b', 'is_fraud'"),
        ({"keep": ["c"]}, r"\(--keep\)"), ({"reading": Reading(numeric=["c"])}, r"\(--numeric\)"),
        ({"reading": Reading(categorical=["c"])}, r"\(--categorical\)"),
        ({"roles": Roles(group="c")}, r"\(--group\)"),
        ({"drop": ["is_fraud"]}, r"target 'is_fraud' cannot be --drop, too"),
        ({"positive": "true"}, r"no label 'true' \(--positive\): did you mean 'True'\?"),
    ]:  # fmt: skip
        with pytest.raises(TableError, match=message):
            prepare(frame, **{"target": "is_fraud", **how})
    with pytest.raises(TableError, match=r"several columns of the name 'a'"):
        prepare(frame.set_axis(["a", "a", "y"], axis=1), "y")
    assert prepare(frame.set_axis([0, 1, 2], axis=1), 2, drop=["1"]).columns == ("0",)


# Rows


def test_a_large_table_is_sampled_and_the_frame_stays():
    frame = frame_of(4000, text=["1,5", "2,5"] * 2000)
    before = frame.copy()
    table = prepare(frame, "y", max_rows=400, reading=Reading(decimal=","))
    assert (len(table.X), table.y.sum(), table.rows_in_file) == (400, 100, 4000)
    assert any("sample of 400 of the 4,000 rows" in note for note in table.notes)
    pd.testing.assert_frame_equal(frame, before)


def test_roles_are_read():
    when = pd.date_range("2024-01-01", periods=60).astype(str)
    frame = frame_of(who=np.arange(60) % 9, when=when, w=1 + np.arange(60) % 3, loss=np.arange(60.0) % 7)
    roles = Roles(time="when", group="who", weight="w", cost_fp=5.0, cost_fn="loss")
    table = prepare(frame, "y", roles=roles)
    assert table.columns == ("a", "b", "loss")  # the amount that is lost is a feature
    assert table.has_amounts
    assert table.time.tolist() == list(range(60))
    assert len(np.unique(table.group)) == 9
    assert (table.cost_fp == 5.0).all()
    assert table.weight[:3].tolist() == [1.0, 2.0, 3.0]
    assert prepare(frame, "y", drop=["loss"], roles=Roles(cost_fp="loss", cost_fn=1.0)).cost_fp[3] == 3.0
    assert prepare(frame, "y", roles=Roles(ordered=True)).time.tolist() == list(range(60))
    with pytest.raises(TableError, match=r"--ordered and --time cannot be combined: drop one"):
        Roles(time="when", ordered=True)
    with pytest.raises(TableError, match=r"--cost-fp and --cost-fn go together: give both"):
        Roles(cost_fp=1.0)


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        (Roles(weight="w"), r"--weight must be finite numbers >= 0 and not all 0, got 'w'"),
        (Roles(cost_fp="w", cost_fn=1.0), r"--cost-fp must be finite"), (Roles(weight="zero"), r"got 'zero'"),
        (Roles(weight="inf"), r"--weight must"), (Roles(cost_fp=-1.0, cost_fn=1.0), r"--cost-fp must"),
        (Roles(time="gap"), r"row 4, column 'gap' \(--time\): the value is missing"),
        (Roles(group="gap"), r"row 4, column 'gap' \(--group\)"),
        (Roles(time="word"), r"'word' \(--time\) must hold numbers or times, got texts"),
    ],
)  # fmt: skip
def test_roles_that_are_none(roles, message):
    frame = frame_of(zero=0.0, w=1.0, inf=1.0, gap=1.5, word="x")
    frame.loc[4, "w"], frame.loc[1, "inf"], frame.loc[3, "gap"] = -1.0, np.inf, np.nan
    with pytest.raises(TableError, match=message):
        prepare(frame, "y", roles=roles)
    with pytest.raises(TableError, match=r"costs are for two classes, the target has 3: --positive LABEL"):
        prepare(frame.assign(y=np.arange(60) % 3), "y", roles=Roles(cost_fp=1.0, cost_fn=2.0))


def test_the_example_of_payments(tmp_path):
    script = Path(__file__).parent.parent / "examples" / "make_payments.py"
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in files:
        subprocess.run([sys.executable, str(script), str(path), "--rows", "3000"], check=True, timeout=60)
    assert files[0].read_bytes() == files[1].read_bytes()
    roles = Roles(time="when", group="customer", cost_fp=5.0, cost_fn="amount")
    table = prepare(read_frame(files[0]), "fraud", roles=roles)
    assert table.columns == ("amount", "country", "account_days", "hour")
    assert (np.diff(table.time) >= 0).all()
    assert table.y[1500:].mean() > 1.5 * table.y[:1500].mean()  # it drifts
    # without roles the customer is left out, and the note says what it may be
    notes = " ".join(prepare(read_frame(files[0]), "fraud").notes)
    assert "different texts in 3,000 rows (customers? --group customer, --keep customer keeps it)" in notes
