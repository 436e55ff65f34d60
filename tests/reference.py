"""Naive twins in mpmath: the loss as the paper writes it, everything else differentiated or solved from it.

Nothing here imports the package, and nothing is arranged against cancellation: digits are.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import mpmath
from mpmath import mpf

#: 1 - p keeps more than 100 digits of these where it is smallest, at p = exp(-300).
DIGITS = 250

#: A start lies where p and 1 - p have a dozen digits.
START_DIGITS = 60


class Derivatives(NamedTuple):
    """Loss and derivatives at one point, as floats."""

    loss: float
    gradient: float
    hessian: float
    negative_term: float  #: the one term of the Hessian that is never positive, y log(p) p (1-p)^(γ+1)


def binary_focal_loss(gamma: mpf, y: int, z: mpf) -> mpf:
    """Lin et al. 2017, equation 4, with p = 1 / (1 + exp(-z))."""
    p = 1 / (1 + mpmath.exp(-z))
    p_t = p if y == 1 else 1 - p
    return -((1 - p_t) ** gamma) * mpmath.log(p_t)


@cache
def binary_derivatives(gamma: float, y: int, z: float) -> Derivatives:
    with mpmath.workdps(DIGITS):
        g, x = mpf(gamma), mpf(z)
        loss, gradient, hessian = mpmath.diffs(lambda u: binary_focal_loss(g, y, u), x, 2)
        p = 1 / (1 + mpmath.exp(-x))
        p_t = p if y == 1 else 1 - p
        negative_term = g * mpmath.log(p_t) * p_t * (1 - p_t) ** (g + 1)
        return Derivatives(float(loss), float(gradient), float(hessian), float(negative_term))


@cache
def posterior_logit(
    gamma: float | tuple[float, float], z: float, class_weights: tuple[float, float] = (1.0, 1.0)
) -> float:
    """Return log(η / (1-η)) of the η at which ``η α_1 g_1(z) + (1-η) α_0 g_0(z)`` is zero."""
    with mpmath.workdps(DIGITS):
        g0, g1 = _gradients(gamma, mpf(z), class_weights)
        return float(mpmath.log(g0) - mpmath.log(-g1))


@cache
def posterior(
    gamma: float | tuple[float, float], z: float, class_weights: tuple[float, float] = (1.0, 1.0)
) -> tuple[float, float]:
    """Return (1-η, η) of that η."""
    with mpmath.workdps(DIGITS):
        g0, g1 = _gradients(gamma, mpf(z), class_weights)
        return float(-g1 / (g0 - g1)), float(g0 / (g0 - g1))


def start(gamma: float, weight: float, near: float) -> float:
    """Return the zero of ``weight g_1(z) + g_0(z)`` that lies near a number."""
    with mpmath.workdps(START_DIGITS):
        target = -mpmath.log(mpf(weight))

        def excess(z):
            g0, g1 = _gradients(gamma, z, (1.0, 1.0))
            return mpmath.log(g0) - mpmath.log(-g1) + target

        return float(mpmath.findroot(excess, mpf(near)))


def _gradients(gamma, z, class_weights):
    gammas = gamma if isinstance(gamma, tuple) else (gamma, gamma)
    return [
        mpf(class_weights[y]) * mpmath.diff(lambda u, y=y: binary_focal_loss(mpf(gammas[y]), y, u), z)
        for y in (0, 1)
    ]
