"""What a kernel is to compute."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray
from focal_gbm.losses.base import Loss


@dataclass(frozen=True, eq=False)
class Task:
    """Gradient and Hessian of one training set.

    Parameters
    ----------
    loss : Loss
    hessian : {"floored", "exact", "majorizing", "expected"}
    scale : float or tuple of floats
        Multiplies the loss, for many labels possibly one number each.
    hessian_factor : float
        Multiplies the Hessian before the floor, see `Loss.gradient_hessian`.
    labels : ndarray
        Checked, as `loss.check_labels` returns them.
    weight : ndarray of shape (n_samples,) or None
        Sample weights, without α.
    """

    loss: Loss
    hessian: str
    scale: float | tuple[float, ...]
    hessian_factor: float
    labels: NDArray[Any]
    weight: FloatArray | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of raw predictions, gradients and Hessians."""
        return self.loss.raw_shape(len(self.labels))


def is_finite(array: FloatArray) -> bool:
    """Say whether all numbers are finite; where their sum is, one pass tells."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(np.add.reduce(array, axis=None)) or bool(np.isfinite(array).all())


def raise_if_not_finite(raw_prediction: FloatArray, first_row: int = 0) -> None:
    """Raise on a NaN or an infinity, of which there may be finite gradients: what led there is not sound.

    `first_row` is the number of the first of the rows given.
    """
    if not is_finite(raw_prediction):
        row = _first_not_finite(raw_prediction)
        raise ValueError(
            f"The focal objective must return finite numbers, which it cannot at row {first_row + row}, "
            f"where the raw prediction is {raw_prediction[row]}. It comes from the library: diverged "
            "training, base_margin or init_score."
        )


def raise_if_results_not_finite(gradient: FloatArray, hessian: FloatArray, first_row: int = 0) -> None:
    """Raise on a NaN or an infinity, which either library would take without a word."""
    if not (is_finite(gradient) and is_finite(hessian)):
        row = min(_first_not_finite(array) for array in (gradient, hessian) if not is_finite(array))
        raise ValueError(
            f"The focal objective must return finite numbers, got gradient {gradient[row]} and Hessian "
            f"{hessian[row]} at row {first_row + row}: sample_weight or alpha is too large for float32."
        )


def _first_not_finite(array: FloatArray) -> int:
    return int((~np.isfinite(array)).reshape(len(array), -1).any(axis=1).argmax())
