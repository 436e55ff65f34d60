"""Tables that can be compared on, and those that are refused, by row and column."""

import gzip

import numpy as np
import pandas as pd
import pytest

from focal_gbm.compare import TableError, embedded_table, prepare, read_frame
from focal_gbm.compare.leaks import leak_of
from focal_gbm.compare.target import take_target

GOOD = "age,city,label\n" + "".join(
    f"{20 + i},{'ab'[i % 2]},{'yes' if i < 12 else 'no'}\n" for i in range(40)
)


def written(tmp_path, text, name="table.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def frame_of(n=60, **columns):
    draw = np.random.default_rng(0)
    columns = {"a": draw.normal(size=n), "b": draw.normal(size=n), **columns}
    return pd.DataFrame({**columns, "y": np.arange(n) % 4 == 0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is empty: the first line must name the columns"),
        ("a,b\n", r"has no rows below its header"),
        ("a,b,a\n1,2,3\n", r"has 2 columns of the name 'a'"),
        (
            "a,b,y\n1,2,0\n\n1,2\n",
            r"row 2 \(line 4 of the file\): it has 2 values, but the header names 3 columns, and ends before "
            r"column 'y'",
        ),
        (
            "a,b\n1,2\n1,2,oops\n",
            r"row 2 \(line 3 of the file\): it has 3 values.*'oops' comes after the last",
        ),
    ],
)
def test_a_file_that_does_not_parse(tmp_path, text, message):
    with pytest.raises(TableError, match=message):
        read_frame(written(tmp_path, text))


def test_bytes_of_another_encoding_are_named_and_can_be_read(tmp_path):
    path = written(tmp_path, "name,y\nok,0\nJosé,1\n", encoding="latin-1")
    with pytest.raises(TableError, match=r"row 2, column 'name': 'Jos�' is not utf-8"):
        read_frame(path)
    assert read_frame(path, encoding="latin-1").loc[1, "name"] == "José"
    with pytest.raises(TableError, match=r"encoding must be one that Python knows, got 'klingon'"):
        read_frame(path, encoding="klingon")


def test_files_that_are_none(tmp_path):
    with pytest.raises(TableError, match="does not exist"):
        read_frame(tmp_path / "nowhere.csv")
    with pytest.raises(TableError, match=r"must end in one of \.csv"):
        read_frame(written(tmp_path, GOOD, "table.xlsx"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TableError, match="is not a file"):
        read_frame(tmp_path / "folder.csv")
    for name in ("broken.csv.gz", "broken.parquet"):
        with pytest.raises(TableError, match=f"{name} cannot be read"):
            read_frame(written(tmp_path, "not what it says", name))
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(GOOD.encode() * 50)[:-20])
    with pytest.raises(TableError, match=r"cut\.csv\.gz cannot be read"):
        read_frame(cut)


def test_one_table_in_every_format(tmp_path):
    expected = read_frame(written(tmp_path, GOOD))
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    expected.to_parquet(tmp_path / "table.parquet")
    others = [
        written(tmp_path, "\ufeff" + GOOD, "marked.csv"),
        written(tmp_path, GOOD.replace(",", ";"), "semicolons.csv"),
        written(tmp_path, GOOD.replace(",", "\t"), "tabs.tsv"),
        written(tmp_path, GOOD.replace(",", ", "), "spaces.csv"),
        written(tmp_path, GOOD.replace("\n", "\r\n"), "windows.csv"),
        tmp_path / "table.csv.gz",
        tmp_path / "table.parquet",
    ]
    for path in others:
        pd.testing.assert_frame_equal(read_frame(path), expected)


def test_missing_values_are_found(tmp_path):
    frame = read_frame(written(tmp_path, "a,b\n1,?\nNA,x\nnone at all,x\n"), missing=["none at all"])
    assert frame.isna().sum().tolist() == [2, 1]


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
