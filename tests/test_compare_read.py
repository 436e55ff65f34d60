"""Files: what does not parse is refused by row and column, and everything else stays as it is written."""

import gzip

import pandas as pd
import pytest

from focal_gbm.compare import TableError, read_frame

GOOD = "age,city,label\n" + "".join(
    f"{20 + i},{'ab'[i % 2]},{'yes' if i < 12 else 'no'}\n" for i in range(40)
)


def written(tmp_path, text, name="table.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


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
        # every value as it is written, so that what differs in blanks only can be told
        stripped = read_frame(path).apply(lambda column: column.str.strip())
        pd.testing.assert_frame_equal(stripped.astype("object"), expected.astype("object"))


def test_missing_values_are_found(tmp_path):
    frame = read_frame(written(tmp_path, "a,b\n1,?\nNA,x\nnone at all,x\n"), missing=["none at all"])
    assert frame.isna().sum().tolist() == [2, 1]
    # NA is a name, and a column of countries has it
    frame = read_frame(written(tmp_path, "a,b\nNA,None\n,x\n-,x\n"), missing=["-"], only_missing=True)
    assert frame.isna().sum().tolist() == [2, 0]
    assert frame.a[0] == "NA"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1.5", "x"), ("1,5", "2,5"), ("a, b; c | d", "1"), ("two\nlines; and | more", "1,5"),
        ('he said ""so""', "1"),
        ("", ""), ("2024-01-02 10:30", "5 %"),
    ],
)  # fmt: skip
def test_separators_are_not_counted_inside_texts(tmp_path, separator, first, second):
    """Few rows and many, blank lines first, what Excel writes first."""
    header = separator.join(['"a, b; and c"', "d", "y"])
    row = separator.join([f'"{first}"', f'"{second}"', "no"])
    for rows in (1, 2, 400):
        body = "\n".join([header, *[row] * rows]) + "\n"
        for text in (body, "\n\n" + body, f"sep={separator}\n" + body, body.rstrip("\n")):
            frame = read_frame(written(tmp_path, text))
            assert list(frame.columns) == ["a, b; and c", "d", "y"]
            assert len(frame) == rows
            assert frame.fillna("").iloc[-1].tolist() == [first.replace('""', '"'), second, "no"]


def test_a_separator_that_is_said(tmp_path):
    path = written(tmp_path, "a^b\n1^2\n")
    assert read_frame(path, separator="^").iloc[0].tolist() == ["1", "2"]
    ambiguous = written(tmp_path, "a;b,c;d\n1;2,3;4\n5;6,7;8\n")
    with pytest.raises(TableError, match=r"',' and ';' both make columns of every line.*--separator"):
        read_frame(ambiguous)
    assert list(read_frame(ambiguous, separator=";").columns) == ["a", "b,c", "d"]


def test_texts_of_any_length(tmp_path):
    long = "x, " * 100_000
    path = written(tmp_path, f'a,b,y\n"{long}",1,no\n2,3,yes\n')
    frame = read_frame(path)
    assert frame.a[0] == long
    with pytest.raises(TableError, match=r"row 2 \(line 3 of the file\): it has 1 values"):
        read_frame(written(tmp_path, f'a,b,y\n"{long}",1,no\n2\n'))


@pytest.mark.parametrize("rows", [1, 1000])
def test_a_wrong_row_is_named_wherever_it_is(tmp_path, rows):
    """No other separator is taken for its sake, and no value is filled in."""
    good = "a;b;y\n" + '1,5;"x\ny";no\n' * rows
    for wrong, words in (("1;2\n", "has 2 values"), ("1;2;3;4\n", "has 4 values")):
        with pytest.raises(
            TableError, match=rf"row {rows + 1} \(line {2 * rows + 3} of the file\): it {words}"
        ):
            read_frame(written(tmp_path, "\n" + good + wrong + '1,5;"x";no\n'))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252", "latin-1", "utf-8", "utf-8-sig"])
def test_encodings(tmp_path, encoding):
    path = written(tmp_path, "name;y\nJosé;0\n", encoding=encoding)
    assert read_frame(path, encoding=encoding).name[0] == "José"
    if encoding == "utf-16":  # its first bytes say it
        assert read_frame(path).name[0] == "José"


def test_names_that_are_empty_get_a_name(tmp_path):
    assert list(read_frame(written(tmp_path, ",a,\n0,1,2\n")).columns) == ["Unnamed: 0", "a", "Unnamed: 2"]
