"""Read a table from CSV or Parquet; what does not parse is refused with its row and column.

Texts are read once, by Arrow, which refuses a row that is shorter or longer than the header (polars fills up
the shorter one, and DuckDB's sniffer takes another separator, with which the row fits). Every value stays as
it is written: what is a number, a time or a category is decided by `prepare`, which says what it did.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from focal_gbm.compare.errors import TableError

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_TEXT = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
_SEPARATORS = (",", ";", "\t", "|")

#: So many characters show which separator a file has.
_SAMPLE = 65_536

#: Texts that mean missing: those of pandas, and "?", the mark of the UCI tables. The empty text always does.
MISSING = (
    "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "#N/A N/A", "NaN", "nan", "-NaN", "-nan", "null", "NULL",
    "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
)  # fmt: skip

#: The first line that Excel writes, and reads, to say which separator a file has.
_EXCEL = re.compile(r"\s*sep=([^\r\n])\r?\n?", flags=re.IGNORECASE)


def read_frame(
    path: str | Path,
    *,
    encoding: str = "utf-8",
    separator: str | None = None,
    missing: Sequence[str] = (),
    only_missing: bool = False,
) -> pd.DataFrame:
    """Return the table in a file.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv`` or ``.txt``, with a header, also compressed (``.gz``, ``.bz2``, ``.xz``); or
        ``.parquet``, ``.pq``.
    encoding : str, default="utf-8"
        Of a text file. UTF-16 is known by its first bytes.
    separator : str or None, default=None
        One character. None finds out whether it is comma, semicolon, tab or bar.
    missing : sequence of str, default=()
        More values that mean "missing", beside `MISSING` and the empty text.
    only_missing : bool, default=False
        No other text than those of `missing` and the empty one means missing.

    Returns
    -------
    DataFrame
        With the names of the header. The columns of a text file are texts, as they are written.

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
    if separator is not None and len(separator) != 1:
        raise TableError(f"separator must be one character, got {separator!r}.")
    try:
        if kind in _PARQUET:
            frame = pd.read_parquet(path)
        else:
            with _texts_of_any_length():
                text = _decode(path, _read_bytes(path), encoding)
                frame = _parse(path, text, separator, [*missing, *(() if only_missing else MISSING)])
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


@contextmanager
def _texts_of_any_length() -> Iterator[None]:
    before = csv.field_size_limit(sys.maxsize)  # 131,072 characters
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read_bytes(path: Path) -> bytes:
    with _OPENERS.get(path.suffix.lower(), open)(path, "rb") as handle:
        data: bytes = handle.read()
    return data


def _decode(path: Path, data: bytes, encoding: str) -> str:
    if codecs.lookup(encoding).name == "utf-8":
        encoding = "utf-8-sig"  # a byte order mark is no part of the first name
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        name = encoding.removesuffix("-sig")
        text = data.decode(encoding, errors="replace")
        advice = "say which encoding the file has (--encoding; cp1252 for most that Windows writes)."
        raise TableError(f"{path}{_where_undecodable(text)} is not {name}; {advice}") from None


def _where_undecodable(text: str) -> str:
    header, body, separator = _split_header(text, None)
    for number, row in enumerate(csv.reader(io.StringIO(body, newline=""), delimiter=separator), 1):
        for name, value in zip(header, row, strict=False):
            if "\N{REPLACEMENT CHARACTER}" in value:
                return f", row {number}, column {name!r}: {value!r}"
    return ""


def _split_header(text: str, separator: str | None) -> tuple[list[str], str, str]:
    """Return the names, what comes below them, and the separator."""
    if excel := _EXCEL.match(text):
        separator, text = separator or excel[1], text[excel.end() :]
    if separator is None:
        separator = _separator_of(text[:_SAMPLE])
    lines = io.StringIO(text, newline="")
    for row in csv.reader(lines, delimiter=separator, skipinitialspace=True):
        if any(name.strip() for name in row):
            return [name.strip() for name in row], text[lines.tell() :], separator
    return [], "", separator


