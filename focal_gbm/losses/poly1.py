"""Poly-1 focal loss of the margin: the formulas."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np

from focal_gbm._validation import FloatArray, check_gamma
from focal_gbm.losses.margin import FLOOR, Margin, MarginLoss

#: As for γ: the sizes that float32 holds.
_MAX_EPSILON = 1e15


@dataclass(frozen=True)
class Poly1Focal(MarginLoss, name="poly1-focal"):
    """Poly-1 focal loss, ``-(1-p)^γ log p + ε (1-p)^(γ+1)``: the first term of focal loss in q is changed.

    With the letters of `Focal` and ``c = ε (1+γ)``,

        φ = q^γ (ℓ + ε q)
        g = q^γ (q + γ p ℓ + c p q)
        h = q^γ p [ (1+2γ) q + γ (γ p - q) ℓ + c q ((1+γ) p - q) ]
        log(pq/g) = log p - γ log q - log1p(γ r + c p)

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing parameter γ >= 0.
    epsilon : float, default=1.0
        ε > -1: below, the loss would rise where the true class is nearly certain. With 0 it is `Focal`.

    References
    ----------
    Leng et al.: PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions, ICLR 2022,
    arXiv:2204.12511, section 5.2.

    Examples
    --------
    >>> from focal_gbm import BinaryFocalLoss
    >>> from focal_gbm.losses import Poly1Focal
    >>> loss = BinaryFocalLoss(margin_loss=Poly1Focal(gamma=2.0, epsilon=1.0))
    >>> loss.loss([1], [0.0]).round(4)  # (log 2 + 1/2) / 4
    array([0.2983])
    """

    gamma: float = 2.0
    epsilon: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", check_gamma(self.gamma))
        epsilon = self.epsilon
        if isinstance(epsilon, (bool, np.bool_)) or not isinstance(epsilon, Real):
            raise TypeError(f"epsilon must be a real number > -1, got {epsilon!r} ({type(epsilon).__name__}).")
        if not -1.0 < epsilon <= _MAX_EPSILON:
            raise ValueError(f"epsilon must be a finite number > -1 (and <= {_MAX_EPSILON:g}), got {epsilon!r}.")
        object.__setattr__(self, "epsilon", float(epsilon))

    def value(self, m: Margin) -> FloatArray:
        """Return φ."""
        return m.power_of_q(self.gamma) * (m.minus_log_p + self.epsilon * m.q)

    def derivatives(self, m: Margin) -> tuple[FloatArray, FloatArray]:
        """Return g and h."""
        gamma, power, pq = self.gamma, m.power_of_q(self.gamma), m.p * m.q
        focal = gamma * m.p * m.minus_log_p
        g = power * (m.q + focal + self._c * pq)
        h = (1.0 + 2.0 * gamma) * pq + (gamma * m.p - m.q) * focal
        return g, power * (h + self._c * pq * ((1.0 + gamma) * m.p - m.q))

    def link_term(self, m: Margin) -> FloatArray:
        """Return log(pq/g)."""
        return self.gamma * m.minus_log_q - m.minus_log_p - np.log1p(self.gamma * m.r + self._c * m.p)

    def link_slope(self, m: Margin) -> FloatArray:
        """Return its derivative, q + γ p + [γ (p - r) - c p q] / (1 + γ r + c p)."""
        gamma, c = self.gamma, self._c
        return m.q + gamma * m.p + (gamma * (m.p - m.r) - c * m.p * m.q) / (1.0 + gamma * m.r + c * m.p)

    def share_slope(self, m: Margin) -> FloatArray:
        """Return {q² - E² - γ p [p + (q - 2 (r-p)) / D]} / t'², D = 1 + γ r + c p and E = D'/D."""
        gamma, slope = self.gamma, self.link_slope(m)
        total = 1.0 + gamma * m.r + self._c * m.p
        e = (gamma * (m.r - m.p) + self._c * m.p * m.q) / total
        rest = gamma * m.p * (m.p + (m.q - 2.0 * (m.r - m.p)) / total)
        return np.asarray((m.q - e) / slope * ((m.q + e) / slope) - rest / slope / slope)

    @property
    def _c(self) -> float:
        return self.epsilon * (1.0 + self.gamma)

    @property
    def is_log_loss(self) -> bool:  # type: ignore[override]
        """γ = ε = 0."""
        return self.gamma == self.epsilon == 0.0

    @property
    def floor(self) -> float:  # type: ignore[override]
        """FLOOR, and less as both parameters go to 0: the log loss has nothing to floor."""
        return FLOOR * min(self.gamma + abs(self.epsilon), 1.0)

    @property
    def symbol(self) -> str:
        """γ and ε for legends."""
        return f"γ = {self.gamma:g}, ε = {self.epsilon:g}"
