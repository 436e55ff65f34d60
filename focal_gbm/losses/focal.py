"""Focal loss of the margin: the formulas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from focal_gbm._validation import FloatArray, check_gamma
from focal_gbm.losses.margin import FLOOR, Margin, MarginLoss


@dataclass(frozen=True)
class Focal(MarginLoss, name="focal"):
    """Focal loss, ``-(1-p)^γ log p`` of the probability p of the true class.

    With ``p = σ(m)``, ``q = σ(-m)``, ``ℓ = softplus(-m) = -log p`` and ``r = p ℓ / q``, in (0, 1],

        φ = q^γ ℓ
        g = q^γ (q + γ p ℓ)
        h = q^γ p [ (1+2γ) q + γ (γ p - q) ℓ ]
        log(pq/g) = log p - γ log q - log1p(γ r)

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing parameter γ >= 0; with 0 it is the log loss.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017,
    arXiv:1708.02002, equation 4. The link: Charoenphakdee et al., arXiv:2011.09172, Theorem 11.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm.losses import Focal, Margin
    >>> Focal(2.0).value(Margin(np.array([0.0]))).round(4)  # log(2) / 4
    array([0.1733])
    """

    gamma: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", check_gamma(self.gamma))

    def value(self, m: Margin) -> FloatArray:
        """Return φ."""
        return m.power_of_q(self.gamma) * m.minus_log_p

    def derivatives(self, m: Margin) -> tuple[FloatArray, FloatArray]:
        """Return g and h."""
        gamma, power = self.gamma, m.power_of_q(self.gamma)
        g = power * (m.q + gamma * m.p * m.minus_log_p)
        # the first term is positive, and -q is all that can make the second one negative
        h = (1.0 + 2.0 * gamma) * (m.p * m.q) + (gamma * m.p - m.q) * (gamma * m.p * m.minus_log_p)
        return g, power * h

    def link_term(self, m: Margin) -> FloatArray:
        """Return log(pq/g)."""
        return np.asarray(self.gamma * m.minus_log_q - m.minus_log_p - np.log1p(self.gamma * m.r))

    def link_slope(self, m: Margin) -> FloatArray:
        """Return its derivative, q + γ p + γ (p - r) / (1 + γ r)."""
        return m.q + self.gamma * m.p + self.gamma * (m.p - m.r) / (1.0 + self.gamma * m.r)

    def share_slope(self, m: Margin) -> FloatArray:
        """Return {q² - E² - γ p [p + (q - 2 (r-p)) / D]} / t'², D = 1 + γ r and E = D'/D."""
        gamma, slope = self.gamma, self.link_slope(m)
        total = 1.0 + gamma * m.r
        e = gamma * (m.r - m.p) / total
        rest = gamma * m.p * (m.p + (m.q - 2.0 * (m.r - m.p)) / total)
        return np.asarray((m.q - e) / slope * ((m.q + e) / slope) - rest / slope / slope)

    @property
    def is_log_loss(self) -> bool:  # type: ignore[override]
        """γ = 0."""
        return self.gamma == 0.0

    @property
    def floor(self) -> float:  # type: ignore[override]
        """FLOOR min(γ, 1): the log loss has nothing to floor."""
        return FLOOR * min(self.gamma, 1.0)

    @property
    def symbol(self) -> str:
        """γ as legends say it."""
        return f"γ = {self.gamma:g}"
