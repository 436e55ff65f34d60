"""Tables that can be compared on, and those that are refused, by row and column."""

import datetime
import decimal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from focal_gbm.compare import Roles, TableError, embedded_table, prepare, read_frame
from focal_gbm.compare.leaks import Deadline, leak_of
from focal_gbm.compare.target import take_target


def frame_of(n=60, **columns):
    draw = np.random.default_rng(0)
    columns = {"a": draw.normal(size=n), "b": draw.normal(size=n), **columns}
    return pd.DataFrame({**columns, "y": np.arange(n) % 4 == 0})


def test_types_of_columns_are_found():
    n = 60
    frame = frame_of(
        n,
        whole=np.arange(n) // 2 * 7 % 31,
        flag=np.arange(n) % 3 == 0,
        colour=[None if i % 7 == 0 else "rgb"[i % 3] for i in range(n)],
        nullable=pd.array([None, *(np.arange(n - 1) % 20)], dtype="Int64"),
        code=[i % 5 for i in range(n)],
        when=pd.date_range("2024-01-01", periods=n, tz="UTC"),
        day=[datetime.date(2024, 1, 1 + i % 28) for i in range(n)],
        clock=[datetime.time(i % 24, 30) for i in range(n)],
        price=[decimal.Decimal(i % 13) / 4 for i in range(n)],
        key=[f"id-{i}" for i in range(n)],
    )
    table = prepare(frame, "y", name="types", categorical=["code"])
    assert table.columns == (
        "a",
        "b",
        "whole",
        "flag",
        "colour",
        "nullable",
        "code",
        "when",
        "day",
        "clock",
        "price",
    )
    kinds = dict(zip(table.columns, table.X.dtypes, strict=True))
    assert [name for name, kind in kinds.items() if kind == "category"] == ["colour", "code"]
    assert table.X.isna().sum().sum() == 9 + 1
    # nothing of a name or a text reaches the libraries
    assert list(table.X.columns) == [f"f{i}" for i in range(11)]
    assert table.X["f4"].cat.categories.dtype.kind == "i"
    notes = " ".join(table.notes)
    assert "'key' has 60 different texts in 60 rows" in notes
    for name in ("when", "day"):
        assert f"'{name}' holds times: taken as days since the earliest, 2024-01-01" in notes
    assert table.X["f7"].tolist() == list(range(n))
    assert table.X["f9"][:2].tolist() == [0.5 / 24, 1.5 / 24]
    assert table.X["f10"][:3].tolist() == [0.0, 0.25, 0.5]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"void": [np.nan] * 60}, r"column 'void' has no value in any row: leave it out"),
        ({"x": [*range(30), np.inf, *range(29)]}, r"row 31, column 'x': inf is no number"),
        (
            {"x": [*map(str, range(40)), "oops", *map(str, range(19))]},
            r"row 41, column 'x': 'oops' stands among numbers.*--na 'oops'.*--categorical 'x'",
        ),
        ({"x": [[1]] * 60}, r"row 1, column 'x': a list is neither a number nor a text"),
        ({"twin": np.arange(60) % 4 == 0}, r"column 'twin' alone predicts 'y' almost perfectly"),
        ({"twin": ["ny"[i % 4 == 0] for i in range(60)]}, r"column 'twin' alone predicts 'y' almost"),
        (
            {"filled": [1.0 if i % 4 == 0 else np.nan for i in range(60)]},
            r"column 'filled' alone predicts 'y' almost perfectly",
        ),
    ],
)
def test_columns_that_are_refused(columns, message):
    with pytest.raises(TableError, match=message):
        prepare(frame_of(**columns), "y", name="refused")
    prepare(frame_of(**columns), "y", name="taken", drop=list(columns))


def test_leaky_columns_can_be_kept():
    table = prepare(frame_of(twin=np.arange(60) % 4 == 0), "y", name="kept", allow_leaky=True)
    assert "twin" in table.columns


def test_keys_and_chance_are_no_leaks():
    n = 900
    draw = np.random.default_rng(0)
    y = draw.random(n) < 0.1
    frame = pd.DataFrame(
        {
            "group": [f"g{i // 3}" for i in range(n)],  # three rows each: nearly all of one class by chance
            "noise": draw.normal(size=n),
            "good": draw.normal(size=n) + 3 * y,
            "y": y,
        }
    )
    table = prepare(frame, "y", name="honest", categorical=["group"])
    assert leak_of(table.X, table.y) == ([], 3)


