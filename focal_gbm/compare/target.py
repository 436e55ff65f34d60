"""The target of a table as class codes, with the class of interest found."""

from __future__ import annotations

import difflib
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from focal_gbm.compare.read import TableError

#: More different values than this are not classes that anybody compares.
_MOST_CLASSES = 100

#: Numbers with decimals, and more different ones than this, are a quantity.
_MOST_DECIMALS = 20


class Target(NamedTuple):
    """Class codes and what they mean.

    Attributes
    ----------
    codes : ndarray of int of shape (n_rows,)
        For two classes 1 is the class of interest.
    labels : tuple of str
        By code.
    note : str
        Which class is the one of interest, and why.
    """

    codes: NDArray[np.int64]
    labels: tuple[str, ...]
    note: str


def nearest(name: str, known: list[str]) -> str:
    """Return the end of a sentence that says which names there are, near ones first."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    shown = ", ".join(map(repr, known[:20]))
    return f"there are {shown}{', ...' if len(known) > 20 else ''}."


def take_target(column: pd.Series, positive: str | None = None) -> Target:
    """Return the target's codes.

    Parameters
    ----------
    column : Series of shape (n_rows,)
        Labels of any type.
    positive : str or None, default=None
        The label of interest, as text; of more than two classes it is told apart from the rest. None is
        the rarer of two, or all classes.

    Raises
    ------
    TableError
        For a missing label (its row is named), fewer than two classes, a quantity, an unknown `positive`.
    """
    name = str(column.name)
    missing = column.isna().to_numpy()
    if missing.any():
        rows = f"row {int(missing.argmax()) + 1}"
        if missing.sum() > 1:
            rows += f" and {int(missing.sum()) - 1} more rows"
        raise TableError(f"{rows}, column {name!r}: the target is missing.")
    values = column.to_numpy()
    if values.dtype.kind == "f" and (values == np.round(values)).all():
        values = values.astype(np.int64)  # labels are shown as they are written
    elif values.dtype.kind == "O" or isinstance(column.dtype, pd.CategoricalDtype):
        values = np.array([str(value) for value in values])
    classes, codes = np.unique(values, return_inverse=True)
    labels = [str(label) for label in classes]
    if len(labels) < 2:
        raise TableError(f"the target {name!r} must have two classes or more, got only {labels[0]!r}.")
    if len(labels) > _MOST_CLASSES or (values.dtype.kind == "f" and len(labels) > _MOST_DECIMALS):
        raise TableError(
            f"the target {name!r} has {len(labels)} different values: it looks like a quantity, not classes."
        )
    if positive is not None:
        if positive not in labels:
            raise TableError(
                f"the target {name!r} has no label {positive!r} (--positive): {nearest(positive, labels)}"
            )
        return _against_rest(codes, labels, labels.index(positive), "as asked for")
    counts = np.bincount(codes)
    if len(labels) == 2:
        rarer = 0 if counts[0] < counts[1] else 1
        return _against_rest(codes, labels, rarer, "the rarer one; --positive takes the other")
    rarest = labels[int(counts.argmin())]
    return Target(
        codes.astype(np.int64),
        tuple(labels),
        f"{len(labels)} classes, the rarest is {rarest!r} ({counts.min()} rows); scores are means over the "
        f"classes, each against the rest (--positive LABEL looks at one of them).",
    )


def _against_rest(codes: NDArray[np.intp], labels: list[str], positive: int, why: str) -> Target:
    is_positive = codes == positive
    rest = labels[1 - positive] if len(labels) == 2 else "the rest"
    count = int(is_positive.sum())
    share = f"{count} of {len(codes)} rows, {count / len(codes):.2%}"
    note = f"the class looked for is {labels[positive]!r} ({share}): {why}."
    return Target(is_positive.astype(np.int64), (rest, labels[positive]), note)


def check_class_sizes(target: Target, folds: int) -> None:
    """Refuse a class that cannot be in every fold.

    Raises
    ------
    TableError
        Naming the class, its rows and what to do.
    """
    counts = np.bincount(target.codes, minlength=len(target.labels))
    if counts.min() < folds:
        label, count = target.labels[int(counts.argmin())], int(counts.min())
        advice = f"--folds {count} at most" if count >= 2 else "merge it with another"
        raise TableError(
            f"the class {label!r} has {count} rows, fewer than the {folds} folds: {advice}"
            + (", or --positive LABEL for a class with more rows." if len(target.labels) > 2 else ".")
        )
