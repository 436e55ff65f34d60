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
    row = min(_first_not_finite(array) for array in (raw_prediction, *results))
    if row == len(raw_prediction):
        return
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


def _first_not_finite(array: FloatArray) -> int:
    """Return the first row with a number that is not finite, or the number of rows."""
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(np.add.reduce(array, axis=None)):  # one pass tells
            return len(array)
    bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    return int(bad.argmax()) if bad.any() else len(array)
