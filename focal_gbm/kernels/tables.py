"""What a loss is to compiled code: tables of smooth functions of one number, made once a fit by its methods.

Two classes in log-odds f are ``gradient = w(f) (η - y)`` and ``hessian = w η (1 - η) + w' (η - y)``: the
weight w is all that there is of a loss. With many classes, in the letters of `focal_gbm.losses.log_odds`, let

    T = t / a,            a such that p exp(-T) is constant as p → 0 (1 for focal loss)
    y = (f + log α) / a   less the largest y, that of the class `first`: it alone can have more than a half

The other classes have ``T = y + T_first``. For them ``V = p exp(-T)`` and ``W = B exp(-T)``, B = dp/dT, are
looked up by T. What is searched for in a row is the number x of its first class:

    x = T + log(1 / (1-p)),     log Σ V exp(y) + x = 0     over the others, which says that Σ p = 1.

For the first class T, ``E = exp(-s x) p a / t'`` and u are looked up by x, T less its limit κ x. The limit s
is 1 where t' goes to 0 with q, as that of the log loss does, and else 0. All functions are then constant
beyond the ends of the tables. In units of ``exp(T_first)``, B is ``W exp(y)`` for the others and
``E exp((s-1) x)`` for the first, and A is proportional to ``α exp(-t) B``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray
from focal_gbm.losses import Loss
from focal_gbm.losses.log_odds import bound, increasing_root, margins_of_terms, score_of_log_odds
from focal_gbm.losses.margin import Margin, MarginLoss

#: Steps of a table in one unit of its argument: the first that are enough. Powers of two, so that no digit of
#: the argument is lost.
_STEPS_PER_UNIT = (4, 8, 16, 32, 64, 128, 256, 512)

#: More steps than these, for γ in the hundreds, no longer stay in a cache.
_MOST_STEPS = 32_768

#: Error of the slope of a cubic, of which Hessians are made. It is at most 384 / 72√3 times the error of the
#: cubic, which is largest in the middle of a step, divided by the step.
_SLOPE_TOLERANCE = 1e-6
_ERROR_OF_SLOPE = 384.0 / (72.0 * math.sqrt(3.0))

#: Relative change over so long a step of a function that has reached its limit: to about 1e-8.
_LAST_STEP, _FLAT = 1.0 / 16.0, 4e-10

#: Numbers that float32 cannot hold: beyond them a function counts as constant.
_NOTHING, _ALL = 1e-38, 1e38

#: Margins up to which a function may go on changing; no raw prediction is as far as the last.
_REACHES = (24.0, 36.0, 54.0, 81.0, 122.0, 183.0, 274.0)

#: V at p = 1/2 over the largest V: below, for γ beyond 25 or so, the rounding of T in float32 is felt.
_LEAST_SHARE = 1e-6

#: The largest margin of another class than the first: 0, and more in the steps of a search.
_MOST_OF_OTHERS = 1.0

#: Of arguments of shape (n,), values of shape (n_functions, n); and of both, what errors are relative to.
Function: TypeAlias = Callable[[FloatArray], FloatArray]
Size: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]


def _absolute(x: FloatArray, values: FloatArray) -> FloatArray:
    return np.abs(values)


class Table(NamedTuple):
    """Functions on equal steps: in each step a cubic of 0 to 1. Constant beyond its ends."""

    first: int  #: the first step begins at ``first / per_unit``
    per_unit: int  #: steps in one unit of the argument
    cubics: NDArray[np.float32]  #: of shape (n_steps, n_functions, 4), the constant first

    def at(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the first function and its slope, as compiled code has them."""
        inside = np.clip(x * self.per_unit, self.first, self.first + len(self.cubics))
        step = np.minimum(np.floor(inside), self.first + len(self.cubics) - 1)
        u = inside - step
        c0, c1, c2, c3 = np.moveaxis(self.cubics[(step - self.first).astype(np.intp), 0], -1, 0)
        return c0 + u * (c1 + u * (c2 + u * c3)), (c1 + u * (2.0 * c2 + 3.0 * u * c3)) * self.per_unit


class Tables(NamedTuple):
    """What compiled code takes for a loss; see the head of this module."""

    tables: tuple[Table, ...]  #: w; of many classes (V, W) and (T - κ x, E, u)
    limits: tuple[float, ...]  #: of many classes a, κ, s, and the largest V
    alpha: FloatArray  #: of many classes what ``exp(-a T) B`` is multiplied by


@lru_cache(maxsize=16)  # making them takes as long as a round of a hundred thousand rows
def tables_of(loss: Loss, scale: float = 1.0) -> Tables | None:
    """Return the tables of a loss, or None where they would be too long.

    Parameters
    ----------
    loss : Loss
    scale : float
        Multiplies the loss.
    """
    alpha = scale * np.array(loss.class_weights)
    if loss.kind == "multiclass":
        return tables_of_many(loss.margin_loss, alpha)
    return tables_of_two(loss.margin_loss, alpha)


