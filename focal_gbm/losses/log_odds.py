"""Any loss of the margin in log-odds: probabilities, the way back to margins, and derivatives.

For a loss φ of the probability p of the true class and class weights α, the expected loss is least where

    exp f_j     is proportional to  1 / (α_j (-φ'(p_j)))

is the probability of class j. So raw predictions can be the f themselves, log-odds, of which p is a function:
then the loss is proper, and the model an ordinary logistic one. With the margin m_j of p_j, t = `link_term`
and its slope t',

    f_j         = t(m_j) - log α_j + c,            the constant c of a row such that Σ p_j = 1
    A_j         = α_j φ'(p_j)² / φ''(p_j) = α_j g_j / t'_j
    B_j         = p_j q_j / t'_j = dp_j/dt,        π_j = B_j / Σ_k B_k
    gradient_j  = A_t (π_j - δ_tj)
    hessian_jj  = A_t { (1 - u_t) (π_j - δ_tj)² + π_j [ u_j (1 - π_j)² + π_j Σ_{k≠j} π_k u_k ] }

with u = `share_slope`, as ``dm_j = (df_j - Σ_k π_k df_k) / t'_j``. Two classes are f = (0, f), and all that
there is of a loss is then its weight w, at the score z of f:

    w           = [α_0 g(-z) + α_1 g(z)] / [t'(z) + t'(-z)]
    gradient    = w (η - y)
    hessian     = w η (1 - η) + w' (η - y),        η = σ(f)

Arrays have the shape (n_classes, n_rows): reductions over a short last axis are slow.

References
----------
Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior Probability
Estimation, CVPR 2021, arXiv:2011.09172, Theorem 11, for focal loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from focal_gbm._validation import FloatArray
from focal_gbm.losses.margin import EXP_LIMIT, Margin, MarginLoss

#: A slope of so many q does not go to 0 with q: where γ > 0 it goes to γ.
_VANISHING = 1e6

_LARGEST = np.finfo(np.float64).max


def margins_of_scores(z: FloatArray) -> FloatArray:
    """Return z_k - log Σ_{j≠k} exp(z_j), the margins of scores of which softmax is p."""
    largest = z.argmax(axis=0), np.arange(z.shape[1])
    others = z.copy()
    others[largest] = -np.inf
    runner_up = others.max(axis=0)
    gap = z - z[largest]
    rest = sums_of_others(np.exp(gap))
    rest[largest] = np.exp(others - runner_up).sum(axis=0)
    gap[largest] = z[largest] - runner_up
    return np.asarray(np.clip(gap, -_LARGEST, _LARGEST) - np.log(rest))  # finite: 0 log q is 0 for γ=0


def log_odds_of_scores(loss: MarginLoss, alpha: FloatArray, z: FloatArray) -> FloatArray:
    """Return the f of scores z."""
    return loss.link_term(Margin(margins_of_scores(z))) - np.log(alpha)[:, np.newaxis]


def margins_of_log_odds(loss: MarginLoss, alpha: FloatArray, f: FloatArray) -> FloatArray:
    """Return the margins m at which t(m_j) is f_j + log α_j - c, with the c for which Σ p_j = 1."""
    if len(f) == 2:
        z = score_of_log_odds(loss, f[1] - f[0] + (math.log(alpha[1]) - math.log(alpha[0])))
        return np.stack([-z, z])
    y = f + np.log(alpha)[:, np.newaxis]
    # One class can have more than a half, the one with the largest y. Its margin is what is searched for:
    # 1 - p keeps its digits, and all other margins are at most 0
    columns = np.arange(y.shape[1])
    first = y.argmax(axis=0), columns
    y -= y[first]
    is_other = np.ones(y.shape, dtype=bool)
    is_other[first] = False
    others = y.T[is_other.T].reshape(len(columns), -1).T
    residual = partial(_log_excess, loss, others)
    zero = np.zeros(len(columns))
    at_zero, _ = residual(zero)
    low = np.where(at_zero < 0, 0.0, bound(residual, zero, -1))
    high = np.where(at_zero < 0, math.log(2.0) - at_zero, 0.0)  # log(1-p) falls faster than -m
    start = -np.logaddexp.reduce(others, axis=0) / loss.link_slope(Margin(zero))
    m = increasing_root(residual, low, high, start)
    margins = np.empty_like(y)
    margins[first] = m
    margins.T[is_other.T] = margins_of_terms(loss, others + loss.link_term(Margin(m))).T.ravel()
    return margins


def score_of_log_odds(loss: MarginLoss, f: FloatArray) -> FloatArray:
    """Return the z at which t(z) - t(-z) is f: the score of two classes with equal weights."""

    def residual(z: FloatArray) -> tuple[FloatArray, FloatArray]:
        after, before = Margin(z), Margin(-z)
        slope = loss.link_slope(after) + loss.link_slope(before)
        return loss.link_term(after) - loss.link_term(before) - f, slope

    zero = np.zeros_like(f)
    return increasing_root(residual, bound(residual, zero, -1), bound(residual, zero, 1), zero)


def _log_excess(loss: MarginLoss, others: FloatArray, m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log Σ p of the others less log(1 - p) of the first class, of margin m, and its slope in m.

    `others` are the terms of the others less that of the first.
    """
    first = Margin(m)
    margins = margins_of_terms(loss, others + loss.link_term(first))
    log_p = -np.logaddexp(0.0, -margins)
    log_sum = np.logaddexp.reduce(log_p, axis=0)
    share = np.where(margins < 0, np.exp(log_p - log_sum), 0.0)
    rise = (share * expit(-margins) / loss.link_slope(Margin(margins))).sum(axis=0)
    return log_sum + first.minus_log_q, first.p + rise * loss.link_slope(first)


