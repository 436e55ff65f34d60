"""Naive twin of the softmax focal loss in mpmath: a function of p_t, and the chain rule through the softmax.

Nothing here imports the package, and nothing is arranged against cancellation: digits are.
"""

from __future__ import annotations

from typing import NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

#: 1 - p keeps more than 100 digits of these where it is smallest, at about exp(-300).
DIGITS = 250

#: A start lies where p and 1 - p have a dozen digits.
START_DIGITS = 60


class Derivatives(NamedTuple):
    """Everything at one row; arrays hold one entry a class."""

    loss: float
    gradient: np.ndarray
    hessian: np.ndarray  #: the full matrix
    majorizing: np.ndarray  #: w p (1-p) + (1-p_t) κ₊ |δ - p|
    terms: np.ndarray  #: sum of the absolute values of the terms of the diagonal that can cancel


def _softmax(z):
    e = [mpmath.exp(x if isinstance(x, mpf) else mpf(float(x))) for x in z]
    total = mpmath.fsum(e)
    return [x / total for x in e]


def _slope_of_loss(p, gamma):
    """Derivative of -(1-p)^γ log p."""
    return gamma * (1 - p) ** (gamma - 1) * mpmath.log(p) - (1 - p) ** gamma / p


def derivatives(gamma: float, t: int, z: np.ndarray) -> Derivatives:
    with mpmath.workdps(DIGITS):
        g, p = mpf(gamma), _softmax(z)
        classes, pt = range(len(p)), p[t]
        q, log_p = 1 - pt, mpmath.log(pt)
        first = _slope_of_loss(pt, g)
        second = -g * (g - 1) * q ** (g - 2) * log_p + 2 * g * q ** (g - 1) / pt + q**g / pt**2
        direction = [(j == t) - p[j] for j in classes]
        # d p_t = p_t direction, d² p_t = p_t [direction direction' - (diag p - p p')]
        kappa, w = second * pt**2 + first * pt, -first * pt
        # γ p_t q^(γ-1) [2 - r + γ r] in the place of γ p_t q^(γ-1) [2 - r / p_t + γ r], r = -p_t log(p_t) / q
        kappa_plus = kappa - g * q ** (g - 1) * pt * log_p
        hessian = [
            [kappa * direction[j] * direction[k] - w * p[j] * (p[k] - (j == k)) for k in classes]
            for j in classes
        ]
        # in the binary form: the margin's Hessian, of which one term is negative, and its gradient
        margin_terms = pt * q**g * ((1 + 2 * g) * q - g * g * pt * log_p - g * q * log_p)
        margin_gradient = w * q
        terms = []
        for j in classes:
            s = mpf(1) if j == t else p[j] / q
            terms.append(s * (margin_terms * s + margin_gradient * (1 - s)))
        return Derivatives(
            float(-(q**g) * log_p),
            np.array([float(first * pt * d) for d in direction]),
            np.array(hessian, dtype=float),
            np.array([float(w * p[j] * (1 - p[j]) + q * kappa_plus * abs(direction[j])) for j in classes]),
            np.array(terms, dtype=float),
        )


def log_posterior(
    gamma: float | tuple[float, ...], z: np.ndarray, class_weights: tuple[float, ...]
) -> np.ndarray:
    """Return log η where ``Σ_t η_t α_t gradient(t)`` is zero."""
    with mpmath.workdps(DIGITS):
        return np.array([float(mpmath.log(x)) for x in _posterior(gamma, z, class_weights)])


def posterior(
    gamma: float | tuple[float, ...], z: np.ndarray, class_weights: tuple[float, ...]
) -> np.ndarray:
    """Return that η."""
    with mpmath.workdps(DIGITS):
        return np.array([float(x) for x in _posterior(gamma, z, class_weights)])


def start(gamma: float, weights: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return the scores of mean 0, near some, at which ``Σ_t weights_t gradient(t)`` is zero."""
    with mpmath.workdps(START_DIGITS):
        total = mpmath.fsum(map(mpf, weights))

        def excess(*z):
            eta = _posterior(gamma, [*z, -mpmath.fsum(z)], (1.0,) * len(weights))
            return [mpmath.log(x) - mpmath.log(mpf(w) / total) for x, w in zip(eta, weights, strict=True)][
                :-1
            ]

        z = list(mpmath.findroot(excess, [mpf(float(x)) for x in near[:-1]]))
        return np.array([float(x) for x in [*z, -mpmath.fsum(z)]])


def _posterior(gamma, z, class_weights):
    """Gradient(t) is ``w_t (p - e_t)``, so that ``η_t α_t w_t`` is proportional to p_t."""
    gammas = gamma if isinstance(gamma, tuple) else (gamma,) * len(class_weights)
    eta = [
        -1 / (_slope_of_loss(x, mpf(g)) * mpf(float(a)))
        for x, g, a in zip(_softmax(z), gammas, class_weights, strict=True)
    ]
    total = mpmath.fsum(eta)
    return [x / total for x in eta]
