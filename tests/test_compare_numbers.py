"""Numbers and times, written in any way, are read right or refused by name with what settles it."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest

from focal_gbm.compare import TableError, Writing, prepare, read_frame
from focal_gbm.compare.numbers import decimal_sign_of

SWAP = str.maketrans(",.", ".,")


def us(value):
    return f"{value:.2f}"


#: Ways to write a number, whose values are all of a hundred or more with two decimals.
WAYS = {
    "decimal point": us,
    "decimal comma": lambda value: us(value).replace(".", ","),
    "thousands, point": lambda value: f"{value:,.2f}",
    "thousands, comma": lambda value: f"{value:,.2f}".translate(SWAP),
    "blanks, comma": lambda value: f"{value:,.2f}".translate(SWAP).replace(".", " "),
    "narrow blanks, comma": lambda value: f"{value:,.2f}".translate(SWAP).replace(".", "\u202f"),
    "apostrophes, point": lambda value: f"{value:,.2f}".replace(",", "'"),
    "percent": lambda value: f"{us(value)}%",
    "percent, comma": lambda value: f"{us(value)} %".replace(".", ","),
    "dollars": lambda value: f"${value:,.2f}",
    "euros": lambda value: f"{value:,.2f} €".translate(SWAP),
    "code of a currency": lambda value: f"CHF {value:,.2f}",
    "unit": lambda value: f"{us(value)} kg",
    "unit, comma": lambda value: f"{us(value)}km/h".replace(".", ","),
    "brackets": lambda value: f"({value:,.2f})",
    "minus of typesetters": lambda value: f"\N{MINUS SIGN}{us(value)}",
    "minus behind": lambda value: f"{us(value)}-",
    "power of ten": lambda value: f"{value:.8e}",
    "power of ten, comma": lambda value: f"{value:.8E}".replace(".", ","),
    "plus": lambda value: f"+{us(value)}",
    "blanks around": lambda value: f"  {us(value)} ",
}
NEGATIVE = ("brackets", "minus of typesetters", "minus behind")


@pytest.mark.parametrize(("few", "rows"), [(True, 60), (True, 400), (False, 60), (False, 400)])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("way", WAYS)
def test_numbers_are_read_as_they_are_meant(tmp_path, way, separator, few, rows):
    draw = np.random.default_rng(0)
    values = (
        draw.choice([120.5, 4321.25, 7.75, 1234567.5], rows) if few else draw.lognormal(7, 2, rows).round(2)
    )
    quote = '"' if separator in "," else ""  # only the comma is in the numbers themselves
    written = [f"{quote}{WAYS[way](value)}{quote}" for value in values]
    lines = [f"{text}{separator}{'yes' if i % 4 else 'no'}" for i, text in enumerate(written)]
    path = tmp_path / "numbers.csv"
    path.write_text("\n".join([f"x{separator}y", *lines]), encoding="utf-8")
    table = prepare(read_frame(path), "y", name="numbers")
    sign = -1.0 if way in NEGATIVE else 1.0
    np.testing.assert_allclose(table.X["f0"].to_numpy(dtype=float), sign * values, rtol=1e-7)
    is_plain = way in ("decimal point", "power of ten", "plus", "blanks around")
    assert any("column 'x' is read as numbers" in note for note in table.notes) != is_plain


@pytest.mark.parametrize(("text", "value"), [("1,234", 1234.0), ("1.234", 1.234), ("12,345", 12345.0)])
def test_another_column_tells_what_a_column_does_not(text, value):
    """Every value may be a thousand or a little more than one; a rate of "0.5" beside it tells."""
    frame = pd.DataFrame({"x": [text, "7"] * 30, "rate": ["0.5", "12.25"] * 30, "y": ["a", "b", "b"] * 20})
    table = prepare(frame, "y", name="t")
    assert table.X["f0"][:2].tolist() == [value, 7.0]
    # with decimal commas, the other way round; but "1.234" is what programs write, and it is refused
    frame = frame.apply(lambda column: column.str.translate(SWAP))
    if text == "1.234":
        assert prepare(frame, "y", name="t").X["f0"][0] == 1.234
    else:
        with pytest.raises(TableError, match=r"column 'x': '1.*' is a thousand and more if.*--decimal"):
            prepare(frame, "y", name="t")
        assert prepare(frame, "y", name="t", writing=Writing(decimal=",")).X["f0"][0] == value


@pytest.mark.parametrize("text", ["1,234", "12,345", "€ 1.234", "1,234 %"])
def test_what_nothing_tells_is_refused_and_can_be_said(text):
    frame = pd.DataFrame(
        {"x": [text, "7" + text[-2:] if "%" in text else text] * 30, "y": ["a", "b", "b"] * 20}
    )
    with pytest.raises(TableError, match=r"column 'x': .*--decimal , or --thousands ,"):
        prepare(frame, "y", name="t")
    digits = re.sub(r"[^\d.,]", "", text)
    as_comma = prepare(frame, "y", name="t", writing=Writing(decimal=","), keep=["x"]).X["f0"][0]
    as_point = prepare(frame, "y", name="t", writing=Writing(thousands=","), keep=["x"]).X["f0"][0]
    assert as_comma == float(digits.translate(SWAP).replace(",", ""))
    assert as_point == float(digits.replace(",", ""))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1.5", "2,5"], r"a decimal point \('1\.5'\) and with a decimal comma \('2,5'\)"),
        (["1 kg", "2 g"], r"different units \('kg', 'g'\).*--categorical 'x'.*--drop 'x'"),
        (["1 kg", "2"], r"different units"),
        (
            ["1", "2", "3", "few"],
            r"row 4, column 'x': 'few' stands among numbers.*--na 'few'.*--categorical 'x'",
        ),
        (["1", "2,5", "3", "few"], r"'few' stands among numbers"),
        (["5", "6", "7", "<5", ">9"], r"row 4, column 'x': '<5' and 1 other texts stand among numbers"),
        (["1", "2", "inf"], r"row 3, column 'x': inf is no number"),
    ],
)
@pytest.mark.parametrize("times", [10, 200])
def test_what_cannot_be_read_is_refused_by_name(values, message, times):
    frame = pd.DataFrame({"x": values * times, "z": ["0.5"] * len(values) * times})
    frame["y"] = np.random.default_rng(0).random(len(frame)) < 0.3
    with pytest.raises(TableError, match=message):
        prepare(frame, "y", name="t")
    table = prepare(frame, "y", name="t", categorical=["x"])
    assert table.X["f0"].nunique() == len(values)


def test_other_numbers_than_those_that_were_said_are_refused():
    frame = pd.DataFrame({"x": ["1.5", "2.5"] * 30, "y": ["a", "b", "b"] * 20})
    with pytest.raises(TableError, match=r"column 'x': '1\.5' is no number with the decimal sign ','"):
        prepare(frame, "y", name="t", writing=Writing(decimal=","))


@pytest.mark.parametrize(
    "values", [["V27", "250.1", "E8"], ["0", "1", "2+"], ["a", "b", "5"], ["10-15", "16-20", "21"]]
)
def test_words_with_some_numbers_are_categories_and_said_so(values):
    frame = pd.DataFrame({"x": values * 20, "y": np.arange(20 * len(values)) % 3 == 0})
    frame["y"] = np.random.default_rng(0).permutation(frame.y)
    table = prepare(frame, "y", name="t")
    assert table.X["f0"].dtype == "category"
    assert any("column 'x' holds numbers" in note and "taken as categories" in note for note in table.notes)


def test_codes_with_zeros_in_front_are_said():
    frame = pd.DataFrame({"zip": ["01234", "10115"] * 30, "y": ["a", "b", "b"] * 20})
    assert any(
        "'01234' too: codes are kept by --categorical 'zip'" in n for n in prepare(frame, "y", name="t").notes
    )


def test_truth_is_a_number():
    frame = pd.DataFrame({"x": ["True", "False", None] * 20, "y": ["a", "b"] * 30})
    assert prepare(frame, "y", name="t").X["f0"][:2].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("whole", "part"), list(itertools.product(["1", "12", "123", "1234", "0"], ["5", "25", "125", "1255"]))
)
def test_only_three_digits_behind_one_to_three_are_ambiguous(whole, part):
    for sign in ".,":
        found = decimal_sign_of(f"{whole}{sign}{part}")
        is_ambiguous = len(part) == 3 and len(whole) <= 3 and whole != "0"
        assert found == ("" if is_ambiguous else sign)


@pytest.mark.parametrize(
    ("digits", "sign"),
    [
        ("1 234,567", ","), ("1'234.567", "."), ("1 234", ""), ("12 34", None), ("1 234 567,5", ","),
        ("1.234.567", ","), ("1,23,456", "."), ("1.23.45", None), ("1,234.5", "."), ("1.5,5", None),
        ("0,123", ","), (".5", "."), (",", None),
    ],
)  # fmt: skip
def test_what_a_number_proves(digits, sign):
    assert decimal_sign_of(digits) == sign


# Times

DAYS = pd.date_range("2023-11-20 08:15", periods=300, freq="31h")


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ",
        "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y", "%m/%d/%Y %I:%M %p", "%d-%m-%Y",
        "%d/%m/%y", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%B %d, %Y", "%d%b%Y",
    ],
)  # fmt: skip
@pytest.mark.parametrize("separator", [",", ";"])
def test_dates_and_times_are_days(tmp_path, form, separator):
    path = tmp_path / "times.csv"
    lines = [f'"{day.strftime(form)}"{separator}{"ab"[i % 2]}' for i, day in enumerate(DAYS)]
    path.write_text("\n".join([f"when{separator}y", *lines]), encoding="utf-8")
    table = prepare(read_frame(path), "y", name="times")
    expected = pd.to_datetime(pd.Series(DAYS.strftime(form)), format=form, utc=True)
    expected = (expected - expected.min()).dt.total_seconds() / 86_400
    np.testing.assert_allclose(table.X["f0"], expected)
    assert table.notes[1] == "column 'when' holds times: taken as days since the earliest, 2023-11-20."


def test_times_in_parquet_and_in_csv_are_the_same(tmp_path):
    frame = pd.DataFrame({"when": DAYS, "y": ["a", "b"] * 150})
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    tables = [prepare(read_frame(tmp_path / name), "y", name="t") for name in ("t.parquet", "t.csv")]
    pd.testing.assert_frame_equal(tables[0].X, tables[1].X)
    assert tables[0].notes == tables[1].notes


def test_day_and_month_that_cannot_be_told_apart():
    frame = pd.DataFrame({"when": ["03/04/2024", "05/07/2024"] * 30, "y": ["a", "b", "b"] * 20})
    with pytest.raises(TableError, match=r"column 'when': '03/04/2024' may.*--day-first or --month-first"):
        prepare(frame, "y", name="t")
    for day_first, days in ((True, 93), (False, 64)):
        assert prepare(frame, "y", name="t", day_first=day_first).X["f0"].max() == days


def test_times_of_the_day_and_strays_among_times():
    frame = pd.DataFrame({"at": ["10:30", "22:45"] * 30, "y": ["a", "b", "b"] * 20})
    assert prepare(frame, "y", name="t").X["f0"][0] == 10.5 / 24
    frame["when"] = ["2024-01-01", "2024-01-02", "soon"] * 20
    with pytest.raises(TableError, match=r"row 3, column 'when': 'soon' stands among times.*--na 'soon'"):
        prepare(frame, "y", name="t")
