"""Files and columns: every way to write a quantity is read right through an option, or refused with it."""

import datetime
import decimal
import gzip
import shlex

import numpy as np
import pandas as pd
import pytest

from focal_gbm.compare import Reading, TableError, read_frame
from focal_gbm.compare.columns import Refused, as_spans, begins_as_number, read_column, refuse
from focal_gbm.compare.table import prepare

ROWS = 60
VALUES = np.random.default_rng(0).lognormal(7, 2, ROWS).round(2) + 1000.25
SWAP = str.maketrans(",.", ".,")
SPANS = VALUES.round() * 37


def hms(seconds):
    return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"


#: How a quantity is written, and the option that reads it; None where it is refused.
WAYS = {
    "plain": (lambda v: f"{v:.2f}", ""),
    "plus": (lambda v: f"+{v:.2f}", ""),
    "power of ten": (lambda v: f"{v:.10e}", ""),
    "blanks around": (lambda v: f"  {v:.2f} ", ""),
    "decimal comma": (lambda v: f"{v:.2f}".replace(".", ","), "--decimal ,"),
    "power of ten, comma": (lambda v: f"{v:.10E}".replace(".", ","), "--decimal ,"),
    "thousands, point": (lambda v: f"{v:,.2f}", "--thousands ,"),
    "thousands, comma": (lambda v: f"{v:,.2f}".translate(SWAP), "--decimal , --thousands ."),
    "blanks, comma": (lambda v: f"{v:,.2f}".translate(SWAP).replace(".", " "), "--decimal , --thousands ' '"),
    "narrow blanks": (lambda v: f"{v:,.2f}".replace(",", "\u202f"), "--thousands ' '"),
    "apostrophes": (lambda v: f"{v:,.2f}".replace(",", "'"), '--thousands "\'"'),
    "pandas' spans": (lambda v: str(pd.Timedelta(seconds=round(v) * 37)), "--numeric q"),
    "hours and minutes": (lambda v: f"{round(v) * 37 // 60}m {round(v) * 37 % 60}s", "--numeric q"),
    "ISO spans": (lambda v: f"PT{round(v) * 37}S", "--numeric q"),
    "a clock": (lambda v: hms(round(v) * 37), "--numeric q"),
    "a year and a month": (lambda v: f"{1990 + int(v) % 30}-{1 + int(v) % 12:02d}", "--date-format %Y-%m"),
    "days first": (lambda v: f"{13 + int(v) % 15}.03.{1990 + int(v) % 30}", "--date-format %d.%m.%Y"),
    "words before": (lambda v: f"approx. {v:.2f}", "note"),
    "weeks": (lambda v: f"week {int(v)}", "note"),
}


#: Quantities that no option reads, as `str.format` writes them.
REFUSED = [
    "{n}:{k:02d}", "${v:,.2f}", "-${v:.2f}", "US$ {v:.2f}", "{v:.2f} €", "€{v:.4f}M", "CHF {v:,.2f}",
    "Rs. {v:.2f}", "{v:.2f}%", "{v:.2f} kg", "{v:.2f}km/h", "{v:.2f}k", "({v:.2f})", "{v:.2f}-", "{n:,}+",
    "\N{MINUS SIGN}{v:.2f}", "{n}+ years", "{n} months", "{n}-{k}", "[{n}, {k})", "<{v:.2f}", "< {n} years",
    "≥ {v:.2f}", "~{v:.2f}", "{n}'{k}\"", "{n}/7", "{n:_}", "0x{n:x}", "{v:.4f}×10³", "#{n}", "{n}th",
    "£{n}bn", "１{n}", "½ of {n}", "{n} ± {k}", "{v:.2f} CR", "kr {v:.2f}", "R${n},{k:02d}", "{n}ppm",
    "{n} h {k}", "2.{n}.{k}", "{v:.2f} EUR",
]  # fmt: skip
WAYS |= {text: (lambda v, text=text: text.format(v=v, n=int(v), k=int(v) % 60), None) for text in REFUSED}