def test_a_leak_among_many_classes():
    n = 300
    frame = pd.DataFrame({"a": np.arange(n) % 7, "b": [f"c{i % 3}" for i in range(n)], "y": np.arange(n) % 3})
    with pytest.raises(TableError, match=r"column 'b' alone predicts 'y'"):
        prepare(frame, "y", name="many")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["x"] * 60, r"two classes or more, got only 'x'"),
        ([None, *["x", "z"] * 29, None], r"row 1 and 1 more rows, column 'y': the target is missing"),
        (np.linspace(0, 1, 60), r"has 60 different values: it looks like a quantity"),
        ([1, 1, 1, *[0] * 57], r"class '1' has 3 rows, fewer than the 5 folds: --folds 3 at most"),
        ([1, *[0] * 59], r"class '1' has 1 rows, fewer than the 5 folds: merge it"),
        (["a", *["b", "c"] * 29, "b"], r"class 'a' has 1 rows.*or --positive LABEL"),
    ],
)
def test_targets_that_are_refused(labels, message):
    with pytest.raises(TableError, match=message):
        prepare(frame_of().assign(y=labels), "y", name="refused")


def test_near_names_are_suggested():
    frame = frame_of()
    with pytest.raises(TableError, match=r"no column 'Y' \(--target\): there are 'a', 'b', 'y'"):
        prepare(frame, "Y", name="t")
    frame = frame.rename(columns={"y": "is_fraud"})
    with pytest.raises(TableError, match=r"no column 'isfraud' \(--target\): did you mean 'is_fraud'\?"):
        prepare(frame, "isfraud", name="t")
    with pytest.raises(TableError, match=r"no column 'c' \(--drop\)"):
        prepare(frame, "is_fraud", name="t", drop=["c"])
    with pytest.raises(TableError, match=r"has no label 'true' \(--positive\): did you mean 'True'\?"):
        prepare(frame, "is_fraud", name="t", positive="true")


@pytest.mark.parametrize(
    "labels",
    [
        [0, 0, 1], [0.0, 0.0, 1.0], [False, False, True], ["no", "no", "yes"], [7, 7, -3],
        pd.Categorical(["b", "b", "a"]), pd.array([1, 1, 2], dtype="Int64"),
    ],
)  # fmt: skip
def test_the_rarer_label_of_any_type_is_looked_for(labels):
    target = take_target(pd.Series(labels, name="y"))
    assert target.codes.tolist() == [0, 0, 1]
    assert "the rarer one" in target.notes[0]
    other = take_target(pd.Series(labels, name="y"), positive=target.labels[0])
    assert other.codes.tolist() == [1, 1, 0]
    assert other.labels == target.labels[::-1]


def test_one_of_many_classes_against_the_rest():
    column = pd.Series(["a", "b", "c", "c", "b"], name="y")
    assert take_target(column).labels == ("a", "b", "c")
    target = take_target(column, positive="b")
    assert target.codes.tolist() == [0, 1, 0, 0, 1]
    assert target.labels == ("the rest", "b")


def test_a_large_table_is_sampled():
    table = prepare(frame_of(4000), "y", name="large", max_rows=400)
    assert len(table.X) == len(table.y) == 400
    assert table.y.sum() == 100
    assert any("a sample of 400 of the 4,000 rows" in note for note in table.notes)


def test_copies_are_mentioned():
    frame = frame_of()
    frame = pd.concat([frame, frame], ignore_index=True)
    assert any("60 rows have the same features" in note for note in prepare(frame, "y", name="c").notes)


def test_the_embedded_table():
    table = embedded_table()
    assert (len(table.y), table.y.sum(), table.labels) == (1797, 174, ("the rest", "8"))
    assert embedded_table(positive="3").labels[1] == "3"


# What must not be a feature


def keyed(values, n=1200, **columns):
    """A table with a column that might be a key, and its notes."""
    draw = np.random.default_rng(1)
    frame = pd.DataFrame({"a": draw.normal(size=n), "k": values, **columns, "y": draw.random(n) < 0.1})
    return frame, prepare(frame, "y", name="keyed")


N = 1200
DRAW = np.random.default_rng(0)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(N), np.arange(N) + 10_000, np.arange(N)[::-1], np.arange(N) * 10,
        np.arange(N).astype(float), DRAW.permutation(N), DRAW.choice(10**9, N, replace=False),
        np.sort(DRAW.choice(10**9, N, replace=False)),
        np.arange(N) // 3, np.arange(N) % 100, np.where(np.arange(N) == 7, np.nan, np.arange(N)),
        [f"{i:06d}" for i in range(N)], [str(i) for i in range(N)], [f"id-{i}" for i in range(N)],
        np.arange(N) * 0.5,
    ],
)  # fmt: skip
def test_row_numbers_and_keys_are_no_features(values):
    frame, table = keyed(values)
    assert table.columns == ("a",)
    assert any("column 'k'" in note and "--keep 'k' keeps it" in note for note in table.notes)
    assert prepare(frame, "y", name="kept", keep=["k"]).columns == ("a", "k")


