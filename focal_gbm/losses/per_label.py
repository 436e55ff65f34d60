"""Losses of many labels: a loss of two classes for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focal_gbm._validation import FloatArray, check_binary_labels, check_raw_prediction
from focal_gbm.losses.base import Loss, Targets
from focal_gbm.losses.links import BinaryFocalLink
from focal_gbm.losses.margin import MarginLoss
from focal_gbm.losses.sigmoid import BinaryFocalLoss


@dataclass(frozen=True)
class MultilabelFocalLink:
    """A binary focal link for each label.

    Parameters
    ----------
    columns : tuple of BinaryFocalLink
    """

    columns: tuple[BinaryFocalLink, ...]

    def inverse(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return P(label = 1) for every label, of the shape (n_samples, n_labels) and dtype of the scores."""
        z = check_raw_prediction(raw_prediction)
        return np.stack([link.inverse(z[..., j]) for j, link in enumerate(self.columns)], axis=-1)

    probabilities = inverse

    @cached_property
    def of_score(self) -> MultilabelFocalLink:
        """The link of γ=0 without weights: σ(z), what the booster alone predicts."""
        return MultilabelFocalLink(tuple(column.of_score for column in self.columns))

    def log_loss(self, labels: NDArray[np.bool_], raw_prediction: FloatArray) -> FloatArray:
        """Return -log P(label) for every row and label, in nats."""
        columns = [link.log_loss(labels[:, j], raw_prediction[:, j]) for j, link in enumerate(self.columns)]
        return np.stack(columns, axis=-1)

    def link(self, probability: ArrayLike) -> FloatArray:
        """Return the scores of given probabilities of shape (n_samples, n_labels) or (n_labels,)."""
        eta = np.asarray(probability, dtype=np.float64)
        return np.stack([link.link(eta[..., j]) for j, link in enumerate(self.columns)], axis=-1)


@dataclass(frozen=True)
class MultilabelFocalLoss(Loss, kind="multilabel"):
    """Sum of a loss of two classes for each of L labels, each with its own γ and α.

    Parameters
    ----------
    columns : tuple of BinaryFocalLoss
        The loss of each label.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm import BinaryFocalLoss, MultilabelFocalLoss
    >>> loss = MultilabelFocalLoss((BinaryFocalLoss(2.0), BinaryFocalLoss(2.0, alpha=0.9)))
    >>> loss.gradient(np.array([[0, 1]]), np.array([[-1.0, -1.0]])).round(4)
    array([[ 0.0526, -0.6914]])
    """

    columns: tuple[BinaryFocalLoss, ...]

    def __post_init__(self) -> None:
        columns = tuple(self.columns)
        if not columns or not all(isinstance(column, BinaryFocalLoss) for column in columns):
            raise TypeError(f"columns must hold one BinaryFocalLoss a label, got {self.columns!r}.")
        if len(links := {column.focal_link for column in columns}) > 1:
            raise ValueError(f"columns must have one focal_link, got {sorted(links)}.")
        object.__setattr__(self, "columns", columns)

    @cached_property
    def link(self) -> MultilabelFocalLink:
        """The closed form between score and probability, label by label."""
        return MultilabelFocalLink(tuple(column.link for column in self.columns))

    @property
    def focal_link(self) -> str:  # type: ignore[override]
        """Whether raw predictions are focal scores or log-odds."""
        return self.columns[0].focal_link

    @property
    def n_labels(self) -> int:
        """Number of losses that a row's loss is the sum of."""
        return len(self.columns)

    def fit_intercept_only(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> FloatArray:
        """Return the constant scores of shape (n_labels,) that minimise the weighted mean loss."""
        y = self.check_labels(y_true)
        return np.array(
            [column.fit_intercept_only(y[:, j], sample_weight) for j, column in enumerate(self.columns)]
        )

    def start(self, class_counts: FloatArray) -> FloatArray:
        """Return the constant scores for given weights of 0 and 1, of shape (n_labels, 2)."""
        pairs = zip(self.columns, class_counts, strict=True)
        return np.array([column.start(counts) for column, counts in pairs])

    def check_labels(self, y_true: ArrayLike) -> NDArray[np.bool_]:
        """Return labels as booleans of shape (n_samples, n_labels)."""
        y = np.asarray(y_true)
        if y.ndim != 2 or y.shape[1] != len(self.columns):
            raise ValueError(f"y_true must have shape (n_samples, {len(self.columns)}), got shape {y.shape}.")
        return np.column_stack([check_binary_labels(y[:, j]) for j in range(y.shape[1])])

    def raw_shape(self, n_samples: int) -> tuple[int, ...]:
        """Return the shape of raw predictions."""
        return n_samples, len(self.columns)

    def loss_prepared(self, targets: Targets, z: FloatArray) -> FloatArray:
        """Return the loss of every row, summed over its labels, for prepared labels."""
        total = np.zeros(len(z), dtype=z.dtype)
        for j, column in enumerate(self.columns):
            total += column.loss_prepared(Targets(targets.label[:, j], targets.weight), z[:, j])
        return total

    def gradient_hessian_prepared(
        self,
        targets: Targets,
        z: FloatArray,
        hessian: str,
        gradient: Any,
        second: Any,
        *,
        scale: float | tuple[float, ...] = 1.0,
        hessian_factor: float = 1.0,
    ) -> None:
        """Write gradient and Hessian; see `Loss.gradient_hessian_prepared`."""
        scales = np.broadcast_to(scale, len(self.columns)).tolist()
        for j, column in enumerate(self.columns):
            of_label = Targets(targets.label[:, j], targets.weight)
            column.gradient_hessian_prepared(
                of_label, z[:, j], hessian, gradient[:, j], second[:, j],
                scale=scales[j], hessian_factor=hessian_factor,
            )  # fmt: skip

    def weighted_losses(self, scale: Any = 1.0) -> list[tuple[MarginLoss, float]]:
        """Return the loss of the margin and the weight, α times `scale`, of 0 and 1 of every label."""
        scales = np.broadcast_to(scale, len(self.columns)).tolist()
        pairs = zip(self.columns, scales, strict=True)
        return [pair for column, of_label in pairs for pair in column.weighted_losses(of_label)]

    def hessian_at_start(
        self, class_counts: FloatArray, hessian: str | None = None, factor: float = 1.0
    ) -> FloatArray:
        """Return the sum of the Hessian over rows at the best constant, one number a label."""
        pairs = zip(self.columns, class_counts, strict=True)
        return np.concatenate([column.hessian_at_start(counts, hessian, factor) for column, counts in pairs])

    def log_loss_scale(self, class_counts: FloatArray, hessian: str | None = None) -> tuple[float, ...]:
        """Return the factor of each label; see `Loss.log_loss_scale`."""
        pairs = zip(self.columns, class_counts, strict=True)
        return tuple(column.log_loss_scale(counts, hessian) for column, counts in pairs)

    def log_loss(self) -> MultilabelFocalLoss:
        """Return the log loss with the same class weights."""
        return MultilabelFocalLoss(tuple(column.log_loss() for column in self.columns))

    def decide(self, raw_prediction: FloatArray) -> NDArray[np.intp]:
        """Return whether the focal score is positive, for each label."""
        columns = [column.decide(raw_prediction[:, j]) for j, column in enumerate(self.columns)]
        return np.column_stack(columns)

    def raw_prediction_of(self, probability: FloatArray) -> FloatArray:
        """Return the scores of which σ is `probability`."""
        return self.columns[0].raw_prediction_of(probability)
