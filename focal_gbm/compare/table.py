"""A table that was checked and can be compared on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from focal_gbm.compare.columns import Column, FloatArray, Reading, Refused, read_column, refuse
from focal_gbm.compare.errors import TableError, nearest, some_of
from focal_gbm.compare.features import explained_alone, looks_like_codes, why_no_feature
from focal_gbm.compare.target import read_target

#: A column that alone explains so much of the target's variance is taken for a copy or a consequence of it.
_COPY = 0.95


@dataclass(frozen=True)
class Roles:
    """Columns that are no features: time, group, weight, costs.

    Attributes
    ----------
    time : str or None
        Train on the past and test on the future.
    ordered : bool
        Rows are in order of time, without a time column.
    group : str or None
        Rows of the same group (customer) are never in both training and test.
    weight : str or None
        How often each row counts.
    cost_fp, cost_fn : float, str or None
        What a false alarm and a missed positive cost: a number, or a column.
    """

    time: str | None = None
    ordered: bool = False
    group: str | None = None
    weight: str | None = None
    cost_fp: float | str | None = None
    cost_fn: float | str | None = None

    def __post_init__(self) -> None:
        if self.ordered and self.time is not None:
            raise TableError("--ordered and --time cannot be combined: drop one of them.")
        if (self.cost_fp is None) != (self.cost_fn is None):
            raise TableError("--cost-fp and --cost-fn go together: give both.")

    @property
    def columns(self) -> dict[str, str]:
        """The columns that are named, by the option that names them."""
        return {f"--{name.replace('_', '-')}": value for name, value in vars(self).items() if isinstance(value, str)}


@dataclass(frozen=True, eq=False)
class Table:
    """Features and classes.

    Attributes
    ----------
    name, target : str
        Of the table and of its target.
    X : DataFrame of shape (n_rows, n_features)
        Numbers (times are days) and categories, under names that both libraries take.
    columns : tuple of str
        The names in the file.
    y : ndarray of int64 of shape (n_rows,)
        Class codes; of two classes 1 is the one looked for.
    labels : tuple of str
        By code.
    roles : Roles
    time, weight, cost_fp, cost_fn : ndarray of float64 of shape (n_rows,) or None
    group : ndarray of int of shape (n_rows,) or None
    alone : dict of float
        What share of the target's variance each column explains alone.
    rows_in_file : int
        Before sampling.
    notes : tuple of str
        What was found and done.
    """

    name: str
    target: str
    X: pd.DataFrame
    columns: tuple[str, ...]
    y: NDArray[np.int64]
    labels: tuple[str, ...]
    roles: Roles = field(default_factory=Roles)
    time: FloatArray | None = None
    group: NDArray[np.intp] | None = None
    weight: FloatArray | None = None
    cost_fp: FloatArray | None = None
    cost_fn: FloatArray | None = None
    alone: dict[str, float] = field(default_factory=dict)
    rows_in_file: int = 0
    notes: tuple[str, ...] = ()

    @property
    def has_amounts(self) -> bool:
        """Whether a missed positive costs another amount in each row."""
        return isinstance(self.roles.cost_fn, str)


def prepare(
    frame: pd.DataFrame,
    target: str,
    *,
    name: str = "the table",
    positive: str | None = None,
    drop: Collection[str] = (),
    keep: Collection[str] = (),
    reading: Reading | None = None,
    roles: Roles | None = None,
    max_rows: int = 50_000,
    folds: int = 5,
    seed: int = 0,
    step: Callable[[str], None] = lambda what: None,
) -> Table:
    """Check a frame, and return it as a table.

    Parameters
    ----------
    frame : DataFrame
        A named index is a column, too.
    target : str
        The column to predict.
    name : str
        Of the table, for people.
    positive : str or None
        The label looked for. None is the rarer of two.
    drop, keep : collection of str
        Columns to leave out, and columns to keep although they look like keys or copies of the target.
    reading : Reading or None
        How texts are read.
    roles : Roles or None
        The columns of time, group, weight and costs.
    max_rows : int
        Of a larger table take a stratified sample of this size.
    folds : int
        Every class must have so many rows.
    seed : int
        Draws the sample.
    step : callable
        Called with what is being done.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        Naming the column, and the row where there is one, and what to do.

    Examples
    --------
    >>> frame = pd.DataFrame({"paid": ["1,5", "2,25"] * 30, "late": ["yes", "no", "no"] * 20})
    >>> prepare(frame, "late")
    Traceback (most recent call last):
    ...
    focal_gbm.compare.errors.TableError: these texts begin like numbers but are not numbers. ...
      'paid', row 1: '1,5'   --decimal ,
    ready to paste: --decimal ,
    >>> prepare(frame, "late", reading=Reading(decimal=",")).X["f0"].tolist()[:2]
    [1.5, 2.25]
    """
    reading, roles, target = reading or Reading(), roles or Roles(), str(target)
    frame = frame.reset_index(drop=all(level is None for level in frame.index.names))
    frame = frame.set_axis([str(column) for column in frame.columns], axis="columns")
    options = {"--target": [target], "--drop": drop, "--keep": keep, "--numeric": reading.numeric}
    options |= {"--categorical": reading.categorical, **{one: [of] for one, of in roles.columns.items()}}
    _check_names(list(frame.columns), target, options)
    y, labels, note = read_target(frame[target], positive, folds)
    if roles.cost_fp is not None and len(labels) > 2:
        raise TableError(f"costs are for two classes, the target has {len(labels)}: --positive LABEL.")
    notes, rows_in_file = [note], len(y)
    if rows_in_file > max_rows:
        rows, _ = train_test_split(np.arange(len(y)), train_size=max_rows, stratify=y, random_state=seed)
        rows.sort()
        frame, y = frame.iloc[rows], y[rows]
        notes.append(f"a stratified sample of {max_rows:,} of the {rows_in_file:,} rows (--max-rows).")
    features, data = _read_columns(frame.drop(columns=target), drop, roles, reading, step)
    kept = {*keep, *reading.categorical, *reading.numeric}
    left_out = {name: why_no_feature(column, name, name in kept) for name, column in features.items()}
    for why in dict.fromkeys(filter(None, left_out.values())):
        notes.append(f"left out: {some_of([name for name in left_out if left_out[name] == why])}, {why}.")
    X = pd.DataFrame({name: one.values for name, one in features.items() if not left_out[name]})
    if X.empty:
        raise TableError("no column is left to predict from.")
    step("looking at each column alone")
    alone = explained_alone(X, y, seed)
    copies = [name for name, share in alone.items() if share > _COPY and name not in keep]
    if copies:
        raise TableError(
            f"column {some_of(copies)} alone predicts {target!r} almost perfectly, as a copy does or a "
            f"consequence: --drop {quote(copies[0])}, or --keep {quote(copies[0])} if it is known in time."
        )
    notes += _about_codes({name: features[name] for name in X.columns if name not in kept}, y)
    names = tuple(X.columns)
    return Table(
        name, target, X.set_axis([f"f{i}" for i in range(len(names))], axis="columns").reset_index(drop=True),
        names, y, labels, roles, **data, alone=alone, rows_in_file=rows_in_file, notes=tuple(notes),
    )  # fmt: skip


def _check_names(known: list[str], target: str, options: dict[str, Collection[str]]) -> None:
    if twice := [name for name, times in Counter(known).items() if times > 1]:
        raise TableError(f"there are several columns of the name {twice[0]!r}: names must differ.")
    for option, names in options.items():
        for name in names:
            if name not in known:
                raise TableError(f"there is no column {name!r} ({option}): {nearest(name, known)}")
            if name == target and option != "--target":
                raise TableError(f"the target {target!r} cannot be {option}, too.")


def _read_columns(
    frame: pd.DataFrame, drop: Collection[str], roles: Roles, reading: Reading, step: Callable[[str], None]
) -> tuple[dict[str, Column], dict[str, Any]]:
    """Return the features, and what the roles say about each row."""
    columns: dict[str, Column] = {}
    refused: list[Refused] = []
    for name in frame.columns:
        if name == roles.group or (name in drop and name not in roles.columns.values()):
            continue
        step(f"reading column {name!r}")
        read = read_column(frame[name], reading)
        if isinstance(read, Refused):
            refused.append(read)
        else:
            columns[name] = read
    refuse(refused)
    data: dict[str, Any] = {"time": frame.index.to_numpy(np.float64)} if roles.ordered else {}
    if roles.group is not None:
        data["group"] = pd.factorize(_complete(frame[roles.group], roles.group, "--group"))[0]
    for role in ("time", "weight", "cost_fp", "cost_fn"):
        of, option = getattr(roles, role), f"--{role.replace('_', '-')}"
        if isinstance(of, str):
            if columns[of].kind == "category":
                raise TableError(f"column {of!r} ({option}) must hold numbers or times, got texts.")
            data[role] = _complete(columns[of].values, of, option).to_numpy(np.float64)
        elif of is not None:
            data[role] = np.full(len(frame), float(of))
        if role != "time" and role in data and not (data[role].min() >= 0 and 0 < data[role].max() < np.inf):
            raise TableError(f"{option} must be finite numbers >= 0 and not all 0, got {of!r}.")
    # an amount that a missed positive costs is a feature, a weight is not
    no_features = {roles.time, roles.weight, *drop}
    return {name: one for name, one in columns.items() if name not in no_features}, data


def _complete(column: pd.Series, name: str, option: str) -> pd.Series:
    if column.isna().any():
        row = int(column.index[int(column.isna().to_numpy().argmax())]) + 1
        raise TableError(f"row {row}, column {name!r} ({option}): the value is missing.")
    return column


def _about_codes(features: dict[str, Column], y: NDArray[np.int64]) -> list[str]:
    """Return notes on numbers that may be categories, and on categories that may be numbers."""
    codes, names = [], []
    for name, (kind, values, example) in features.items():
        if kind == "number" and (example or looks_like_codes(values, y)):
            codes.append(name)
        if kind == "category" and example:
            names.append(f"{name} ({example})")
    options = " ".join(f"--categorical {quote(name)}" for name in codes)
    notes = [f"codes? {some_of(codes)} hold whole numbers in no order or with a 0 in front: {options}"]
    return notes * bool(codes) + [f"texts with digits are names without an order: {some_of(names)}."] * bool(names)


def embedded_frame() -> pd.DataFrame:
    """Return the real table that ships with scikit-learn: 1,797 written digits, the target is "digit"."""
    return load_digits(as_frame=True).frame.rename(columns={"target": "digit"})