def margins_of_terms(loss: MarginLoss, value: FloatArray, highest: float = 0.0) -> FloatArray:
    """Return the margins at which the `link_term` is `value`, or `highest` where they would be larger."""
    high = np.full_like(value, highest)
    at_high = loss.link_term(Margin(high))
    target = np.minimum(value, at_high)

    def residual(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        m = Margin(x)
        return loss.link_term(m) - target, loss.link_slope(m)

    # far to the left the term is m and a constant
    m = increasing_root(residual, bound(residual, high, -1), high, np.minimum(target, 0.0))
    return np.where(value < at_high, m, high)


def derivatives_in_log_odds(
    loss: MarginLoss, alpha: FloatArray, f: FloatArray, label: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Return the gradient and the exact diagonal Hessian in f."""
    if len(f) == 2:
        g, h = _derivatives_of_two(loss, alpha, f[1] - f[0], label)
        return np.stack([-g, g]), np.stack([h, h])
    margins = margins_of_log_odds(loss, alpha, f)
    m, true_class = Margin(margins), (label, np.arange(len(label)))
    slope, u = loss.link_slope(m), loss.share_slope(m)
    # Relative to the largest, as all may be smaller than any number. A q beyond the limits of `Margin` goes
    # on getting smaller, unless the slope does so, too, in proportion
    beyond = np.maximum(np.abs(margins) - EXP_LIMIT, 0.0) * (margins > 0) * (slope > _VANISHING * m.q)
    log_share = np.log(m.q / slope) - m.minus_log_p - beyond
    share = np.exp(log_share - log_share.max(axis=0))
    total = share.sum(axis=0)
    pi, one_less_pi = share / total, sums_of_others(share) / total

    a_true = (alpha[:, np.newaxis] * loss.derivatives(m)[0] / slope)[true_class]
    difference = pi.copy()
    difference[true_class] = -one_less_pi[true_class]
    hessian = pi * (u * one_less_pi**2 + pi * sums_of_others(pi * u))
    hessian += (1.0 - u[true_class]) * difference**2
    return a_true * difference, a_true * hessian


def _derivatives_of_two(
    loss: MarginLoss, alpha: FloatArray, f: FloatArray, label: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Return the gradient and the exact Hessian in the log-odds of class 1."""
    z = score_of_log_odds(loss, f + (math.log(alpha[1]) - math.log(alpha[0])))
    (g_0, h_0, slope_0, rise_0), (g_1, h_1, slope_1, rise_1) = (
        (*loss.derivatives(m), (t := loss.link_slope(m)), t * ((m.q - m.p) - t * loss.share_slope(m)))
        for m in (Margin(-z), Margin(z))
    )
    slope = slope_0 + slope_1
    w = (alpha[0] * g_0 + alpha[1] * g_1) / slope
    w_slope = (alpha[0] * h_0 - alpha[1] * h_1 - w * (rise_1 - rise_0)) / slope**2
    difference = np.where(label == 1, -expit(-f), expit(f))
    return w * difference, w * expit(f) * expit(-f) + w_slope * difference


def derivatives_in_scores(
    loss: MarginLoss, alpha: FloatArray, z: FloatArray, label: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Return the gradient and the exact diagonal Hessian in the published score z, p = softmax(z).

    With the margin m of the true class t, and the softmax s over the other classes,

        gradient_t = -α_t g                gradient_j = α_t g s_j
        hessian_tt =  α_t h                hessian_jj = α_t s_j [ h s_j + g (1 - s_j) ]
    """
    u, true_class = z.copy(), (label, np.arange(len(label)))
    u[true_class] = -np.inf
    top = u.max(axis=0)
    u = np.exp(u - top)
    total = u.sum(axis=0)
    m = Margin(np.clip(z[true_class] - top, -_LARGEST, _LARGEST) - np.log(total))
    g, h = (alpha[label] * derivative for derivative in loss.derivatives(m))
    # 1 - s_j = (rest + 1 - u_j) / total, where `rest` is total - 1: the sum of all but the largest u, which
    # is 1. It is summed without it, as small numbers would be lost beside it. Its ties count
    largest = np.floor(u)
    rest = largest.sum(axis=0) - 1.0 + (u - largest).sum(axis=0)
    s = u / total
    gradient, hessian = g * s, s * (h * s + g * (rest + (1.0 - u)) / total)
    gradient[true_class], hessian[true_class] = -g, h
    return gradient, hessian


def sums_of_others(x: FloatArray) -> FloatArray:
    """Return for each element the sum over the other classes, without cancellation."""
    largest = np.abs(x).argmax(axis=0), np.arange(x.shape[1])
    others = x.copy()
    others[largest] = 0.0
    sums = np.asarray(x.sum(axis=0) - x)
    sums[largest] = others.sum(axis=0)
    return sums


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


def bound(function: Function, x: FloatArray, sign: int) -> FloatArray:
    """Return numbers beyond `x` at which an increasing function has that sign or is 0, in steps that double.

    Parameters
    ----------
    function : callable
    x : ndarray
    sign : {-1, 1}
        Below `x` or above.
    """
    width = np.ones_like(x)
    for _ in range(_DOUBLINGS):
        short = sign * function(x + sign * width)[0] < 0
        if not short.any():
            break
        width = np.where(short, 2 * width, width)
    return x + sign * width
