"""Rows and predictions on a CUDA device.

XGBoost hands predictions over through main memory, also those of a CUDA device, where that takes longer than the
round itself; and it bins rows in main memory on the CPU. Rows that lie on the device are binned there, and the
predictions of the rows trained on stay with them: XGBoost evaluates the newest trees alone and adds them to the
predictions so far, bit by bit what it keeps itself, as long as no tree changes once it is grown.
"""

from __future__ import annotations

import ctypes
import json
from typing import Any

import numpy as np
import xgboost

from focal_gbm.kernels.cuda import Cuda, find_cuda
from focal_gbm.xgboost.prediction import c_api, check, in_place, options, outputs

#: Free memory that an upload needs, in sizes of the rows: themselves, their bins, and room to find the bins.
_NEEDED = 2.5

#: Bytes that are uploaded at once, in the type that they have in main memory.
_UPLOADED_AT_ONCE = 1 << 26


def is_cuda(device: object) -> bool:
    """Say whether XGBoost's parameter `device` names a CUDA device."""
    return isinstance(device, str) and device.partition(":")[0] in ("cuda", "gpu")


def place(model: Any, content: dict[str, Any]) -> Any:
    """Put rows on the device before XGBoost makes a matrix of them.

    Parameters
    ----------
    model : FocalXGBClassifier
    content : dict
        What XGBoost makes the matrix of; the rows in it are replaced.

    Returns
    -------
    CuPy array or None
        The rows, None where they stay where they are.
    """
    # not by `get_xgb_params`, which draws from a `random_state` that is a generator
    process_type = (getattr(model, "kwargs", None) or {}).get("process_type") or "default"
    if not keeps_trees(model.booster or "gbtree", process_type) or not xgboost.build_info()["USE_CUDA"]:
        return None
    try:
        cuda = find_cuda(model.device)
    except Exception:  # without CuPy, or with one that fails: the kernel says so
        return None
    table = content["data"]
    rows = upload(cuda, table)
    if rows is None:
        return None
    if hasattr(table, "iloc"):  # names and types of columns, which an array has not
        named = xgboost.DMatrix(table.iloc[:1], missing=content["missing"], feature_types=content.get("feature_types"))
        content.update(feature_names=named.feature_names, feature_types=named.feature_types)
    content["data"] = rows
    return rows


def keeps_trees(booster: str, process_type: str) -> bool:
    """Say whether no tree changes once it is grown: not so for dart, "update" and gblinear.

    Parameters
    ----------
    booster, process_type : str
        XGBoost's parameters.
    """
    return booster == "gbtree" and process_type == "default"


def upload(cuda: Cuda, table: Any) -> Any:
    """Return a table as a CuPy array of the device, None where it has to stay where it is.

    Parameters
    ----------
    cuda : Cuda
    table : object
        Those of NumPy and pandas are uploaded if all columns are numbers and there is room, those of cuDF copied
        likewise; those of CuPy are taken as they are.

    Returns
    -------
    CuPy array of shape (n_samples, n_features), or None
    """
    package = _package(table)
    if package == "cupy":
        return table if _lies_there(cuda, table) else None
    if package in ("cudf", "pandas") and hasattr(table, "columns"):
        types = list(table.dtypes)
    elif type(table) is np.ndarray and table.ndim == 2:
        types = [table.dtype]
    else:
        return None
    if not types or not all(map(_is_number, types)) or not _has_room(cuda, table):
        return None
    try:
        array = cuda.empty(table.shape)
        with cuda.device:
            _copy(cuda, table, array)
    except cuda.cupy.cuda.memory.OutOfMemoryError:  # something else took it in the meantime
        return None
    return array


def _package(table: Any) -> str:
    return type(table).__module__.partition(".")[0]


def _lies_there(cuda: Cuda, table: Any) -> bool:
    """Say whether a table is an array of numbers on the device."""
    return bool(
        _package(table) == "cupy"
        and table.ndim == 2
        and table.dtype.kind in "fiu"
        and table.device.id == cuda.device.id
    )


def _is_number(dtype: Any) -> bool:
    """Say whether a column's type is one of NumPy's that float32 holds as XGBoost itself would make it."""
    return isinstance(dtype, np.dtype) and dtype.kind in "fiub" and dtype.itemsize <= 8


