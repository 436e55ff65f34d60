"""Focal loss as a metric: on probabilities for people, on raw predictions for the libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_consistent_length, column_or_1d

from focal_gbm._validation import FloatArray, check_choice, check_raw_prediction
from focal_gbm.kernels.cpu import sum_of_losses
from focal_gbm.losses import BinaryFocalLoss, Loss, MulticlassFocalLoss
from focal_gbm.training.alpha import weights_by_label
from focal_gbm.training.gamma import resolve_gamma
from focal_gbm.training.labels import as_array


def mean_focal_loss(
    loss: Loss, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None
) -> float:
    """Return the weighted mean loss of rows, or of rows and labels.

    It is summed in float64 whatever the dtype of the prediction.
    """
    total = sum_of_losses(loss, y_true, raw_prediction, sample_weight) / loss.n_labels
    if sample_weight is None:
        return total / len(np.asarray(raw_prediction))
    return total / float(np.sum(sample_weight, dtype=np.float64))


def focal_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    gamma: float | Mapping[Any, float] | ArrayLike = 2.0,
    alpha: float | Mapping[Any, float] | ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> float:
    """Return the mean focal loss of predicted probabilities.

    The number that training minimises is the focal loss of the *score*: give it
    ``predict_proba`` of an estimator with ``probability="score"``. With ``gamma=0`` this is
    `sklearn.metrics.log_loss`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels, of any type.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Probabilities in the sorted order of the classes; one column is that of the second of two.
        Clipped to [eps, 1-eps] with the eps of its dtype, as scikit-learn does.
    gamma : float, dict or array-like of shape (n_classes,), default=2.0
        Focusing parameter, >= 0, or that of each class, by label or in sorted order.
    alpha : None, float, dict or array-like of shape (n_classes,), default=None
        None, Lin's α for the second of two classes, or class weights by label or in sorted order.
    sample_weight : array-like of shape (n_samples,), default=None
    labels : array-like of shape (n_classes,), default=None
        The labels, where `y_true` may not hold all of them.

    Returns
    -------
    float
        Mean loss in nats.

    Examples
    --------
    >>> from focal_gbm import focal_loss
    >>> round(focal_loss(["ham", "spam", "spam"], [0.1, 0.9, 0.4], gamma=2.0), 5)
    0.11066
    >>> round(focal_loss(["ham", "spam", "spam"], [0.1, 0.9, 0.4], gamma=0.0), 5)
    0.37567
    """
    y = column_or_1d(as_array(y_true, "y_true"))
    proba = np.asarray(y_proba)
    if proba.dtype not in (np.float32, np.float64):
        if proba.dtype.kind not in "iub":
            raise TypeError(f"y_proba must be float32 or float64, got {proba.dtype}.")
        proba = proba.astype(np.float64)
    if proba.ndim not in (1, 2) or (proba.ndim == 2 and proba.shape[1] < 2):
        raise ValueError(
            f"y_proba must have shape (n_samples,) or (n_samples, n_classes), got {proba.shape}."
        )
    check_consistent_length(y, proba, sample_weight)
    if not ((proba >= 0) & (proba <= 1)).all():
        raise ValueError("y_proba must lie in [0, 1].")
    if proba.ndim == 2 and not np.allclose(proba.sum(axis=1), 1.0, atol=1e-5):
        raise ValueError("y_proba must have rows that sum to 1.")
    classes = np.unique(y if labels is None else as_array(labels, "labels"))
    n_classes = 2 if proba.ndim == 1 else proba.shape[1]
    if len(classes) != n_classes:
        number = "two" if n_classes == 2 else str(n_classes)
        raise ValueError(
            f"y_true must hold {number} classes, got {classes.tolist()}; give all in labels if one is absent."
        )
    unknown = ~np.isin(y, classes)
    if unknown.any():
        raise ValueError(f"y_true must hold only the labels {classes.tolist()}, got {y[unknown][0]!r}.")
    gammas = resolve_gamma(gamma, classes, "gamma")
    if isinstance(alpha, Mapping):
        alpha = weights_by_label(alpha, classes, "alpha")
    eps = np.finfo(proba.dtype).eps
    proba = np.clip(proba, eps, 1 - eps)
    codes = np.searchsorted(classes, y)
    loss: Loss
    if n_classes == 2:
        loss = BinaryFocalLoss(gammas, alpha)  # type: ignore[arg-type]
        proba = proba if proba.ndim == 1 else proba[:, 1]
    else:
        loss = MulticlassFocalLoss(n_classes, gammas, alpha)  # type: ignore[arg-type]
    return mean_focal_loss(loss, codes, loss.raw_prediction_of(proba), sample_weight)


@dataclass(frozen=True)
class FocalMetric:
    """Mean loss as an evaluation metric; `FocalXGBMetric` and `FocalLGBMMetric` are that of a library.

    Parameters
    ----------
    loss : BinaryFocalLoss, MulticlassFocalLoss or MultilabelFocalLoss, default=BinaryFocalLoss()
    prediction : {"raw", "probability"}, default="raw"
        What the library hands over: raw predictions beside a custom objective such as `FocalXGBObjective`
        or `FocalLGBMObjective`, probabilities beside one of its own.
    """

    loss: Loss = field(default_factory=BinaryFocalLoss)
    prediction: str = "raw"

    def __post_init__(self) -> None:
        if not isinstance(self.loss, Loss):
            raise TypeError(f"loss must be a focal loss, got {self.loss!r} ({type(self.loss).__name__}).")
        check_choice(self.prediction, ("raw", "probability"), "prediction")

    @property
    def __name__(self) -> str:  # what a library calls the metric
        return "focal_loss"

    def value(self, y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean loss.

        Parameters
        ----------
        y_true : array-like
            As for `BinaryFocalLoss.loss`.
        y_pred : array-like of float32 or float64
            What `prediction` says.
        sample_weight : array-like of shape (n_samples,), default=None
        """
        if sample_weight is not None and np.size(sample_weight) == 0:
            sample_weight = None  # XGBoost's way to say that there is none
        if self.prediction == "raw":
            return mean_focal_loss(self.loss, y_true, y_pred, sample_weight)
        labels = self.loss.check_labels(y_true)
        probability: FloatArray = check_raw_prediction(y_pred, self.loss.raw_shape(len(labels)))
        if not ((probability >= 0) & (probability <= 1)).all():
            raise ValueError(
                'y_pred must lie in [0, 1] with prediction="probability"; beside a custom objective the '
                'library hands over raw predictions: use prediction="raw".'
            )
        eps = np.finfo(probability.dtype).eps
        raw = self.loss.raw_prediction_of(np.clip(probability, eps, 1 - eps))
        return mean_focal_loss(self.loss, labels, raw, sample_weight)
