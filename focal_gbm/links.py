"""Focal links: from the score that minimises a focal loss to the true probability, and back.

Focal loss is classification-calibrated but not strictly proper: at its minimum σ(z) is not
P(y=1|x) (Charoenphakdee et al. 2021, arXiv:2011.09172). Setting the expected gradient to zero
gives the probability in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from focal_gbm._arrays import EXP_LIMIT, row_blocks
from focal_gbm._validation import (
    FloatArray,
    check_class_weights,
    check_gamma,
    check_raw_prediction,
)

#: Newton steps for `BinaryFocalLink.link`. The slope of the link lies between 0.56 (1+gamma) and
#: (1+gamma) and is smooth, so that convergence is global; 4 steps were the most needed for
#: gamma in [0, 1e15] and probabilities from 1e-300 to 1 - 1e-16.
_NEWTON_STEPS = 10


def _r(x: FloatArray) -> FloatArray:
    """softplus(x) exp(-x) = log1p(exp(x)) / exp(x), in (0, 1], decreasing."""
    limit = EXP_LIMIT[x.dtype]
    t = np.exp(np.clip(x, -limit, limit))
    return np.asarray(np.log1p(t) / t)


def _r_slope(x: FloatArray) -> FloatArray:
    """dr/dx = σ(x) exp(-x) - r(x) = σ(-x) - r(x)."""
    return np.asarray(expit(-x) - _r(x))


@dataclass(frozen=True)
class BinaryFocalLink:
    """The map between the binary focal score and the probability of class 1.

    With ``r(z) = softplus(z) exp(-z)`` the logit of the probability is

        log(α_0/α_1) + (1+γ) z + log1p(γ r(z)) - log1p(γ r(-z)),

    the zero in η of ``η g_1(z) + (1-η) g_0(z)``, g_y the gradients of the loss. It is strictly
    increasing in z, and the identity for γ=0 with equal weights.

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing parameter of the loss, >= 0.
    class_weights : tuple of 2 floats, default=(1.0, 1.0)
        Weights (α_0, α_1) of the loss.

    References
    ----------
    Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior
    Probability Estimation, CVPR 2021, arXiv:2011.09172, Theorem 11.

    Examples
    --------
    >>> from focal_gbm.links import BinaryFocalLink
    >>> link = BinaryFocalLink(gamma=2.0)
    >>> float(link.inverse(-1.0).round(4))  # sigmoid(-1) is 0.2689
    0.0641
    >>> float(link.link(0.0641).round(3))
    -1.0
    """

    gamma: float = 2.0
    class_weights: tuple[float, float] = (1.0, 1.0)
    _shift: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        gamma = check_gamma(self.gamma)
        weights = check_class_weights(self.class_weights, 2, "class_weights")
        object.__setattr__(self, "gamma", gamma)
        object.__setattr__(self, "class_weights", weights)
        # math.log of each: the quotient could overflow.
        object.__setattr__(self, "_shift", math.log(weights[0]) - math.log(weights[1]))

    def posterior_logit(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return the logit of P(y=1).

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64, any shape
            Focal scores z, in logits of σ(z).

        Returns
        -------
        ndarray of the same shape and dtype
        """
        z = check_raw_prediction(raw_prediction)
        shape, z = z.shape, np.ascontiguousarray(z).reshape(-1)
        out = np.empty_like(z)
        if self.gamma == 0.0:
            np.add(z, self._shift, out=out)
            return out.reshape(shape)
        with np.errstate(over="ignore"):  # a huge score is a logit of infinity, rightly
            for rows in row_blocks(len(z)):
                block = z[rows]
                pull = np.log1p(self.gamma * _r(block)) - np.log1p(self.gamma * _r(-block))
                out[rows] = (1.0 + self.gamma) * block + pull + self._shift
        return out.reshape(shape)

    def inverse(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return P(y=1), the inverse link of the score.

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64, any shape

        Returns
        -------
        ndarray of the same shape and dtype, in [0, 1]
        """
        return np.asarray(expit(self.posterior_logit(raw_prediction)))

    def probabilities(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return both class probabilities; neither is formed as one minus the other.

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64 of shape (n_samples,)

        Returns
        -------
        ndarray of shape (n_samples, 2)
        """
        logits = self.posterior_logit(raw_prediction)
        out = np.empty((*logits.shape, 2), dtype=logits.dtype)
        expit(-logits, out=out[..., 0])
        expit(logits, out=out[..., 1])
        return out

    def link(self, probability: ArrayLike) -> FloatArray:
        """Return the score at which the expected focal loss is least when P(y=1) is given.

        Parameters
        ----------
        probability : array-like of float, any shape
            Numbers in [0, 1]; 0 and 1 give -inf and inf.

        Returns
        -------
        ndarray of float64 of the same shape

        Raises
        ------
        ValueError
            If a probability lies outside [0, 1] or is NaN.
        """
        eta = np.asarray(probability, dtype=np.float64)
        if not ((eta >= 0) & (eta <= 1)).all():
            raise ValueError(f"probability must lie in [0, 1], got {probability!r}.")
        target = np.asarray(logit(eta))
        finite = np.isfinite(target)
        z = np.where(finite, (target - self._shift) / (1.0 + self.gamma), target)
        inner = np.where(finite, z, 0.0)
        for _ in range(_NEWTON_STEPS):
            residual = np.where(finite, self.posterior_logit(inner) - target, 0.0)
            step = residual / self._slope(inner)
            inner = inner - step
            if not (np.abs(step) > 1e-15 * (1.0 + np.abs(inner))).any():
                break
        return np.where(finite, inner, z)

    def _slope(self, z: FloatArray) -> FloatArray:
        """Return the derivative of `posterior_logit`."""
        gamma = self.gamma
        up = _r_slope(z) / (1.0 + gamma * _r(z))
        down = _r_slope(-z) / (1.0 + gamma * _r(-z))
        return 1.0 + gamma + gamma * (up + down)
