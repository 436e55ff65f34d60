"""Columns that say something about a row instead of predicting it: its time, customer, weight and costs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray
from focal_gbm.compare.columns import Columns, refuse_infinite
from focal_gbm.compare.errors import TableError, nearest


@dataclass(frozen=True)
class Roles:
    """Names of columns, or numbers that hold for every row.

    Attributes
    ----------
    time : str or None
        Train on the past and test on the future.
    ordered : bool
        The same where no column has the time, but the rows are in its order.
    group : str or None
        Rows of the same group (customer) are never in training and test.
    weight : str or None
        How often each row counts.
    cost_fp, cost_fn : float, str or None
        What a false alarm and a missed positive cost.
    """

    time: str | None = None
    group: str | None = None
    weight: str | None = None
    cost_fp: float | str | None = None
    cost_fn: float | str | None = None
    ordered: bool = False

    def __post_init__(self) -> None:
        if self.ordered and self.time is not None:
            raise TableError("--ordered is for tables without a column of times: leave out it or --time.")
        if (self.cost_fp is None) != (self.cost_fn is None):
            raise TableError("--cost-fp and --cost-fn go together: give both.")

    def columns(self) -> dict[str, str]:
        """Return the columns that are named, each with the option that names it."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            value: f"--{name.replace('_', '-')}" for name, value in named.items() if isinstance(value, str)
        }

    def no_features(self) -> list[str]:
        """Return the columns that are not to predict from: an amount that costs is, a weight is not."""
        return [name for name in (self.time, self.group, self.weight) if name is not None]


@dataclass(frozen=True, eq=False)
class RowData:
    """What the roles say about each row.

    Attributes
    ----------
    time : ndarray of float64 of shape (n_rows,) or None
    group : ndarray of int of shape (n_rows,) or None
    weight, cost_fp, cost_fn : ndarray of float64 of shape (n_rows,) or None
    has_amounts : bool
        Whether a missed positive costs another amount in each row.
    """

    time: FloatArray | None = None
    group: NDArray[np.intp] | None = None
    weight: FloatArray | None = None
    cost_fp: FloatArray | None = None
    cost_fn: FloatArray | None = None
    has_amounts: bool = False


def read_roles(columns: Columns, roles: Roles) -> tuple[RowData, list[str]]:
    """Return what the roles say about each row, and notes on it.

    Raises
    ------
    TableError
        For an unknown column, a missing value (its row is named), a negative weight or cost.
    """
    known = list(columns.frame.columns)
    for name, option in roles.columns().items():
        if name not in known:
            raise TableError(f"there is no column {name!r} ({option}): {nearest(name, known)}")
    notes: list[str] = []
    read: dict[str, Any] = {}
    if roles.time is not None:
        read["time"] = _numbers(columns, roles.time, "--time", notes)
    if roles.ordered:
        read["time"] = columns.frame.index.to_numpy(np.float64)
        notes.append("the rows are taken to be in the order of time.")
    if roles.group is not None:
        _refuse_missing(columns.frame[roles.group], roles.group, "--group")
        values = columns.frame[roles.group].map(
            lambda value: value.strip() if isinstance(value, str) else value
        )
        read["group"] = pd.factorize(values)[0]
        notes.append(
            f"rows of the same {roles.group!r} ({read['group'].max() + 1:,} of them) stay on one side."
        )
    if roles.weight is not None:
        read["weight"] = _not_negative(
            _numbers(columns, roles.weight, "--weight", notes), roles.weight, "weight"
        )
        if not read["weight"].any():
            raise TableError(f"column {roles.weight!r} (--weight) must have a weight > 0, got zeros only.")
    for side in ("cost_fp", "cost_fn"):
        cost = getattr(roles, side)
        if isinstance(cost, str):
            numbers = _numbers(columns, cost, f"--{side.replace('_', '-')}", notes)
            read[side] = _not_negative(numbers, cost, "cost")
        elif cost is not None:
            if not (np.isfinite(cost) and cost >= 0):
                raise TableError(
                    f"--{side.replace('_', '-')} must be a number >= 0 or a column, got {cost!r}."
                )
            read[side] = np.full(len(columns.frame), float(cost))
    return RowData(**read, has_amounts=isinstance(roles.cost_fn, str)), notes


def _numbers(columns: Columns, name: str, option: str, notes: list[str]) -> FloatArray:
    _refuse_missing(columns.frame[name], name, option)
    column = columns.read(name)
    if column.kind == "category":
        example = columns.frame[name].iloc[0]
        raise TableError(f"column {name!r} ({option}) must hold numbers or times, got {example!r} in row 1.")
    _refuse_missing(column.values, name, option)
    refuse_infinite(column.values, name)
    notes += column.notes
    numbers: FloatArray = column.values.to_numpy(np.float64)
    return numbers


def _refuse_missing(column: pd.Series, name: str, option: str) -> None:
    missing = column.isna().to_numpy()
    if missing.any():
        place = int(missing.argmax())
        raise TableError(f"row {column.index[place] + 1}, column {name!r} ({option}): the value is missing.")


def _not_negative(numbers: FloatArray, name: str, what: str) -> FloatArray:
    if (numbers < 0).any():
        place = int((numbers < 0).argmax())
        raise TableError(f"column {name!r}: a {what} must be >= 0, got {numbers[place]:g}.")
    return numbers
