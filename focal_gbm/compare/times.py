"""Dates and times as people write them, as days."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from focal_gbm.compare.errors import TableError

_ISO = re.compile(r"\d{4}-\d{1,2}(?:-\d{1,2}(?:[T ]\d{1,2}:\d{2}.*)?)?")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?")
_YEAR_FIRST = re.compile(r"\d{4}([./])\d{1,2}\1\d{1,2}(?P<clock>[ T].*)?")
_YEAR_LAST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?P<clock>[ T].*)?")
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_NAMED = re.compile(
    rf"(?:\d{{1,2}}[ -]?)?(?:{_MONTHS})[a-z]{{0,6}}[ -]?(?:\d{{1,2}},?[ -])?\d{{2,4}}(?P<clock>[ T].*)?",
    flags=re.IGNORECASE,
)
_NAMED_FORMATS = (
    "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d%b%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y", "%b %Y",
    "%b-%Y",
    "%b-%y", "%B %Y",
)  # fmt: skip
_CLOCKS = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")

_PATTERNS = (_ISO, _CLOCK, _YEAR_FIRST, _YEAR_LAST, _NAMED)

#: Where none of so many values looks like a time, the column has no times.
_FIRST = 100

#: A column in which more rows than this are times is a column of times with something that went wrong.
_MOSTLY = 0.5


def read_times(counts: pd.DataFrame, name: str, day_first: bool | None) -> pd.Series | None:
    """Return the texts of a column as times, by text; None where they are none.

    Parameters
    ----------
    counts : DataFrame of int, by str
        In how many "rows" each text is, and which row is the "first".
    name : str
        Of the column.
    day_first : bool or None
        Whether 3/4/2024 is in April. None finds it out from the values.

    Returns
    -------
    Series of datetime64 (in UTC) or timedelta64, or None

    Raises
    ------
    TableError
        Where day and month cannot be told apart, and where a text stands among times.
    """
    first = counts.index[:_FIRST].tolist()
    if not any(pattern.fullmatch(text) for text in first for pattern in _PATTERNS):
        return None
    texts = pd.Series(counts.index, index=counts.index, dtype="object")
    times = _times_of(texts, name, day_first)
    if times is None:
        return None
    strays = times.isna().to_numpy()
    if not strays.any():
        return times
    if counts.rows.to_numpy()[strays].sum() > (1 - _MOSTLY) * counts.rows.sum():
        return None
    stray = str(counts.index[int(strays.argmax())])
    row = int(counts["first"].to_dict()[stray])
    raise TableError(
        f"row {row}, column {name!r}: {stray!r} stands among times. Correct it, or say that it means missing "
        f"(--na {stray!r}), or that the column holds categories (--categorical {name!r})."
    )


def _times_of(texts: pd.Series, name: str, day_first: bool | None) -> pd.Series | None:
    if texts.map(lambda text: bool(_CLOCK.fullmatch(text))).mean() > _MOSTLY:
        return _clock_times(texts)
    iso = texts.map(lambda text: bool(_ISO.fullmatch(text) or _YEAR_FIRST.fullmatch(text)))
    if iso.mean() > _MOSTLY:
        plain = texts.where(iso).str.replace(r"^(\d{4})[./](\d{1,2})[./]", r"\1-\2-", regex=True)
        return pd.to_datetime(plain, format="mixed", errors="coerce", utc=True)
    parts = texts.str.extract(_YEAR_LAST.pattern)
    if parts[0].notna().mean() > _MOSTLY:
        return _year_last(texts, parts, name, day_first)
    named = texts.where(texts.map(lambda text: bool(_NAMED.fullmatch(text))))
    return _first_format(named, _NAMED_FORMATS) if named.notna().mean() > _MOSTLY else None


def _clock_times(texts: pd.Series) -> pd.Series:
    for clock in _CLOCKS[1:]:
        found = pd.to_datetime(texts, format=clock, errors="coerce")
        if found.notna().mean() > _MOSTLY:
            return found - pd.Timestamp(1900, 1, 1)
    return pd.Series(pd.NaT, index=texts.index)


def _year_last(texts: pd.Series, parts: pd.DataFrame, name: str, day_first: bool | None) -> pd.Series | None:
    first, second = (parts[one].astype("float64") for one in (0, 2))
    if first.max() > 31 or second.max() > 31:
        return None
    if day_first is None:
        if (first.max() > 12) and (second.max() > 12):
            return None
        if first.max() <= 12 and second.max() <= 12 and (first != second).any() and (parts[1] != ".").any():
            raise TableError(
                f"column {name!r}: {texts.iloc[0]!r} may be written with the day or the month first, and no "
                "value tells which: say it (--day-first or --month-first)."
            )
        day_first = not second.max() > 12
    mark = str(parts[1].dropna().iloc[0])
    order = ("%d", "%m") if day_first else ("%m", "%d")
    years = ("%Y",) if parts[3].str.len().max() == 4 else ("%y",)
    return _first_format(texts, tuple(mark.join((*order, year)) for year in years))


def _first_format(texts: pd.Series, dates: tuple[str, ...]) -> pd.Series | None:
    """Return the times by the format that reads the most of them."""
    best = None
    for date in dates:
        for clock in _CLOCKS:
            found = pd.to_datetime(texts, format=f"{date} {clock}".strip(), errors="coerce", utc=True)
            if best is None or found.notna().sum() > best.notna().sum():
                best = found
            if best.notna().all():
                return best
    return best if best is not None and best.notna().mean() > _MOSTLY else None


def as_days(times: pd.Series) -> tuple[NDArray[np.float64], str]:
    """Return times as days since the earliest, and that in words; a span or a time of day as days.

    Parameters
    ----------
    times : Series of datetime64 or timedelta64, of shape (n_rows,)

    Returns
    -------
    days : ndarray of float64 of shape (n_rows,)
        NaN for missing.
    since : str
    """
    if pd.api.types.is_timedelta64_dtype(times.dtype):
        return times.dt.total_seconds().to_numpy(np.float64) / 86_400, "taken as days"
    earliest = times.min()
    days = (times - earliest).dt.total_seconds().to_numpy(np.float64) / 86_400
    return days, f"taken as days since the earliest, {earliest:%Y-%m-%d}"
