"""Dask collections of labels, weights and scores, block by block.

A block is a partition of a data frame or a chunk of rows of an array. Everything here is lazy; lengths
of blocks need not be known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray
from focal_gbm.training.counts import ClassCounts
from focal_gbm.training.labels import check_two_classes, encode_labels
from focal_gbm.training.plan import Target
from focal_gbm.training.state import FocalState


class DaskRows(NamedTuple):
    """The collections of one set of rows."""

    X: Any
    y: Any
    weight: Any = None
    score: Any = None  #: scores to start from
    score_name: str = ""  #: what the library calls them
    of: str = ""  #: which set, for errors

    def check(self) -> None:
        """Raise unless all are Dask collections with as many partitions as X."""
        _check_collection(self.X, "X" + self.of)
        for value, name in ((self.y, "y"), (self.weight, "sample_weight"), (self.score, self.score_name)):
            if value is None and name != "y":
                continue
            _check_collection(value, name + self.of)
            n_blocks, n_expected = len(blocks(value)), len(blocks(self.X))
            if n_blocks != n_expected:
                raise ValueError(
                    f"{name + self.of} must have as many partitions as its rows, got {n_blocks} and "
                    f"{n_expected}: repartition or rechunk one of them."
                )

    def persist(self, client: Any) -> DaskRows:
        """Return the same in the workers' memory: the labels are read twice.

        Each by itself: Dask's optimiser gives a series the data of an array where both are persisted at once.
        """
        self.check()
        names = ("X", "y", "weight", "score")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return self._replace(**{name: client.persist(value) for name, value in given.items()})

    def counts(self) -> Any:
        """Return the class counts of all rows as one delayed object."""
        weights = [None] * len(blocks(self.y)) if self.weight is None else blocks(self.weight)
        labels = ("the labels" if self.of else "y") + self.of
        parts = [
            dask.delayed(_counts_of_block)(y, weight, labels, i)
            for i, (y, weight) in enumerate(zip(blocks(self.y), weights, strict=True))
        ]
        return dask.delayed(sum)(parts, ClassCounts())

    def target(self) -> Any:
        """Return classes and their weights as a `Target` without codes, and the number of rows, delayed."""
        return dask.delayed(_target_of)(self.counts())


def _target_of(counts: ClassCounts) -> tuple[Target, int]:
    check_two_classes(counts.classes)
    return Target(counts.classes, np.empty(0, np.uint8), None, counts.counts), counts.n_samples


def _check_collection(value: Any, name: str) -> None:
    if not isinstance(value, (da.Array, dd.DataFrame, dd.Series)):
        raise TypeError(f"{name} must be a Dask array, data frame or series, got {type(value).__name__}.")


def blocks(collection: Any) -> list[Any]:
    """Return the blocks of rows as delayed objects."""
    return list(np.asarray(collection.to_delayed(), dtype=object).ravel())


def encoded(y: Any, classes: NDArray[Any]) -> Any:
    """Return the codes of labels, which were counted, as float32 in the collection's own kind."""
    return _by_row(_encode_block, y, np.float32, "label", classes)


def single_column(weight: Any) -> Any:
    """Return weights without a second axis of length 1, None as it is."""
    if getattr(weight, "ndim", 1) == 1:
        return weight
    return weight[:, 0] if isinstance(weight, da.Array) else weight[weight.columns[0]]


def constant(y: Any, score: FloatArray) -> Any:
    """Return a constant score for every row of y, one column a class where there are many."""
    if isinstance(y, da.Array):
        n_scores = len(score)
        shape: dict[str, Any] = {"drop_axis": 1} if y.ndim == 2 and n_scores == 1 else {}
        if n_scores > 1:
            shape = {"chunks": (y.chunks[0], (n_scores,))}
            if y.ndim == 1:
                shape["new_axis"] = 1
        return da.map_blocks(_constant_block, y, score, dtype=np.float64, meta=np.empty(0), **shape)
    return y.map_partitions(_constant_block, score, meta=_constant_block(y._meta, score))


def raised(score: Any, start: FloatArray) -> Any:
    """Return scores with a constant added to each row, whatever their index and columns are called."""
    if isinstance(score, da.Array):
        return score + (start if score.ndim == 2 and len(start) > 1 else start[0])
    return score.map_partitions(_raise_block, start, meta=score._meta.astype(np.float64))


