"""Losses of classes that exclude each other, two or many: one loss of the margin for all, or one each."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from focal_gbm._validation import FloatArray, Gamma, check_gammas
from focal_gbm.losses.base import DEFAULT_GAMMA, Loss, Targets
from focal_gbm.losses.focal import Focal
from focal_gbm.losses.margin import Margin, MarginLoss, check_margin_loss

#: Less the margins of two classes one of which is certain to all digits.
_ENDS = np.array([-300.0, 300.0])


class LossOfClasses(Loss):
    """A loss of classes that exclude each other: what two and many have in common."""

    gamma: Gamma
    alpha: Any
    margin_loss: MarginLoss | None
    focal_link: str

    @property
    @abstractmethod
    def score_link(self) -> Any:
        """The closed form between focal scores and probabilities."""

    @property
    def link(self) -> Any:
        """The closed form between raw predictions and probabilities: σ or softmax where they are log-odds."""
        return self.score_link if self.focal_link == "focal" else self.score_link.of_score

    def focal_scores(self, raw_prediction: FloatArray) -> FloatArray:
        """Return the focal scores of raw predictions: of log-odds by a root search, in float64."""
        if self.focal_link == "focal":
            return raw_prediction
        scores: FloatArray = self.score_link.scores(raw_prediction)
        return scores

    @abstractmethod
    def margins(self, raw_prediction: FloatArray) -> FloatArray:
        """Return the margin of every class, of shape (n_classes, n_samples)."""

    @property
    @abstractmethod
    def class_weights(self) -> tuple[float, ...]:
        """The weight α of each class."""

    @cached_property
    def margin_losses(self) -> tuple[MarginLoss, ...]:
        """The loss of the margin of all classes, or that of each."""
        return margin_losses(self.gamma, self.margin_loss)

    def weighted_losses(self, scale: float = 1.0) -> list[tuple[MarginLoss, float]]:
        """Return the loss of the margin and the weight, α times `scale`, of every class."""
        losses = self.margin_losses * (self.n_classes if len(self.margin_losses) == 1 else 1)
        return [(loss, alpha * scale) for loss, alpha in zip(losses, self.class_weights, strict=True)]

    def log_loss_scale(self, class_counts: FloatArray, hessian: str | None = None) -> float:
        """Return the factor that makes the Hessian as large as that of the log loss."""
        if self.focal_link == "focal":
            return float(super().log_loss_scale(class_counts, hessian))
        # how fast log-odds rise with the focal score where it is large: 1 + γ
        slopes = [one.link_slope(Margin.of(_ENDS)).sum() for one in self.margin_losses]
        return float(np.mean(slopes))

    def log_loss(self) -> Any:
        """Return the log loss with the same class weights."""
        return replace(self, gamma=0.0, margin_loss=None)  # type: ignore[type-var]  # a dataclass

    def row_factor(self, targets: Targets, dtype: DTypeLike, scale: float = 1.0) -> FloatArray | None:
        """Return α times sample weight times `scale` of every row, None for 1 everywhere."""
        factor: FloatArray | None = None
        if scale != 1.0 or any(weight != 1.0 for weight in self.class_weights):
            factor = np.multiply(self.class_weights, scale).astype(dtype)[targets.label.astype(np.intp)]
        if targets.weight is None:
            return factor
        return targets.weight if factor is None else factor * targets.weight


class LinkOfClasses:
    """What the links of two and of many classes have in common."""

    gamma: Gamma
    margin_loss: MarginLoss | None

    @cached_property
    def _losses(self) -> tuple[MarginLoss, ...]:
        return margin_losses(self.gamma, self.margin_loss)

    @cached_property
    def _is_log_loss(self) -> bool:
        return all(loss.is_log_loss for loss in self._losses)


def check_margin_losses(gamma: Any, margin_loss: MarginLoss | None, n_classes: int) -> Gamma:
    """Return γ, checked: beside a `margin_loss`, which has parameters of its own, it must be the default."""
    check_margin_loss(margin_loss)
    checked = check_gammas(gamma, n_classes)
    if margin_loss is not None and checked != DEFAULT_GAMMA:
        raise ValueError(
            f"gamma is that of the focal loss: beside margin_loss={margin_loss!r} it must be left alone, "
            f"got {gamma!r}."
        )
    return checked


def margin_losses(gamma: Gamma, margin_loss: MarginLoss | None) -> tuple[MarginLoss, ...]:
    """Return the loss of the margin of all classes, or that of each."""
    if margin_loss is not None:
        return (margin_loss,)
    return tuple(Focal(one) for one in (gamma if isinstance(gamma, tuple) else (gamma,)))
