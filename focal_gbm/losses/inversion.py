"""From scores to margins, and from the terms of a link back to scores."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from focal_gbm._validation import FloatArray
from focal_gbm.losses.margin import Margin, MarginLoss, by_class
from focal_gbm.losses.roots import increasing_root, lower_bound


def margins_of(z: FloatArray) -> FloatArray:
    """Return z_k - log Σ_{j≠k} exp(z_j) for scores of shape (n_classes, n_rows)."""
    largest = z.argmax(axis=0), np.arange(z.shape[1])
    others = z.copy()
    others[largest] = -np.inf
    runner_up = others.max(axis=0)
    gap = z - z[largest]
    u = np.exp(gap)
    rest = u.sum(axis=0) - u  # no cancellation, except for the largest, which is replaced
    rest[largest] = np.exp(others - runner_up).sum(axis=0)
    gap[largest] = z[largest] - runner_up
    # finite, so that 0 log q is 0 for γ=0
    np.clip(gap, -np.finfo(z.dtype).max, np.finfo(z.dtype).max, out=gap)
    return np.asarray(gap - np.log(rest))


def _term(losses: tuple[MarginLoss, ...], label: NDArray[np.intp], m: FloatArray) -> FloatArray:
    return by_class(losses, "link_term", Margin.of(-m), label)


def _slope(losses: tuple[MarginLoss, ...], label: NDArray[np.intp], m: FloatArray) -> FloatArray:
    return by_class(losses, "link_slope", Margin.of(-m), label)


def log_softmax_of_terms(y: FloatArray, losses: tuple[MarginLoss, ...]) -> FloatArray:
    """Return log p of shape (n, K) such that the `link_term` is y + c, with the c for which Σ p = 1.

    As c grows, one class is the first to reach p = 1/2. It alone can have more in the end, and its
    margin is what is searched for: 1 - p keeps its digits, and all other margins are at most 0.
    """
    (n_rows, n_classes), rows = y.shape, np.arange(len(y))
    classes = np.arange(n_classes)
    first = (_term(losses, classes, np.zeros(n_classes)) - y).argmin(axis=1)
    is_other = np.ones(y.shape, dtype=bool)
    is_other[rows, first] = False
    y = y - y[rows, first][:, np.newaxis]
    others = y[is_other].reshape(n_rows, n_classes - 1)
    label = np.broadcast_to(classes, y.shape)[is_other].reshape(others.shape)
    residual = partial(_log_excess, losses, others, label, first)

    at_zero, _ = residual(np.zeros(n_rows))
    low = np.where(at_zero < 0, 0.0, lower_bound(residual, np.zeros(n_rows)))
    # At a larger m the others have more than at 0, and softplus(m) > m
    high = np.where(at_zero < 0, math.log(2.0) - at_zero, 0.0)
    start = -np.logaddexp.reduce(others, axis=1) / _slope(losses, first, np.zeros(n_rows))
    m = increasing_root(residual, low, high, start)

    margins = np.empty_like(y)
    margins[rows, first] = m
    margins[is_other] = _margin_at(losses, label, others + _term(losses, first, m)[:, np.newaxis]).ravel()
    return -np.logaddexp(0.0, -margins)


def _log_excess(
    losses: tuple[MarginLoss, ...],
    others: FloatArray,
    label: NDArray[np.intp],
    first: NDArray[np.intp],
    m: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return log Σ p of the others less log(1 - p) of the class `first` of margin m, and its slope in m.

    `others` are the terms of the others, of the classes `label`, less the one of that class.
    """
    margins = _margin_at(losses, label, others + _term(losses, first, m)[:, np.newaxis])
    log_p = -np.logaddexp(0.0, -margins)
    log_sum = np.logaddexp.reduce(log_p, axis=1)
    share = np.where(margins < 0, np.exp(log_p - log_sum[:, np.newaxis]), 0.0)
    rise = (share * expit(-margins) / _slope(losses, label, margins)).sum(axis=1)
    return log_sum + np.logaddexp(0.0, m), expit(m) + rise * _slope(losses, first, m)


def _margin_at(losses: tuple[MarginLoss, ...], label: NDArray[np.intp], value: FloatArray) -> FloatArray:
    """Return the margin m <= 0 at which the `link_term` is `value`, or 0 where there is none."""
    zero = np.zeros_like(value)
    at_zero = _term(losses, label, zero)
    target = np.minimum(value, at_zero)

    def residual(m: FloatArray) -> tuple[FloatArray, FloatArray]:
        return _term(losses, label, m) - target, _slope(losses, label, m)

    # far to the left the term is m, and a constant
    m = increasing_root(residual, lower_bound(residual, zero), zero, np.minimum(target, 0.0))
    return np.where(value < at_zero, m, 0.0)
