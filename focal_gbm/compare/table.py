"""A table that was checked and can be compared on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from focal_gbm.compare.columns import as_features
from focal_gbm.compare.leaks import refuse_leaks
from focal_gbm.compare.read import TableError
from focal_gbm.compare.target import check_class_sizes, nearest, take_target

#: The digit that is told apart worst.
_DIGIT = "8"

#: From this share of copied rows on, the copies are worth a word.
_MANY_COPIES = 0.01


@dataclass(frozen=True, eq=False)
class Table:
    """Features and classes.

    Attributes
    ----------
    name, target : str
        Of the table and of its target.
    X : DataFrame of shape (n_rows, n_features)
        Numbers and categories, under names that both hosts take; `columns` are the names in the file.
    columns : tuple of str
    y : ndarray of int64 of shape (n_rows,)
        Class codes; of two classes 1 is the one of interest.
    labels : tuple of str
        By code.
    notes : tuple of str
        What was found and done.
    """

    name: str
    target: str
    X: pd.DataFrame
    columns: tuple[str, ...]
    y: NDArray[np.int64]
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.labels) == 2


def prepare(
    frame: pd.DataFrame,
    target: str,
    *,
    name: str,
    positive: str | None = None,
    folds: int = 5,
    drop: Collection[str] = (),
    categorical: Collection[str] = (),
    max_rows: int | None = None,
    allow_leaky: bool = False,
    seed: int = 0,
) -> Table:
    """Check a data frame and make it a table to compare on.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
    target : str
        Its column of labels, of any type.
    name : str
        Of the table, for people.
    positive : str or None
        The label of interest; None is the rarer of two classes.
    folds : int
        Every class must have as many rows.
    drop, categorical : collection of str
        Columns to leave out, and to take as categories.
    max_rows : int or None
        Of a larger table a stratified sample of this size.
    allow_leaky : bool
        Keep columns that predict the target alone.
    seed : int
        Draws the sample.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        Naming the column, and the row where there is one, that makes the table unusable.
    """
    known = [str(column) for column in frame.columns]
    if target not in known:
        raise TableError(f"there is no column {target!r} (--target): {nearest(target, known)}")
    for option, names in (("--drop", drop), ("--categorical", categorical)):
        for column in names:
            if column not in known:
                raise TableError(f"there is no column {column!r} ({option}): {nearest(column, known)}")
    if target in drop:
        raise TableError(f"the target {target!r} cannot be left out (--drop).")
    labels = take_target(frame[target], positive)
    check_class_sizes(labels, folds)
    X, notes = as_features(frame.drop(columns=[target, *drop]), categorical)
    y = labels.codes
    notes.insert(0, labels.note)
    if max_rows is not None and len(y) > max_rows:
        keep, _ = train_test_split(np.arange(len(y)), train_size=max_rows, stratify=y, random_state=seed)
        keep.sort()
        notes.append(f"a sample of {max_rows:,} of the {len(y):,} rows, stratified (--max-rows).")
        X, y = X.iloc[keep].reset_index(drop=True), y[keep]
        check_class_sizes(labels._replace(codes=y), folds)
    if not allow_leaky:
        refuse_leaks(X, y, target)
    copies = int(X.duplicated().sum())
    if copies > _MANY_COPIES * len(y):
        notes.append(
            f"{copies:,} rows have the same features as another row: copies in two folds make every model "
            "look better."
        )
    columns = tuple(map(str, X.columns))
    X.columns = [f"f{i}" for i in range(len(columns))]
    return Table(name, target, X, columns, y, labels.labels, tuple(notes))


def embedded_table(folds: int = 5, positive: str | None = None) -> Table:
    """Return the real table that ships with scikit-learn: which of 1,797 written digits is an 8.

    Parameters
    ----------
    folds : int
    positive : str or None
        Another digit.
    """
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "digit"})
    name = "scikit-learn's written digits, 8×8 pixels"
    # Pixels at the edge are white in every digit: no news for anybody
    constant = [column for column in frame if frame[column].nunique() == 1]
    table = prepare(frame, "digit", name=name, positive=positive or _DIGIT, folds=folds, drop=constant)
    if positive is not None:
        return table
    why = "the digit that is told apart worst; --positive takes another"
    return replace(table, notes=tuple(note.replace("as asked for", why) for note in table.notes))
