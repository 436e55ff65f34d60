"""The columns of a table as features: numbers, times and categories, with what cannot be one refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from focal_gbm.compare.errors import TableError, some_of
from focal_gbm.compare.keys import key_reason
from focal_gbm.compare.numbers import Writing, proofs, read_numbers
from focal_gbm.compare.times import as_days, read_times

#: A text column with more different values than this, and than half its rows, is free text or a key.
_MANY_VALUES = 50

_BOOLEANS = {"true": 1.0, "false": 0.0}

#: Both, in lower and upper case and as Python writes them.
_MOST_BOOLEANS = 6


class Column(NamedTuple):
    """A column that was read.

    Attributes
    ----------
    kind : {"number", "time", "category"}
    values : Series
        float64 with NaN for missing, or categories named by whole numbers, so that no text can upset a
        library.
    notes : tuple of str
    """

    kind: str
    values: pd.Series
    notes: tuple[str, ...] = ()


class Texts(NamedTuple):
    """The texts of a column, without blanks at their ends.

    Attributes
    ----------
    codes : ndarray of int of shape (n_rows,)
        -1 for missing.
    counts : DataFrame of int, by text
        In how many "rows" it is, and which row, counted from 1, is the "first".
    note : str or None
        Where texts were told apart by such blanks only.
    """

    codes: NDArray[np.intp]
    counts: pd.DataFrame
    note: str | None


@dataclass(frozen=True)
class Columns:
    """Reads the columns of one table, of which each tells how numbers are written in the others.

    Attributes
    ----------
    frame : DataFrame
        Its columns have names that are texts and differ.
    writing : Writing
    day_first : bool or None
    categorical : collection of str
        Columns to take as categories whatever is in them.
    """

    frame: pd.DataFrame
    writing: Writing = field(default_factory=Writing)
    day_first: bool | None = None
    categorical: Collection[str] = ()
    _texts: dict[str, Texts] = field(default_factory=dict, init=False, repr=False)
    _proofs: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in self.frame.columns:
            column = self.frame[name]
            if name in self.categorical or not _holds_texts(column):
                continue
            self._texts[name] = texts_of(column, name)
            for sign, text in proofs(self._texts[name].counts.index.tolist()).items():
                self._proofs.setdefault(sign, f"column {name!r}, {text!r}")

    def read(self, name: str) -> Column:
        """Return a column as numbers, times (in days) or categories.

        Raises
        ------
        TableError
            For what is none of these, or can be read in two ways.
        """
        column = self.frame[name]
        if name in self._texts:
            return self._of_texts(self._texts[name], name)
        if name in self.categorical or isinstance(column.dtype, pd.CategoricalDtype):
            return Column("category", _as_category(column, name))
        times = _as_times(column)
        if times is not None:
            return _time(times, name)
        if pd.api.types.is_numeric_dtype(column.dtype) or _holds_numbers(column):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            return Column("number", pd.Series(numbers, index=column.index))
        return Column("category", _as_category(column, name))

    def _of_texts(self, texts: Texts, name: str) -> Column:
        notes: tuple[str, ...] = (texts.note,) if texts.note else ()
        written = texts.counts.index.tolist()
        if len(written) <= _MOST_BOOLEANS and all(text.lower() in _BOOLEANS for text in written):
            values = [_BOOLEANS[text.lower()] for text in written]
            return Column("number", self._spread(values, texts), notes)
        times = read_times(texts.counts, name, self.day_first)
        if times is not None:
            spread = times.reset_index(drop=True).reindex(texts.codes).set_axis(self.frame.index)
            read = _time(spread, name)
            return read._replace(notes=notes + read.notes)
        reading = read_numbers(texts.counts, name, self.writing, self._proofs)
        if reading is not None:
            notes += (reading.note,) if reading.note else ()
            if reading.numbers:
                values = [reading.numbers[text] for text in written]
                return Column("number", self._spread(values, texts), notes)
        categories = pd.Categorical.from_codes(texts.codes, categories=pd.RangeIndex(len(texts.counts)))
        return Column("category", pd.Series(categories, index=self.frame.index), notes)

    def _spread(self, values: list[float], texts: Texts) -> pd.Series:
        """Return values by text as values by row."""
        return pd.Series(np.append(values, np.nan)[texts.codes], index=self.frame.index)


def _time(times: pd.Series, name: str) -> Column:
    days, since = as_days(times)
    note = f"column {name!r} holds times: {since}."
    return Column("time", pd.Series(days, index=times.index), (note,))


def texts_of(column: pd.Series, name: str) -> Texts:
    """Return the texts of a column, of which those that differ in blanks at their ends are one."""
    if not isinstance(column.dtype, pd.StringDtype):
        column = column.map(str, na_action="ignore")
    written = pa.array(column, type=pa.large_string(), from_pandas=True)
    trimmed = pc.utf8_trim_whitespace(written)
    found = pc.if_else(pc.equal(trimmed, ""), None, trimmed).dictionary_encode()
    codes = found.indices.fill_null(-1).to_numpy().astype(np.intp)
    different = found.dictionary.to_pylist()
    # Python's own texts: an Index of Arrow's makes a new one at every look
    index = pd.Index(different, dtype="object")
    present, first = np.unique(codes, return_index=True)
    rows = np.bincount(codes[codes >= 0], minlength=len(different))
    numbers = column.index.to_numpy()[first[present >= 0]] + 1
    counts = pd.DataFrame({"rows": rows, "first": numbers}, index, dtype="int64")
    note = None
    if not pc.all(pc.equal(written, trimmed)).as_py():
        ways = pd.Series(pc.drop_null(pc.unique(written)).to_pylist(), dtype="object")
        merged = ways[ways.str.strip().duplicated(keep=False) & (ways.str.strip() != "")].tolist()
        if merged:
            note = (
                f"column {name!r}: texts that differ in blanks at their ends are one ({some_of(merged, 2)})."
            )
    return Texts(codes, counts, note)


def as_features(
    columns: Columns,
    names: Collection[str],
    keep: Collection[str] = (),
    step: Callable[[str], None] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return the features as both libraries take them, what was left out, and notes on what was done.

    Parameters
    ----------
    columns : Columns
    names : collection of str
        Of the features.
    keep : collection of str
        Columns to keep although they look like keys.
    step : callable or None
        Called with the name of each column.

    Returns
    -------
    features, left_out : DataFrame
    notes : list of str

    Raises
    ------
    TableError
        For a column with no value at all, an infinite number, a stray text among numbers, or values that are
        neither numbers nor text: named with its row.
    """
    frame = columns.frame
    empty = [name for name in names if frame[name].isna().all()]
    if empty:
        raise TableError(
            f"column {', '.join(map(repr, empty))} has no value in any row: leave it out (--drop)."
        )
    features: dict[str, pd.Series] = {}
    left_out: dict[str, pd.Series] = {}
    notes: list[str] = []
    for name in names:
        if step is not None:
            step(name)
        column = columns.read(name)
        if column.kind == "number":
            refuse_infinite(column.values, name)
        reason = None if name in keep or name in columns.categorical else _why_left_out(column, name)
        if reason is not None:
            notes.append(f"column {name!r} {reason} (--keep {name!r} keeps it).")
            left_out[name] = column.values
            continue
        features[name] = column.values
        notes += column.notes
        if _is_constant(column.values):
            notes.append(f"column {name!r} has the same value in every row.")
    if not features:
        raise TableError("no column is left to predict from.")
    return pd.DataFrame(features), pd.DataFrame(left_out), notes