def frame_of(values, **more):
    y = np.where(np.random.default_rng(1).random(len(values)) < 0.3, "yes", "no")
    return pd.DataFrame({"q": values, "x": np.random.default_rng(2).normal(size=len(values)), "y": y, **more})


def written(frame, path, kind):
    path = path / f"t.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def options_of(text):
    """Return the options of a line that could be pasted, as `Reading` takes them."""
    found, words = {}, shlex.split(text)
    for option, value in zip(words[::2], words[1::2], strict=True):
        name = option[2:].replace("-", "_")
        found[name] = value if name in ("decimal", "thousands") else [*found.get(name, []), value]
    return found


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("way", WAYS)
def test_a_quantity_is_read_right_or_refused_with_the_option(tmp_path, way, kind):
    write, option = WAYS[way]
    frame = read_frame(written(frame_of([write(value) for value in VALUES]), tmp_path, kind))
    if option == "note":
        table = prepare(frame, "y", keep=["q"])
        assert table.X.dtypes.iloc[0] == "category"
        table = prepare(frame.assign(q=frame.q[:5].tolist() * 12), "y")
        assert any("texts with digits are names without an order" in note for note in table.notes)
        return
    if option == "":
        np.testing.assert_allclose(prepare(frame, "y").X["f0"], VALUES, rtol=1e-8)
        return
    with pytest.raises(TableError, match=r"begin like numbers but are not") as refused:
        prepare(frame, "y")
    line = next(line for line in str(refused.value).splitlines() if line.startswith("  'q', row "))
    assert repr(frame.q.iloc[int(line.split()[2].rstrip(":")) - 1]) in line
    paste = str(refused.value).rpartition("ready to paste: ")[2]
    if option is None:
        assert paste == "--categorical q"
        assert prepare(frame, "y", reading=Reading(**options_of(paste))).X.dtypes.iloc[0] == "category"
        with pytest.raises(TableError, match=r"row 1, column 'q' \(--numeric\): .* is no number"):
            prepare(frame, "y", reading=Reading(numeric=["q"]))
        assert prepare(frame, "y", drop=["q"]).columns == ("x",)
        return
    assert paste == option
    found = read_column(frame.q, Reading(**options_of(paste))).values
    if option.startswith("--numeric"):
        np.testing.assert_allclose(found, SPANS / 86400, rtol=1e-8)
    elif option.startswith("--date"):
        form = option.split()[1]
        days = pd.Series([datetime.datetime.strptime(one, form) for one in frame.q])
        np.testing.assert_allclose(found, (days - days.min()).dt.days)
    else:
        np.testing.assert_allclose(found, VALUES, rtol=1e-8)


def test_one_error_names_all_columns_and_its_options_read_them():
    term = ["36 months", "60 months"] * 30
    span = ["2h 10m", "45m"] * 30
    money = ["1,234.50", "7.25"] * 30
    frame = frame_of(term, span=span, money=money, odd=["10-15", "16-20", "x y"] * 20)
    frame = frame.rename(columns={"q": "loan term"})
    with pytest.raises(TableError) as refused:
        prepare(frame, "y")
    text = str(refused.value)
    for name in ("loan term", "span", "money", "odd"):
        assert f"  {name!r}, row 1: " in text
    paste = text.rpartition("ready to paste: ")[2]
    assert paste == "--categorical 'loan term' --numeric span --thousands , --categorical odd"
    table = prepare(frame, "y", reading=Reading(**options_of(paste)), keep=["span"])
    assert [kind.name for kind in table.X.dtypes] == ["category", "float64", "float64", "float64", "category"]


def test_what_can_be_read_in_two_ways_is_not_chosen():
    frame = frame_of(["1,234", "7"] * 30)
    with pytest.raises(TableError) as refused:
        prepare(frame, "y")
    assert "--decimal , or --thousands ,, which differ" in str(refused.value)
    assert "ready to paste" not in str(refused.value)
    assert read_column(frame.q, Reading(decimal=",")).values[0] == 1.234
    assert read_column(frame.q, Reading(thousands=",")).values[0] == 1234.0
    days = frame_of(["03/04/2024", "05/07/2024"] * 30)
    with pytest.raises(TableError, match=r"--date-format %d/%m/%Y or --date-format %m/%d/%Y, which differ"):
        prepare(days, "y")


