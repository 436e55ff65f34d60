"""The target of a table as class codes, with the class of interest found."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from focal_gbm.compare.errors import TableError, nearest

#: More different values than this are not classes that anybody compares.
_MOST_CLASSES = 100

#: Numbers with decimals, and more different ones than this, are a quantity.
_MOST_DECIMALS = 20

#: Doubles above it are no longer all the whole numbers there are, so that two labels could become one.
_LARGEST_LABEL = 2.0**53


class Target(NamedTuple):
    """Class codes and what they mean.

    Attributes
    ----------
    codes : ndarray of int of shape (n_rows,)
        For two classes 1 is the class of interest.
    labels : tuple of str
        By code.
    notes : tuple of str
        Which class is the one of interest, and why; what was done to the labels.
    """

    codes: NDArray[np.int64]
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def take_target(column: pd.Series, positive: str | None = None) -> Target:
    """Return the target's codes.

    Parameters
    ----------
    column : Series of shape (n_rows,)
        Labels of any type.
    positive : str or None, default=None
        The label of interest, as it is written; of more than two classes it is told apart from the rest.
        None is the rarer of two, or all classes.

    Raises
    ------
    TableError
        For a missing or infinite label (its row is named), fewer than two classes, a quantity, an unknown
        `positive`.
    """
    name = str(column.name)
    texts, notes = _as_texts(column, name)
    _refuse_missing(texts, name)
    values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
    if not np.isnan(values).any():
        _refuse_huge(values, texts, name)
        order = np.argsort(values, kind="stable")  # 2 comes before 10
        labels = list(dict.fromkeys(texts.iloc[order]))
        same = pd.Series(values, index=texts.to_numpy()).groupby(level=0).first()
        if same.nunique() < len(labels):
            texts, labels, note = _one_writing(texts, values, name)
            notes.append(note)
    else:
        labels = sorted(texts.unique())
    if len(labels) < 2:
        raise TableError(f"the target {name!r} must have two classes or more, got only {labels[0]!r}.")
    has_decimals = not np.isnan(values).any() and bool((values != np.round(values)).any())
    if len(labels) > _MOST_CLASSES or (has_decimals and len(labels) > _MOST_DECIMALS):
        raise TableError(
            f"the target {name!r} has {len(labels)} different values: it looks like a quantity, not classes."
        )
    notes += _alike(labels, name)
    codes = pd.Categorical(texts, categories=labels).codes.astype(np.int64)
    return _with_class_of_interest(codes, labels, positive, name, notes)


def _as_texts(column: pd.Series, name: str) -> tuple[pd.Series, list[str]]:
    """Return labels as they are written, without blanks at their ends."""
    values = column.astype("object")
    if pd.api.types.is_float_dtype(column.dtype):
        numbers = column.to_numpy(np.float64, na_value=np.nan)
        finite = numbers[np.isfinite(numbers)]
        if (finite == np.round(finite)).all():  # labels of whole numbers that a missing one made floats
            values = values.map(
                lambda value: int(value) if abs(value) < _LARGEST_LABEL else value, na_action="ignore"
            )
    texts = values.map(str, na_action="ignore")
    stripped = texts.map(str.strip, na_action="ignore")
    if stripped.nunique() < texts.nunique():
        return stripped, [f"target {name!r}: labels that differ in blanks at their ends are one."]
    return stripped, []


def _refuse_missing(texts: pd.Series, name: str) -> None:
    missing = (texts.isna() | (texts == "")).to_numpy()
    if not missing.any():
        return
    rows = f"row {int(missing.argmax()) + 1}"
    if missing.sum() > 1:
        rows += f" and {int(missing.sum()) - 1} more rows"
    raise TableError(
        f"{rows}, column {name!r}: the target is missing. (Where NA, None or the like is a class: --na-only.)"
    )


def _refuse_huge(values: NDArray[np.float64], texts: pd.Series, name: str) -> None:
    huge = ~(np.abs(values) <= _LARGEST_LABEL)
    if huge.any():
        place = int(huge.argmax())
        raise TableError(f"row {place + 1}, column {name!r}: {texts.iloc[place]} is no label of a class.")


def _one_writing(
    texts: pd.Series, values: NDArray[np.float64], name: str
) -> tuple[pd.Series, list[str], str]:
    """Return labels in which each number is written as it is first ("1" and "1.0" are one label)."""
    first = pd.Series(texts.to_numpy(), index=values).groupby(level=0, sort=True).first()
    written = pd.Series(values, index=texts.index).map(first)
    others = sorted(set(texts) - set(first))
    note = f"target {name!r}: labels of the same number are one ({', '.join(map(repr, others))} too)."
    return written, list(first), note


def _alike(labels: list[str], name: str) -> list[str]:
    """Return a note on labels that differ by case only."""
    by_case: dict[str, list[str]] = {}
    for label in labels:
        by_case.setdefault(label.casefold(), []).append(label)
    alike = [" and ".join(map(repr, same)) for same in by_case.values() if len(same) > 1]
    return (
        [f"target {name!r}: {', '.join(alike)} differ by case only and are different classes."]
        if alike
        else []
    )


def _with_class_of_interest(
    codes: NDArray[np.int64], labels: list[str], positive: Any, name: str, notes: list[str]
) -> Target:
    if positive is not None:
        positive = str(positive).strip()
        same_number = [label for label in labels if _number(label) == _number(positive)]
        if positive not in labels and len(same_number) == 1:
            positive = same_number[0]
        if positive not in labels:
            raise TableError(
                f"the target {name!r} has no label {positive!r} (--positive): {nearest(positive, labels)}"
            )
        return _against_rest(codes, labels, labels.index(positive), "as asked for", notes)
    counts = np.bincount(codes)
    if len(labels) == 2:
        rarer = 0 if counts[0] < counts[1] else 1
        return _against_rest(codes, labels, rarer, "the rarer one; --positive takes the other", notes)
    rarest = labels[int(counts.argmin())]
    note = (
        f"{len(labels)} classes, the rarest is {rarest!r} ({counts.min()} rows); scores are means over the "
        "classes, each against the rest (--positive LABEL looks at one of them)."
    )
    return Target(codes, tuple(labels), (note, *notes))


def _number(label: str) -> float | str:
    try:
        return float(label)
    except ValueError:
        return label


def _against_rest(
    codes: NDArray[np.int64], labels: list[str], positive: int, why: str, notes: list[str]
) -> Target:
    is_positive = codes == positive
    rest = labels[1 - positive] if len(labels) == 2 else "the rest"
    count = int(is_positive.sum())
    share = f"{count} of {len(codes)} rows, {count / len(codes):.2%}"
    note = f"the class looked for is {labels[positive]!r} ({share}): {why}."
    return Target(is_positive.astype(np.int64), (rest, labels[positive]), (note, *notes))


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
