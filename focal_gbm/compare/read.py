"""Read a table from CSV or Parquet; what does not parse is refused with its row and column."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pandas as pd

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_TEXT = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
_DELIMITERS = (",", ";", "\t", "|")

#: Beside what pandas takes for missing (empty, NA, NaN, null, None, ...): the mark of the UCI tables.
MISSING = "?"

_SURROGATES = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes that do not decode


class TableError(ValueError):
    """The table cannot be compared on; the message says where and why."""


def read_frame(path: str | Path, *, encoding: str = "utf-8", missing: Sequence[str] = ()) -> pd.DataFrame:
    """Return the table in a file.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv`` or ``.txt``, with a header, separated by comma, semicolon, tab or bar, also
        compressed (``.gz``, ``.bz2``, ``.xz``); or ``.parquet``, ``.pq``.
    encoding : str, default="utf-8"
        Of a text file.
    missing : sequence of str, default=()
        More values that mean "missing".

    Returns
    -------
    DataFrame
        With the names of the file's header.

    Raises
    ------
    TableError
        Naming the file, and the row and column where there is one to name.
    """
    path = Path(path)
    kind = _kind(path)
    if not path.exists():
        raise TableError(f"{path} does not exist.")
    if not path.is_file():
        raise TableError(f"{path} is not a file.")
    try:
        if kind in _PARQUET:
            frame = pd.read_parquet(path)
            frame.columns = [str(name) for name in frame.columns]
            _refuse_duplicates(list(frame.columns), path)
        else:
            frame = _read_text(path, encoding, missing)
    except TableError:
        raise
    except LookupError as error:  # of the encoding
        raise TableError(f"encoding must be one that Python knows, got {encoding!r}.") from error
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, csv.Error) as error:
        raise TableError(f"{path} cannot be read: {str(error).splitlines()[0].rstrip('.')}.") from error
    if frame.empty:
        raise TableError(f"{path} has no rows below its header.")
    return frame


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _OPENERS:
        suffixes.pop()
    kind = suffixes[-1] if suffixes else ""
    if kind not in _TEXT + _PARQUET:
        known = ", ".join(_TEXT + _PARQUET)
        raise TableError(f"{path} must end in one of {known} (text also compressed: {', '.join(_OPENERS)}).")
    return kind


def _open(path: Path, encoding: str, errors: str = "strict") -> IO[str]:
    opener = _OPENERS.get(path.suffix.lower(), open)
    if encoding.lower().replace("_", "-") == "utf-8":
        encoding = "utf-8-sig"  # a byte order mark is no part of the first name
    handle: IO[str] = opener(path, "rt", encoding=encoding, errors=errors, newline="")
    return handle


def _read_text(path: Path, encoding: str, missing: Sequence[str]) -> pd.DataFrame:
    try:
        with _open(path, encoding) as handle:
            first = handle.readline()
            delimiter = max(_DELIMITERS, key=first.count)
            handle.seek(0)
            _check_shape(csv.reader(handle, delimiter=delimiter, skipinitialspace=True), path)
        with _open(path, encoding) as handle:
            frame = pd.read_csv(
                handle,
                sep=delimiter,
                skipinitialspace=True,
                na_values=[MISSING, *missing],
                index_col=False,
                low_memory=False,
            )
    except UnicodeDecodeError:
        raise TableError(_where_undecodable(path, encoding)) from None
    frame.columns = [str(name) for name in frame.columns]
    return frame


def _check_shape(reader: Any, path: Path) -> None:
    """Refuse a row with more or fewer values than the header: pandas would fill up the shorter silently."""
    header = next(reader, None)
    if not header:
        raise TableError(f"{path} is empty: the first line must name the columns.")
    _refuse_duplicates(header, path)
    number = 0
    for row in reader:
        if not row:
            continue  # an empty line, which pandas skips, too
        number += 1
        if len(row) == len(header):
            continue
        where = f"{path}, row {number} (line {reader.line_num} of the file)"
        count = f"has {len(row)} values, but the header names {len(header)} columns"
        if len(row) < len(header):
            raise TableError(f"{where}: it {count}, and ends before column {header[len(row)]!r}.")
        raise TableError(f"{where}: it {count}; {row[len(header)]!r} comes after the last, {header[-1]!r}.")


def _refuse_duplicates(names: list[str], path: Path) -> None:
    name, times = Counter(names).most_common(1)[0] if names else ("", 1)
    if times > 1:
        raise TableError(f"{path} has {times} columns of the name {name!r}: names must differ.")


def _where_undecodable(path: Path, encoding: str) -> str:
    with _open(path, encoding, errors="surrogateescape") as handle:
        first = handle.readline()
        delimiter = max(_DELIMITERS, key=first.count)
        handle.seek(0)
        reader = csv.reader(handle, delimiter=delimiter, skipinitialspace=True)
        header = next(reader, [])
        for number, row in enumerate(reader, 1):
            for name, value in zip(header, row, strict=False):
                if _SURROGATES.search(value):
                    shown = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value)
                    return (
                        f"{path}, row {number}, column {name!r}: {shown!r} is not {encoding}; say which "
                        "encoding the file has (--encoding)."
                    )
    return f"{path} is not {encoding}; say which encoding the file has (--encoding)."