def test_no_column_tells_how_another_is_read():
    """An address, or a column with decimal commas, changes nothing elsewhere."""
    frame = frame_of([f"196.86{i}" for i in range(10)] * 6, address=["192.168.100.200", "10.0.0.1"] * 30)
    table = prepare(frame, "y", reading=Reading(categorical=["address"]))
    assert table.X["f0"][:2].tolist() == [196.86, 196.861]


def test_signs_that_were_said_are_strict():
    frame = frame_of(["1.5", "2.5"] * 30)
    with pytest.raises(TableError, match=r"'q', row 1: '1\.5'   --decimal \."):
        prepare(frame, "y", reading=Reading(decimal=","))
    for wrong in ({"decimal": ",", "thousands": ","}, {"decimal": "ab"}, {"thousands": "5"}):
        with pytest.raises(TableError, match=r"must be two characters, no digit, letter or sign, got"):
            Reading(**wrong)
    with pytest.raises(TableError, match=r"'q' cannot be --numeric and --categorical"):
        Reading(numeric=["q"], categorical=["q"])


def test_words_among_numbers_are_refused_with_their_row():
    frame = frame_of(["1", "2", "2.5", "4", "5", "6", "7", "few", "too many", "-"] * 10)
    with pytest.raises(TableError, match=r"'q', row 8: 'few'") as refused:
        prepare(frame, "y")
    paste = str(refused.value).rpartition("ready to paste: ")[2]
    assert paste == "--na few --na 'too many' --na -"
    assert prepare(frame, "y", reading=Reading(**options_of(paste))).X["f0"].isna().sum() == 30
    with pytest.raises(TableError, match=r"row 8, column 'q' \(--numeric\): 'few' is no number"):
        prepare(frame, "y", reading=Reading(numeric=["q"]))


def test_a_plain_number_is_no_span():
    """pandas.to_timedelta takes "12" for nanoseconds, and "2000-11" for a span."""
    assert np.isnan(as_spans(pd.Series(["12", "2000-11", "1,5"]))).all()
    with pytest.raises(TableError, match=r"row 1, column 'q' \(--numeric\): '2h' is no number and no span"):
        read_column(pd.Series(["2h", "12"], name="q"), Reading(numeric=["q"]))


def test_names_are_categories():
    for values in (
        ["red", "green"], ["V27", "250.1", "E8", "F1"], ["a", "b", "5"], ["Q1", "Q2"], ["Ärger", "naïve"],
        ["$tock", "€uro"], ["PT", "P2"], ["B12", "C000123"],
    ):  # fmt: skip
        found = read_column(pd.Series([*values, None] * 20, name="q"), Reading())
        assert (found.kind, found.values.nunique()) == ("category", len(values))
        assert found.values.isna().sum() == 20


def test_more_than_half_of_the_values_or_of_the_rows_decide():
    by_value = ["none"] * 60 + [f"{i} kg" for i in range(5)]
    by_row = ["5 kg"] * 60 + [*"abcdefg"]
    for values in (by_value, by_row):
        assert isinstance(read_column(pd.Series(values, name="q"), Reading()), Refused)
    refuse([])
    assert not begins_as_number("")


#: Days since the first, however they are written or stored.
DAYS = pd.date_range("2023-11-20 08:15", periods=40, freq="31h")


@pytest.mark.parametrize(
    ("form", "is_iso"),
    [
        ("%Y-%m-%d", True), ("%Y-%m-%d %H:%M", True), ("%Y-%m-%dT%H:%M:%SZ", True), ("%d.%m.%Y", False),
        ("%d/%m/%Y %H:%M", False), ("%m/%d/%Y %I:%M %p", False), ("%d-%b-%Y", False),
        ("%b %d, %Y", False), ("%Y/%m/%d", False), ("%Y%m%d %H", False),
    ],
)  # fmt: skip
def test_dates_are_days_since_the_first(form, is_iso):
    texts = pd.Series(DAYS.strftime(form), name="when")
    expected = pd.to_datetime(texts, format=form)
    found = read_column(texts, Reading(date_format=[] if is_iso else ["%Y", form]))
    assert found.kind == "time"
    np.testing.assert_allclose(found.values, (expected - expected.min()).dt.total_seconds() / 86400)


