"""Gradients on the CPU: in C where the package was installed with a compiler, by NumPy where it was not."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focal_gbm._validation import FloatArray, check_raw_prediction, check_sample_weight
from focal_gbm._warnings import warn_user
from focal_gbm.kernels.compiled import Kernel, library
from focal_gbm.kernels.formula import Formula
from focal_gbm.kernels.task import Task, raise_if_not_finite, raise_if_results_not_finite
from focal_gbm.kernels.threads import Threads
from focal_gbm.losses.base import Loss

#: Set to "numpy" to do without the compiled kernel.
SWITCH = "FOCAL_GBM_KERNEL"

#: Rows above which NumPy's share of a fit shows.
_MANY_ROWS = 100_000

_was_warned = False


def cpu_kernel(task: Task, threads: Threads) -> PlainKernel | CompiledKernel:
    """Return what computes gradients on the CPU: the compiled kernel wherever it knows the loss.

    Warns once a process where many rows are left to NumPy for want of a compiler at install.
    """
    global _was_warned
    formula = formula_of(task.loss, task.scale, task.hessian, task.hessian_factor)
    if formula is not None and is_compiled():
        return CompiledKernel(task, formula, threads)
    if library() is None and len(task.labels) > _MANY_ROWS and not _was_warned:
        _was_warned = True
        warn_user(
            "focal_gbm was installed without a C compiler: gradients are computed by NumPy, on one thread. "
            "Install it again where there is one; focal_gbm.show_versions() says which kernel is in use."
        )
    return PlainKernel(task)


def sum_of_losses(
    loss: Loss, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Return the sum of `loss.loss` over rows: of log-odds in C, as NumPy inverts the link slowly."""
    formula = formula_of(loss) if loss.focal_link == "logit" else None
    if formula is not None and is_compiled():
        labels = loss.check_labels(y_true)
        raw = check_raw_prediction(raw_prediction, loss.raw_shape(len(labels)))
        if not (raw.flags.c_contiguous or raw.flags.f_contiguous):
            raw = np.ascontiguousarray(raw)
        weight = check_sample_weight(sample_weight, len(labels))
        total = Kernel(formula, loss.smallest_labels(labels), weight).focal_loss(raw)
        if math.isfinite(total):
            return total
    return float(loss.loss(y_true, raw_prediction, sample_weight).sum(dtype=np.float64))


def is_compiled() -> bool:
    """Say whether the compiled kernel is there and not switched off."""
    return library() is not None and os.environ.get(SWITCH) != "numpy"


def formula_of(
    loss: Loss, scale: Any = 1.0, hessian: str | None = None, hessian_factor: float = 1.0
) -> Formula | None:
    """Return the loss as compiled code takes it, or None where it is none that it knows."""
    pairs = loss.weighted_losses(scale)
    gammas = [margin_loss.kernel_gamma for margin_loss, _ in pairs]
    if any(gamma is None for gamma in gammas):
        return None
    shape = (-1, 2) if loss.activation == "sigmoid" else (-1,)
    gamma, weight = np.array(gammas), np.array([weight for _, weight in pairs])
    return Formula(
        loss.activation, gamma.reshape(shape), weight.reshape(shape),
        link=loss.focal_link, hessian=loss.hessian_of(hessian), hessian_factor=hessian_factor,
    )  # fmt: skip


def loss_sums(
    loss: Loss, labels: NDArray[Any], weight: FloatArray | None, threads: Threads
) -> LossSums | None:
    """Return what sums losses in C, or None where that is left to NumPy."""
    formula = formula_of(loss)
    return LossSums(loss, formula, labels, weight, threads) if formula and is_compiled() else None


def total_weight(loss: Loss, labels: NDArray[Any], weight: FloatArray | None) -> float:
    """Return what a sum of losses is divided by: the weights as kernels keep them, once for each label."""
    total = len(labels) if weight is None else weight.astype(np.float32).sum(dtype=np.float64)
    return float(total) * loss.n_labels


class LossSums:
    """Mean losses of one set of rows in C, on the library's threads.

    Parameters
    ----------
    loss : Loss
    formula : Formula
    labels : ndarray
        As `loss.smallest_labels` returns them.
    weight : ndarray of shape (n_samples,) or None
    threads : Threads
    """

    def __init__(
        self,
        loss: Loss,
        formula: Formula,
        labels: NDArray[Any],
        weight: FloatArray | None,
        threads: Threads,
    ) -> None:
        self._labels = labels
        self._kernel = Kernel(formula, labels, weight, threads)
        self._total = total_weight(loss, labels, weight)

    def mean_focal_loss(self, raw_prediction: FloatArray) -> float:
        """Return the weighted mean of the loss over rows, or rows and labels."""
        return self._kernel.focal_loss(_contiguous(raw_prediction)) / self._total

    def mean_log_loss(self, raw_prediction: FloatArray) -> float:
        """Return the weighted mean of -log P(label)."""
        return self._kernel.log_loss(_contiguous(raw_prediction)) / self._total


class CompiledKernel:
    """Gradient and Hessian of one training set in C, on the library's threads.

    Parameters
    ----------
    task : Task
    formula : Formula
    threads : Threads
    """

    def __init__(self, task: Task, formula: Formula, threads: Threads) -> None:
        with np.errstate(over="ignore"):  # an infinite weight makes the first gradient raise
            self._kernel = Kernel(formula, task.loss.smallest_labels(task.labels), task.weight, threads)

    def __call__(self, raw_prediction: FloatArray, out: tuple[FloatArray, FloatArray]) -> None:
        """Write gradient and Hessian into `out`, the first of which may be `raw_prediction` itself.

        Raises
        ------
        ValueError
            With the first row where a prediction or a result is not finite.
        """
        raw_prediction = _contiguous(raw_prediction)
        row = self._kernel.gradient_hessian(raw_prediction, *out)
        if row >= 0:
            rows = slice(row, row + 1)
            raise_if_not_finite(raw_prediction[rows], row)
            raise_if_results_not_finite(out[0][rows], out[1][rows], row)


def _contiguous(array: FloatArray) -> FloatArray:
    return array if array.flags.c_contiguous or array.flags.f_contiguous else np.ascontiguousarray(array)


class PlainKernel:
    """Gradient and Hessian of one training set by NumPy: the losses as they are written.

    Parameters
    ----------
    task : Task
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        with np.errstate(over="ignore"):  # an infinite weight makes the first gradient raise
            self._targets = task.loss.prepare(task.labels, task.weight)

    def __call__(self, raw_prediction: FloatArray, out: tuple[FloatArray, FloatArray]) -> None:
        """Write gradient and Hessian into `out`, as `CompiledKernel` does."""
        raise_if_not_finite(raw_prediction)
        task = self._task
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is raised on
            task.loss.gradient_hessian_prepared(
                self._targets, raw_prediction, task.hessian, *out,
                scale=task.scale, hessian_factor=task.hessian_factor,
            )  # fmt: skip
        raise_if_results_not_finite(*out)
