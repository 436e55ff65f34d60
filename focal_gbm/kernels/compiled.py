"""Gradients and Hessians of many rows by the compiled kernel, kernel.c, through ctypes."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_gbm._arrays import smallest_integers
from focal_gbm._validation import FloatArray, check_raw_prediction
from focal_gbm.kernels.finite import raise_if_not_finite
from focal_gbm.kernels.tables import Tables
from focal_gbm.kernels.threads import Threads
from focal_gbm.losses import Loss

#: Sets of instructions, each of which includes the ones before.
LEVELS = ("baseline", "avx2", "avx512")

#: Numbers of raw predictions below which one thread has ended before others would have been woken.
_FEW = 16_384

_OUT_OF_MEMORY = -2


class _Table(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_float) for name in ("first", "n_steps", "per_unit")),
        ("cubics", ctypes.c_void_p),
    )


class _Job(ctypes.Structure):
    """The struct of job.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("is_softmax", "raw_is_double", "label_bytes", "n_columns")),
        *((name, ctypes.c_int64) for name in ("n_rows", "raw_row_step", "raw_column_step")),
        *((name, ctypes.c_int64) for name in ("out_row_step", "out_column_step")),
        *((name, ctypes.c_float) for name in ("hessian_factor", "floor")),
        ("limits", ctypes.c_float * 4),
        ("tables", _Table * 2),
        *((name, ctypes.c_void_p) for name in ("raw", "start", "label", "weight", "log_alpha", "alpha")),
        *((name, ctypes.c_void_p) for name in ("gradient", "hessian")),
        ("first_bad", ctypes.c_int64),
    )


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled library, or None where the package was installed without a C compiler."""
    for path in sorted(Path(__file__).parent.glob("*focal_kernel.*")):
        if path.suffix in (".so", ".dylib", ".dll"):
            loaded = ctypes.CDLL(str(path))
            loaded.focal_run.restype = None
            loaded.focal_run.argtypes = (ctypes.c_void_p, *[ctypes.c_int] * 2, *[ctypes.c_void_p] * 3)
            return loaded
    return None


def level() -> str | None:
    """Return the name of the best set of instructions that the processor and the library have.

    Returns
    -------
    {"baseline", "avx2", "avx512"} or None
        None where there is no compiled library.
    """
    loaded = library()
    return None if loaded is None else LEVELS[loaded.focal_best_level()]


class CompiledKernel:
    """Gradient and Hessian of one training set in C, on a library's threads; see `kernel_of`.

    Parameters
    ----------
    loss, labels, weight, hessian_factor, start, threads
        As those of `kernel_of`.
    out : tuple of two ndarrays
        Where gradient and Hessian are written.
    tables : Tables
        Of the loss times its scale.

    Attributes
    ----------
    level : str
        The set of instructions, at first the best that there is.
    """

    def __init__(
        self, loss: Loss, labels: NDArray[Any], weight: FloatArray | None, hessian_factor: float,
        start: FloatArray, out: tuple[FloatArray, FloatArray], tables: Tables, threads: Threads,
    ) -> None:  # fmt: skip
        self.threads, self.level = threads, level() or LEVELS[0]
        self._out, self._tables = out, tables
        codes = smallest_integers(labels, loss.n_classes)
        if labels.dtype == np.bool_:
            codes = labels.view(np.uint8)  # not a copy: a byte a row is kept once
        with np.errstate(over="ignore"):  # what is infinite makes the first gradient raise
            self._arrays = {  # kept, as the job has their addresses
                "start": start,
                "label": np.ascontiguousarray(codes.T),
                "weight": None if weight is None else np.ascontiguousarray(weight, dtype=np.float32),
                "log_alpha": np.log(loss.class_weights).astype(np.float32),
                "alpha": tables.alpha.astype(np.float32),
                "gradient": out[0],
                "hessian": out[1],
            }
        self._job = _Job(
            is_softmax=loss.kind == "multiclass", label_bytes=codes.itemsize, n_columns=start.size,
            n_rows=len(labels), hessian_factor=hessian_factor, floor=loss.margin_loss.floor,
            limits=tables.limits,
        )  # fmt: skip
        self._job.out_row_step, self._job.out_column_step = _steps(out[0])
        for i, table in enumerate(tables.tables):
            self._job.tables[i] = (table.first, len(table.cubics), table.per_unit, table.cubics.ctypes.data)
        for name, array in self._arrays.items():
            setattr(self._job, name, None if array is None else array.ctypes.data)

    def __call__(self, raw_prediction: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return gradient and Hessian."""
        raw = check_raw_prediction(raw_prediction, self._out[0].shape)
        if not (raw.flags.c_contiguous or raw.flags.f_contiguous) or not raw.flags.aligned:
            raw = np.ascontiguousarray(raw)
        job, loaded = self._job, library()
        assert loaded is not None
        job.raw, job.raw_is_double = raw.ctypes.data, raw.dtype == np.float64
        job.raw_row_step, job.raw_column_step = _steps(raw)
        n_threads = self.threads.n_threads if raw.size > _FEW else 1
        runtime = self.threads.runtime if n_threads > 1 else None
        addresses = (None, None, None) if runtime is None else runtime.addresses
        loaded.focal_run(ctypes.byref(job), LEVELS.index(self.level), n_threads, *addresses)
        row = job.first_bad
        if row == _OUT_OF_MEMORY:
            raise MemoryError("The focal kernel found no memory for a block of rows.")
        if row < len(raw):
            rows = slice(row, row + 1)
            raise_if_not_finite(raw[rows], *(array[rows] for array in self._out), first_row=row)
        return self._out


def _steps(array: FloatArray) -> tuple[int, int]:
    """Return the steps of a row and of a column, in numbers."""
    if array.ndim == 1:
        return 1, 0
    return (array.shape[1], 1) if array.flags.c_contiguous else (1, len(array))