@pytest.mark.parametrize(
    "values",
    [
        DRAW.normal(size=N), DRAW.integers(0, 500, N), np.sort(DRAW.integers(18, 90, N)),
        DRAW.normal(size=N).round(2), np.sort(DRAW.normal(size=N)), np.arange(N) // 300,
        DRAW.lognormal(8, 1, N).round(), np.full(N, 3),
        np.sort(DRAW.integers(0, 2, N)), np.arange(N) % 24,
    ],
)  # fmt: skip
def test_quantities_are_features(values):
    assert keyed(values)[1].columns == ("a", "k")


def customers(kind):
    """Three rows a customer, of which all have one label; nothing predicts it."""
    draw = np.random.default_rng(0)
    k = 700
    ids = np.repeat(draw.permutation(k), 3)
    frame = pd.DataFrame(
        {
            "customer": [f"C{i:05d}" for i in ids] if kind == "text" else ids + 1000,
            "income": np.repeat(draw.normal(size=k), 3),
            "visits": draw.integers(0, 9, 3 * k),
            "fraud": np.repeat(draw.random(k) < 0.1, 3),
        }
    )
    return frame.sample(frac=1, random_state=0, ignore_index=True)


@pytest.mark.parametrize("kind", ["text", "number"])
def test_ids_that_repeat_are_noted_and_left_out(kind):
    frame = customers(kind)
    table = prepare(frame, "fraud", name="customers")
    assert table.columns == ("income", "visits")
    note = next(note for note in table.notes if "customer" in note)
    assert "--group 'customer'" in note
    assert "'income'" in note
    # without the id, an attribute of the customer gives it away
    without = prepare(frame.drop(columns="customer"), "fraud", name="customers")
    assert any("rows of the same 'income'" in note for note in without.notes)
    # what was declared is no news
    grouped = prepare(frame, "fraud", name="customers", roles=Roles(group="customer"))
    assert not any("rows of the same 'income'" in note for note in grouped.notes)
    one_each = prepare(frame.drop_duplicates("customer"), "fraud", name="customers")
    assert not any("rows of the same" in note for note in one_each.notes)


def test_a_quantity_that_predicts_is_no_id():
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"amount": draw.integers(0, 400, 3000), "a": draw.normal(size=3000)})
    frame["y"] = draw.random(3000) < 1 / (1 + np.exp(-(frame.amount - 350) / 20))
    table = prepare(frame, "y", name="honest")
    assert table.columns == ("amount", "a")
    assert len(table.notes) == 1


def test_values_that_go_with_a_label_now_and_then_are_no_ids():
    """Cells of a population, as in a survey's weights: more alike than others, and far from one customer."""
    draw = np.random.default_rng(0)
    cell = draw.integers(0, 1500, 6000)
    chance = draw.beta(0.9, 2.1, 1500)
    frame = pd.DataFrame({"weight": cell * 37 % 1499, "a": draw.normal(size=6000)})
    frame["y"] = draw.random(6000) < chance[frame.weight]
    assert prepare(frame, "y", name="survey").columns == ("weight", "a")


# Labels


def test_a_class_may_be_called_none(tmp_path):
    text = "a,sleep\n" + "".join(f"{i * i % 17},{'None' if i % 3 else 'Apnea'}\n" for i in range(60))
    (tmp_path / "sleep.csv").write_text(text)
    with pytest.raises(TableError, match=r"row 2 and 39 more rows, column 'sleep': .*--na-only"):
        prepare(read_frame(tmp_path / "sleep.csv"), "sleep", name="sleep")
    table = prepare(
        read_frame(tmp_path / "sleep.csv", only_missing=True), "sleep", name="sleep", positive="None"
    )
    assert table.labels == ("Apnea", "None")


def test_labels_that_differ_in_blanks_are_one():
    target = take_target(pd.Series(["yes", "yes ", " no", "no", "no"], name="y"))
    assert target.labels == ("no", "yes")
    assert target.codes.tolist() == [1, 1, 0, 0, 0]
    assert "labels that differ in blanks at their ends are one" in target.notes[1]


def test_categories_that_differ_in_blanks_are_one():
    frame = frame_of(colour=["red", "red ", "blue", " blue"] * 15)
    table = prepare(frame, "y", name="blanks")
    assert table.X["f2"].nunique() == 2
    assert any("column 'colour': texts that differ in blanks" in note for note in table.notes)


def test_labels_that_differ_by_case_are_two_and_said_so():
    target = take_target(pd.Series(["Yes", "yes", "No", "no", "no"], name="y"))
    assert len(target.labels) == 4
    assert "'No' and 'no', 'Yes' and 'yes' differ by case only" in target.notes[1]


