"""Labels: from what a user gives to codes, and the weight of each class."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, column_or_1d

from focal_gbm._arrays import as_numpy, smallest_integers
from focal_gbm._validation import FloatArray, check_binary_labels

#: Range of whole numbers up to which classes are counted and looked up: a table of them stays in the cache.
_MOST_COUNTED = 1 << 16


def check_two_classes(classes: NDArray[Any]) -> None:
    """Raise unless there are two classes or more."""
    if len(classes) < 2:
        raise ValueError(
            "y must hold two classes or more, got "
            + (f"one class only: {classes[0]!r}." if len(classes) else "0 samples.")
        )


def check_class_counts(counts: FloatArray, classes: NDArray[Any]) -> None:
    """Raise unless every class has some weight."""
    if not counts.all():
        empty = classes.tolist()[int(counts.argmin())]
        raise ValueError(f"sample_weight must leave every class some weight, got none for {empty!r}.")


def as_indicator(y: Any, name: str, n_labels: int | None = None) -> NDArray[np.bool_]:
    """Return 0/1 labels of shape (n_samples, n_labels) as booleans."""
    labels = as_array(y, name)
    if labels.ndim != 2 or labels.shape[1] != (n_labels or labels.shape[1]):
        raise ValueError(
            f"{name} must have shape (n_samples, {n_labels or 'n_labels'}), got shape {labels.shape}."
        )
    columns = [*labels.T]
    if labels.dtype == np.object_:  # of text
        columns = [np.array(column.tolist()) for column in columns]
    return np.column_stack(
        [check_binary_labels(column, f"column {j} of {name}") for j, column in enumerate(columns)]
    )


def as_array(y: Any, name: str) -> NDArray[Any]:
    """Return labels of any type as an array; raise where one is missing."""
    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    if hasattr(y, "toarray"):  # SciPy's sparse labels
        y = y.toarray()
    labels = as_numpy(y)
    # a list of text with a NaN, and a masked array, lose what is missing as they become an array
    given = np.array(y, dtype=object) if isinstance(y, list | tuple) and labels.dtype.kind in "US" else labels
    missing = np.ma.getmaskarray(y) if np.ma.isMaskedArray(y) else _missing(given)
    rows = missing.any(axis=tuple(range(1, missing.ndim)))
    if rows.any():
        row = int(rows.argmax())
        value = given[row][missing[row]][0] if missing.ndim > 1 else given[row]
        value = np.ma.masked if np.ma.isMaskedArray(y) else value
        raise ValueError(f"{name} must hold a label in every row, got {value} at row {row}.")
    if labels.dtype == np.object_:  # numbers beside each other, such as pandas' nullable ones
        labels = _as_numbers(labels)
    return labels


def _as_numbers(labels: NDArray[Any]) -> NDArray[Any]:
    """Return an array of objects as one of numbers where that is what they are."""
    with suppress(ValueError):  # sequences of several lengths
        numbers = np.array(labels.tolist())
        if numbers.dtype.kind in "biuf" and (numbers == labels).all():
            return numbers
    return labels


def _missing(labels: NDArray[Any]) -> NDArray[np.bool_]:
    if labels.dtype.kind == "O":
        return np.array([_is_missing(label) for label in labels.flat], dtype=bool).reshape(labels.shape)
    if labels.dtype.kind in "mM":
        return np.isnat(labels)
    return np.isnan(labels) if labels.dtype.kind == "f" else np.zeros(labels.shape, dtype=bool)


def _is_missing(label: Any) -> bool:
    if label is None:
        return True
    try:
        return bool(label != label)  # NaN, NaT
    except TypeError:
        return True  # pandas.NA: neither true nor false
    except ValueError:
        return False  # a sequence: not a label, but not missing


def as_target(y: Any, name: str = "y") -> NDArray[Any]:
    """Return checked labels of shape (n_samples,), or many labels of shape (n_samples, n_labels)."""
    y = as_array(y, name)
    return y if y.ndim == 2 and y.shape[1] > 1 else _as_labels(y, name)


def classes_and_codes(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the sorted classes and the position of each label in them, as ``np.unique``.

    `np.unique` sorts the positions for it, which takes longer than a fit on a CUDA device.
    """
    least = _least_of_few(labels)
    if least is None:
        classes = np.unique(labels)
        return classes, _positions(labels, classes)
    above = _above(labels, least)
    is_class = np.bincount(above) > 0
    classes = (np.flatnonzero(is_class) + least).astype(labels.dtype)
    return classes, smallest_integers(is_class.cumsum() - 1, len(classes))[above]


def encode_labels(y: Any, classes: NDArray[Any], name: str) -> NDArray[Any]:
    """Return the positions of labels in the sorted `classes`."""
    labels = _as_labels(y, name)
    try:
        codes = _positions(labels, classes)
        are_seen = bool((classes[codes] == labels).all())
    except TypeError:  # text beside numbers
        are_seen = False
    if not are_seen:
        unseen = sorted({str(label) for label in np.unique(labels)} - {str(label) for label in classes})
        raise ValueError(
            f"{name} must hold only labels seen in y, {classes.tolist()}, got {', '.join(unseen)}."
        )
    return codes


def _positions(labels: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """Return the positions of labels in the sorted classes, of others any."""
    if len(classes) == 2:
        return np.asarray(labels == classes[1]).astype(np.uint8)
    least = _least_of_few(labels)
    if least is None or classes.dtype.kind not in "biu":
        return np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    above = _above(labels, least)
    return np.minimum(np.searchsorted(classes, least + np.arange(above.max() + 1)), len(classes) - 1)[above]


def _least_of_few(labels: NDArray[Any]) -> int | None:
    """Return the least of whole numbers that lie close enough together to be counted, not sorted."""
    if labels.dtype.kind not in "biu" or not labels.size:
        return None
    least, most = int(labels.min()), int(labels.max())
    return least if most - least < _MOST_COUNTED else None


def _above(labels: NDArray[Any], least: int) -> NDArray[np.intp]:
    if labels.dtype == np.bool_ or least == 0:
        return labels.astype(np.intp, copy=False)
    wide = labels if labels.dtype.itemsize == 8 else labels.astype(np.int64)  # -128 to 127 spans no int8
    return (wide - wide.dtype.type(least)).astype(np.intp, copy=False)


def _as_labels(y: Any, name: str) -> NDArray[Any]:
    labels = np.asarray(column_or_1d(as_array(y, name), warn=True))
    if labels.dtype == np.float16:
        raise TypeError(f"{name} must hold labels of an exact type, got float16.")
    assert_all_finite(labels, input_name=name)
    if labels.dtype.kind not in "biu":  # whole numbers are classes
        check_classification_targets(labels)
    return labels