def test_dates_of_any_year_and_resolution(tmp_path):
    """9999-12-31 stands for "for ever", and is out of the nanoseconds of pandas 2."""
    texts = ["2024-01-01", "9999-12-31", "1066-10-14", None]
    span = float((datetime.date(9999, 12, 31) - datetime.date(1066, 10, 14)).days)
    stored = np.array(texts[:3], "datetime64[s]")
    for column in (
        pd.Series(texts), pd.Series(stored),
        pd.Series([datetime.date.fromisoformat(one) for one in texts[:3]]),
        pd.Series([datetime.datetime.fromisoformat(one) for one in texts[:3]], dtype="object"),
    ):  # fmt: skip
        found = read_column(column.rename("until"), Reading())
        assert (found.kind, found.values.max(), found.values.min()) == ("time", span, 0.0)
        assert found.values[0] == span - (datetime.date(9999, 12, 31) - datetime.date(2024, 1, 1)).days
    frame = pd.DataFrame({"until": stored, "y": [1, 2, 3]})
    for kind in ("csv", "parquet"):
        read = read_frame(written(frame, tmp_path, kind))
        assert read_column(read.until, Reading()).values.max() == span


def test_types_that_are_no_texts():
    quarter = pd.Timedelta(hours=6)
    for values, kind, expected in [
        ([True, False], "number", [1, 0]), ([2**63, 1], "number", [2.0**63, 1]),
        ([decimal.Decimal("0.25"), None], "number", [0.25, np.nan]), ([None, None], "number", [np.nan] * 2),
        (pd.array([None, 3], dtype="Int64"), "number", [np.nan, 3]), ([datetime.time(6)], "time", [0.25]),
        (pd.array([True, None], dtype="boolean"), "number", [1, np.nan]), ([quarter], "time", [0.25]),
        (np.array([1.5], np.float32), "number", [1.5]), (["1e3", "-.5"], "number", [1000, -0.5]),
        (["TRUE", " false "], "number", [1, 0]), ([1, "2.5"], "number", [1, 2.5]), (["01"], "number", [1]),
        (pd.date_range("2024-01-01", periods=2, tz="Europe/Berlin"), "time", [0, 1]),
    ]:  # fmt: skip
        found = read_column(pd.Series(values, name="q"), Reading())
        assert found.kind == kind
        np.testing.assert_array_equal(found.values, np.array(expected, float))
    codes = read_column(pd.Series([7, 7, 9], name="q"), Reading(categorical=["q"]))
    assert (codes.kind, codes.values.cat.codes.tolist()) == ("category", [0, 0, 1])
    kinds = pd.Categorical(["10+ years", None, "b"], ["z", "b", "10+ years"])
    declared = read_column(pd.Series(kinds), Reading())
    assert (declared.kind, declared.values.cat.codes.tolist()) == ("category", [1, -1, 0])
    numeric = read_column(pd.Series(pd.Categorical(["2", "1"]), name="q"), Reading(numeric=["q"]))
    assert numeric.values.tolist() == [2.0, 1.0]
    for values in ([[1]], [b"x"], [{"a": 1}, 5], [1j, "x", ()]):
        with pytest.raises(TableError, match=r"'q' holds neither numbers nor texts nor times \(--drop q\)"):
            read_column(pd.Series(values, name="q"), Reading())


# Files


GOOD = "age,city,label\n" + "".join(f"{20 + i},{'ab'[i % 2]},{'yes' if i < 9 else 'no'}\n" for i in range(40))


