"""Gradients on a CUDA device: the kernels of kernel.cu, through CuPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray, check_raw_prediction
from focal_gbm._warnings import warn_user
from focal_gbm.kernels.cpu import raise_if_not_finite
from focal_gbm.kernels.tables import Tables, tables_of
from focal_gbm.losses import Loss

_FOLDER = Path(__file__).parent

#: Threads a block: a multiple of every warp, small enough for any register count.
_THREADS = 256

#: Classes up to which a kernel is compiled for their number, so that a row is read and written once. More of
#: them do not fit into a thread's registers.
_MOST_COMPILED_CLASSES = 16


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


def find_cuda(device: str) -> Cuda:
    """Return CuPy and the device.

    Parameters
    ----------
    device : str
        XGBoost's name of a CUDA device: "cuda", "cuda:1", ...

    Raises
    ------
    ImportError
        If CuPy is missing.
    cupy.cuda.runtime.CUDARuntimeError
        If it finds no device, or is built for a later CUDA than the driver is.
    """
    import cupy

    cupy.cuda.runtime.getDeviceCount()  # raises
    ordinal = device.partition(":")[2]
    return Cuda(cupy, cupy.cuda.Device(int(ordinal) if ordinal else None))


def cuda_kernel(
    device: str, cuda_major: int | None, loss: Loss, labels: NDArray[Any], weight: FloatArray | None, *,
    scale: float = 1.0, hessian_factor: float = 1.0,
) -> CudaKernel | None:  # fmt: skip
    """Return what computes gradients on a CUDA device, or None where the CPU has to.

    Parameters
    ----------
    device : str
        XGBoost's name of a CUDA device, which it has found.
    cuda_major : int or None
        The version of CUDA that the library was built for, which CuPy should have, too.
    loss, labels, weight, scale, hessian_factor
        As for `focal_gbm.kernels.kernel_of`.

    Returns
    -------
    CudaKernel or None
        None with a warning that says what to do where CuPy is missing or does not work, or where the loss
        has no tables.
    """
    advice = f"pip install 'cupy-cuda{cuda_major}x[ctk]'" if cuda_major else "pip install 'focal-gbm[gpu]'"
    tables = tables_of(loss, scale)
    if tables is None:
        _warn_of_cpu(device, f"{loss.margin_loss!r} is too steep for tables")
        return None
    try:
        cuda = find_cuda(device)
        major = cuda.cupy.cuda.runtime.runtimeGetVersion() // 1000
        if cuda_major not in (None, major):
            warn_user(
                f"CuPy is built for CUDA {major}, the library that trains for CUDA {cuda_major}: one driver "
                f"may not run both. pip uninstall cupy-cuda{major}x, then {advice}."
            )
        return CudaKernel(cuda, loss, labels, weight, tables, hessian_factor)
    except ImportError as error:
        _warn_of_cpu(device, f"CuPy is missing ({error})", f"{advice} keeps predictions on the device.")
        return None
    except Exception as error:  # an old driver, no compiler library, no memory: whatever it is, the CPU can do it
        _warn_of_cpu(device, f"CuPy failed ({error})", f"{advice} brings CuPy and all that it needs.")
        return None


class CudaKernel:
    """Gradient and floored Hessian of one training set, on a CUDA device.

    Labels, weights and tables are uploaded once, predictions once a round where they are not on the device.
    Buffers are reused, and are given back to the device, not to a pool, when the object goes: XGBoost shares
    the device.

    Parameters
    ----------
    cuda : Cuda
    loss, labels, weight, hessian_factor
        As for `focal_gbm.kernels.kernel_of`.
    tables : Tables
        Of the loss times its scale.
    """

    def __init__(
        self, cuda: Cuda, loss: Loss, labels: NDArray[Any], weight: FloatArray | None, tables: Tables,
        hessian_factor: float,
    ) -> None:  # fmt: skip
        self.cuda = cuda
        self._n_rows, self._shape = len(labels), loss.raw_shape(len(labels))
        is_many = loss.kind == "multiclass"
        n_threads = self._n_rows if is_many else labels.size
        self._grid = ((n_threads + _THREADS - 1) // _THREADS,), (_THREADS,)
        self.gradient, self.hessian = cuda.empty(self._shape), cuda.empty(self._shape)
        self._uploaded: Any = None
        self._first_bad = cuda.upload(np.full(1, self._n_rows, np.int64))
        n_columns = self._shape[1] if len(self._shape) == 2 else 1
        numbers = [hessian_factor, loss.margin_loss.floor, *tables.limits]
        for table in tables.tables:
            numbers += [table.first, len(table.cubics), table.per_unit]
        arrays = [np.array(numbers), *([np.log(loss.class_weights), tables.alpha] if is_many else [])]
        with np.errstate(over="ignore"):  # the kernel reports what is infinite
            arrays = [array.astype(np.float32) for array in arrays]
            weights = np.ones(1, np.float32) if weight is None else weight.astype(np.float32)
        self._arguments = (
            cuda.upload(np.ascontiguousarray(labels.astype(np.int32 if is_many else np.uint8))),
            cuda.upload(weights),
            np.int32(weight is not None),
            np.int32(n_columns),
            *(cuda.upload(array) for array in (*arrays, *(table.cubics for table in tables.tables))),
            np.int64(n_threads),
            self.gradient,
            self.hessian,
            self._first_bad,
        )
        in_registers = is_many and n_columns <= _MOST_COMPILED_CLASSES
        options = (f"-DN_CLASSES={n_columns}",) if in_registers else ()
        name = "focal_many_classes" if is_many else "focal_two_classes"
        self._kernel = cuda.cupy.RawKernel(source(), name, options)
        with cuda.device:
            self._kernel.compile()  # here, where a failure can be told from one of training

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
        is_on_device = hasattr(raw_prediction, "__cuda_array_interface__")
        on_device = raw_prediction if is_on_device else self._upload(raw_prediction)
        with self.cuda.device:
            self._kernel(*self._grid, (on_device, *self._arguments))
            is_finite = bool(self._first_bad.get()[0] == self._n_rows)  # waits for the kernel
        if not is_finite:
            raise_if_not_finite(on_device.get(), self.gradient.get(), self.hessian.get())
        return self.gradient, self.hessian

    def _upload(self, raw_prediction: FloatArray) -> Any:
        raw = check_raw_prediction(raw_prediction, self._shape)
        if self._uploaded is None:
            self._uploaded = self.cuda.empty(self._shape)
        with self.cuda.device:
            self._uploaded.set(np.ascontiguousarray(raw, dtype=np.float32))
        return self._uploaded


def source() -> str:
    """Return kernel.cu with its header in it: a compiler at run time has no folders."""
    text, header = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("kernel.cu", "kernel.h"))
    return text.replace('#include "kernel.h"', header)


def _warn_of_cpu(device: str, why: str, advice: str = "") -> None:
    warn_user(
        f"device={device!r}: gradients are computed on the CPU and sent to the device in every round, as "
        f"{why}. {advice}".rstrip()
    )
