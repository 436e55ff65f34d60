"""Labels and weights of Dask collections, block by block.

A block is a partition of a data frame or a chunk of rows of an array. Everything here is lazy; lengths of
blocks need not be known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray, as_column, check_sample_weight
from focal_gbm.fit.labels import encode, encode_as


def check_blocks(X: Any, columns: Mapping[str, Any]) -> None:
    """Raise unless all are Dask collections of as many blocks of rows as X.

    Parameters
    ----------
    X : Dask array or data frame
    columns : dict
        Labels, weights and scores by their names for messages; None where not given.
    """
    for name, column in columns.items():
        if column is None:
            continue
        if not isinstance(column, da.Array | dd.DataFrame | dd.Series):
            raise TypeError(f"{name} must be a Dask array, data frame or series, got {type(column).__name__}.")
        n_blocks, n_expected = column.npartitions, X.npartitions
        if n_blocks != n_expected:
            raise ValueError(
                f"{name} must have as many partitions as its rows, got {n_blocks} and {n_expected}: "
                "repartition or rechunk one of them."
            )


def labels_of(y: Any, sample_weight: Any = None, evaluated: Sequence[Any] = ()) -> Any:
    """Return the sorted classes of all rows, the weight of each, and the numbers of the blocks with rows, delayed.

    Parameters
    ----------
    y : Dask collection of shape (n_samples,)
    sample_weight : Dask collection of shape (n_samples,), default=None
    evaluated : sequence of Dask collections
        Labels of evaluation sets.

    Raises
    ------
    ValueError
        When it is computed: if a label is missing, naming the partition; if a label of an evaluation set is
        not among the classes; if a weight is negative or not finite, or all are zero.
    """
    sets = [_counts_of_blocks(labels, None, f"the labels of eval_set[{i}]") for i, labels in enumerate(evaluated)]
    return dask.delayed(_of_all_rows)(_counts_of_blocks(y, sample_weight, "y"), sets)


def only_blocks(collection: Any, numbers: list[int]) -> Any:
    """Return some blocks of rows of a collection, None of None."""
    if collection is None:
        return None
    return (collection.blocks if isinstance(collection, da.Array) else collection.partitions)[numbers]


def by_row(function: Callable[..., Any], values: Any, dtype: Any, *args: Any) -> Any:
    """Apply a function that returns one value per row to each block of an array, series or data frame.

    Returns
    -------
    Dask array of shape (n_samples,), or a series of a series or data frame
    """
    if isinstance(values, da.Array):
        drop = {"drop_axis": 1} if values.ndim == 2 else {}
        return da.map_blocks(function, values, *args, dtype=dtype, meta=np.empty(0, dtype), **drop)  # type: ignore[no-untyped-call]
    if np.dtype(dtype).kind in "US":  # pandas keeps no texts of fixed length
        dtype = np.dtype(object)
    return values.map_partitions(_as_series, function, dtype, *args, meta=(None, dtype))


def accuracy(y: Any, predicted: Any, sample_weight: Any = None) -> Any:
    """Return the share of right predictions, by weight, as one delayed float."""
    weights = [None] * y.npartitions if sample_weight is None else _blocks(sample_weight)
    sums = [
        dask.delayed(_right_of_block)(*block) for block in zip(_blocks(y), _blocks(predicted), weights, strict=True)
    ]
    return dask.delayed(_share)(sums)


def _right_of_block(y: Any, predicted: Any, sample_weight: Any) -> tuple[float, float]:
    right = as_column(predicted) == as_column(y)
    weight = np.ones(len(right)) if sample_weight is None else as_column(sample_weight)
    return float(right @ weight), float(weight.sum())


def _share(sums: list[tuple[float, float]]) -> float:
    right, total = np.sum(sums, axis=0)
    return float(right / total)


def _as_series(block: Any, function: Callable[..., Any], dtype: Any, *args: Any) -> Any:
    import pandas as pd

    return pd.Series(function(block, *args), index=block.index, dtype=dtype)


def _counts_of_blocks(y: Any, sample_weight: Any, name: str) -> list[Any]:
    weights = [None] * y.npartitions if sample_weight is None else _blocks(sample_weight)
    return [
        dask.delayed(_counts_of_block)(labels, weight, f"{name}, partition {i},")
        for i, (labels, weight) in enumerate(zip(_blocks(y), weights, strict=True))
    ]


def _blocks(collection: Any) -> list[Any]:
    return list(np.asarray(collection.to_delayed(), dtype=object).ravel())


def _counts_of_block(y: Any, sample_weight: Any, name: str) -> tuple[NDArray[Any], FloatArray] | None:
    if not len(y):
        return None
    classes, codes = encode(as_column(y), name)
    if codes.ndim == 2:
        raise ValueError(f"{name} must have shape (n_samples,), got shape {codes.shape}.")
    weight = None if sample_weight is None else as_column(sample_weight)
    if weight is not None and weight.any():  # a block may have no weight, all rows together not
        weight = np.asarray(check_sample_weight(weight, len(codes)), np.float32)  # as the libraries keep it
    return classes, np.bincount(codes, weight, len(classes)).astype(np.float64)


def _of_all_rows(training: list[Any], evaluated: list[list[Any]]) -> tuple[NDArray[Any], FloatArray, list[int]]:
    with_rows = [i for i, part in enumerate(training) if part is not None]
    parts = [training[i] for i in with_rows]
    if not parts:
        raise ValueError("y must hold at least one row, got none.")
    classes, codes = encode(np.concatenate([own for own, _ in parts]))
    for i, blocks in enumerate(evaluated):
        for own, _ in filter(None, blocks):
            encode_as(own, classes, f"the labels of eval_set[{i}]")
    counts = np.concatenate([counts for _, counts in parts])
    if not counts.any():
        raise ValueError("sample_weight must have at least one positive weight, got all weights zero.")
    return classes, np.bincount(codes, counts, len(classes)).astype(np.float64), with_rows
