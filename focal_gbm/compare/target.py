"""The target of a table as class codes, with the class that is looked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from focal_gbm.compare.errors import TableError, nearest

#: More different values are a quantity, and not classes that anybody compares.
_MOST_CLASSES = 50


def read_target(
    column: pd.Series, positive: str | None = None, folds: int = 1
) -> tuple[NDArray[np.int64], tuple[str, ...], str]:
    """Return class codes, the labels by code, and which class is looked for, in a sentence.

    Parameters
    ----------
    column : Series of shape (n_rows,)
        Labels of any type, whose texts count without blanks at their ends.
    positive : str or None, default=None
        The label looked for, which gets code 1; of more than two classes it is told apart from the rest.
        None is the rarer of two, or all classes.
    folds : int, default=1
        Every class must have so many rows.

    Raises
    ------
    TableError
        For a missing label, one class, a quantity, an unknown `positive`, a class that is too small.

    Examples
    --------
    >>> read_target(pd.Series([1.0, 1.0, 2.0, 1.0, 2.0], name="y"))[:2]
    (array([0, 0, 1, 0, 1]), ('1', '2'))
    """
    name = column.name
    codes, values = pd.factorize(column.astype("object"))
    labels = [_label(value) for value in values]
    missing = np.array([*(label == "" for label in labels), True])[codes]
    if missing.any():
        raise TableError(
            f"row {int(missing.argmax()) + 1}, column {name!r}: the target is missing, in {missing.sum():,} "
            "rows in all. Remove these rows. (Where NA, None or ? is a class: --na-only.)"
        )
    known = sorted(set(labels), key=lambda label: (isinstance(_number(label), str), _number(label)))
    if not 2 <= len(known) <= _MOST_CLASSES:
        raise TableError(
            f"target {name!r} must have 2 to {_MOST_CLASSES} classes, got {len(known):,}: {known[0]!r} ..."
        )
    y = np.array([known.index(label) for label in labels], np.int64)[codes]
    counts = np.bincount(y)
    code, why = int(counts[0] >= counts[1]), "the rarer one; --positive takes the other"
    if positive is not None:
        fits = [label for label in known if _number(label) == _number(str(positive).strip())]
        if not fits:
            raise TableError(f"the target {name!r} has no label {positive!r} (--positive): {nearest(positive, known)}")
        code, why = known.index(fits[0]), "as requested"
    if len(known) == 2 or positive is not None:
        y = (y == code).astype(np.int64)
        known = [known[1 - code] if len(known) == 2 else "the rest", known[code]]
        note = f"the positive class is {known[1]!r} ({y.sum():,} of {len(y):,} rows, {y.mean():.2%}): {why}."
    else:
        note = f"{len(known)} classes: scores are means over them, each against the rest (or --positive LABEL)."
    counts = np.bincount(y)
    if counts.min() < folds:
        few = f"the class {known[int(counts.argmin())]!r} has {counts.min()} rows, fewer than the {folds} folds"
        raise TableError(f"{few}: take fewer (--folds), merge it with another, or --positive LABEL.")
    return y, tuple(known), note


def _label(value: Any) -> str:
    is_whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value) if is_whole else value).strip()  # 1.0, where a missing label made floats


def _number(label: str) -> float | str:
    try:
        return float(label)
    except ValueError:
        return label
