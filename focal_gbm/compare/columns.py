"""The columns of a table as numbers, times and categories.

Nothing is guessed: a text that begins as a number and is none is refused, with the option that reads it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from numbers import Real
from shlex import quote
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from focal_gbm.compare.errors import TableError

FloatArray = NDArray[np.float64]

#: What may stand before the digits of an amount, apart from signs that are no letters, and of an ISO span.
_BEFORE = re.compile(
    r"[A-Z]{0,3}\$|(?:USD|EUR|GBP|JPY|CNY|RMB|INR|CHF|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BRL|MXN|ZAR|KRW|"
    r"TRY|ILS|SGD|HKD|RUB|IDR|THB|Rs\.?|kr\.?|Fr\.?|z\u0142|K\u010d|DM|DR|CR)(?=\W*\d)|P(?:T(?=\d)|(?=\d+[YMWD]))",
    re.IGNORECASE,
)  # fmt: skip

#: Ways to write numbers and dates: an error names those that read the whole column.
_WRITINGS: dict[str, tuple[str, str | None]] = {
    "--decimal .": (".", None), "--decimal ,": (",", None), "--thousands ,": (".", ","),
    "--decimal , --thousands .": (",", "."), "--decimal , --thousands ' '": (",", " "),
    "--thousands ' '": (".", " "), '--thousands "\'"': (".", "'"),
}  # fmt: skip
_DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y")
_DATES = (*(day + clock for clock in ("", " %H:%M", " %H:%M:%S", " %I:%M %p") for day in _DAYS), "%Y-%m")

#: Spans of time; pandas would take "2000-11" for one, too.
_SPAN = r"[+-]?(?:P\w+(?:\.\w+)?|(?:\d+(?:\.\d+)?\s*[a-zA-Z]+[\s,]*)*(?:[+-]?\d+:\d\d:\d\d(?:\.\d+)?)?)"

#: So many texts that are no numbers, among numbers, may mean missing.
_FEW_STRAYS = 3


@dataclass(frozen=True)
class Reading:
    """How texts are read.

    Attributes
    ----------
    numeric, categorical : collection of str
        Columns that hold numbers or spans of time, and columns that hold categories, whatever they look like.
    decimal, thousands : str and str or None
        Separators of the numbers in texts.
    date_format : sequence of str
        Formats of dates, as `datetime.strptime` takes them, besides ISO 8601.
    na : sequence of str
        Texts that mean missing, besides the empty one.
    """

    numeric: Collection[str] = ()
    categorical: Collection[str] = ()
    decimal: str = "."
    thousands: str | None = None
    date_format: Sequence[str] = ()
    na: Sequence[str] = ()

    def __post_init__(self) -> None:
        signs = [self.decimal] + ([] if self.thousands is None else [self.thousands])
        if any(len(sign) != 1 or sign.isalnum() or sign in "+-" for sign in signs) or len(set(signs)) < len(signs):
            raise TableError(
                f"--decimal and --thousands must be two characters, no digit, letter or sign, got {signs}."
            )
        if both := sorted({*self.numeric} & {*self.categorical}):
            raise TableError(f"column {both[0]!r} cannot be --numeric and --categorical.")


class Column(NamedTuple):
    """A column that was read: float64 with NaN for missing, or categories that are whole numbers.

    `kind` is "number", "time" (days) or "category"; `example` is a text of it that deserves a note.
    """

    kind: str
    values: pd.Series
    example: str | None = None


class Refused(NamedTuple):
    """A column whose texts begin as numbers do: where one of them is, and the options that read them all."""

    name: str
    row: int
    value: str
    options: list[str]


def read_column(series: pd.Series, reading: Reading) -> Column | Refused:
    """Return a column as numbers, times or categories, or why its texts are none of them.

    Parameters
    ----------
    series : Series of shape (n_rows,)
        Of any type that Arrow knows; its index counts rows from 0.
    reading : Reading

    Raises
    ------
    TableError
        For values that are neither numbers nor texts nor times, and what --numeric names and is no number.
    """
    name = str(series.name)
    if isinstance(series.dtype, pd.CategoricalDtype):
        if name not in reading.numeric:
            return Column("category", _category(series.cat.codes.to_numpy(), series.index))
        series = series.astype(series.cat.categories.dtype)
    array = _as_arrow(series)
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _Texts(array, series.index, name).read(reading)
    if name in reading.categorical:
        return Column("category", _category(_codes(array.dictionary_encode()), series.index))
    if pa.types.is_temporal(kind):
        return Column("time", pd.Series(_days(array), series.index))
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise TableError(f"column {name!r} holds neither numbers nor texts nor times (--drop {quote(name)}).")
    return Column(
        "number", pd.Series(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), series.index)
    )


def _as_arrow(series: pd.Series) -> Any:
    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        # numbers and texts in one column are read as they would stand in a file
        is_scalar = all(isinstance(value, (str, Real)) or value is None for value in series)
        texts = series.map(str, na_action="ignore").map(lambda text: text if is_scalar else text.encode())
        array = pa.array(texts, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _days(array: Any) -> FloatArray:
    """Return times as days since the earliest, and spans and times of the day as days."""
    kind = array.type
    is_date = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
    unit = pa.timestamp("us", getattr(kind, "tz", None)) if is_date else pa.duration("us")
    array = array.cast(pa.time64("us"), safe=False) if pa.types.is_time(kind) else array.cast(unit, safe=False)
    days: FloatArray = array.cast(pa.int64()).to_numpy(zero_copy_only=False) / 86_400e6
    return days - np.nanmin(days, initial=np.inf) if is_date else days


def _codes(encoded: Any) -> NDArray[np.intp]:
    codes: NDArray[np.intp] = encoded.indices.fill_null(-1).to_numpy().astype(np.intp)
    return codes


def _category(codes: NDArray[Any], index: pd.Index) -> pd.Series:
    present, codes = np.unique(np.append(codes, -1), return_inverse=True)  # categories without a row go
    return pd.Series(pd.Categorical.from_codes(codes[:-1] - 1, pd.RangeIndex(len(present) - 1)), index)


class _Texts:
    """The texts of a column, each once, and which of them is in each row."""

    def __init__(self, array: Any, index: pd.Index, name: str) -> None:
        self.array, self.index, self.name = pc.utf8_trim_whitespace(array), index, name

    def read(self, reading: Reading) -> Column | Refused:
        missing = pa.array(["", *reading.na], self.array.type)
        encoded = pc.if_else(pc.is_in(self.array, missing), None, self.array).dictionary_encode()
        self.codes = _codes(encoded)
        self.texts = texts = pd.Series(encoded.dictionary.to_pylist(), dtype="object")
        if self.name in reading.categorical:
            return Column("category", _category(self.codes, self.index))
        numbers = as_numbers(texts, reading.decimal, reading.thousands)
        if numbers.notna().all():
            with_zeros = texts[texts.str.fullmatch(r"0\d+")]
            return Column("number", self.spread(numbers), next(iter(with_zeros), None))
        if {*texts.str.lower()} <= {"true", "false"}:
            return Column("number", self.spread(texts.str.lower() == "true"))
        if self.name in reading.numeric:
            return Column("number", self.spread(self.declared(numbers)))
        times = as_times(texts, reading.date_format)
        if times is not None:
            return Column("time", self.spread(_days(times)))
        begins = np.array([begins_as_number(text) for text in texts])
        rows = np.bincount(self.codes[self.codes >= 0])
        if 2 * begins.sum() > len(texts) or 2 * rows[begins].sum() > rows.sum():
            return self.refused(numbers, begins, rows)
        with_digits = next((text for text in texts if any(map(str.isdigit, text))), None)
        return Column("category", _category(self.codes, self.index), with_digits)

    def spread(self, values: Any) -> pd.Series:
        """Return values by text as values by row."""
        return pd.Series(np.append(np.asarray(values, np.float64), np.nan)[self.codes], self.index)

    def row(self, place: int) -> int:
        """Return the first row, counted from 1, with a text."""
        return int(self.index[int((self.codes == place).argmax())]) + 1

    def declared(self, numbers: pd.Series) -> Any:
        # beside plain numbers there are no spans: to_timedelta takes "12" for nanoseconds
        values = as_spans(self.texts) if numbers.isna().all() else numbers.to_numpy()
        if np.isnan(values).any():
            stray = int(np.isnan(values).argmax())
            raise TableError(
                f"row {self.row(stray)}, column {self.name!r} (--numeric): {self.texts[stray]!r} is no "
                f"number and no span of time to pandas; correct it, or --na {quote(self.texts[stray])}."
            )
        return values

    def refused(self, numbers: pd.Series, begins: NDArray[np.bool_], rows: NDArray[np.intp]) -> Refused:
        texts, strays = self.texts, numbers.isna().to_numpy()
        places = strays & begins if (strays & begins).any() else strays
        options = [
            option
            for option, (decimal, thousands) in _WRITINGS.items()
            if texts.str.contains(_pattern(thousands or decimal)).any()
            and as_numbers(texts, decimal, thousands).notna().all()
        ]
        if strays.all() and not np.isnan(as_spans(texts)).any():
            options.append(f"--numeric {quote(self.name)}")
        options += [f"--date-format {quote(one)}" for one in _DATES if as_times(texts, [one]) is not None]
        if 2 * rows[strays].sum() < rows.sum() and strays.sum() <= _FEW_STRAYS:
            places = strays
            options.append(" ".join(f"--na {quote(text)}" for text in texts[strays]))
        place = int(places.argmax())
        return Refused(self.name, self.row(place), texts[place], options)


def as_numbers(texts: pd.Series, decimal: str = ".", thousands: str | None = None) -> pd.Series:
    """Return texts as numbers by `pandas.to_numeric`, NaN where they are none.

    Parameters
    ----------
    texts : Series of str
    decimal, thousands : str and str or None
        Other signs are strict: "1.5" is no number with a decimal comma, nor "1,2" with a comma for thousands.

    Examples
    --------
    >>> as_numbers(pd.Series(["1.234,5", "-7", "1.23", "12"]), ",", ".").tolist()
    [1234.5, -7.0, nan, 12.0]
    """
    if decimal != "." or thousands:
        point = re.escape(decimal)
        mark = r"\s" if thousands == " " else re.escape(thousands or "")  # blanks that keep a line together, too
        whole = rf"\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}|\d+" if thousands else r"\d+"
        number = rf"[+-]?(?=\d|{point})(?:{whole})?(?:{point}\d*)?(?:[eE][+-]?\d+)?"
        texts = texts.where(texts.str.fullmatch(number))
        texts = texts.str.replace(mark, "", regex=True) if thousands else texts
        texts = texts.str.replace(decimal, ".", regex=False)
    return pd.to_numeric(texts, errors="coerce").astype("float64")


def _pattern(sign: str) -> str:
    return r"\s" if sign == " " else re.escape(sign)  # any blank, those that keep a line together too


def as_spans(texts: pd.Series) -> FloatArray:
    """Return spans of time as days by `pandas.to_timedelta`, NaN where they are none."""
    spans = pd.to_timedelta(texts.where(texts.str.fullmatch(_SPAN)), errors="coerce")
    days: FloatArray = spans.dt.total_seconds().to_numpy(np.float64) / 86_400
    return days


def as_times(texts: pd.Series, formats: Sequence[str]) -> Any:
    """Return an array of times where all texts are ISO 8601 or of one of the formats, None otherwise."""
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return pa.array(texts).cast(kind)  # as far as the year 9999 and beyond
        except pa.ArrowInvalid:
            pass
    for form in formats:
        try:
            return pa.array([datetime.strptime(text, form) for text in texts])
        except ValueError:
            pass
    return None


def begins_as_number(text: str) -> bool:
    """Whether the first letter or digit of a text, behind signs and a currency, is a digit.

    Examples
    --------
    >>> [begins_as_number(one) for one in ("10+ years", "-€ 5", "(CHF 7)", "< 1 year", "PT2H", "½", "B12")]
    [True, True, True, True, True, True, False]
    """
    start = next((i for i, sign in enumerate(text) if sign.isalnum() or sign == "$"), len(text))
    rest = _BEFORE.sub("", text[start:], count=1) if _BEFORE.match(text, start) else text[start:]
    first = next((sign for sign in rest if sign.isalnum()), "x")
    return unicodedata.category(first).startswith("N")


def refuse(refused: Sequence[Refused]) -> None:
    """Raise one error about all columns whose texts begin as numbers, with the options ready to paste.

    Raises
    ------
    TableError
        Where there is any.
    """
    if not refused:
        return
    lines, paste = [], []
    for name, row, value, options in refused:
        paste += [options[0] if options else f"--categorical {quote(name)}"] if len(options) < 2 else []
        how = " or ".join(options) or f"--categorical {quote(name)} or --drop {quote(name)}"
        lines.append(f"  {name!r}, row {row}: {value!r}   {how}{', which differ' if len(options) > 1 else ''}")
    raise TableError(
        "these texts begin like numbers but are not numbers. Use the option shown: --categorical takes "
        "them as names without an order, --drop leaves the column out:\n"
        + "\n".join(lines + ([f"ready to paste: {' '.join(dict.fromkeys(paste))}"] if paste else []))
    )
