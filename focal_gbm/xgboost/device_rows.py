"""Rows on a CUDA device: which tables can go there, and how they get there.

XGBoost bins rows in main memory on the CPU, also for a CUDA device, which takes longer than a fit there. Rows
that lie on the device it bins there, and the predictions of training stay with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xgboost

from focal_gbm.kernels.cuda import Cuda, find_cuda, is_cuda
from focal_gbm.xgboost.margins import KeptMargins

#: Bytes of rows up to which tables that lie apart on a device are copied into one array: an evaluation of a
#: tree has a fixed cost of some 0.3 ms, of a round of 2 ms with so many rows and less.
_MOST_COPIED = 1 << 30

#: Free memory that an upload needs, in sizes of the rows: themselves, their bins, and room to find the bins.
_NEEDED = 2.5

#: Bytes that are uploaded at once, in the type that they have in main memory.
_UPLOADED_AT_ONCE = 1 << 26


class Placed(NamedTuple):
    """A table on a device."""

    table: Any  #: CuPy's, of shape (n_samples, n_features)
    array: Any  #: what it is a part of
    part: slice  #: which


def cuda_for(model: xgboost.XGBModel) -> Cuda | None:
    """Return the device on which rows and predictions stay, or None where they go through main memory.

    They stay for trees that are not changed once they are grown: not for dart, which weights them anew, nor
    for ``process_type="update"`` and gblinear.

    Parameters
    ----------
    model : FocalXGBClassifier
    """
    if not is_cuda(model.device) or model.booster not in (None, "gbtree"):
        return None
    if model.get_xgb_params().get("process_type") not in (None, "default"):
        return None
    try:
        return find_cuda(str(model.device))
    except Exception:  # without CuPy, or with one that fails: the objective says so
        return None


def place(cuda: Cuda, tables: Sequence[Any]) -> list[Placed | None]:
    """Return each table as one of the device, None where it has to stay where it is.

    Parameters
    ----------
    cuda : Cuda
    tables : sequence
        The rows trained on come first. Those of NumPy and pandas are uploaded if all columns are numbers and
        there is room, those of cuDF copied likewise; those of CuPy are taken as they are, and copied where
        they are few.

    Returns
    -------
    list of Placed or None
        All of none, unless the first can go.
    """
    kinds = [_kind(cuda, table) for table in tables]
    if kinds[0] is None:
        return [None] * len(tables)
    n_features = tables[0].shape[1]
    fitting = [i for i, kind in enumerate(kinds) if kind and tables[i].shape[1] == n_features]
    placed: list[Placed | None] = [None] * len(tables)
    joined = [i for i in fitting if kinds[i] != "device"]
    on_device = [i for i in fitting if kinds[i] == "device"]
    if len(fitting) > 1 and sum(_n_bytes(tables[i]) for i in on_device) <= _MOST_COPIED:
        joined, on_device = fitting, []
    if joined and not _has_room(cuda, [tables[i] for i in joined]):
        joined, on_device = [], [i for i in fitting if kinds[i] == "device"]
    for i, one in zip(joined, _join(cuda, [tables[i] for i in joined]), strict=True):
        placed[i] = one
    for i in on_device:
        placed[i] = Placed(tables[i], tables[i], slice(0, len(tables[i])))
    return placed if placed[0] is not None else [None] * len(tables)


class DeviceMatrix(NamedTuple):
    """A matrix and the rows that it was made of, on a device."""

    data: xgboost.DMatrix
    rows: Placed
    cuda: Cuda


def kept_margins(made: Sequence[DeviceMatrix], missing: float) -> list[KeptMargins]:
    """Return what keeps the predictions of matrices, those of one array together."""
    by_array: dict[int, list[DeviceMatrix]] = {}
    for one in made:
        by_array.setdefault(id(one.rows.array), []).append(one)
    return [
        KeptMargins(group[0].rows.array, [(one.data, one.rows.part) for one in group], missing, group[0].cuda)
        for group in by_array.values()
    ]


def _kind(cuda: Cuda, table: Any) -> str | None:
    """Say what a table is that can be on a device."""
    package = type(table).__module__.partition(".")[0]
    if package == "cupy":
        is_here = table.ndim == 2 and table.dtype.kind in "fiu" and table.device.id == cuda.device.id
        return "device" if is_here else None
    if type(table) is np.ndarray:
        return "main memory" if table.ndim == 2 and _is_number(table.dtype) else None
    if package in ("cudf", "pandas") and hasattr(table, "columns"):
        types = list(table.dtypes)
        return package if types and all(map(_is_number, types)) else None
    return None


def _is_number(dtype: Any) -> bool:
    """Say whether a column's type is one of NumPy's that float32 holds as XGBoost itself would make it."""
    return isinstance(dtype, np.dtype) and dtype.kind in "fiub" and dtype.itemsize <= 8


def _n_bytes(table: Any) -> int:
    """Return the size of a table on the device, as float32."""
    return 4 * table.shape[0] * table.shape[1]


def _has_room(cuda: Cuda, tables: list[Any]) -> bool:
    with cuda.device:
        free, _ = cuda.cupy.cuda.runtime.memGetInfo()
    return bool(_NEEDED * sum(map(_n_bytes, tables)) <= free)


def _join(cuda: Cuda, tables: list[Any]) -> list[Placed | None]:
    """Copy tables into one float32 array of the device."""
    if not tables:
        return []
    ends = np.cumsum([len(table) for table in tables]).tolist()
    try:
        array = cuda.empty((ends[-1], tables[0].shape[1]))
        parts = [slice(end - len(table), end) for end, table in zip(ends, tables, strict=True)]
        for part, table in zip(parts, tables, strict=True):
            with cuda.device:
                _copy(cuda, table, array[part])
    except cuda.cupy.cuda.memory.OutOfMemoryError:  # something else took it in the meantime
        return [None] * len(tables)
    return [Placed(array[part], array, part) for part in parts]


def _copy(cuda: Cuda, table: Any, target: Any) -> None:
    """Write a table into an array of the device, which makes float32 of it: in blocks that lie together."""
    if hasattr(table, "to_cupy"):
        target[...] = table.to_cupy(dtype=np.float32, na_value=np.nan)
    elif hasattr(table, "iloc"):
        for k in range(table.shape[1]):
            target[:, k] = cuda.cupy.asarray(table.iloc[:, k].to_numpy())
    elif type(table) is not np.ndarray or not table.flags.c_contiguous:
        target[...] = cuda.cupy.asarray(table)
    elif table.dtype == np.float32:
        target.set(table)
    else:
        step = max(1, _UPLOADED_AT_ONCE // max(1, table.strides[0]))
        for start in range(0, len(table), step):
            target[start : start + step] = cuda.cupy.asarray(table[start : start + step])
