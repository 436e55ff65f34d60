"""The focal loss of a margin: what the losses of a sigmoid and of a softmax have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from focal_gbm._validation import FloatArray, Gamma

#: "floored" is max(exact, FLOOR |gradient|): a leaf of rows with a negative Hessian then takes a step of
#: at most 1/FLOOR. Anything from 0.05 to 0.1 trained alike (see benchmarks/hessian_policy.py).
FLOOR = 0.05

#: Whole powers of q up to this one are products: as fast as exp for the usual γ, and in float32 the
#: rounding error of an exp grows with its argument. Beyond it the products are slower than they are worth.
_MAX_PRODUCT = 32


class FocalMargin:
    """Derivatives of the focal loss in the margin m, block of rows by block of rows and in place.

    With ``p = σ(m)``, ``q = σ(-m)``, ``ℓ = softplus(-m) = -log p`` and ``w`` all weights of the row,

        g = w q^γ (q + γ p ℓ)                             (minus the first derivative)
        h = w q^γ [ (1+2γ) p q + γ (γ p - q) p ℓ ]        (the second derivative)

    where γ is one for all rows or that of the row's class. No block is longer than the one before.

    Attributes
    ----------
    odds : ndarray of shape (n_rows,)
        Space for the odds, of which `gradient` makes g; one piece with the other buffers is 2 % faster.
    """

    odds: FloatArray
    _gamma_of_rows: float | FloatArray

    def __init__(self, gamma: Gamma, n_rows: int, dtype: DTypeLike) -> None:
        self._gamma = gamma
        self._by_class = np.array(gamma, dtype=dtype)
        self._work: list[FloatArray]
        self.odds, *self._work = np.empty((6, n_rows), dtype=dtype)

    def gradient(
        self, odds: FloatArray, label: NDArray[Any], weight: FloatArray | None, loss_scale: float
    ) -> FloatArray:
        """Return g for ``odds = exp(-m)``, finite and not zero, which it is written over.

        `label` is the class of every row.
        """
        g = odds
        if len(odds) < len(self._work[0]):  # the last block
            self._work = [array[: len(odds)] for array in self._work]
        p, q, focal, scale, tilt = self._work
        gamma = self._gamma if isinstance(self._gamma, float) else np.take(self._by_class, label)
        self._gamma_of_rows = gamma
        np.add(odds, 1, out=p)
        np.reciprocal(p, out=p)
        if self._gamma:
            np.log1p(odds, out=focal)  # ℓ
            np.multiply(p, gamma, out=tilt)
            focal *= tilt  # γ p ℓ
            np.multiply(odds, p, out=q)
            power_of_q(self._gamma, label, odds, q, out=scale)
            if weight is not None:
                scale *= weight
            if loss_scale != 1.0:
                scale *= loss_scale
            np.add(q, focal, out=g)
            g *= scale
        else:
            g *= p
            if weight is not None:
                g *= weight
            if loss_scale != 1.0:
                g *= loss_scale
        return g

    def hessian(self, g: FloatArray, *, negative_term: bool = True) -> FloatArray:
        """Return h after `gradient` returned `g`; without its one negative term an upper bound of it."""
        p, q, focal, scale, h = self._work
        if not self._gamma:
            p *= g
            return p
        # (1+2γ) p q + (γ p - q) γ p ℓ, where γ p is in h: -q is all that can make the sum negative
        if negative_term:
            h -= q
        h *= focal
        p *= q
        p *= 1.0 + 2.0 * self._gamma_of_rows
        h += p
        h *= scale
        return h

    @property
    def q(self) -> FloatArray:
        """Return q after `gradient`, where not all γ are 0."""
        return self._work[1]

    @property
    def floor(self) -> float | FloatArray:
        """What times g is the least Hessian of "floored", after `gradient`."""
        gamma = self._gamma_of_rows
        return FLOOR * (min(gamma, 1.0) if isinstance(gamma, float) else np.minimum(gamma, 1.0))


def power_of_q(gamma: Gamma, label: NDArray[Any], odds: FloatArray, q: FloatArray, out: FloatArray) -> None:
    """Write q^γ, q = odds / (1 + odds), where odds is finite and not zero."""
    if isinstance(gamma, float):
        _power_of_q(gamma, odds, q, out)
        return
    power = np.empty_like(q)
    for k in np.flatnonzero(np.bincount(label)):
        _power_of_q(gamma[k], odds, q, power)
        np.copyto(out, power, where=label == k)


def split_gamma(gamma: float) -> tuple[float, float]:
    """Return how many factors q make q^γ, and the exponent that is left."""
    whole, fraction = divmod(gamma, 1.0)
    return (0.0, gamma) if whole > _MAX_PRODUCT else (whole, fraction)


def _power_of_q(gamma: float, odds: FloatArray, q: FloatArray, out: FloatArray) -> None:
    whole, fraction = split_gamma(gamma)
    if fraction == 0.5:
        np.sqrt(q, out=out)
    elif fraction:
        # exp(-γ softplus(m)): a power of the rounded q would lose γ p where q is near 1
        np.reciprocal(odds, out=out)
        np.log1p(out, out=out)
        out *= -fraction
        np.exp(out, out=out)
    elif whole >= 2:
        np.multiply(q, q, out=out)
        whole -= 2
    elif whole:
        np.copyto(out, q)
        whole -= 1
    else:
        out.fill(1.0)
    for _ in range(int(whole)):
        out *= q
