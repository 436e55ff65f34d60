"""Gradients, Hessians and losses of many rows by the compiled kernel, kernel.c, through ctypes."""

from __future__ import annotations

import ctypes
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focal_gbm.kernels.formula import HESSIANS, LINKS, LOSSES, TASKS, Formula
from focal_gbm.kernels.tables import STEPS_PER_UNIT, attention_tables, share_tables
from focal_gbm.kernels.threads import Threads

#: Sets of instructions, each of which includes the ones before.
LEVELS = ("baseline", "avx2", "avx512")

#: Numbers of raw predictions below which one thread has long ended when others would have been woken.
_FEW = 16_384

_OUT_OF_MEMORY = -2


class _Table(ctypes.Structure):
    _fields_ = (("first", ctypes.c_int64), ("n_steps", ctypes.c_int64), ("cubics", ctypes.c_void_p))


class _Job(ctypes.Structure):
    """The struct of job.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("task", "loss", "link", "hessian", "label_bytes")),
        *((name, ctypes.c_int32) for name in ("wide_output", "n_columns", "all_gamma_zero")),
        *((name, ctypes.c_int64) for name in ("n_rows", "raw_row_step", "raw_column_step")),
        *((name, ctypes.c_int64) for name in ("out_row_step", "out_column_step")),
        *((name, ctypes.c_double) for name in ("hessian_factor", "floor")),
        *((name, ctypes.c_void_p) for name in ("raw", "label", "weight", "classes", "tables")),
        ("steps_per_unit", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("gradient", "second", "sums")),
        ("first_bad", ctypes.c_int64),
    )


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled library, or None where the package was installed without a C compiler."""
    for path in sorted(Path(__file__).parent.glob("*focal_kernel.*")):
        if path.suffix in (".so", ".dylib", ".dll"):
            loaded = ctypes.CDLL(str(path))
            loaded.focal_n_blocks.restype = ctypes.c_int64
            loaded.focal_table_of_share.restype = None
            loaded.focal_table_of_share.argtypes = (
                ctypes.c_double, ctypes.c_int64, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p,
            )  # fmt: skip
            loaded.focal_run.restype = None
            loaded.focal_run.argtypes = (ctypes.c_void_p, *[ctypes.c_int] * 3, *[ctypes.c_void_p] * 3)
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


