"""Errors of what is not finite, which either library would take without a word."""

from __future__ import annotations

import math

import numpy as np

from focal_gbm._validation import FloatArray


def raise_if_not_finite(raw_prediction: FloatArray, *results: FloatArray, first_row: int = 0) -> None:
    """Raise on a NaN or an infinity in the raw prediction, or in gradient and Hessian where they are given.

    A NaN score can still give a finite gradient, so scores are checked as well. `first_row` is the number of
    the first of the rows given.
    """
    bad = [_first_not_finite(array) for array in (raw_prediction, *results) if not _is_finite(array)]
    if not bad:
        return
    row = min(bad)
    if not np.isfinite(raw_prediction[row]).all():
        raise ValueError(
            f"The focal objective must return finite numbers, which it cannot at row {first_row + row}, "
            f"where the raw prediction is {raw_prediction[row]}. It comes from the library: diverged "
            "training, base_margin or init_score."
        )
    gradient, hessian = results
    raise ValueError(
        f"The focal objective must return finite numbers, got gradient {gradient[row]} and Hessian "
        f"{hessian[row]} at row {first_row + row}: sample_weight or alpha is too large for float32."
    )


def _is_finite(array: FloatArray) -> bool:
    """Say whether all numbers are finite; where their sum is, one pass tells."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(np.add.reduce(array, axis=None)) or bool(np.isfinite(array).all())


def _first_not_finite(array: FloatArray) -> int:
    return int((~np.isfinite(array)).reshape(len(array), -1).any(axis=1).argmax())
