"""Focal loss of many labels: one binary focal loss a column."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from focal_gbm._validation import (
    FloatArray,
    check_binary_labels,
    check_choice,
    check_raw_prediction,
    check_sample_weight,
)
from focal_gbm.links import MultilabelFocalLink
from focal_gbm.losses.binary import HESSIANS, BinaryFocalLoss, BinaryTargets


class MultilabelTargets(NamedTuple):
    """Labels and weights as the kernel wants them, prepared once per fit."""

    columns: tuple[BinaryTargets, ...]

    def rows(self, part: slice) -> MultilabelTargets:
        """Return a view of some rows."""
        return MultilabelTargets(tuple(column.rows(part) for column in self.columns))


@dataclass(frozen=True)
class MultilabelFocalLoss:
    """Sum of a binary focal loss for each of L labels, each with its own γ and α.

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
        object.__setattr__(self, "columns", columns)

    @cached_property
    def link(self) -> MultilabelFocalLink:
        """The closed form between scores and probabilities."""
        return MultilabelFocalLink(tuple(column.link for column in self.columns))

    def loss(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> FloatArray:
        """Return the loss of every row, summed over labels, times the row's weight.

        Parameters
        ----------
        y_true : array-like of shape (n_samples, n_labels)
            Entries 0 and 1.
        raw_prediction : array-like of float32 or float64 of shape (n_samples, n_labels)
            Scores z, in logits of σ(z).
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        ndarray of shape (n_samples,), in nats, of the dtype of `raw_prediction`
        """
        targets, z = self._checked(y_true, raw_prediction, sample_weight)
        return self.loss_prepared(targets, z)

    def gradient(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> FloatArray:
        """Return d loss / dz of shape (n_samples, n_labels); parameters as in `loss`."""
        return self.gradient_hessian(y_true, raw_prediction, sample_weight)[0]

    def gradient_hessian(
        self,
        y_true: ArrayLike,
        raw_prediction: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        hessian: str = "exact",
    ) -> tuple[FloatArray, FloatArray]:
        """Return the first and the diagonal second derivative with respect to `raw_prediction`.

        Parameters
        ----------
        y_true, raw_prediction, sample_weight
            As in `loss`.
        hessian : {"exact", "floored", "majorizing"}, default="exact"
            See `BinaryFocalLoss.gradient_hessian`.

        Returns
        -------
        gradient, hessian : ndarrays of shape (n_samples, n_labels), of the dtype of `raw_prediction`
        """
        check_choice(hessian, HESSIANS, "hessian")
        targets, z = self._checked(y_true, raw_prediction, sample_weight)
        gradient, second = np.empty_like(z), np.empty_like(z)
        self.gradient_hessian_prepared(targets, z, hessian, gradient, second)
        return gradient, second

    def fit_intercept_only(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> FloatArray:
        """Return the constant scores of shape (n_labels,) that minimise the weighted mean loss."""
        y = self.check_labels(y_true)
        return np.array(
            [column.fit_intercept_only(y[:, j], sample_weight) for j, column in enumerate(self.columns)]
        )

    # Prepared form: what an objective calls every round, after checking once.

    def check_labels(self, y_true: ArrayLike) -> NDArray[np.bool_]:
        """Return labels as booleans of shape (n_samples, n_labels)."""
        y = np.asarray(y_true)
        if y.ndim != 2 or y.shape[1] != len(self.columns):
            raise ValueError(f"y_true must have shape (n_samples, {len(self.columns)}), got shape {y.shape}.")
        return np.column_stack([check_binary_labels(y[:, j]) for j in range(y.shape[1])])

    def raw_shape(self, n_samples: int) -> tuple[int, ...]:
        """Return the shape of raw predictions."""
        return n_samples, len(self.columns)

    def prepare(
        self, labels: NDArray[Any], sample_weight: FloatArray | None, dtype: DTypeLike = np.float32
    ) -> MultilabelTargets:
        """Return labels and weights in the form the kernel takes, in `dtype`."""
        return MultilabelTargets(
            tuple(column.prepare(labels[:, j], sample_weight, dtype) for j, column in enumerate(self.columns))
        )

    def loss_prepared(self, targets: MultilabelTargets, z: FloatArray) -> FloatArray:
        """Return the loss of every row for prepared labels."""
        total = np.zeros(len(z), dtype=z.dtype)
        for j, column in enumerate(self.columns):
            total += column.loss_prepared(targets.columns[j], z[:, j])
        return total

    def gradient_hessian_prepared(
        self,
        targets: MultilabelTargets,
        z: FloatArray,
        hessian: str,
        gradient: Any,
        second: Any,
        *,
        loss_scale: float | tuple[float, ...] = 1.0,
    ) -> None:
        """Write gradient and Hessian of `loss_scale` times the loss; nothing is checked.

        `loss_scale` is one number for all labels, or one a label.
        """
        scales = np.broadcast_to(loss_scale, len(self.columns)).tolist()
        for j, column in enumerate(self.columns):
            column.gradient_hessian_prepared(
                targets.columns[j], z[:, j], hessian, gradient[:, j], second[:, j], loss_scale=scales[j]
            )

    def _checked(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[MultilabelTargets, FloatArray]:
        labels = self.check_labels(y_true)
        z = check_raw_prediction(raw_prediction, labels.shape)
        weight = check_sample_weight(sample_weight, len(labels))
        return self.prepare(labels, weight, z.dtype), z