class Kernel:
    """The compiled kernel for the rows of one data set: what does not change from round to round.

    Parameters
    ----------
    formula : Formula
    labels : array-like of int or bool of shape (n_rows,), or (n_rows, n_columns) for "sigmoid"
        Class codes from 0 on.
    sample_weight : array-like of shape (n_rows,), default=None
        Kept as float32.
    threads : Threads, default=Threads()
        On whose threads; results do not depend on it.
    level : {"baseline", "avx2", "avx512"}, default=None
        Set of instructions, the best that there is by default.

    Raises
    ------
    RuntimeError
        If the library is absent, or the processor lacks the instructions.
    ValueError
        If shapes do not fit, or a label is not a class code.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm.kernels.compiled import Kernel
    >>> from focal_gbm.kernels.formula import Formula
    >>> formula = Formula("sigmoid", gamma=[[2.0, 2.0]], class_weight=[[1.0, 1.0]])
    >>> kernel = Kernel(formula, np.array([0, 1, 1]))
    >>> raw = np.array([-2.0, -2.0, 2.0], np.float32)
    >>> gradient, hessian = np.empty((2, 3), np.float32)
    >>> kernel.gradient_hessian(raw, gradient, hessian)  # no row is bad
    -1
    >>> gradient.round(4)
    array([ 0.0049, -1.0767, -0.0049], dtype=float32)
    >>> round(kernel.focal_loss(raw) / 3, 5)
    0.55123
    """

    def __init__(
        self,
        formula: Formula,
        labels: ArrayLike,
        sample_weight: ArrayLike | None = None,
        threads: Threads | None = None,
        level: str | None = None,
    ) -> None:
        self.formula = formula
        self.threads = Threads() if threads is None else threads
        self._library, self._level = _library_at(level)
        self.n_rows = len(np.asarray(labels))
        self._labels = _codes(formula, np.asarray(labels))
        self._weight = None
        if sample_weight is not None:
            self._weight = np.ascontiguousarray(sample_weight, dtype=np.float32)
            if self._weight.shape != (self.n_rows,):
                raise ValueError(f"sample_weight must have shape {(self.n_rows,)}, got {self._weight.shape}.")
        self._classes = np.ascontiguousarray(formula.classes)
        self._constant = self._constant_part()
        self._shapes: list[tuple[int, ...]] = [(self.n_rows, formula.n_columns)]
        if formula.n_columns == 1:
            self._shapes.append((self.n_rows,))
        self._tables: dict[np.dtype[Any], _Tables] = {}

    def gradient_hessian(
        self, raw_prediction: NDArray[Any], gradient: NDArray[Any], hessian: NDArray[Any]
    ) -> int:
        """Write the gradient and the diagonal Hessian of every row.

        Parameters
        ----------
        raw_prediction : ndarray of float32 or float64 of shape (n_rows,) or (n_rows, n_columns)
            Contiguous in either order.
        gradient, hessian : ndarrays of the same shape
            Where to write: float32, or float64 where `raw_prediction` is; both contiguous in one order.
            `gradient` may be `raw_prediction` itself.

        Returns
        -------
        int
            The first row in which the raw prediction or a result is not finite, -1 where all are. Where a
            raw prediction is not, the results of its row are not written.
        """
        job = self._job("derivatives", raw_prediction)
        for name, array in (("gradient", gradient), ("hessian", hessian)):
            if array.dtype not in (np.float32, raw_prediction.dtype) or array.shape != raw_prediction.shape:
                raise ValueError(
                    f"{name} must be float32 or {raw_prediction.dtype} of shape {raw_prediction.shape}, "
                    f"got {array.dtype} of shape {array.shape}."
                )
            if not array.flags.writeable:
                raise ValueError(f"{name} must be writeable.")
        steps = _steps("gradient", gradient)
        if gradient.dtype != hessian.dtype or steps != _steps("hessian", hessian):
            raise ValueError("gradient and hessian must have one dtype and one memory order.")
        job.out_row_step, job.out_column_step = steps
        job.gradient, job.second = gradient.ctypes.data, hessian.ctypes.data
        job.wide_output = gradient.dtype == np.float64
        if job.link == LINKS.index("logit") and not job.wide_output:
            tables = self._tables_of(raw_prediction.dtype)
            job.tables, job.steps_per_unit = tables.address, STEPS_PER_UNIT
        return self._run(job, raw_prediction)

    def focal_loss(self, raw_prediction: NDArray[Any]) -> float:
        """Return the sum of the weighted focal loss; not finite where a raw prediction is not."""
        return self._sum("focal_loss", raw_prediction)

    def log_loss(self, raw_prediction: NDArray[Any]) -> float:
        """Return the sum of ``-log P(label)``, times the rows' weights but not the classes'."""
        return self._sum("log_loss", raw_prediction)

    def _sum(self, task: str, raw: NDArray[Any]) -> float:
        job = self._job(task, raw)
        sums = np.zeros(self._library.focal_n_blocks(ctypes.byref(job)))
        job.sums = sums.ctypes.data
        return math.nan if self._run(job, raw) >= 0 else math.fsum(sums)

    def _tables_of(self, dtype: np.dtype[Any]) -> _Tables:
        if dtype not in self._tables:
            self._tables[dtype] = _Tables(self.formula, dtype)
        return self._tables[dtype]

    def _constant_part(self) -> _Job:
        """Return what all jobs have in common: of a short round it would be a part."""
        formula, job = self.formula, _Job()
        job.loss, job.link = LOSSES.index(formula.loss), formula.link_number
        job.hessian = HESSIANS.index(str(formula.hessian))
        job.label_bytes = self._labels.itemsize
        job.n_rows, job.n_columns = self.n_rows, formula.n_columns
        job.all_gamma_zero = formula.all_gamma_zero
        job.hessian_factor, job.floor = formula.hessian_factor, formula.floor
        job.label, job.classes = self._labels.ctypes.data, self._classes.ctypes.data
        job.weight = None if self._weight is None else self._weight.ctypes.data
        return job

    def _job(self, task: str, raw: NDArray[Any]) -> _Job:
        if raw.dtype not in (np.float32, np.float64) or raw.shape not in self._shapes:
            raise ValueError(
                f"raw_prediction must be float32 or float64 of shape {self._shapes[0]}, "
                f"got {raw.dtype} of shape {raw.shape}."
            )
        job = _Job.from_buffer_copy(self._constant)
        job.task, job.raw = TASKS.index(task), raw.ctypes.data
        job.raw_row_step, job.raw_column_step = _steps("raw_prediction", raw)
        return job

    def _run(self, job: _Job, raw: NDArray[Any]) -> int:
        n_threads = self.threads.n_threads if raw.size > _FEW else 1
        runtime = self.threads.runtime if n_threads > 1 else None
        addresses = (None, None, None) if runtime is None else runtime.addresses
        self._library.focal_run(
            ctypes.byref(job), raw.dtype == np.float64, self._level, n_threads, *addresses
        )
        if job.first_bad == _OUT_OF_MEMORY:
            raise MemoryError("The focal kernel found no memory for a block of rows.")
        return -1 if job.first_bad == self.n_rows else job.first_bad


