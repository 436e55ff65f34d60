"""Reading files: what does not parse is refused by row and column, and everything else stays as it is written."""

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
        pd.testing.assert_frame_equal(read_frame(path), expected)


def test_missing_values_are_found(tmp_path):
    frame = read_frame(written(tmp_path, "a,b\n1,?\nNA,x\nnone at all,x\n"), missing=["none at all"])
    assert frame.isna().sum().tolist() == [2, 1]
