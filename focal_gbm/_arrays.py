"""What the package needs from arrays: row blocks that stay in cache, arrays of a CUDA device on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Elements a block: its dozen temporaries in float64 take 1.5 MiB, about the cache of one core.
BLOCK_SIZE = 16384


def row_blocks(n_rows: int, row_size: int = 1) -> Iterator[slice]:
    """Yield slices that cover ``range(n_rows)`` in blocks of about BLOCK_SIZE elements."""
    step = max(1, BLOCK_SIZE // row_size)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def smallest_integers(codes: NDArray[Any], n_classes: int) -> NDArray[Any]:
    """Return class codes in the smallest type that holds them: a fit keeps those of every row."""
    return codes.astype(np.min_scalar_type(max(n_classes - 1, 0)), copy=False)


def as_numpy(values: Any) -> NDArray[Any]:
    """Return an array, column or table of any of the libraries' types as NumPy's."""
    values = on_cpu(values)
    if hasattr(values, "collect"):  # a polars LazyFrame
        values = values.collect()
    return np.asarray(values)


def as_column(values: Any) -> NDArray[Any]:
    """Return what `as_numpy` does, without a second axis of length 1."""
    array = as_numpy(values)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def as_table(X: Any) -> Any:
    """Return a polars LazyFrame collected and a RecordBatch as a pyarrow Table, all else as it came."""
    if type(X).__module__.startswith("pyarrow") and type(X).__name__ == "RecordBatch":
        return import_module("pyarrow").Table.from_batches([X])
    return X.collect() if type(X).__name__ == "LazyFrame" else X


#: How arrays and tables on a CUDA device come to the CPU, by package. NumPy refuses to do it by itself.
_TO_CPU = {"cudf": "to_pandas", "cupy": "get", "numba": "copy_to_host"}


def on_cpu(array: Any) -> Any:
    """Return an array, column or table of a CUDA device as NumPy's or pandas', all else as it came."""
    method = _TO_CPU.get(type(array).__module__.partition(".")[0])
    return array if method is None else getattr(array, method)()