class _Tables:
    """The logit link's tables in one type, as the library takes them; `address` None if there are none."""

    def __init__(self, formula: Formula, dtype: np.dtype[Any]) -> None:
        if formula.loss == "sigmoid":
            tables = attention_tables(formula, _derivatives)
        else:
            tables = share_tables(formula, _table_of_share)
        self.address: int | None = None
        if tables is None:
            return
        self._cubics = [np.ascontiguousarray(table.cubics, dtype=dtype) for table in tables]
        self._structs = (_Table * len(tables))()
        for struct, table, cubics in zip(self._structs, tables, self._cubics, strict=True):
            struct.first, struct.n_steps, struct.cubics = table.first, len(cubics), cubics.ctypes.data
        self.address = ctypes.addressof(self._structs)


def _derivatives(formula: Formula, raw_prediction: NDArray[Any], label: int) -> NDArray[np.float64]:
    out = np.empty((2, len(raw_prediction)))
    Kernel(formula, np.full(len(raw_prediction), label)).gradient_hessian(raw_prediction, *out)
    return out


def _table_of_share(gamma: float, first: int, n_nodes: int, steps_per_unit: float) -> NDArray[np.float64]:
    nodes = np.empty((n_nodes, 2, 2))
    _library_at(None)[0].focal_table_of_share(gamma, first, n_nodes, steps_per_unit, nodes.ctypes.data)
    return nodes


def _library_at(level: str | None) -> tuple[ctypes.CDLL, int]:
    loaded = library()
    if loaded is None:
        raise RuntimeError("focal_gbm was installed without a C compiler: there is no compiled kernel.")
    best = loaded.focal_best_level()
    number = best if level is None else LEVELS.index(level)
    if number > best:
        raise RuntimeError(f"This processor and library have {LEVELS[: best + 1]}, not {level!r}.")
    return loaded, number


def _codes(formula: Formula, labels: NDArray[Any]) -> NDArray[Any]:
    """Return class codes in the smallest unsigned type; of many labels label after label."""
    shape = (len(labels), formula.n_columns)
    if formula.loss == "softmax":
        n_classes, fits = formula.n_columns, labels.ndim == 1
    else:
        n_classes, fits = 2, labels.shape == shape or (labels.ndim == 1 and shape[1] == 1)
    if labels.dtype.kind not in "biu" or not fits:
        raise ValueError(
            f"labels must be integers of shape ({len(labels)},) or, for 'sigmoid', {shape}, "
            f"got {labels.dtype} of shape {labels.shape}."
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < n_classes):
        raise ValueError(f"labels must lie in [0, {n_classes}), got {labels.min()} to {labels.max()}.")
    if labels.dtype == np.bool_:
        labels = labels.view(np.uint8)  # not a copy: a byte a row is kept once
    return np.ascontiguousarray(labels.T.astype(np.min_scalar_type(max(n_classes - 1, 0)), copy=False))


def _steps(name: str, array: NDArray[Any]) -> tuple[int, int]:
    """Return the steps of a row and of a column, in numbers."""
    if array.flags.aligned and array.flags.c_contiguous:
        return (array.shape[1], 1) if array.ndim == 2 else (1, 0)
    if array.flags.aligned and array.flags.f_contiguous:
        return 1, len(array)
    raise ValueError(f"{name} must be contiguous in memory, in either order; got strides {array.strides}.")
