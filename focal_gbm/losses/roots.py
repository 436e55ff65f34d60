"""The root search behind probabilities: many increasing functions at once, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from focal_gbm._validation import FloatArray

#: Steps at most, and the relative step that ends a search: the error left is its square. With probabilities
#: from 1e-300 and 2 to 100 classes a search took up to 11 steps for gamma in [0, 50], and 46 for gamma in
#: [0, 1e15].
_ROOT_STEPS = 100
_ROOT_TOLERANCE = 1e-13

#: From 1 to the largest double.
_DOUBLINGS = 1024

#: From an array to value and slope of the same shape.
Function: TypeAlias = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


def increasing_root(function: Function, low: FloatArray, high: FloatArray, start: FloatArray) -> FloatArray:
    """Return where an increasing function is 0, for each element.

    Parameters
    ----------
    function : callable
        A slope that is not a number costs steps.
    low, high : ndarray
        Bounds of the root.
    start : ndarray
        Where the search starts.
    """
    # If one end of the bracket equals the root up to rounding, every Newton step would fall back to bisection
    low, high = low - 1.0, high + 1.0
    x = np.clip(start, low, high)
    for _ in range(_ROOT_STEPS):
        value, slope = function(x)
        low = np.where(value <= 0, x, low)
        high = np.where(value >= 0, x, high)
        step = x - value / slope
        # Newton's steps can alternate between two points for ever, even within the bracket. These are then
        # its ends, so no step may be longer than half of it
        half = (high - low) / 2
        step = np.where((step >= low) & (step <= high) & (np.abs(step - x) <= half), step, low + half)
        done = np.abs(step - x) <= _ROOT_TOLERANCE * (1.0 + np.abs(x))
        x = step
        if done.all():
            break
    return x


def lower_bound(function: Function, high: FloatArray) -> FloatArray:
    """Return numbers below `high` at which an increasing function is not positive, in steps that double."""
    width = np.ones_like(high)
    for _ in range(_DOUBLINGS):
        above = function(high - width)[0] > 0
        if not above.any():
            break
        width = np.where(above, 2 * width, width)
    return high - width


def upper_bound(function: Function, low: FloatArray) -> FloatArray:
    """Return numbers above `low` at which an increasing function is not negative, in steps that double."""

    def mirrored(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        value, slope = function(-x)
        return -value, slope

    return -lower_bound(mirrored, -low)
