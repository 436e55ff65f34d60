"""Labels: from what a user gives to codes, and the weight of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, column_or_1d

from focal_gbm._arrays import on_cpu
from focal_gbm._validation import FloatArray, check_binary_labels


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
    labels = _as_array(y, name)
    if labels.ndim != 2 or labels.shape[1] != (n_labels or labels.shape[1]):
        raise ValueError(
            f"{name} must have shape (n_samples, {n_labels or 'n_labels'}), got shape {labels.shape}."
        )
    columns = [*labels.T]
    if labels.dtype == np.object_:  # numbers of several types, or a data frame's nullable ones
        columns = [np.array(column.tolist()) for column in columns]
    return np.column_stack(
        [check_binary_labels(column, f"column {j} of {name}") for j, column in enumerate(columns)]
    )


def _as_array(y: Any, name: str) -> NDArray[Any]:
    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    y = on_cpu(y)
    if hasattr(y, "collect"):  # a polars LazyFrame
        y = y.collect()
    if hasattr(y, "toarray"):  # SciPy's sparse labels
        y = y.toarray()
    nullable = getattr(getattr(y, "dtype", None), "numpy_dtype", None)  # of pandas: Int64, boolean, ...
    if nullable is not None and not y.isna().any():
        y = y.to_numpy(dtype=nullable)  # scikit-learn would make floats of all of them
    return np.asarray(y)


def as_target(y: Any) -> NDArray[Any]:
    """Return checked labels of shape (n_samples,), or many labels of shape (n_samples, n_labels)."""
    y = _as_array(y, "y")
    return y if y.ndim == 2 and y.shape[1] > 1 else _as_labels(y, "y")


def encode_labels(y: Any, classes: NDArray[Any], name: str) -> NDArray[np.intp]:
    """Return the positions of labels in the sorted `classes`."""
    labels = _as_labels(y, name)
    encoder = LabelEncoder()
    encoder.classes_ = classes
    try:
        return np.asarray(encoder.transform(labels))
    except (ValueError, TypeError):
        unseen = sorted({str(label) for label in np.unique(labels)} - {str(label) for label in classes})
        raise ValueError(
            f"{name} must hold only labels seen in y, {classes.tolist()}, got {', '.join(unseen)}."
        ) from None


def _as_labels(y: Any, name: str) -> NDArray[Any]:
    labels = np.asarray(column_or_1d(_as_array(y, name), warn=True))
    if labels.dtype == np.float16:
        raise TypeError(f"{name} must hold labels of an exact type, got float16.")
    assert_all_finite(labels, input_name=name)
    if labels.dtype.kind == "O" and any(label is None for label in labels):
        raise ValueError(f"{name} must hold a label in every row, got None.")
    check_classification_targets(labels)
    return labels
