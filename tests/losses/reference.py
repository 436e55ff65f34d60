"""Naive twin of the losses in mpmath: p from scores or log-odds, the loss of its paper, and differences.

No derivative in a raw prediction is a formula here. Two classes are raw predictions (0, f).
"""

import mpmath
from mpmath import mpf

#: Of the smallest 1 - p, exp(-600), more than 100 are left.
DIGITS = 420
STEP = mpf(10) ** -27


def _at(function, x):
    """Return a paper's function of p, 1 - p and log p at the margin x."""
    return function(1 / (1 + mpmath.exp(-x)), 1 / (1 + mpmath.exp(x)), -mpmath.log1p(mpmath.exp(-x)))


def margins_of_scores(z):
    """Return log(p / (1-p)) of softmax(z), for every class."""
    classes = range(len(z))
    return [z[k] - mpmath.log(mpmath.fsum(mpmath.exp(z[j]) for j in classes if j != k)) for k in classes]


def log_odds(paper, alphas, x):
    """Return log(1 / (α (-dφ/dp))) at the margins of all classes: log η but for a constant."""
    return [-mpmath.log(-a * _at(paper[1], one)) for one, a in zip(x, alphas, strict=True)]


def margins_of_log_odds(paper, alphas, f, start):
    """Return the margins whose `log_odds` are f but for a constant, with Σ p = 1.

    Newton's steps refine a solution in float64. It is kept only if it solves the equations.
    """
    x = [mpf(float(one)) for one in start]
    first = max(range(len(f)), key=lambda k: x[k])
    others = [k for k in range(len(f)) if k != first]
    tiny, smallest = mpf(10) ** -8, mpf(10) ** (12 - DIGITS)
    c = None
    for _ in range(60):
        values = log_odds(paper, alphas, x)
        after, before = (log_odds(paper, alphas, [one + move for one in x]) for move in (tiny, -tiny))
        slopes = [(a - b) / (2 * tiny) for a, b in zip(after, before, strict=True)]
        c = f[first] - values[first] if c is None else c
        off = [fk - v - c for fk, v in zip(f, values, strict=True)]
        p = [1 / (1 + mpmath.exp(-one)) for one in x]
        sum_of_others = mpmath.fsum(p[k] for k in others)
        excess = mpmath.log(sum_of_others) + mpmath.log1p(mpmath.exp(x[first]))
        if max(map(abs, [*off, excess])) < smallest * (1 + max(map(abs, f))):
            return x
        rates = [p[k] / (1 + mpmath.exp(x[k])) / sum_of_others if k != first else p[k] for k in range(len(f))]
        by_c = mpmath.fsum(r / s for r, s in zip(rates, slopes, strict=True))
        move = (excess + mpmath.fsum(r * o / s for r, o, s in zip(rates, off, slopes, strict=True))) / by_c
        c += move
        x = [one + (o - move) / s for one, o, s in zip(x, off, slopes, strict=True)]
    raise AssertionError(f"no solution for f={f}, α={alphas}")


def derivatives(paper, alphas, raw, j, margins):
    """Return loss, gradient and Hessian in raw[j] for every true class; `margins` makes margins of raw."""
    with mpmath.workdps(DIGITS):
        exact, alphas = [mpf(float(x)) for x in raw], [mpf(a) for a in alphas]
        at = []
        for move in (-STEP, mpf(0), STEP):
            x = margins([r + move * (k == j) for k, r in enumerate(exact)])
            at.append([a * _at(paper[0], one) for one, a in zip(x, alphas, strict=True)])
        before, here, after = at
        return [
            (float(b), float((c - a) / (2 * STEP)), float((c - 2 * b + a) / STEP**2))
            for a, b, c in zip(before, here, after, strict=True)
        ]
