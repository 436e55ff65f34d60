"""Read a table from CSV or Parquet by Arrow.

The values of a CSV stay texts here: `focal_gbm.compare.columns` decides what a text is, the same way for a
CSV, a Parquet file and a DataFrame.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from focal_gbm.compare.errors import TableError

#: Texts of a CSV that mean missing: those of pandas, and "?", the mark of the UCI tables.
MISSING = (
    "", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "#N/A N/A", "NaN", "nan", "-NaN", "-nan", "null",
    "NULL", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
)  # fmt: skip


def read_frame(
    path: str | Path,
    *,
    sep: str | None = None,
    header: bool = True,
    skip: int = 0,
    encoding: str = "utf-8",
    na_only: bool = False,
) -> pd.DataFrame:
    """Return the table in a file.

    Parameters
    ----------
    path : str or Path
        ``.parquet`` or ``.pq``; every other file is CSV, which may be compressed (``.gz``, ``.bz2``).
    sep : str or None, default=None
        What separates values: one character, or "tab". None is a tab in ``.tsv`` and a comma elsewhere.
    header : bool, default=True
        Whether the first line names the columns; they are f0, f1, ... otherwise.
    skip : int, default=0
        Lines to leave out before the header.
    encoding : str, default="utf-8"
        Of a CSV, as Python names it.
    na_only : bool, default=False
        Only the empty text means missing, and not "NA", "None", "?" and their like.

    Returns
    -------
    DataFrame
        The columns of a CSV are texts without blanks at their ends. An index that pandas wrote to a Parquet
        file is a column, unless it was a running number.

    Raises
    ------
    TableError
        For a file that cannot be read, with what Arrow says about it, and one without rows.
    """
    path = Path(path)
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            # without pandas' metadata an index is a column like any other, and a running number is none
            table = pyarrow.parquet.read_table(path)
            frame = table.to_pandas(ignore_metadata=True, date_as_object=False)
            frame = frame.rename(columns={"__index_level_0__": "index"})
        else:
            by_suffix = "\t" if ".tsv" in path.suffixes else ","
            how = {
                # one thread knows the number of a row that is shorter or longer than the others
                "read_options": pyarrow.csv.ReadOptions(
                    skip_rows=skip, autogenerate_column_names=not header, encoding=encoding, use_threads=False
                ),
                "parse_options": pyarrow.csv.ParseOptions(
                    delimiter={None: by_suffix, "tab": "\t"}.get(sep, sep), newlines_in_values=True
                ),
            }
            frame = _read_csv(path, how, pa.array([""] if na_only else MISSING))
    except (OSError, LookupError, ValueError, pa.ArrowException) as error:
        if isinstance(error, TableError):
            raise
        advice = " (--encoding: cp1252 for most that Windows writes)" if "UTF" in str(error) else ""
        if "columns, got" in str(error) and sep is None:
            advice = " (--sep says what separates values)"
        raise TableError(f"{path} cannot be read: {str(error).splitlines()[0]}{advice}") from error
    if frame.empty:
        raise TableError(f"{path} has no rows.")
    return frame


def _read_csv(path: Path, how: dict[str, object], missing: pa.Array) -> pd.DataFrame:
    with pyarrow.csv.open_csv(path, **how) as first_block:
        names = first_block.schema.names
    other = next((one for one in (";", "\t", "|", ",") if len(names) == 1 and one in names[0]), None)
    if other is not None:
        said = "tab" if other == "\t" else f"'{other}'"
        raise TableError(f"{path} has one column, {names[0]!r}: say what separates values (--sep {said}).")
    as_texts = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    columns = []
    for column in pyarrow.csv.read_csv(path, **how, convert_options=as_texts).columns:
        trimmed = pc.utf8_trim_whitespace(column)
        columns.append(pc.if_else(pc.is_in(trimmed, missing), None, trimmed))
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(names)]  # as pandas calls them
    table = pa.Table.from_arrays(columns, names)
    return table.to_pandas(types_mapper={pa.string(): pd.StringDtype("pyarrow")}.get)