def _has_room(cuda: Cuda, table: Any) -> bool:
    with cuda.device:
        free, _ = cuda.cupy.cuda.runtime.memGetInfo()
    return bool(_NEEDED * 4 * table.shape[0] * table.shape[1] <= free)


def _copy(cuda: Cuda, table: Any, target: Any) -> None:
    """Write a table into a float32 array of the device, in blocks that lie together."""
    if hasattr(table, "to_cupy"):
        target[...] = table.to_cupy(dtype=np.float32, na_value=np.nan)
    elif hasattr(table, "iloc"):
        for k in range(table.shape[1]):
            target[:, k] = cuda.cupy.asarray(table.iloc[:, k].to_numpy())
    elif not table.flags.c_contiguous:
        target[...] = cuda.cupy.asarray(table)
    elif table.dtype == np.float32:
        target.set(table)
    else:
        step = max(1, _UPLOADED_AT_ONCE // max(1, table.strides[0]))
        for start in range(0, len(table), step):
            target[start : start + step] = cuda.cupy.asarray(table[start : start + step])


class KeptPredictions:
    """The raw predictions of the rows trained on, where these are.

    Parameters
    ----------
    cuda : Cuda
    rows : CuPy array of shape (n_samples, n_features)
        In the order of the matrix trained on.
    missing : float
        The value that stands for a missing one.

    Raises
    ------
    TypeError
        If `rows` are anything else.
    """

    def __init__(self, cuda: Cuda, rows: Any, missing: float | None) -> None:
        self._proxy: ctypes.c_void_p | None = None
        if not _lies_there(cuda, rows):
            raise TypeError(
                f"rows must be a CuPy array of numbers, with two axes and on device {cuda.device.id}, got {type(rows)}."
            )
        self._cuda, self._rows = cuda, rows
        self._missing = np.nan if missing is None else float(missing)  # as XGBoost reads it
        self._predictions: Any = None
        self._n_rounds = 0

    def __del__(self) -> None:
        if self._proxy is not None:
            c_api().XGDMatrixFree(self._proxy)

    def __call__(self, booster: xgboost.Booster, data: xgboost.DMatrix) -> Any:
        """Return the raw predictions of all trees so far, in an array that the next rounds add to.

        Returns
        -------
        CuPy array of float32 of shape (n_samples,) or (n_samples, n_columns)
        """
        n_rounds = booster.num_boosted_rounds()
        if self._predictions is None or n_rounds < self._n_rounds:  # a callback may cut trees off
            so_far = in_place(booster, data)  # with base_margin, through main memory
            if so_far.shape[0] != self._rows.shape[0]:
                raise ValueError(
                    f"rows must be those of the matrix trained on, {so_far.shape[0]}, got {self._rows.shape[0]}."
                )
            if self._predictions is None:
                self._predictions = self._cuda.empty(so_far.shape)
            self._predictions.set(np.ascontiguousarray(so_far))
        elif n_rounds > self._n_rounds:
            self._add(booster, n_rounds)
        self._n_rounds = n_rounds
        return self._predictions

    def _add(self, booster: xgboost.Booster, n_rounds: int) -> None:
        """Add the trees of the rounds since."""
        library = c_api()
        with self._cuda.device:  # XGBoost refuses rows of another than the current one
            if self._proxy is None:  # holds what belongs to the rows beside their values
                self._proxy = ctypes.c_void_p()
                check(library.XGProxyDMatrixCreate(ctypes.byref(self._proxy)))
            interface = _array_interface(self._predictions)
            check(library.XGDMatrixSetInfoFromInterface(self._proxy, b"base_margin", interface))
            which = options(iteration_begin=self._n_rounds, iteration_end=n_rounds, missing=self._missing, cache_id=0)
            shape, n_axes, values = outputs()
            check(
                library.XGBoosterPredictFromCudaArray(
                    booster.handle, _array_interface(self._rows), which, self._proxy,
                    ctypes.byref(shape), ctypes.byref(n_axes), ctypes.byref(values),
                )
            )  # fmt: skip
            address = ctypes.cast(values, ctypes.c_void_p).value
            memory = self._cuda.cupy.cuda.UnownedMemory(address, self._predictions.nbytes, None)
            start = self._cuda.cupy.cuda.MemoryPointer(memory, 0)
            self._predictions.data.copy_from_device(start, self._predictions.nbytes)


def _array_interface(array: Any) -> bytes:
    """Return where an array lies, as XGBoost reads it."""
    return json.dumps(array.__cuda_array_interface__).encode()
