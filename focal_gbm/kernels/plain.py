"""Gradients by NumPy: the losses as they are written."""

from __future__ import annotations

import numpy as np

from focal_gbm._validation import FloatArray
from focal_gbm.kernels.task import Task, raise_if_not_finite, raise_if_results_not_finite


class PlainKernel:
    """Gradient and Hessian of one training set on the CPU.

    Parameters
    ----------
    task : Task
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        with np.errstate(over="ignore"):  # an infinite weight makes the first gradient raise
            self._targets = task.loss.prepare(task.labels, task.weight)

    def __call__(self, raw_prediction: FloatArray, out: tuple[FloatArray, FloatArray]) -> None:
        """Write gradient and Hessian into `out`, the first of which may be `raw_prediction` itself.

        Raises
        ------
        ValueError
            With the first row where a prediction or a result is not finite.
        """
        raise_if_not_finite(raw_prediction)
        task = self._task
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is raised on
            task.loss.gradient_hessian_prepared(
                self._targets, raw_prediction, task.hessian, *out,
                scale=task.scale, hessian_factor=task.hessian_factor,
            )  # fmt: skip
        raise_if_results_not_finite(*out)
