"""Gradients on a CUDA device: the kernels of kernel.cu, through CuPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray, check_raw_prediction
from focal_gbm._warnings import warn_user
from focal_gbm.kernels.cpu import formula_of
from focal_gbm.kernels.formula import HESSIANS, LINKS, Formula
from focal_gbm.kernels.task import Task, raise_if_not_finite, raise_if_results_not_finite

_FOLDER = Path(__file__).parent

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
    if _formula_of(task) is None:
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
        Of a loss that has CUDA source.
    """

    def __init__(self, cupy: Any, task: Task) -> None:
        formula: Any = _formula_of(task)
        shape, labels = task.shape, task.labels
        softmax = formula.loss == "softmax"
        self._kernel = cupy.RawKernel(source(), f"focal_{formula.loss}")
        self._device = cupy.cuda.Device()
        self._n_rows = len(labels)
        one_weight = np.ones(1) if task.weight is None else task.weight
        with cupy.cuda.using_allocator(), np.errstate(over="ignore"):  # the kernel reports an infinite weight
            self._labels = cupy.asarray(labels.astype(np.int32 if softmax else np.uint8))
            self._weight = cupy.asarray(one_weight.astype(np.float32))
            self._classes = cupy.asarray(class_parameters(formula))
            buffers = [cupy.empty(shape, np.float32) for _ in range(3)]
            self.raw_prediction, self.gradient, self.hessian = buffers
            self._first_bad = cupy.asarray(np.full(1, self._n_rows, np.int64))
        n_threads = len(labels) if softmax else labels.size
        self._grid = ((n_threads + _THREADS - 1) // _THREADS,), (_THREADS,)
        link = LINKS.index("focal" if formula.is_log_loss else formula.link)
        self._arguments = (
            self.raw_prediction,
            self._labels,
            self._weight,
            np.int32(task.weight is not None),
            self._classes,
            np.int32(formula.n_columns),
            np.int32(link),
            *([np.int32(formula.all_gamma_zero)] if softmax else []),
            np.int32(HESSIANS.index(str(formula.hessian))),
            *([np.float32(formula.hessian_factor)] if softmax else []),
            np.int64(n_threads),
            self.gradient,
            self.hessian,
            self._first_bad,
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
            is_finite = bool(self._first_bad.get()[0] == self._n_rows)
            if not is_finite:
                self._first_bad.fill(self._n_rows)
        return is_finite


def _formula_of(task: Task) -> Formula | None:
    return formula_of(task.loss, task.scale, task.hessian, task.hessian_factor)


def source() -> str:
    """Return kernel.cu with its headers in it: a compiler at run time has no folders."""
    text = (_FOLDER / "kernel.cu").read_text(encoding="utf-8")
    for header in ("kernel.h", "elementary.h"):
        text = text.replace(f'#include "{header}"', (_FOLDER / header).read_text(encoding="utf-8"))
    return text


def class_parameters(formula: Formula) -> NDArray[np.float32]:
    """Return the ``Class`` of kernel.h for every class, for "sigmoid" of class 0 and 1 of every column.

    Returns
    -------
    ndarray of float32 of shape (n_classes, 4)
        γ, weight, log(weight), and the floor times min(γ, 1).
    """
    classes = formula.classes.reshape(-1, 3)
    floor = formula.floor * np.minimum(classes[:, :1], 1.0)
    with np.errstate(over="ignore"):  # the kernel reports what became infinite
        return np.concatenate([classes, floor], axis=1).astype(np.float32)


def _warn_of_cpu(device: str, why: str) -> None:
    warn_user(
        f"device={device!r}: gradients are computed on the CPU and sent to the device in every round, as "
        f"{why}. pip install 'focal-gbm[gpu]' brings CuPy and all that it needs."
    )
