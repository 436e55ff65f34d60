"""A table that was checked and can be compared on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from focal_gbm.compare.columns import Columns, as_features
from focal_gbm.compare.errors import TableError, nearest
from focal_gbm.compare.keys import Repeated, repeated_ids
from focal_gbm.compare.leaks import Deadline, refuse_leaks
from focal_gbm.compare.numbers import Writing
from focal_gbm.compare.read import refuse_repeated
from focal_gbm.compare.roles import Roles, RowData, read_roles
from focal_gbm.compare.target import check_class_sizes, take_target

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
        Numbers and categories, under names that both libraries take; `columns` are the names in the file.
    columns : tuple of str
    y : ndarray of int64 of shape (n_rows,)
        Class codes; of two classes 1 is the one of interest.
    labels : tuple of str
        By code.
    notes : tuple of str
        What was found and done.
    rows : RowData
        Time, group, weight and costs of each row, where they are known.
    roles : Roles
        Which columns they are.
    """

    name: str
    target: str
    X: pd.DataFrame
    columns: tuple[str, ...]
    y: NDArray[np.int64]
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    rows: RowData = field(default_factory=RowData)
    roles: Roles = field(default_factory=Roles)

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.labels) == 2


def prepare(
    frame: pd.DataFrame,
    target: Any,
    *,
    name: str,
    positive: str | None = None,
    folds: int = 5,
    drop: Collection[Any] = (),
    keep: Collection[Any] = (),
    categorical: Collection[Any] = (),
    roles: Roles | None = None,
    writing: Writing | None = None,
    day_first: bool | None = None,
    max_rows: int | None = None,
    allow_leaky: bool = False,
    seed: int = 0,
    seconds: float = np.inf,
    step: Callable[[str], None] | None = None,
) -> Table:
    """Check a frame, and return it as a table.

    Parameters
    ----------
    frame : DataFrame
        From `read_frame`, or any other. Names of columns are taken as text.
    target : str
        The column to predict.
    name : str
        Of the table, for people.
    positive : str or None
        The label looked for, as it is written. None is the rarer of two.
    folds : int
        Every class must have so many rows.
    drop : collection of str
        Columns to leave out.
    keep : collection of str
        Columns that are features although they look like keys or running numbers, or have a role.
    categorical : collection of str
        Columns to take as categories.
    roles : Roles or None
        The columns of time, group, weight and costs.
    writing : Writing or None
        How numbers are written in texts. None finds it out.
    day_first : bool or None
        Whether 3/4/2024 is in April. None finds it out.
    max_rows : int or None
        Of a larger table take a stratified sample of this size.
    allow_leaky : bool
        Keep columns that predict the target alone.
    seed : int
        Draws the sample.
    seconds : float
        Look for such columns no longer than this.
    step : callable or None
        Called with what is being done.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        Naming the column, and the row where there is one, that makes the table unusable.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"paid": ["1,5", "2,25"] * 30, "late": ["yes", "no", "no"] * 20})
    >>> table = prepare(frame, "late", name="bills")
    >>> table.notes[1]
    "column 'paid' is read as numbers, with a decimal comma: '1,5' is 1.5."
    """
    deadline = Deadline(seconds)
    say = step or _say_nothing
    roles = roles or Roles()
    target, drop, keep, categorical = str(target), _texts(drop), _texts(keep), _texts(categorical)
    frame = frame.set_axis([str(column) for column in frame.columns], axis="columns").reset_index(drop=True)
    refuse_repeated(list(frame.columns), name)
    _check_names(list(frame.columns), target, drop, keep, categorical)
    say("reading the target")
    labels = take_target(frame[target], positive)
    check_class_sizes(labels, folds)
    y = labels.codes
    notes = list(labels.notes)
    if max_rows is not None and len(y) > max_rows:
        rows, _ = train_test_split(np.arange(len(y)), train_size=max_rows, stratify=y, random_state=seed)
        rows.sort()
        notes.append(f"a sample of {max_rows:,} of the {len(y):,} rows, stratified (--max-rows).")
        frame, y = frame.iloc[rows], y[rows]
        check_class_sizes(labels._replace(codes=y), folds)
    columns = Columns(frame, writing or Writing(), day_first, categorical)
    data, notes_on_roles = read_roles(columns, roles)
    _check_roles(roles, target, n_classes=len(labels.labels))
    no_features = {target, *drop, *(set(roles.no_features()) - set(keep))}
    names = [column for column in frame.columns if column not in no_features]
    X, left_out, notes_on_features = as_features(
        columns, names, keep, lambda column: say(f"reading column {column!r}")
    )
    X, left_out = X.reset_index(drop=True), left_out.reset_index(drop=True)
    notes += dict.fromkeys([*notes_on_roles, *notes_on_features])
    if roles.group is None:
        say("looking for ids")
        X, more = _without_ids(X, left_out, y, {*keep, *categorical})
        notes += more
    if not allow_leaky:
        notes += refuse_leaks(X, y, target, deadline=deadline, step=say)
    notes += _about_copies(X)
    names = list(map(str, X.columns))
    X.columns = [f"f{i}" for i in range(len(names))]
    return Table(name, target, X, tuple(names), y, labels.labels, tuple(notes), data, roles)


