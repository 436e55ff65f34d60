"""Tables that can be compared on, and those that are refused, by row and column."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from focal_gbm.compare import TableError, Writing, embedded_table, prepare
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
        whole=np.arange(n),
        flag=np.arange(n) % 3 == 0,
        colour=[None if i % 7 == 0 else "rgb"[i % 3] for i in range(n)],
        nullable=pd.array([None, *range(n - 1)], dtype="Int64"),
        code=[i % 5 for i in range(n)],
        when=pd.date_range("2024-01-01", periods=n, tz="UTC"),
        key=[f"id-{i}" for i in range(n)],
    )
    table = prepare(frame, "y", name="types", categorical=["code"])
    assert table.columns == ("a", "b", "whole", "flag", "colour", "nullable", "code", "when")
    kinds = dict(zip(table.columns, table.X.dtypes, strict=True))
    assert [name for name, kind in kinds.items() if kind == "category"] == ["colour", "code"]
    assert table.X.isna().sum().sum() == 9 + 1
    # nothing of a name or a text reaches the hosts
    assert list(table.X.columns) == [f"f{i}" for i in range(8)]
    assert table.X["f4"].cat.categories.dtype.kind == "i"
    notes = " ".join(table.notes)
    assert "'key' has 60 different texts in 60 rows" in notes
    assert "'when' holds times" in notes


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"void": [np.nan] * 60}, r"column 'void' has no value in any row: leave it out"),
        ({"x": [*range(30), np.inf, *range(29)]}, r"row 31, column 'x': inf is no number"),
        (
            {"x": [*map(str, range(40)), "oops", *map(str, range(19))]},
            r"row 41, column 'x': 'oops' stands among numbers.*--missing 'oops'.*--categorical 'x'",
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
    assert leak_of(table.X, table.y) == []


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
    assert "the rarer one" in target.note
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