def _is_constant(values: pd.Series) -> bool:
    array = np.asarray(values.cat.codes if isinstance(values.dtype, pd.CategoricalDtype) else values)
    return bool((array == array[0]).all() or np.isnan(array).all())


def _why_left_out(column: Column, name: str) -> str | None:
    if column.kind == "number":
        reason = key_reason(column.values.to_numpy(), name)
        return reason and f"{reason}: no feature, and left out"
    n_values, n_present = int(column.values.nunique()), int(column.values.notna().sum())
    if column.kind == "category" and n_values > max(_MANY_VALUES, n_present / 2):
        return (
            f"has {n_values} different texts in {n_present} rows: taken for a key or free text and left out"
        )
    return None


def refuse_infinite(numbers: pd.Series, name: str) -> None:
    """Refuse an infinite number.

    Raises
    ------
    TableError
        Naming its row.
    """
    infinite = np.isinf(numbers.to_numpy(dtype=np.float64))
    if infinite.any():
        place = int(infinite.argmax())
        raise TableError(
            f"row {numbers.index[place] + 1}, column {name!r}: {numbers.iloc[place]} is no number that a "
            "tree can split on; leave it empty where it is missing."
        )


def _holds_texts(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.StringDtype):
        return True
    if column.dtype != object:
        return False
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "string":
        return True
    # numbers and texts in one column: read as if they came from a file
    return (
        kind in ("mixed", "mixed-integer")
        and any(isinstance(value, str) for value in column)
        and all(isinstance(value, Hashable) for value in column)
    )


def _holds_numbers(column: pd.Series) -> bool:
    kinds = ("boolean", "integer", "floating", "mixed-integer-float", "decimal", "integer-na")
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) in kinds


def _as_times(column: pd.Series) -> pd.Series | None:
    """Return a column of dates, times or spans of any type as datetime64 or timedelta64."""
    kind = column.dtype
    if pd.api.types.is_datetime64_any_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
        return column
    if isinstance(kind, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if not pd.api.types.is_object_dtype(kind):
        return None
    held = pd.api.types.infer_dtype(column, skipna=True)
    if held in ("date", "datetime", "datetime64"):
        return pd.to_datetime(column, utc=True)
    if held == "time":
        return pd.to_timedelta(column.map(str, na_action="ignore"))
    return pd.to_timedelta(column) if held in ("timedelta", "timedelta64") else None


def _as_category(column: pd.Series, name: str) -> pd.Series:
    values: Any = column.astype("object")
    values = values.map(lambda value: value.strip() if isinstance(value, str) else value, na_action="ignore")
    try:
        codes = pd.factorize(values)[0]
    except TypeError:
        place = next(i for i, value in enumerate(column) if not isinstance(value, Hashable))
        kind = type(column.iloc[place]).__name__
        raise TableError(
            f"row {column.index[place] + 1}, column {name!r}: a {kind} is neither a number nor a text; leave "
            "the column out (--drop)."
        ) from None
    categories = pd.Categorical.from_codes(codes, categories=pd.RangeIndex(int(codes.max()) + 1))
    return pd.Series(categories, index=column.index)
