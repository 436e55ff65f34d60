"""Gradients on the CPU: in C where the package was installed with a compiler, by NumPy where it was not."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from focal_gbm._arrays import row_blocks
from focal_gbm._validation import FloatArray, check_raw_prediction
from focal_gbm._warnings import warn_user
from focal_gbm.kernels.compiled import CompiledKernel, library
from focal_gbm.kernels.finite import raise_if_not_finite
from focal_gbm.kernels.tables import Tables, tables_of
from focal_gbm.kernels.threads import Threads
from focal_gbm.losses import Loss

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
        Constants to add to the raw prediction, one per column.
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
    constants = np.zeros(shape[1:]) if start is None else np.reshape(np.asarray(start, np.float64), shape[1:])
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
            why = "focal_gbm was installed without a C compiler: install it again where there is one."
        warn_user(f"Gradients are computed by NumPy, on one thread and many times as slowly, as {why}")
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