def _separator_of(sample: str) -> str:
    """Return the separator by which the most lines have as many values as the first.

    Raises
    ------
    TableError
        Where two separators make columns of every line.
    """
    shares: dict[str, tuple[float, int]] = {}
    for separator in _SEPARATORS:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator, skipinitialspace=True)
        rows = [row for row in reader if row]
        width = len(rows[0]) if rows else 0
        whole = rows[1:-1] if len(rows) > 2 else rows[1:]  # the sample may end within the last
        equal = sum(len(row) == width for row in whole) / len(whole) if whole else 1.0
        shares[separator] = (equal, width) if width > 1 else (0.0, width)
    best = max(shares, key=lambda separator: shares[separator])
    fitting = [separator for separator, (share, _) in shares.items() if share == 1.0]
    if len(fitting) > 1:
        raise TableError(
            f"{' and '.join(map(repr, fitting))} both make columns of every line: say which one separates "
            "the values (--separator)."
        )
    return best


def _parse(path: Path, text: str, separator: str | None, missing: list[str]) -> pd.DataFrame:
    header, body, separator = _split_header(text, separator)
    if not header:
        raise TableError(f"{path} is empty: the first line must name the columns.")
    names = [name or f"Unnamed: {i}" for i, name in enumerate(header)]  # as pandas calls them
    refuse_repeated(names, str(path))
    if _has_blanks_before_quotes(body[:_SAMPLE], separator):
        body = re.sub(f'(?<={re.escape(separator)}) +(?=")', "", body)
    data = body.encode()
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    if not data.strip():
        return pd.DataFrame(columns=names)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            # a text may be as long as a block; one thread knows the number of a wrong row
            read_options=pyarrow.csv.ReadOptions(
                column_names=names, use_threads=False, block_size=min(len(data) + 1, 2**31 - 1)
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=separator, newlines_in_values=True, invalid_row_handler=refuse
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if not wrong:
            raise
        raise TableError(f"{path}, {_about_shape(wrong[0].number, names, text, separator)}") from error
    is_missing = pa.array(["", *missing], pa.large_string())
    columns = [_without(column, is_missing) for column in table.columns]
    texts = pd.StringDtype("pyarrow")
    return pa.table(columns, names).to_pandas(types_mapper={pa.large_string(): texts}.get)


def _has_blanks_before_quotes(sample: str, separator: str) -> bool:
    """Whether texts are written as in `1, "a, b"`, where the blank is none of the value's."""
    rows = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    return any(value.lstrip(" ").startswith('"') for row in rows for value in row if value.startswith(" "))


def _without(column: Any, missing: Any) -> Any:
    found = pc.is_in(pc.utf8_trim_whitespace(column), value_set=missing)
    return pc.if_else(found, pa.scalar(None, pa.large_string()), column)


def _about_shape(number: int, names: list[str], text: str, separator: str) -> str:
    """Return in words how a row differs from the header; `number` counts from 1 below the header."""
    body = _split_header(text, separator)[1]
    above = len(text[: len(text) - len(body)].splitlines())
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator)
    row = next(one for place, one in enumerate(filter(None, reader), 1) if place == number)
    where = f"row {number} (line {above + reader.line_num} of the file)"
    count = f"has {len(row)} values, but the header names {len(names)} columns"
    if len(row) < len(names):
        return f"{where}: it {count}, and ends before column {names[len(row)]!r}."
    return f"{where}: it {count}; {row[len(names)]!r} comes after the last, {names[-1]!r}."


def refuse_repeated(names: list[str], whose: str) -> None:
    """Refuse names that are there twice.

    Raises
    ------
    TableError
        Naming the first.
    """
    name, times = Counter(names).most_common(1)[0] if names else ("", 1)
    if times > 1:
        raise TableError(f"{whose} has {times} columns of the name {name!r}: names must differ.")
