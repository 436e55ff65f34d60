"""Naive twin of a loss in log-odds, at any distance: margins are solved in mpmath, the loss is differenced.

`reference_logit.py` solves p; here it is log p and log(1-p), so that odds of exp(±10000) keep all digits. A
solution is refined from one in float64 and kept only if it solves the equations.
"""

from __future__ import annotations

import mpmath
from mpmath import mpf

DIGITS = 110
STEP = mpf(10) ** -27


def log_slope(x, gamma, epsilon):
    """Return log(-dφ/dp) of -(1-p)^γ log p + ε (1-p)^(γ+1), at log(p / (1-p)) = x."""
    minus_log_p, odds = mpmath.log1p(mpmath.exp(-x)), mpmath.exp(x)
    poly = epsilon * (gamma + 1) / (1 + mpmath.exp(-x))
    return minus_log_p - gamma * mpmath.log1p(odds) + mpmath.log1p(gamma * minus_log_p * odds + poly)


def loss_at(x, gamma, alpha, epsilon):
    """Return α φ."""
    q = mpmath.exp(-mpmath.log1p(mpmath.exp(x)))
    return alpha * (q**gamma * mpmath.log1p(mpmath.exp(-x)) + epsilon * q ** (gamma + 1))


def solve(f, gammas, alphas, epsilon, start):
    """Return log(p / (1-p)) of every class: exp(f) in proportion to 1 / (α (-dφ/dp)), and Σ p = 1."""
    x = [mpf(float(one)) for one in start]
    first = max(range(len(f)), key=lambda k: x[k])
    others = [k for k in range(len(f)) if k != first]
    tiny, smallest = mpf(10) ** -8, mpf(10) ** (12 - DIGITS)
    c = None
    for _ in range(40):
        values = [
            -mpmath.log(a) - log_slope(one, g, epsilon) for one, g, a in zip(x, gammas, alphas, strict=True)
        ]
        slopes = [
            -(log_slope(one + tiny, g, epsilon) - log_slope(one - tiny, g, epsilon)) / (2 * tiny)
            for one, g in zip(x, gammas, strict=True)
        ]
        c = f[first] - values[first] if c is None else c
        off = [fk - v - c for fk, v in zip(f, values, strict=True)]
        p = [1 / (1 + mpmath.exp(-one)) for one in x]
        sum_of_others = mpmath.fsum(p[k] for k in others)
        excess = mpmath.log(sum_of_others) + mpmath.log1p(mpmath.exp(x[first]))
        rates = [p[k] / (1 + mpmath.exp(x[k])) / sum_of_others if k != first else p[k] for k in range(len(f))]
        by_c = mpmath.fsum(r / s for r, s in zip(rates, slopes, strict=True))
        move = (excess + mpmath.fsum(r * o / s for r, o, s in zip(rates, off, slopes, strict=True))) / by_c
        if max(map(abs, [*off, excess])) < smallest * (1 + max(map(abs, f))):
            return x
        c += move
        x = [one + (o - move) / s for one, o, s in zip(x, off, slopes, strict=True)]
    raise AssertionError(f"no solution for f={f}, γ={gammas}, α={alphas}")


def derivatives(f, j, gammas, alphas, start, epsilon=0.0):
    """Return loss, gradient and Hessian in f_j for every true class."""
    with mpmath.workdps(DIGITS):
        exact, gammas, alphas, epsilon = (
            [mpf(x) for x in f],
            *([mpf(x) for x in v] for v in (gammas, alphas)),
            mpf(epsilon),
        )
        at = []
        for move in (-STEP, mpf(0), STEP):
            point = [x + move * (k == j) for k, x in enumerate(exact)]
            x = solve(point, gammas, alphas, epsilon, start)
            at.append([loss_at(*one, epsilon) for one in zip(x, gammas, alphas, strict=True)])
        before, here, after = at
        return [
            (float(b), float((c - a) / (2 * STEP)), float((c - 2 * b + a) / STEP**2))
            for a, b, c in zip(before, here, after, strict=True)
        ]
