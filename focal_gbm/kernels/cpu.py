"""Gradients and Hessians on the CPU: by kernel.c through ctypes, by NumPy where there was no compiler."""

from __future__ import annotations

import ctypes
import math
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from focal_gbm._validation import FloatArray, check_raw_prediction, row_blocks, smallest_integers
from focal_gbm._warnings import warn_user
from focal_gbm.kernels.tables import Tables, tables_of
from focal_gbm.kernels.threads import Threads
from focal_gbm.losses import Loss


def raise_if_not_finite(raw_prediction: FloatArray, *results: FloatArray, first_row: int = 0) -> None:
    """Raise on a NaN or an infinity in the raw prediction, or in gradient and Hessian where they are given.

    A NaN score can still give a finite gradient, so scores are checked as well. `first_row` is the number of
    the first of the rows given.
    """
    row = min(_first_not_finite(array) for array in (raw_prediction, *results))
    if row == len(raw_prediction):
        return
    if not np.isfinite(raw_prediction[row]).all():
        raise ValueError(
            f"The focal objective must return finite numbers, which it cannot at row {first_row + row}, "
            f"where the raw prediction is {raw_prediction[row]}. It comes from the library: diverged "
            "training, base_margin or init_score."
        )
    gradient, hessian = results
    raise ValueError(
        f"The focal objective must return finite numbers, got gradient {gradient[row]} and Hessian "
        f"{hessian[row]} at row {first_row + row}: sample_weight or alpha is too large for float32."
    )


def _first_not_finite(array: FloatArray) -> int:
    """Return the first row with a number that is not finite, or the number of rows."""
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(np.add.reduce(array, axis=None)):  # one pass tells
            return len(array)
    bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    return int(bad.argmax()) if bad.any() else len(array)


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


#: Set to "numpy" to do without the compiled kernel.
SWITCH = "FOCAL_GBM_KERNEL"

#: Rows above which NumPy's share of a fit shows.
_MANY_ROWS = 100_000

_was_warned = False


def is_compiled() -> bool:
    """Say whether the compiled kernel is there and not switched off."""
    return library() is not None and os.environ.get(SWITCH) != "numpy"


def kernel_of(
    loss: Loss, labels: NDArray[Any], weight: FloatArray | None, *, scale: float = 1.0,
    hessian_factor: float = 1.0, start: ArrayLike | None = None, order: str = "C",
    threads: Threads | None = None,
) -> CompiledKernel | NumpyKernel:  # fmt: skip
    """Return what computes gradient and floored Hessian of one training set.

    It is called with a raw prediction, float32 or float64 of the shape of the loss, and returns gradient and
    Hessian as float32 arrays of that shape, which the next call overwrites. It raises a ValueError with the
    first row in which a raw prediction or a result is not finite.

    Warns once per process where many rows are left to NumPy.

    Parameters
    ----------
    loss : Loss
        In log-odds.
    labels : ndarray
        As `loss.check_labels` returns them.
    weight : ndarray of shape (n_samples,) or None
        Sample weights.
    scale : float, default=1.0
        Multiplies the loss.
    hessian_factor : float, default=1.0
        Multiplies the Hessian before the floor, see `Loss.gradient_hessian`.
    start : array-like of shape (n_columns,), default=None
        Constants to add to the raw prediction, one per column or one for all.
    order : {"C", "F"}, default="C"
        Memory order of the results.
    threads : Threads, default=Threads()
        On whose threads; results do not depend on it.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm import BinaryFocalLoss
    >>> from focal_gbm.kernels import kernel_of
    >>> kernel = kernel_of(BinaryFocalLoss(2.0), np.array([False, True, True]), None)
    >>> gradient, hessian = kernel(np.array([-2.0, -2.0, 2.0], np.float32))
    >>> gradient.round(4)
    array([ 0.0327, -0.2413, -0.0327], dtype=float32)
    """
    global _was_warned
    shape = loss.raw_shape(len(labels))
    constants = np.array(np.broadcast_to(0.0 if start is None else np.squeeze(start), shape[1:]), np.float64)
    out = np.empty(shape, np.float32, order), np.empty(shape, np.float32, order)  # type: ignore[call-overload]
    arguments = (loss, labels, weight, hessian_factor, constants, out)
    if loss.link != "logit":  # published scores: NumPy alone has their formulas
        return NumpyKernel(*arguments, scale, None)
    is_many = loss.kind == "multiclass"
    tables = tables_of(loss, scale) if is_compiled() or not is_many else None
    if tables is not None and is_compiled():
        return CompiledKernel(*arguments, tables, threads or Threads())
    if len(labels) > _MANY_ROWS and not _was_warned and os.environ.get(SWITCH) != "numpy":
        _was_warned = True
        why = f"{loss.margin_loss!r} is too steep for the tables of the compiled kernel."
        if library() is None:
            why = "focal_gbm was installed without a C compiler. Install a compiler, then reinstall it."
        warn_user(f"Gradients are computed by NumPy, on one thread and many times slower, because {why}")
    return NumpyKernel(*arguments, scale, tables)


class NumpyKernel:
    """Gradient and Hessian of one training set by NumPy; see `kernel_of`.

    Two classes and labels look the weight of the loss up, if there are `tables`. Many classes are computed as
    the losses are written.
    """

    def __init__(
        self, loss: Loss, labels: NDArray[Any], weight: FloatArray | None, hessian_factor: float,
        start: FloatArray, out: tuple[FloatArray, FloatArray], scale: float, tables: Tables | None,
    ) -> None:  # fmt: skip
        self._loss, self._labels, self._hessian_factor = loss, labels, hessian_factor
        self._start, self._out, self._tables = start, out, tables
        scale = scale if tables is None else 1.0  # tables have it
        with np.errstate(over="ignore"):  # an infinite weight makes the first gradient raise
            factor = np.full(len(labels), scale) if weight is None else weight.astype(np.float32) * scale
        self._factor = factor.reshape(-1, *[1] * start.ndim)

    def __call__(self, raw_prediction: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return gradient and Hessian."""
        raw = check_raw_prediction(raw_prediction, self._out[0].shape)
        raise_if_not_finite(raw)
        for rows in row_blocks(len(raw), self._start.size):
            labels, f = self._labels[rows], raw[rows].astype(np.float64) + self._start
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is raised on
                for out, values in zip(self._out, self._derivatives(labels, f), strict=True):
                    out[rows] = values * self._factor[rows]
        raise_if_not_finite(raw, *self._out)
        return self._out

    def _derivatives(self, labels: NDArray[Any], f: FloatArray) -> tuple[FloatArray, FloatArray]:
        if self._tables is None:
            return self._loss.gradient_hessian(labels, f, hessian_factor=self._hessian_factor)
        w, slope = self._tables.tables[0].at(f)
        sign = np.where(labels, 1.0, -1.0)
        p, q = expit(sign * f), expit(-sign * f)
        hessian = self._hessian_factor * q * (w * p - sign * slope)
        return -sign * w * q, np.maximum(hessian, self._loss.margin_loss.floor * w * q)