def _say_nothing(what: str) -> None:
    """Take the place of a progress bar."""


def _texts(names: Collection[Any]) -> list[str]:
    return [str(name) for name in names]


def _check_names(
    known: list[str], target: str, drop: list[str], keep: list[str], categorical: list[str]
) -> None:
    if target not in known:
        raise TableError(f"there is no column {target!r} (--target): {nearest(target, known)}")
    for option, names in (("--drop", drop), ("--keep", keep), ("--categorical", categorical)):
        for column in names:
            if column not in known:
                raise TableError(f"there is no column {column!r} ({option}): {nearest(column, known)}")
    if target in drop:
        raise TableError(f"the target {target!r} cannot be left out (--drop).")


def _check_roles(roles: Roles, target: str, n_classes: int) -> None:
    if target in roles.columns():
        raise TableError(f"the target {target!r} cannot be {roles.columns()[target]}, too.")
    if roles.cost_fp is not None and n_classes > 2:
        raise TableError(
            f"--cost-fp and --cost-fn are for two classes, the target has {n_classes}: take --positive LABEL."
        )


def _without_ids(
    X: pd.DataFrame, left_out: pd.DataFrame, y: NDArray[np.int64], keep: Collection[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the features without ids that repeat, and notes on what looks like customers."""
    found = [*repeated_ids(X, y), *repeated_ids(left_out, y)]
    keys = [one.name for one in found if one.is_key and one.name in X.columns and one.name not in keep]
    if set(keys) == set(X.columns):
        keys = []
    return X.drop(columns=keys), _about_repeated(found, keys)


def _about_repeated(found: list[Repeated], keys: list[str]) -> list[str]:
    if not found:
        return []
    found = sorted(found, key=lambda one: not one.is_key)
    left_out = f" Left out of the features: {', '.join(map(repr, keys))} (--keep keeps them)." if keys else ""
    return [
        f"rows of the same {' or '.join(repr(one.name) for one in found)} have the same label more often "
        f"than others, as the rows of one customer have ({found[0].values:,} values). With such rows in "
        f"training and test every model looks better than it is: --group {found[0].name!r}, or another "
        f"column that names the customer, keeps them on one side.{left_out}"
    ]


def _about_copies(X: pd.DataFrame) -> list[str]:
    copies = int(X.duplicated().sum())
    if copies <= _MANY_COPIES * len(X):
        return []
    return [
        f"{copies:,} rows have the same features as another row: copies in two folds make every model look "
        "better."
    ]


def embedded_table(folds: int = 5, positive: str | None = None) -> Table:
    """Return the real table that ships with scikit-learn: which of 1,797 written digits is an 8.

    Parameters
    ----------
    folds : int
    positive : str or None
        Another digit.

    Returns
    -------
    Table
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
