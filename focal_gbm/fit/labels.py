"""Labels of any type as codes 0 to K-1, which is what XGBoost takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, column_or_1d

from focal_gbm._validation import as_numpy, check_binary_labels, smallest_integers

#: Range of whole numbers up to which classes are counted and looked up: a table of them stays in the cache.
#: np.unique sorts, which takes longer than a fit on a CUDA device.
_MOST_COUNTED = 1 << 16


def encode(y: Any, name: str = "y") -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the sorted classes and the code of each label, in the smallest type that holds them.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Labels of any type; many labels of 0 and 1.
    name : str
        For messages.

    Raises
    ------
    ValueError
        If a label is missing, or labels are real numbers.
    """
    labels = _checked(y, name)
    if labels.ndim == 2:
        return np.arange(2), labels
    least = int(labels.min()) if labels.dtype.kind in "biu" and labels.size else 0
    if labels.dtype.kind in "biu" and labels.size and int(labels.max()) - least < _MOST_COUNTED:
        is_from_zero = least == 0 or labels.dtype.kind == "b"
        above = labels.astype(np.intp, copy=False) if is_from_zero else _above(labels, least)
        is_class = np.bincount(above) > 0
        classes = (np.flatnonzero(is_class).astype(labels.dtype) + labels.dtype.type(least)).astype(labels.dtype)
        return classes, smallest_integers(is_class.cumsum() - 1, len(classes))[above]
    classes, codes = np.unique(labels, return_inverse=True)
    return classes, smallest_integers(codes, len(classes))


def encode_as(y: Any, classes: NDArray[Any], name: str) -> NDArray[Any]:
    """Return the codes of labels among known classes.

    Raises
    ------
    ValueError
        Naming the labels that are not among them.
    """
    own, codes = encode(y, name)
    if codes.ndim == 2:
        return codes
    known: dict[Any, int] = {label: code for code, label in enumerate(classes.tolist())}
    unseen = [label for label in own.tolist() if label not in known]
    if unseen:
        raise ValueError(f"{name} must hold only labels seen in y, {classes.tolist()}, got {unseen}.")
    of_own = smallest_integers(np.array([known[label] for label in own.tolist()], np.intp), len(classes))
    return np.asarray(of_own[codes])


def encode_evaluated(labels: Any, i: int, y: Any, codes: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """Return the codes of an evaluation set, `codes` themselves where it has the very `y` of the training set.

    Parameters
    ----------
    labels : array-like
        Of the evaluation set `i`.
    y, codes : array-like, ndarray
        Of the training set.
    classes : ndarray of shape (n_classes,)
    """
    return codes if labels is y else encode_as(labels, classes, f"the labels of eval_set[{i}]")


def class_codes(labels: NDArray[Any], n_classes: int) -> NDArray[Any]:
    """Return the labels that a library keeps, whole numbers in a float array, as losses take them.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,) or (n_samples, n_labels)
    n_classes : int

    Returns
    -------
    ndarray of the shape of `labels`, codes in the smallest type that holds them

    Raises
    ------
    ValueError
        With the first label that is not a whole number from 0 to ``n_classes - 1``.
    """
    codes = labels.astype(np.uint8 if n_classes <= 256 else np.intp)
    if not (codes == labels).all() or (labels >= n_classes).any():
        wrong = labels[(codes != labels) | (labels >= n_classes)][0]
        raise ValueError(f"Labels must be whole numbers from 0 to {n_classes - 1}, got {wrong!s}.")
    return codes


def _checked(y: Any, name: str) -> NDArray[Any]:
    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    labels = as_numpy(y.toarray() if hasattr(y, "toarray") else y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        columns = [np.array(column.tolist()) if column.dtype == object else column for column in labels.T]
        return np.column_stack([check_binary_labels(c, f"column {j} of {name}") for j, c in enumerate(columns)])
    labels = np.asarray(column_or_1d(labels, warn=True))
    given: Any = labels
    if np.ma.isMaskedArray(y):
        given = labels.astype(object)
        given[np.ma.getmaskarray(y).ravel()] = None
    elif isinstance(y, list | tuple) and labels.dtype.kind in "US":
        given = np.array(y, dtype=object)  # a NaN among texts has become a text
    if given.dtype == object:
        missing = [label is None or _is_nan(label) for label in given.ravel()]
        if any(missing):
            row = missing.index(True)
            raise ValueError(f"{name} must hold a label in every row, got {given.ravel()[row]} at row {row}.")
    if labels.dtype == object:  # numbers beside each other, such as pandas' nullable ones
        numbers = np.array(labels.tolist())
        labels = numbers if numbers.dtype.kind in "biuf" else labels
    assert_all_finite(labels, input_name=name)
    if labels.dtype.kind == "f" and labels.size and np.abs(labels).max() > 2 / np.finfo(labels.dtype).eps:
        raise ValueError(f"{name} must hold labels that {labels.dtype} can tell apart, got {labels.max()!r}.")
    if labels.dtype.kind not in "biu":  # whole numbers are classes
        check_classification_targets(labels)
    return labels


def _is_nan(label: Any) -> bool:
    try:
        return bool(label != label)
    except TypeError:
        return True  # pandas.NA is neither true nor false


def _above(labels: NDArray[Any], least: int) -> NDArray[np.intp]:
    wide = labels if labels.dtype.itemsize == 8 else labels.astype(np.int64)  # -128 to 127 spans no int8
    return (wide - wide.dtype.type(least)).astype(np.intp, copy=False)