def tables_of_two(loss: MarginLoss, alpha: FloatArray) -> Tables | None:
    """Return the table of two classes of weights α, see `tables_of`."""
    shift = math.log(alpha[0]) - math.log(alpha[1])

    def weight(f: FloatArray) -> FloatArray:
        z = score_of_log_odds(loss, f - shift)
        one, zero = Margin(z), Margin(-z)
        g = alpha[0] * loss.derivatives(zero)[0] + alpha[1] * loss.derivatives(one)[0]
        return np.asarray(g / (loss.link_slope(one) + loss.link_slope(zero)))[np.newaxis]

    z = np.array(_REACHES)
    reaches = loss.link_term(Margin(z)) - loss.link_term(Margin(-z))
    low, high = _end(weight, shift - reaches, -1), _end(weight, shift + reaches, 1)
    table = _table(weight, low, high)
    return None if table is None else Tables((table,), (1.0, 0.0, 0.0, 1.0), alpha)


def tables_of_many(loss: MarginLoss, alpha: FloatArray) -> Tables | None:
    """Return the tables of many classes of weights α, see `tables_of`."""
    certain = Margin(np.array([-600.0, _MOST_OF_OTHERS, 400.0, 600.0]))
    slopes = loss.link_slope(certain)
    rate, limit = slopes[0], slopes[3] / slopes[0]
    term_slope = limit / (1.0 + limit)
    share_slope = float(slopes[3] < 1e-9 * slopes[2])  # whether t' goes to 0 with q, and L on with x
    highest, g = loss.link_term(certain)[1], loss.derivatives(certain)[0][1]

    def others(term: FloatArray) -> FloatArray:
        m = Margin(margins_of_terms(loss, term * rate, 2.0 * _MOST_OF_OTHERS))
        v = np.exp(-m.minus_log_p - term)
        return np.stack([v, rate * v * m.q / loss.link_slope(m)])

    def first(x: FloatArray) -> FloatArray:
        def residual(m: FloatArray) -> tuple[FloatArray, FloatArray]:
            at = Margin(m)
            return loss.link_term(at) / rate + at.minus_log_q - x, loss.link_slope(at) / rate + at.p

        m = Margin(increasing_root(residual, bound(residual, x, -1), bound(residual, x, 1), x))
        share = np.exp(-m.minus_log_p - share_slope * x) * rate / loss.link_slope(m)
        return np.stack([loss.link_term(m) / rate - term_slope * x, share, loss.share_slope(m)])

    def size(x: FloatArray, values: FloatArray) -> FloatArray:
        # errors of T are absolute; u is multiplied by 1 - π, which is as small as t'
        _, e, u = np.abs(values)
        return np.stack([np.ones_like(e), e, np.maximum(np.maximum(u, 1.0), e * np.exp(share_slope * x))])

    reach = np.array(_REACHES)
    lowest = _end(others, loss.link_term(Margin(-reach)) / rate, -1)
    of_others = _table(others, lowest, highest / rate)
    ends = Margin(np.append(reach, -math.log(len(alpha) - 1.0) - 1.0))  # p of the first is at least 1/K
    x = loss.link_term(ends) / rate + ends.minus_log_q
    of_first = _table(first, x[-1], _end(first, x[:-1], 1, size), size)
    if of_others is None or of_first is None:
        return None
    most = float(of_others.cubics[:, 0, 0].max())  # the search begins where no class has more than a half
    if others(loss.link_term(Margin(np.zeros(1))) / rate)[0, 0] < _LEAST_SHARE * most:
        return None
    factor = g * math.exp(highest) / (certain.p * certain.q)[1] / rate
    return Tables((of_others, of_first), (rate, term_slope, share_slope, most), alpha * factor)


def _end(function: Function, candidates: FloatArray, sign: int, size: Size = _absolute) -> float:
    """Return the first of some arguments beyond which all functions are constant, or the last of them."""
    value = function(candidates)
    change = np.abs(value - function(candidates - sign * _LAST_STEP))
    flat = change <= _FLAT * size(candidates, value)
    flat |= (np.abs(value) < _NOTHING) | (np.abs(value) > _ALL)
    is_end = flat.all(axis=0)
    return float(candidates[is_end.argmax() if is_end.any() else -1])


def _table(function: Function, low: float, high: float, size: Size = _absolute) -> Table | None:
    """Return functions as a table, with steps that are short enough, or None if these are too many.

    Errors are relative to the `size` of the values.
    """
    if not math.isfinite(high - low):
        return None
    for per_unit in _STEPS_PER_UNIT:
        first, last = math.floor(low * per_unit), math.ceil(high * per_unit)
        if last - first > _MOST_STEPS:
            return None
        # at every half step, and two more beyond either end
        x = np.arange(2 * first - 2, 2 * last + 3) / (2.0 * per_unit)
        values = function(x)
        node, middle = values[:, 2:-2:2], values[:, 3:-3:2]
        slope = (8.0 * (values[:, 3:-1:2] - values[:, 1:-3:2]) - (values[:, 4::2] - values[:, :-4:2])) / 6.0
        rise = np.diff(node)
        cubic = slope[:, :-1] + slope[:, 1:] - 2.0 * rise
        cubics = np.stack([node[:, :-1], slope[:, :-1], rise - slope[:, :-1] - cubic, cubic], axis=-1)
        found = cubics @ (0.5 ** np.arange(4))
        tolerance = _SLOPE_TOLERANCE / _ERROR_OF_SLOPE / per_unit
        if (np.abs(found - middle) <= tolerance * np.maximum(size(x[3:-3:2], middle), _NOTHING)).all():
            with np.errstate(over="ignore"):  # a weight too large for float32 makes the first gradient raise
                return Table(first, per_unit, np.ascontiguousarray(cubics.swapaxes(0, 1), dtype=np.float32))
    return None