def file(tmp_path, text, name="table.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


def test_one_table_in_every_format(tmp_path):
    expected = read_frame(file(tmp_path, GOOD)).astype("object")
    expected.to_parquet(tmp_path / "table.parquet")
    tabs = GOOD.replace(",", "\t")
    ways = {
        "marked.csv": (GOOD, {}, "utf-8-sig"), "semi.csv": (GOOD.replace(",", ";"), {"sep": ";"}, "utf-8"),
        "tabs.tsv": (tabs, {}, "utf-8"), "tabs.csv": (tabs, {"sep": "tab"}, "utf-8"),
        "spaces.csv": (GOOD.replace(",", " , "), {}, "utf-8"),
        "windows.csv": (GOOD.replace("\n", "\r\n"), {}, "utf-16"),
        "table.csv.gz": (gzip.compress(GOOD.encode()), {}, "utf-8"),
        "two lines.csv": ("a\nb,c\n" + GOOD, {"skip": 2}, "utf-8"),
    }  # fmt: skip
    for name, (text, how, encoding) in ways.items():
        of = {"encoding": encoding} if encoding == "utf-16" else {}
        found = read_frame(file(tmp_path, text, name, encoding), **how, **of).astype("object")
        pd.testing.assert_frame_equal(found, expected)
    pd.testing.assert_frame_equal(read_frame(tmp_path / "table.parquet").astype("object"), expected)
    found = read_frame(file(tmp_path, GOOD.partition("\n")[2], "body.csv"), header=False)
    assert (list(found.columns), len(found)) == (["f0", "f1", "f2"], 40)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"cannot be read: Empty CSV file"), ("a,b\n", r"has no rows"),
        ("a,b,y\n1,2,0\n1,2\n", r"cannot be read: .*Row #3: Expected 3 columns, got 2: 1,2"),
        ("a,b\n1,2\n1,2,oops\n", r"Row #3: Expected 2 columns, got 3"),
        ("a;b\n1;2\n", r"has one column, 'a;b': say what separates values \(--sep ';'\)"),
        ("a\tb\n1\t2\n", r"\(--sep tab\)"), ("a,b\nJos\xe9,1\n".encode("latin-1"), r"--encoding: cp1252"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_parse(tmp_path, text, message):
    with pytest.raises(TableError, match=message):
        read_frame(file(tmp_path, text))


def test_files_that_are_none(tmp_path):
    for name, text in (("broken.csv.gz", "x"), ("broken.parquet", "not what it says")):
        with pytest.raises(TableError, match=f"{name} cannot be read"):
            read_frame(file(tmp_path, text, name))
    path = file(tmp_path, "n\nJos\xe9\n", encoding="cp1252")
    assert read_frame(path, encoding="cp1252").n[0] == "Jos\xe9"
    for how in ({"sep": ";;"}, {"encoding": "klingon"}, {"path": "nowhere.csv"}):
        with pytest.raises(TableError, match=r"\.csv cannot be read"):
            read_frame(**{"path": path, **how})


def test_missing_values_and_classes_of_their_names(tmp_path):
    path = file(tmp_path, "a,b\n1, ?\nNA,None\n,x\n")
    assert read_frame(path).isna().sum().tolist() == [2, 2]
    assert read_frame(path, na_only=True).isna().sum().tolist() == [1, 0]


def test_an_index_of_parquet_is_a_column_unless_it_counts(tmp_path):
    draw, path = np.random.default_rng(0), tmp_path / "t.parquet"
    frame = frame_of(draw.normal(size=ROWS), age=draw.integers(18, 90, ROWS))
    unnamed = frame.set_index(frame.age.to_numpy()).drop(columns="age")
    two = frame.set_index(["age", frame.q.rename("other")])
    for stored, names in [
        (frame, "q x y age"), (frame.set_index("age"), "q x y age"), (two, "q x y age other"),
        (unnamed, "q x y index"),
    ]:  # fmt: skip
        stored.to_parquet(path)
        assert list(read_frame(path).columns) == names.split()
    # it reaches the models, of a DataFrame too
    frame.set_index("age").to_parquet(path)
    for found in (read_frame(path), frame.set_index("age")):
        assert set(prepare(found, "y").columns) == {"q", "x", "age"}
