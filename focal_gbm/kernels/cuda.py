"""Gradients and losses on a CUDA device: the kernels of kernel.cu, through CuPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray, check_raw_prediction
from focal_gbm._warnings import warn_user
from focal_gbm.kernels.cpu import formula_of, total_weight
from focal_gbm.kernels.formula import HESSIANS, TASKS, Formula
from focal_gbm.kernels.task import Task, raise_if_not_finite, raise_if_results_not_finite
from focal_gbm.losses.base import Loss

_FOLDER = Path(__file__).parent

#: Threads a block: a multiple of every warp, small enough for any register count.
_THREADS = 256

#: Classes up to which a kernel is compiled for their number, so that a row is read and written once. More of
#: them do not fit into a thread's registers.
_MOST_COMPILED_CLASSES = 16


def is_cuda(device: object) -> bool:
    """Say whether XGBoost's parameter `device` names a CUDA device."""
    return isinstance(device, str) and device.partition(":")[0] in ("cuda", "gpu")


class Cuda(NamedTuple):
    """CuPy and one of its devices."""

    cupy: Any
    device: Any  #: a cupy.cuda.Device, to be entered

    def empty(self, shape: tuple[int, ...]) -> Any:
        """Return a float32 array of the device, whose memory goes back to it and not to CuPy's pool."""
        with self.device, self.cupy.cuda.using_allocator():
            return self.cupy.empty(shape, np.float32)

    def upload(self, array: NDArray[Any]) -> Any:
        """Return an array as one of the device, likewise."""
        with self.device, self.cupy.cuda.using_allocator():
            return self.cupy.asarray(array)


def find_cuda(device: str) -> Cuda | None:
    """Return CuPy and the device, or None where there is no CUDA device, of which XGBoost itself warns.

    Parameters
    ----------
    device : str
        XGBoost's name of a CUDA device: "cuda", "cuda:1", ...

    Raises
    ------
    ImportError
        If CuPy is missing.
    """
    import cupy

    try:
        n_devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        return None
    ordinal = device.partition(":")[2]
    return Cuda(cupy, cupy.cuda.Device(int(ordinal) if ordinal else None)) if n_devices else None


def cuda_kernel(device: str, task: Task, cuda_major: int | None = None) -> CudaKernel | None:
    """Return what computes gradients on a CUDA device, or None where the CPU has to.

    Parameters
    ----------
    device : str
        XGBoost's name of a CUDA device.
    task : Task
    cuda_major : int or None
        The version of CUDA that the library was built for, which CuPy should have, too.

    Returns
    -------
    CudaKernel or None
        None with a warning that says what to do where CuPy is missing or does not work, or where the loss
        has no CUDA source; and without one where there is no CUDA device, as XGBoost itself says so.
    """
    advice = f"pip install 'cupy-cuda{cuda_major}x[ctk]'" if cuda_major else "pip install 'focal-gbm[gpu]'"
    try:
        cuda = find_cuda(device)
    except ImportError as error:
        _warn_of_cpu(device, f"CuPy is missing ({error})", f"{advice} keeps predictions on the device.")
        return None
    if cuda is None:
        return None
    formula = formula_of(task.loss, task.scale, task.hessian, task.hessian_factor)
    if formula is None:
        _warn_of_cpu(device, f"{task.loss!r} has no CUDA source")
        return None
    try:
        major = cuda.cupy.cuda.runtime.runtimeGetVersion() // 1000
        if cuda_major not in (None, major):
            warn_user(
                f"CuPy is built for CUDA {major}, the library that trains for CUDA {cuda_major}: one driver "
                f"may not run both. pip uninstall cupy-cuda{major}x, then {advice}."
            )
        return CudaKernel(cuda, task, formula)
    except Exception as error:  # no compiler library, no memory: whatever it is, the CPU can do it
        _warn_of_cpu(device, f"CuPy failed ({error})", f"{advice} brings CuPy and all that it needs.")
        return None


