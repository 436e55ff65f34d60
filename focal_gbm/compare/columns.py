"""The columns of a table as features: numbers and categories, with what cannot be one refused."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from focal_gbm.compare.read import TableError

#: A text column in which so many of the values are numbers is a column of numbers with something that went
#: wrong. Codes such as "250.1" among "V27" mostly have fewer.
_NUMBERS = 0.95

#: A text column with more different values than this, and than half its rows, is free text or a key.
_MANY_VALUES = 50


def as_features(frame: pd.DataFrame, categorical: Collection[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """Return the features as both hosts take them, and notes on what was done.

    Parameters
    ----------
    frame : DataFrame
        Without the target.
    categorical : collection of str
        Columns to take as categories whatever is in them.

    Returns
    -------
    features : DataFrame
        Numbers as float64 with NaN for missing, everything else as categories, by whole numbers, so that
        no name or text can upset a host.
    notes : list of str

    Raises
    ------
    TableError
        For a column with no value at all, an infinite number, a stray text among numbers, or values that
        are neither numbers nor text: named with its row.
    """
    empty = [name for name in frame.columns if frame[name].isna().all()]
    if empty:
        names = ", ".join(map(repr, empty))
        raise TableError(f"column {names} has no value in any row: leave it out (--drop).")
    features: dict[str, pd.Series] = {}
    notes: list[str] = []
    for name in frame.columns:
        column = frame[name]
        if name in categorical:
            features[name] = _as_category(column, name)
        elif pd.api.types.is_datetime64_any_dtype(column.dtype):
            seconds = (column - pd.Timestamp(0, tz=column.dt.tz)).dt.total_seconds()
            features[name] = seconds.astype(np.float64)
            notes.append(f"column {name!r} holds times: they are taken as seconds.")
        elif pd.api.types.is_numeric_dtype(column.dtype):  # bool is one, too
            features[name] = _as_number(column, name)
        else:
            numbers = _numbers_of(column, name)
            feature = _as_category(column, name) if numbers is None else _as_number(numbers, name)
            n_values, n_present = int(feature.nunique()), int(feature.notna().sum())
            if numbers is None and n_values > max(_MANY_VALUES, n_present / 2):
                notes.append(
                    f"column {name!r} has {n_values} different texts in {n_present} rows: taken for a key or "
                    "free text and left out (--categorical keeps it)."
                )
                continue
            features[name] = feature
        if features[name].nunique(dropna=False) == 1:
            notes.append(f"column {name!r} has the same value in every row.")
    if not features:
        raise TableError("no column is left to predict from.")
    return pd.DataFrame(features), notes


def _as_number(column: pd.Series, name: str) -> pd.Series:
    numbers = pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index)
    infinite = np.isinf(numbers.to_numpy())
    if infinite.any():
        row = int(infinite.argmax())
        raise TableError(
            f"row {row + 1}, column {name!r}: {numbers.iloc[row]} is no number that a tree can split on; "
            "leave it empty where it is missing."
        )
    return numbers


def _as_category(column: pd.Series, name: str) -> pd.Series:
    try:
        codes = pd.factorize(column.astype("object"))[0]
    except TypeError:
        row = next(i for i, value in enumerate(column) if getattr(value, "__hash__", None) is None)
        kind = type(column.iloc[row]).__name__
        raise TableError(
            f"row {row + 1}, column {name!r}: a {kind} is neither a number nor a text; leave the column out "
            "(--drop)."
        ) from None
    categories = pd.Categorical.from_codes(codes, categories=pd.RangeIndex(int(codes.max()) + 1))
    return pd.Series(categories, index=column.index)


def _numbers_of(column: pd.Series, name: str) -> pd.Series | None:
    """Return a text column as numbers where all its values are; refuse it where nearly all are."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return None
    present = column.notna()
    try:
        numbers = pd.to_numeric(column, errors="coerce")
    except TypeError:  # lists and the like: `_as_category` says where
        return None
    stray = (present & numbers.isna()).to_numpy()
    if not stray.any():
        return numbers
    if stray.sum() <= (1 - _NUMBERS) * present.sum():
        row = int(stray.argmax())
        raise TableError(
            f"row {row + 1}, column {name!r}: {column.iloc[row]!r} stands among numbers. Correct it, or say "
            f"that it means missing (--missing {column.iloc[row]!r}), or that the column holds categories "
            f"(--categorical {name!r})."
        )
    return None
