"""Naive twin of the logit link in mpmath: p is solved from the log-odds f, the loss is differentiated in f.

Nothing here imports the package, and no derivative in f is a formula: all are differences of the loss with
hundreds of digits.
"""

from __future__ import annotations

from functools import cache

import mpmath
from mpmath import mpf

#: Differences of two losses keep more than 40 of them, where the smallest p is about exp(-150).
DIGITS = 160

#: Where a search ends.
ROOT = mpf(10) ** (20 - DIGITS)


def _slope_of_loss(p, gamma):
    """Derivative of -(1-p)^γ log p."""
    return gamma * (1 - p) ** (gamma - 1) * mpmath.log(p) - (1 - p) ** gamma / p


def _value(x, gamma, alpha):
    """Return log(1 / (α times minus the slope of the loss)) at log(p / (1-p)) = x."""
    return -mpmath.log(-alpha * _slope_of_loss(1 / (1 + mpmath.exp(-x)), gamma))


def _root(function, low, high):
    """Of an increasing function between two points: bisections, then secants that stay between (Illinois)."""
    for _ in range(20):
        middle = (low + high) / 2
        if function(middle) > 0:
            high = middle
        else:
            low = middle
    f_low, f_high, side, x = function(low), function(high), 0, low
    for _ in range(60):
        if high - low < ROOT or f_low == f_high:
            break
        before, x = x, (low * f_high - high * f_low) / (f_high - f_low)
        value = function(x)
        if value == 0 or abs(x - before) < ROOT:
            break
        if value > 0:
            high, f_high, f_low, side = x, value, f_low / 2 if side == 1 else f_low, 1
        else:
            low, f_low, f_high, side = x, value, f_high / 2 if side == -1 else f_high, -1
    return x


def logits(f, gammas, alphas):
    """Return log(p / (1-p)) of every class: their values are f - c, with the c at which Σ p = 1."""
    classes = range(len(f))
    first = max(classes, key=lambda k: f[k] - _value(mpf(0), gammas[k], alphas[k]))  # the others: p <= 1/2

    def at(x):
        c = f[first] - _value(x, gammas[first], alphas[first])
        found = []
        for k in classes:
            target = f[k] - c
            low = min(target + mpmath.log(alphas[k]), mpf(0)) - 3 - 2 * gammas[k]
            found.append(
                x
                if k == first
                else _root(lambda u, k=k, t=target: _value(u, gammas[k], alphas[k]) - t, low, mpf(0))
            )
        return found

    def excess(x):
        others = mpmath.fsum(1 / (1 + mpmath.exp(-u)) for k, u in enumerate(at(x)) if k != first)
        return mpmath.log(others) + mpmath.log1p(mpmath.exp(x))

    gap = f[first] - max(f[k] for k in classes if k != first)
    return at(_root(excess, -mpmath.log(len(f)), max(gap, mpf(0)) + 30))


@cache
def derivatives(
    f: tuple[float, ...], j: int, gammas: tuple[float, ...], alphas: tuple[float, ...]
) -> list[tuple[float, float, float]]:
    """Return loss, gradient and Hessian in f_j for every true class t."""
    with mpmath.workdps(DIGITS):
        exact = [mpf(x) for x in f]
        gammas, alphas = ([mpf(x) for x in numbers] for numbers in (gammas, alphas))
        step, at = mpf(10) ** (-DIGITS // 4), []
        for move in (-step, mpf(0), step):
            point = [x + move * (k == j) for k, x in enumerate(exact)]
            found = logits(point, gammas, alphas)
            at.append(
                [
                    a * mpmath.exp(-g * mpmath.log1p(mpmath.exp(x))) * mpmath.log1p(mpmath.exp(-x))
                    for x, g, a in zip(found, gammas, alphas, strict=True)
                ]
            )
        before, here, after = at
        return [
            (float(b), float((c - a) / (2 * step)), float((c - 2 * b + a) / step**2))
            for a, b, c in zip(before, here, after, strict=True)
        ]


def posterior(f: tuple[float, ...]) -> list[mpf]:
    """Return softmax(f)."""
    total = mpmath.fsum(mpmath.exp(mpf(x)) for x in f)
    return [mpmath.exp(mpf(x)) / total for x in f]
