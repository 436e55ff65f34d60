"""Losses of two classes: value, gradient, Hessian, best constant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from focal_gbm._arrays import row_blocks
from focal_gbm._validation import (
    FloatArray,
    Gamma,
    check_binary_labels,
    check_choice,
    check_class_weights,
    check_sample_weight,
)
from focal_gbm.losses.base import DEFAULT_GAMMA, LINKS, Targets
from focal_gbm.losses.classes import LossOfClasses, check_margin_losses
from focal_gbm.losses.links import BinaryFocalLink
from focal_gbm.losses.logit import write_derivatives
from focal_gbm.losses.margin import Margin, MarginLoss, by_class, derivatives_by_class, odds_of


@dataclass(frozen=True)
class BinaryFocalLoss(LossOfClasses, kind="binary"):
    r"""Focal loss, or another loss of the margin, of σ(z), with labels in {0, 1}.

    With the margin ``m = (2y-1) z``, the loss φ of the margin, ``g = -dφ/dm`` and ``h = d²φ/dm²``,

        loss     =  α_y φ(m)
        gradient = -(2y-1) α_y g(m)
        hessian  =  α_y h(m)

    with respect to ``z``. Domain: z real, y in {0, 1}. `focal_gbm.losses.Focal` has the formulas of φ.

    Parameters
    ----------
    gamma : float or sequence of 2 floats, default=2.0
        Focusing parameter, >= 0. With 0 the loss is the log loss. Two numbers are (γ_0, γ_1), those of
        the rows of class 0 and of class 1.
    alpha : None, float or sequence of 2 floats, default=None
        - ``None``: no class weight, α_0 = α_1 = 1.
        - a float in (0, 1): the α of the paper, α_1 = alpha and α_0 = 1 - alpha.
        - two positive numbers: (α_0, α_1).
    margin_loss : None or MarginLoss, default=None
        The loss of the margin; None is the focal loss of `gamma`. Any other has parameters of its own.
    focal_link : {"focal", "logit"}, default="focal"
        Whether raw predictions are the scores z, or the log-odds f that `score_link` makes of them. Of the
        log-odds σ is the probability, and derivatives are with respect to them (see
        `focal_gbm.losses.logit`).

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017,
    arXiv:1708.02002, equations 4 and 5.

    Ridnik et al.: Asymmetric Loss For Multi-Label Classification, ICCV 2021, arXiv:2009.14119, for a γ
    by class.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm import BinaryFocalLoss
    >>> loss = BinaryFocalLoss(gamma=2.0)
    >>> y, z = np.array([0, 1, 1]), np.array([-2.0, -2.0, 2.0])
    >>> loss.loss(y, z).round(4)
    array([0.0018, 1.6501, 0.0018])
    >>> gradient, hessian = loss.gradient_hessian(y, z)
    >>> gradient.round(4)
    array([ 0.0049, -1.0767, -0.0049])
    >>> float(loss.link.inverse(-2.0).round(4))  # the probability that a score of -2 means
    0.0045
    """

    gamma: Gamma = DEFAULT_GAMMA
    alpha: float | tuple[float, float] | None = None
    margin_loss: MarginLoss | None = None
    focal_link: str = "focal"

    def __post_init__(self) -> None:
        check_choice(self.focal_link, LINKS, "focal_link")
        object.__setattr__(self, "gamma", check_margin_losses(self.gamma, self.margin_loss, 2))
        if self.alpha is None:
            return
        if isinstance(self.alpha, Real) and not isinstance(self.alpha, (bool, np.bool_)):
            if not 0.0 < self.alpha < 1.0:
                raise ValueError(f"alpha must lie in the open interval (0, 1), got {self.alpha!r}.")
            object.__setattr__(self, "alpha", float(self.alpha))
        else:
            object.__setattr__(self, "alpha", check_class_weights(self.alpha, 2, "alpha"))

    @property
    def class_weights(self) -> tuple[float, float]:
        """(α_0, α_1)."""
        if self.alpha is None:
            return 1.0, 1.0
        if isinstance(self.alpha, tuple):
            return self.alpha
        return 1.0 - self.alpha, self.alpha

    @cached_property
    def score_link(self) -> BinaryFocalLink:
        """The closed form between focal score and probability."""
        return BinaryFocalLink(self.gamma, self.class_weights, self.margin_loss)

    def fit_intercept_only(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the constant score that minimises the weighted mean loss; see `Loss.fit_intercept_only`."""
        positive = check_binary_labels(y_true)
        weight = check_sample_weight(sample_weight, len(positive))
        base_rate = float(np.average(positive, weights=weight)) if positive.size else math.nan
        if not 0.0 < base_rate < 1.0:
            raise ValueError(
                "y_true must hold both classes with a positive weight, "
                f"got a weighted share of class 1 of {base_rate}."
            )
        return float(self.link.link(base_rate))

    def start(self, class_counts: FloatArray) -> float:
        """Return the constant score for given weights of both classes."""
        return self.fit_intercept_only([0, 1], class_counts)

    def check_labels(self, y_true: ArrayLike) -> NDArray[np.bool_]:
        """Return labels as booleans of shape (n_samples,)."""
        return check_binary_labels(y_true)

    def raw_shape(self, n_samples: int) -> tuple[int, ...]:
        """Return the shape of raw predictions."""
        return (n_samples,)

    def loss_prepared(self, targets: Targets, z: FloatArray) -> FloatArray:
        """Return the loss of every row for prepared labels."""
        out = np.empty_like(z)
        largest = np.finfo(z.dtype).max
        for rows in row_blocks(len(z)):
            part = targets.rows(rows)
            score = self.focal_scores(z[rows])
            minus_m = np.where(part.label, -score, score)
            factor = self.row_factor(part, z.dtype)
            if factor is not None:  # finite, as a weight of 0 times infinity is NaN
                minus_m = np.clip(minus_m, -largest, largest)
            value = by_class(self.margin_losses, "value", Margin.of(minus_m), part.label)
            out[rows] = value if factor is None else value * factor
        return out

    def gradient_hessian_prepared(
        self,
        targets: Targets,
        z: FloatArray,
        hessian: str,
        gradient: Any,
        second: Any,
        *,
        scale: float = 1.0,
        hessian_factor: float = 1.0,
    ) -> None:
        """Write gradient and Hessian of `scale` times the loss; see `Loss.gradient_hessian_prepared`."""
        if self.focal_link == "logit":
            write_derivatives(self, targets, z, hessian, gradient, second, scale, hessian_factor)
            return
        for rows in row_blocks(len(z)):
            part = targets.rows(rows)
            odds = odds_of(np.where(part.label, -z[rows], z[rows]))
            g, h, floor = derivatives_by_class(self.margin_losses, hessian, Margin(odds), part.label)
            h *= hessian_factor
            np.maximum(h, floor, out=h)
            factor = self.row_factor(part, z.dtype, scale)
            if factor is not None:
                g *= factor
                h *= factor
            gradient[rows] = np.where(part.label, -g, g)
            second[rows] = h

    def margins(self, raw_prediction: FloatArray) -> FloatArray:
        """Return the margins -z and z, of shape (2, n_samples)."""
        z = self.focal_scores(raw_prediction)
        return np.stack([-z, z])

    def decide(self, raw_prediction: FloatArray) -> NDArray[np.intp]:
        """Return whether the focal score is positive, for each row."""
        threshold = 0.0 if self.focal_link == "focal" else float(self.score_link.posterior_logit(0.0))
        return (raw_prediction > threshold).astype(np.intp)

    def raw_prediction_of(self, probability: FloatArray) -> FloatArray:
        """Return the scores of which σ is `probability`."""
        return np.asarray(logit(probability))