def test_one_number_is_one_label():
    target = take_target(pd.Series(["1", "1.0", "0", "0", "0"], name="y"))
    assert target.labels == ("0", "1")
    assert "labels of the same number are one ('1.0' too)" in target.notes[1]


@pytest.mark.parametrize("label", [np.inf, -np.inf, 1e20, "inf", "1e20", "-1e300"])
def test_a_label_that_is_no_class(label):
    labels = [label if i % 3 == 0 else (0 if isinstance(label, float) else "0") for i in range(60)]
    with pytest.raises(TableError, match=r"row 1, column 'y': .* is no label of a class"):
        prepare(frame_of().assign(y=labels), "y", name="refused")


@pytest.mark.parametrize("positive", ["TRUE", "true", "1.0", "1", "Ja ", "01"])
def test_the_positive_label_is_named_as_it_is_written(positive):
    other = {"TRUE": "FALSE", "true": "false", "1.0": "0.0", "1": "0", "Ja ": "Nein", "01": "02"}[positive]
    labels = pd.Series([positive, other, positive], name="y")
    target = take_target(labels, positive=positive)
    assert target.labels[1] == positive.strip()
    assert target.codes.tolist() == [1, 0, 1]


# Frames from Python


def test_names_of_columns_may_be_numbers():
    frame = frame_of().rename(columns={"a": 0, "b": 1, "y": 2})
    table = prepare(frame, 2, name="numbers", drop=[1])
    assert (table.target, table.columns) == ("2", ("0",))


def test_repeated_names_are_refused():
    frame = frame_of()
    frame.columns = ["a", "a", "y"]
    with pytest.raises(TableError, match=r"has 2 columns of the name 'a': names must differ"):
        prepare(frame, "y", name="twice")
    frame.columns = [1, "1", "y"]
    with pytest.raises(TableError, match=r"of the name '1'"):
        prepare(frame, "y", name="twice")


@pytest.mark.parametrize("option", ["drop", "keep", "categorical"])
def test_a_name_that_is_no_column_is_an_error(option):
    with pytest.raises(TableError, match=rf"no column 'nothing' \(--{option}\)"):
        prepare(frame_of(), "y", name="t", **{option: ["nothing"]})


def test_the_frame_stays_as_it_was():
    frame = frame_of(text=["1,5", "2,5"] * 30)
    before = frame.copy()
    prepare(frame, "y", name="t")
    pd.testing.assert_frame_equal(frame, before)


def test_mixed_numbers_and_texts_are_read_as_a_file_is():
    table = prepare(frame_of(x=[1, "2.5", 3.5, "4", 5] * 12), "y", name="mixed")
    assert table.X["f2"][:2].tolist() == [1.0, 2.5]


def test_the_check_for_leaks_ends_in_time():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 5)))
    assert leak_of(X, np.arange(100) % 2, deadline=Deadline(-1)) == ([], 0)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("share", [0.01, 0.3])
def test_a_quick_look_misses_no_leak(n_classes, share):
    """A threshold, a category and a missing value that give the target away, among 30,000 rows."""
    draw = np.random.default_rng(0)
    n = 30_000
    y = np.where(draw.random(n) < share, draw.integers(1, n_classes, n), 0)
    X = pd.DataFrame(
        {
            "noise": draw.normal(size=n),
            "threshold": y + draw.uniform(0, 0.99, n),
            "category": pd.Categorical(y * 10 + draw.integers(0, 5, n)),
            "tiny": np.where(y > 0, 1e-300 * y, 0.0),
        }
    )
    X["category"] = X.category.cat.rename_categories(range(X.category.nunique()))
    if n_classes == 2:
        X["missing"] = np.where(y > 0, np.nan, draw.normal(size=n))
    found = [name for name, _ in leak_of(X, y)[0]]
    assert found == [name for name in X.columns if name not in ("noise", "tiny")]


def test_the_example_of_payments(tmp_path):
    script = Path(__file__).parent.parent / "examples" / "make_payments.py"
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in files:
        subprocess.run([sys.executable, str(script), str(path), "--rows", "3000"], check=True, timeout=60)
    assert files[0].read_bytes() == files[1].read_bytes()
    roles = Roles(time="when", group="customer", cost_fp=5.0, cost_fn="amount")
    table = prepare(read_frame(files[0]), "fraud", name="payments", roles=roles)
    assert table.columns == ("amount", "country", "account_days", "hour")
    assert (np.diff(table.rows.time) >= 0).all()
    assert 3 < len(table.y) / len(np.unique(table.rows.group)) < 10
    # it drifts: more fraud in the second half
    assert table.y[1500:].mean() > 1.5 * table.y[:1500].mean()