def _raise_block(block: Any, start: FloatArray) -> Any:
    return block + (start if len(start) > 1 else start[0])


def decisions(raw: Any, state: FocalState) -> Any:
    """Return the labels with the largest focal score, a series of a series."""
    return _by_row(_decide_block, raw, state.classes.dtype, "predictions", state)


def probabilities(raw: Any, state: FocalState, probability: str) -> da.Array:
    """Return the probabilities of the classes, of shape (n_samples, n_classes)."""
    if not isinstance(raw, da.Array):
        raw = raw.to_dask_array()
    n_classes = len(state.classes)
    return da.map_blocks(
        _probabilities_of_block,
        raw,
        state.link(probability),
        n_classes,
        dtype=raw.dtype,
        meta=np.empty((0, 0), raw.dtype),
        chunks=(raw.chunks[0], (n_classes,)),
        **({"new_axis": 1} if raw.ndim == 1 else {}),
    )


def accuracy(y: Any, predicted: Any, sample_weight: Any) -> Any:
    """Return the share of right predictions, by weight, as a delayed float."""
    weights = [None] * len(blocks(y)) if sample_weight is None else blocks(sample_weight)
    sums = [
        dask.delayed(_right_of_block)(*block)
        for block in zip(blocks(y), blocks(predicted), weights, strict=True)
    ]
    return dask.delayed(_share)(sums)


def _by_row(function: Callable[..., Any], values: Any, dtype: Any, name: str, *args: Any) -> Any:
    """Apply a function that returns one value a row to each block of a series or an array."""
    if isinstance(values, da.Array):
        drop = {"drop_axis": 1} if values.ndim == 2 else {}
        return da.map_blocks(function, values, *args, dtype=dtype, meta=np.empty(0, dtype), **drop)
    return values.map_partitions(_as_series, function, name, *args, meta=(name, _dtype_of_series(dtype)))


def _dtype_of_series(dtype: Any) -> Any:
    return np.dtype(object) if np.dtype(dtype).kind in "US" else dtype


def _as_series(block: Any, function: Callable[..., Any], name: str, *args: Any) -> Any:
    import pandas as pd

    values = function(_one_column(block), *args)
    return pd.Series(values, index=block.index, name=name, dtype=_dtype_of_series(values.dtype))


def _one_column(block: Any) -> Any:
    """Return labels or scores without a second axis of length 1, and without an index."""
    if getattr(block, "ndim", 1) == 2 and block.shape[1] == 1:
        block = block.iloc[:, 0] if hasattr(block, "iloc") else block[:, 0]
    return block.to_numpy() if hasattr(block, "to_numpy") else block


def _counts_of_block(y: Any, sample_weight: Any, name: str, i: int) -> ClassCounts:
    weight = None if sample_weight is None else _one_column(sample_weight)
    return ClassCounts.of(_one_column(y), weight, f"{name}, partition {i},")


def _encode_block(y: Any, classes: NDArray[Any]) -> NDArray[np.float32]:
    if not len(y):
        return np.empty(0, np.float32)
    return encode_labels(_one_column(y), classes, "y").astype(np.float32)


def _decide_block(raw: FloatArray, state: FocalState) -> NDArray[Any]:
    return state.decisions(raw) if len(raw) else state.classes[:0]


def _probabilities_of_block(raw: FloatArray, link: Any, n_classes: int) -> FloatArray:
    # LightGBM's Dask engine returns no columns for no rows
    return link.probabilities(raw) if len(raw) else np.empty((0, n_classes), raw.dtype)


def _constant_block(y: Any, score: FloatArray) -> Any:
    values = np.full((len(y), len(score)), score) if len(score) > 1 else np.full(len(y), score[0])
    if not hasattr(y, "index"):
        return values
    import pandas as pd

    frame = pd.DataFrame if len(score) > 1 else pd.Series
    return frame(values, index=y.index)


def _right_of_block(y: Any, predicted: Any, sample_weight: Any) -> tuple[float, float]:
    right = np.asarray(_one_column(predicted)) == np.asarray(_one_column(y))
    weight = np.ones(len(right)) if sample_weight is None else np.asarray(_one_column(sample_weight))
    return float(right @ weight), float(weight.sum())


def _share(sums: list[tuple[float, float]]) -> float:
    right, total = np.sum(sums, axis=0)
    return float(right / total)