class _RowsOnDevice:
    """Labels, weights and numbers of the loss on the device, as all kernels of kernel.cu take them."""

    def __init__(self, cuda: Cuda, formula: Formula, labels: NDArray[Any], weight: FloatArray | None) -> None:
        self._cuda = cuda
        self._is_softmax = formula.loss == "softmax"
        one_weight = np.ones(1) if weight is None else weight
        with np.errstate(over="ignore"):  # the kernel reports an infinite weight
            label = cuda.upload(labels.astype(np.int32 if self._is_softmax else np.uint8))
            sample_weight = cuda.upload(one_weight.astype(np.float32))
        self.n_threads = len(labels) if self._is_softmax else labels.size
        self._grid = ((self.n_threads + _THREADS - 1) // _THREADS,), (_THREADS,)
        self._arguments = (
            label,
            sample_weight,
            np.int32(weight is not None),
            cuda.upload(class_parameters(formula)),
            np.int32(formula.n_columns),
            np.int32(formula.link_number),
        )
        #: Whether a row stays with its thread.
        self.is_compiled_for_classes = self._is_softmax and formula.n_columns <= _MOST_COMPILED_CLASSES
        self._options = (f"-DN_CLASSES={formula.n_columns}",) if self.is_compiled_for_classes else ()

    def kernel(self, name: str) -> Any:
        """Return a kernel, compiled here, where a failure can be told from one of training."""
        kernel = self._cuda.cupy.RawKernel(source(), name, self._options)
        with self._cuda.device:
            kernel.compile()
        return kernel

    def run(self, kernel: Any, raw_prediction: Any, *arguments: Any) -> None:
        """Start a kernel."""
        with self._cuda.device:
            kernel(*self._grid, (raw_prediction, *self._arguments, *arguments))


class CudaKernel:
    """Gradient and Hessian of one training set, on a CUDA device.

    Labels and weights are uploaded once, predictions once a round where they are not on the device. Buffers
    are reused, and are given back to the device, not to a pool, when the object goes: XGBoost shares the
    device.

    Parameters
    ----------
    cuda : Cuda
    task : Task
    formula : Formula
        Of the task.
    """

    def __init__(self, cuda: Cuda, task: Task, formula: Formula) -> None:
        self.cuda = cuda
        self._rows = _RowsOnDevice(cuda, formula, task.labels, task.weight)
        self._shape, self._n_rows = task.shape, len(task.labels)
        self.gradient, self.hessian = cuda.empty(task.shape), cuda.empty(task.shape)
        self._uploaded: Any = None
        self._first_bad = cuda.upload(np.full(1, self._n_rows, np.int64))
        self._kernel = self._rows.kernel(f"focal_{formula.loss}")
        softmax = formula.loss == "softmax"
        self._arguments = (
            *([np.int32(formula.all_gamma_zero)] if softmax else []),
            np.int32(HESSIANS.index(str(formula.hessian))),
            *([np.float32(formula.hessian_factor)] if softmax else []),
            np.int64(self._rows.n_threads),
            self.gradient,
            self.hessian,
            self._first_bad,
        )

    def __call__(self, raw_prediction: Any) -> tuple[Any, Any]:
        """Return gradient and Hessian as CuPy's arrays, which the next call overwrites.

        Parameters
        ----------
        raw_prediction : ndarray, or CuPy's of float32, contiguous and on the device

        Raises
        ------
        ValueError
            With the first row where a prediction or a result is not finite.
        """
        on_device = raw_prediction if is_on_device(raw_prediction) else self.upload(raw_prediction)
        self.compute(on_device)
        if not self.finite():
            raise_if_not_finite(on_device.get())
            raise_if_results_not_finite(self.gradient.get(), self.hessian.get())
        return self.gradient, self.hessian

    def upload(self, raw_prediction: FloatArray) -> Any:
        """Copy predictions to the device."""
        z = check_raw_prediction(raw_prediction, self._shape)
        if self._uploaded is None:
            self._uploaded = self.cuda.empty(self._shape)
        with self.cuda.device:
            self._uploaded.set(np.ascontiguousarray(z, dtype=np.float32))
        return self._uploaded

    def compute(self, raw_prediction: Any) -> None:
        """Start the kernel."""
        self._rows.run(self._kernel, raw_prediction, *self._arguments)

    def finite(self) -> bool:
        """Wait for the kernel and return whether all that it read and wrote is finite."""
        with self.cuda.device:
            is_finite = bool(self._first_bad.get()[0] == self._n_rows)
            if not is_finite:
                self._first_bad.fill(self._n_rows)
        return is_finite


class CudaLossSums:
    """Mean losses of one set of rows on a CUDA device, as `focal_gbm.kernels.cpu.LossSums` on the CPU.

    Parameters
    ----------
    cuda : Cuda
    loss : Loss
    formula : Formula
        Of the loss.
    labels : ndarray
        Codes.
    weight : ndarray of shape (n_samples,) or None
    """

    def __init__(
        self, cuda: Cuda, loss: Loss, formula: Formula, labels: NDArray[Any], weight: FloatArray | None
    ) -> None:
        self._rows = _RowsOnDevice(cuda, formula, labels, weight)
        self._kernel = self._rows.kernel(f"focal_{formula.loss}_loss")
        self._losses = cuda.empty((self._rows.n_threads,))
        n_rows = 1 if self._rows.is_compiled_for_classes else len(labels)
        self._work = [cuda.empty((n_rows, formula.n_columns))] if formula.loss == "softmax" else []
        self._total = total_weight(loss, labels, weight)

    def mean_focal_loss(self, raw_prediction: Any) -> float:
        """Return the weighted mean of the loss over rows, or rows and labels."""
        return self._mean("focal_loss", raw_prediction)

    def mean_log_loss(self, raw_prediction: Any) -> float:
        """Return the weighted mean of -log P(label)."""
        return self._mean("log_loss", raw_prediction)

    def _mean(self, task: str, raw_prediction: Any) -> float:
        number = np.int32(TASKS.index(task))
        n_threads = np.int64(self._rows.n_threads)
        self._rows.run(self._kernel, raw_prediction, number, n_threads, *self._work, self._losses)
        return float(self._losses.sum(dtype=np.float64).get()) / self._total


def cuda_loss_sums(
    cuda: Cuda, loss: Loss, labels: NDArray[Any], weight: FloatArray | None
) -> CudaLossSums | None:
    """Return what sums losses on a device, or None where the loss has no CUDA source."""
    formula = formula_of(loss)
    return None if formula is None else CudaLossSums(cuda, loss, formula, labels, weight)


def is_on_device(array: object) -> bool:
    """Say whether an array is CuPy's."""
    return hasattr(array, "__cuda_array_interface__")


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


def _warn_of_cpu(device: str, why: str, advice: str = "") -> None:
    warn_user(
        f"device={device!r}: gradients are computed on the CPU and sent to the device in every round, as "
        f"{why}. {advice}".rstrip()
    )
