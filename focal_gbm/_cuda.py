"""Gradients on a CUDA device: the kernels of losses/kernel.cu, through CuPy."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_gbm._arrays import EXP_LIMIT
from focal_gbm._validation import FloatArray, check_raw_prediction
from focal_gbm.losses import FocalLoss, MulticlassFocalLoss, MultilabelFocalLoss
from focal_gbm.losses._margin import FLOOR, split_gamma

#: The kernels, and the constants that they share with the mathematics on the host.
SOURCE = Path(__file__).parent / "losses" / "kernel.cu"
DEFINITIONS = (f"-DFLOOR={FLOOR}f", f"-DEXP_LIMIT={EXP_LIMIT[np.dtype(np.float32)]}f")

#: What the kernels call the choices of the Hessian.
_HESSIAN_CODES = {"exact": 0, "floored": 1, "majorizing": 2}

#: Threads a block: a multiple of every warp, small enough for any register count.
_THREADS = 256


def is_cuda(device: object) -> bool:
    """Say whether XGBoost's parameter `device` names a CUDA device."""
    return isinstance(device, str) and device.partition(":")[0] in ("cuda", "gpu")


def gradients_on(device: str, *content: Any) -> CudaGradients | None:
    """Return what computes gradients on a CUDA device, or None where the host has to.

    Parameters
    ----------
    device : str
        XGBoost's name of a CUDA device: "cuda", "cuda:1", ...
    *content
        As for `CudaGradients`, after its first two parameters.

    Returns
    -------
    CudaGradients or None
        None with a warning that says what to do where CuPy is missing or does not work; and without one
        where there is no CUDA device, as XGBoost itself says so.
    """
    try:
        import cupy
    except ImportError as error:
        _warn_of_host(device, "is missing", error)
        return None
    try:
        n_devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        return None
    if not n_devices:
        return None
    ordinal = device.partition(":")[2]
    try:
        with cupy.cuda.Device(int(ordinal) if ordinal else None):
            return CudaGradients(cupy, *content)
    except Exception as error:  # no compiler library, no memory: whatever it is, the host can do it
        _warn_of_host(device, "failed", error)
        return None


class CudaGradients:
    """Gradient and Hessian of one training set, on the current CUDA device.

    Labels and weights are uploaded once, predictions once a round. Buffers are reused, and are given
    back to the device, not to a pool, when the object goes: XGBoost shares the device.

    Parameters
    ----------
    cupy : module
    loss : focal loss
    hessian : {"floored", "exact", "majorizing"}
    scale : float or tuple of floats
        Multiplies the loss, for many labels possibly one number each.
    hessian_factor : float
        See `MulticlassFocalLoss.gradient_hessian`; of no meaning for the other losses.
    labels : ndarray
        Checked, as `loss.check_labels` returns them.
    weight : ndarray of shape (n_samples,) or None
        Sample weights, without α.
    """

    def __init__(
        self,
        cupy: Any,
        loss: FocalLoss,
        hessian: str,
        scale: float | tuple[float, ...],
        hessian_factor: float,
        labels: NDArray[Any],
        weight: FloatArray | None,
    ) -> None:
        shape = loss.raw_shape(len(labels))
        softmax = isinstance(loss, MulticlassFocalLoss)
        name = "focal_softmax" if softmax else "focal_sigmoid"
        self._kernel = cupy.RawKernel(SOURCE.read_text(encoding="utf-8"), name, options=DEFINITIONS)
        self._device = cupy.cuda.Device()
        one_weight = np.ones(1) if weight is None else weight
        with cupy.cuda.using_allocator(), np.errstate(over="ignore"):  # the kernel reports an infinite weight
            self._labels = cupy.asarray(labels.astype(np.int32 if softmax else np.uint8))
            self._weight = cupy.asarray(one_weight.astype(np.float32))
            self._classes = cupy.asarray(class_parameters(loss, scale))
            buffers = [cupy.empty(shape, np.float32) for _ in range(3)]
            self.raw_prediction, self.gradient, self.hessian = buffers
            self._failed = cupy.zeros(1, np.int32)
        n_threads = len(labels) if softmax else labels.size
        self._grid = ((n_threads + _THREADS - 1) // _THREADS,), (_THREADS,)
        self._arguments = (
            self.raw_prediction,
            self._labels,
            self._weight,
            np.int32(weight is not None),
            self._classes,
            np.int32(shape[1] if len(shape) > 1 else 1),
            np.int32(_HESSIAN_CODES[hessian]),
            *([np.float32(hessian_factor)] if softmax else []),
            np.int64(n_threads),
            self.gradient,
            self.hessian,
            self._failed,
        )
        self._kernel.compile()  # here, where a failure can be told from one of training

    def __call__(self, raw_prediction: FloatArray) -> bool:
        """Compute `gradient` and `hessian` on the device; return whether all numbers are finite."""
        self.upload(raw_prediction)
        self.compute()
        return self.finite()

    def upload(self, raw_prediction: FloatArray) -> None:
        """Copy predictions from the host."""
        z = check_raw_prediction(raw_prediction, self.raw_prediction.shape)
        with self._device:
            self.raw_prediction.set(np.ascontiguousarray(z, dtype=np.float32))

    def compute(self) -> None:
        """Start the kernel."""
        with self._device:
            self._kernel(*self._grid, self._arguments)

    def finite(self) -> bool:
        """Wait for the kernel and return whether all that it read and wrote is finite."""
        with self._device:
            failed = bool(self._failed.get()[0])
            if failed:
                self._failed.fill(0)
        return not failed


def class_parameters(loss: FocalLoss, scale: float | tuple[float, ...]) -> NDArray[np.float32]:
    """Return the kernel's ``Class`` of every class, one row each; of class 0 and 1 of every label."""
    columns = loss.columns if isinstance(loss, MultilabelFocalLoss) else (loss,)
    scales = np.broadcast_to(scale, len(columns)).tolist()
    rows = []
    for column, factor in zip(columns, scales, strict=True):
        for k, alpha in enumerate(column.class_weights):
            gamma = column.gamma if isinstance(column.gamma, float) else column.gamma[k]
            rows.append((gamma, *split_gamma(gamma), alpha * factor))
    with np.errstate(over="ignore"):  # the kernel reports what became infinite
        return np.array(rows).astype(np.float32)


def _warn_of_host(device: str, what: str, error: Exception) -> None:
    """Warn at the user's line: the first that is outside of this package."""
    level, package = 1, __name__.partition(".")[0]
    while sys._getframe(level).f_globals.get("__name__", "").partition(".")[0] == package:
        level += 1
    warnings.warn(
        f"device={device!r}: gradients are computed on the host and sent to the card in every round, as "
        f"CuPy {what} ({error}). pip install 'focal-gbm[gpu]' brings CuPy and all that it needs.",
        UserWarning,
        stacklevel=level + 1,
    )
