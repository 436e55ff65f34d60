"""Gradients on a CUDA device: the kernels of kernel.cu, through CuPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_gbm._arrays import EXP_LIMIT
from focal_gbm._validation import FloatArray, check_raw_prediction
from focal_gbm._warnings import warn_user
from focal_gbm.kernels.task import Task, raise_if_not_finite, raise_if_results_not_finite
from focal_gbm.losses import Loss
from focal_gbm.losses.margin import FLOOR, split_exponent

#: The kernels, and the constants that they share with the mathematics in NumPy.
SOURCE = Path(__file__).parent / "kernel.cu"
DEFINITIONS = (f"-DFLOOR={FLOOR}f", f"-DEXP_LIMIT={EXP_LIMIT[np.dtype(np.float32)]}f")

#: What the kernels call the choices of the Hessian.
_HESSIAN_CODES = {"exact": 0, "floored": 1, "majorizing": 2}

#: Threads a block: a multiple of every warp, small enough for any register count.
_THREADS = 256


def is_cuda(device: object) -> bool:
    """Say whether XGBoost's parameter `device` names a CUDA device."""
    return isinstance(device, str) and device.partition(":")[0] in ("cuda", "gpu")


def cuda_kernel(device: str, task: Task) -> CudaKernel | None:
    """Return what computes gradients on a CUDA device, or None where the CPU has to.

    Parameters
    ----------
    device : str
        XGBoost's name of a CUDA device: "cuda", "cuda:1", ...
    task : Task

    Returns
    -------
    CudaKernel or None
        None with a warning that says what to do where CuPy is missing or does not work, or where the loss
        has no CUDA source; and without one where there is no CUDA device, as XGBoost itself says so.
    """
    try:
        import cupy
    except ImportError as error:
        _warn_of_cpu(device, f"CuPy is missing ({error})")
        return None
    try:
        n_devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        return None
    if not n_devices:
        return None
    if class_parameters(task.loss, task.scale) is None:
        warn_user(
            f"device={device!r}: gradients are computed on the CPU and sent to the device in every round, as "
            f"{task.loss!r} has no CUDA source."
        )
        return None
    ordinal = device.partition(":")[2]
    try:
        with cupy.cuda.Device(int(ordinal) if ordinal else None):
            return CudaKernel(cupy, task)
    except Exception as error:  # no compiler library, no memory: whatever it is, the CPU can do it
        _warn_of_cpu(device, f"CuPy failed ({error})")
        return None


class CudaKernel:
    """Gradient and Hessian of one training set, on the current CUDA device.

    Labels and weights are uploaded once, predictions once a round. Buffers are reused, and are given
    back to the device, not to a pool, when the object goes: XGBoost shares the device.

    Parameters
    ----------
    cupy : module
    task : Task
    """

    def __init__(self, cupy: Any, task: Task) -> None:
        shape, labels = task.shape, task.labels
        softmax = task.loss.activation == "softmax"
        name = f"focal_{task.loss.activation}"
        self._kernel = cupy.RawKernel(SOURCE.read_text(encoding="utf-8"), name, options=DEFINITIONS)
        self._device = cupy.cuda.Device()
        one_weight = np.ones(1) if task.weight is None else task.weight
        with cupy.cuda.using_allocator(), np.errstate(over="ignore"):  # the kernel reports an infinite weight
            self._labels = cupy.asarray(labels.astype(np.int32 if softmax else np.uint8))
            self._weight = cupy.asarray(one_weight.astype(np.float32))
            self._classes = cupy.asarray(class_parameters(task.loss, task.scale))
            buffers = [cupy.empty(shape, np.float32) for _ in range(3)]
            self.raw_prediction, self.gradient, self.hessian = buffers
            self._failed = cupy.zeros(1, np.int32)
        n_threads = len(labels) if softmax else labels.size
        self._grid = ((n_threads + _THREADS - 1) // _THREADS,), (_THREADS,)
        self._arguments = (
            self.raw_prediction,
            self._labels,
            self._weight,
            np.int32(task.weight is not None),
            self._classes,
            np.int32(shape[1] if len(shape) > 1 else 1),
            np.int32(_HESSIAN_CODES[task.hessian]),
            *([np.float32(task.hessian_factor)] if softmax else []),
            np.int64(n_threads),
            self.gradient,
            self.hessian,
            self._failed,
        )
        self._kernel.compile()  # here, where a failure can be told from one of training

    def __call__(self, raw_prediction: FloatArray) -> tuple[Any, Any]:
        """Return gradient and Hessian as CuPy's arrays, which the next call overwrites.

        Raises
        ------
        ValueError
            With the first row where a prediction or a result is not finite.
        """
        self.upload(raw_prediction)
        self.compute()
        if not self.finite():
            raise_if_not_finite(np.asarray(raw_prediction))
            raise_if_results_not_finite(self.gradient.get(), self.hessian.get())
        return self.gradient, self.hessian

    def upload(self, raw_prediction: FloatArray) -> None:
        """Copy predictions to the device."""
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


def class_parameters(loss: Loss, scale: float | tuple[float, ...]) -> NDArray[np.float32] | None:
    """Return the kernel's ``Class`` of every class, one row each, of class 0 and 1 of every label.

    None where the kernels cannot compute the loss of a class.
    """
    rows = []
    for margin_loss, weight in loss.weighted_losses(scale):
        if margin_loss.kernel_gamma is None:
            return None
        rows.append((margin_loss.kernel_gamma, *split_exponent(margin_loss.kernel_gamma), weight))
    with np.errstate(over="ignore"):  # the kernel reports what became infinite
        return np.array(rows).astype(np.float32)


def _warn_of_cpu(device: str, why: str) -> None:
    warn_user(
        f"device={device!r}: gradients are computed on the CPU and sent to the device in every round, as "
        f"{why}. pip install 'focal-gbm[gpu]' brings CuPy and all that it needs."
    )
