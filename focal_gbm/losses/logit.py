"""The logit link: raw predictions f are the log-odds themselves, and the focal link is inverted in the loss.

For a loss φ of the probability p of the true class and class weights α,

    exp f_j     is in proportion to  1 / (α_j (-φ'(p_j))),      which defines p from f
    A_j         = α_j φ'(p_j)² / φ''(p_j)
    π_j         = (φ'/φ'')(p_j) / Σ_k (φ'/φ'')(p_k)  =  η_j A_j / Ā,    η = softmax(f),  Ā = Σ_k η_k A_k
    gradient_j  = A_t (π_j - δ_tj)
    E[hessian]  = Ā (diag π - π π')

With the margin m_j of p_j and t = `link_term`, ``A = α g / t'`` and ``φ'/φ'' = p q / t'``. As
``dm_j = (df_j - Σ_k π_k df_k) / t'_j``, the exact Hessian follows from u = `share_slope`:

    hessian_jj  = A_t { (1 - u_t) (π_j - δ_tj)² + π_j [ u_j (1 - π_j)² + π_j Σ_{k≠j} π_k u_k ] }
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from focal_gbm._arrays import EXP_LIMIT, row_blocks
from focal_gbm._validation import FloatArray
from focal_gbm.losses.margin import Margin, by_class, derivatives_by_class

if TYPE_CHECKING:
    from focal_gbm.losses.base import Targets
    from focal_gbm.losses.classes import LossOfClasses

#: A slope of so many q does not go to 0 with q: where γ > 0 it goes to γ.
_VANISHING = 1e6


def write_derivatives(
    loss: LossOfClasses,
    targets: Targets,
    log_odds: FloatArray,
    hessian: str,
    gradient: Any,
    second: Any,
    scale: float,
    hessian_factor: float,
) -> None:
    """Write gradient and diagonal Hessian in the log-odds; see `Loss.gradient_hessian_prepared`.

    They are computed in float64, whatever the dtypes.
    """
    for rows in row_blocks(len(log_odds), loss.n_classes):
        part = targets.rows(rows)
        g, h = _Rows(loss, log_odds[rows]).derivatives(part.label.astype(np.intp), hessian, hessian_factor)
        factor = scale if part.weight is None else scale * part.weight.astype(np.float64)
        g, h = g * factor, h * factor
        gradient[rows], second[rows] = (g[1], h[1]) if log_odds.ndim == 1 else (g.T, h.T)


class _Rows:
    """Some rows of log-odds and what follows from them: arrays of shape (n_classes, n_rows)."""

    def __init__(self, loss: LossOfClasses, log_odds: FloatArray) -> None:
        f = log_odds.astype(np.float64)
        self.f = np.stack([np.zeros_like(f), f]) if f.ndim == 1 else f.T
        self.losses = loss.margin_losses
        self.alpha = np.array(loss.class_weights)[:, np.newaxis]
        margins = loss.margins(f)
        self.m = Margin.of(-margins)
        self.classes = np.broadcast_to(np.arange(len(self.f))[:, np.newaxis], self.f.shape)
        self.slope = by_class(self.losses, "link_slope", self.m, self.classes)
        # Relative to the largest, as all may be smaller than any number. A q beyond the limits of `Margin`
        # goes on getting smaller, unless the slope does, too, in proportion.
        beyond = np.maximum(margins - EXP_LIMIT[f.dtype], 0.0) * (self.slope > _VANISHING * self.m.q)
        log_share = np.log(self.m.q / self.slope) - self.m.minus_log_p - beyond
        share = np.exp(log_share - log_share.max(axis=0))
        total = share.sum(axis=0)
        self.pi, self.one_less_pi = share / total, sums_of_others(share) / total

    def derivatives(
        self, label: NDArray[np.intp], hessian: str, hessian_factor: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return gradient and Hessian, without sample weights."""
        true_class = label, np.arange(len(label))
        g, _, _ = derivatives_by_class(self.losses, "exact", self.m, self.classes)
        a = self.alpha * g / self.slope
        gradient = a[true_class] * self.pi
        gradient[true_class] = -(a * self.one_less_pi)[true_class]
        if hessian == "expected":
            eta = np.exp(self.f - self.f.max(axis=0))
            a_mean = (eta * a).sum(axis=0) / eta.sum(axis=0)
            return gradient, hessian_factor * a_mean * self.pi * self.one_less_pi
        second = hessian_factor * a[true_class] * self._exact(true_class)
        if hessian == "floored":
            floors = np.array([one.floor for one in self.losses])
            floor = floors[label if len(floors) > 1 else 0]
            second = np.maximum(second, floor * np.abs(gradient))
        return gradient, second

    def _exact(self, true_class: Any) -> FloatArray:
        """Return the exact Hessian over A_t."""
        u, pi = by_class(self.losses, "share_slope", self.m, self.classes), self.pi
        difference = pi.copy()  # from 1 for the true class; its square is all that is needed
        difference[true_class] = self.one_less_pi[true_class]
        of_pi = u * self.one_less_pi**2 + pi * sums_of_others(pi * u)
        return np.asarray((1.0 - u[true_class]) * difference**2 + pi * of_pi)


def sums_of_others(x: FloatArray) -> FloatArray:
    """Return for each element of (n_classes, n_rows) the sum over the other classes, without cancellation."""
    largest = np.abs(x).argmax(axis=0), np.arange(x.shape[1])
    others = x.copy()
    others[largest] = 0.0
    sums = np.asarray(x.sum(axis=0) - x)
    sums[largest] = others.sum(axis=0)
    return sums
