"""The plan of a fit: loss, start and scale, from parameters and the weight of each class."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray, check_gamma
from focal_gbm.fit.alpha import resolve_alpha
from focal_gbm.losses import BinaryFocalLoss, MarginLoss, MulticlassFocalLoss, MultilabelFocalLoss

#: γ of estimators, callback and `train` where the user gives none: the study's answer (docs/guide/study.md).
#: The published value is 2.
DEFAULT_GAMMA = 1.0

#: Above, weights of confident rows are below float32's resolution beside those of the others, and no fit has
#: ever been better than with γ = 5.
MOST_GAMMA = 100.0

#: The parameters that the estimators add to their library's.
FOCAL_PARAMETERS = ("focal_gamma", "focal_alpha", "margin_loss")


class Plan(NamedTuple):
    """What a fit derives from its parameters and the weight of each class."""

    loss: Any
    start: FloatArray  #: log-odds of the base rates, one per column of the raw predictions
    #: multiplies the loss, so that min_child_weight and reg_lambda mean what they mean for the log loss
    scale: float


def is_log_loss(gamma: Any, alpha: Any, margin_loss: MarginLoss | None) -> bool:
    """Say whether the loss is the library's own, which then trains it."""
    return margin_loss is None and alpha is None and gamma == 0


def check_focal_parameters(gamma: Any, margin_loss: Any, name: str = "gamma") -> None:
    """Raise on a γ that no fit can use, or on a `margin_loss` that is none.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter.
    """
    if margin_loss is not None and not isinstance(margin_loss, MarginLoss):
        raise TypeError(
            f"margin_loss must be None or a MarginLoss, got {margin_loss!r} ({type(margin_loss).__name__})."
        )
    if check_gamma(gamma, name) > MOST_GAMMA:
        raise ValueError(f"{name} must be at most {MOST_GAMMA:g}, got {gamma!r}.")
    if margin_loss is not None and gamma != DEFAULT_GAMMA:
        raise ValueError(
            f"{name} belongs to the focal loss: with margin_loss={margin_loss!r} it must be left at its "
            f"default, got {gamma!r}."
        )


def plan_of(
    kind: str,
    class_counts: FloatArray,
    gamma: Any,
    alpha: Any,
    margin_loss: MarginLoss | None,
    least_share: float,
) -> Plan:
    """Return the plan.

    Parameters
    ----------
    kind : {"binary", "multiclass", "multilabel"}
    class_counts : ndarray of shape (n_classes,), or (n_labels, 2) for many labels
        Weight of each class.
    gamma, alpha, margin_loss
        As the user gave them, α by class code: for many labels one pair for all, counted over all labels.
    least_share : float
        Share of the rows that the library takes for a class without weight, in its start.
    """
    if not class_counts.any():
        raise ValueError("sample_weight must have at least one positive weight, got all weights zero.")
    counts = class_counts.sum(axis=0) if kind == "multilabel" else class_counts
    weights: Any = resolve_alpha(alpha, np.arange(len(counts)), counts, "alpha")
    chosen = {"margin_loss": margin_loss} if margin_loss is not None else {"gamma": gamma}
    loss: Any
    if kind == "multiclass":
        loss = MulticlassFocalLoss(len(counts), alpha=weights, **chosen)
    elif kind == "multilabel":
        loss = MultilabelFocalLoss(len(class_counts), alpha=weights, **chosen)
    else:
        loss = BinaryFocalLoss(alpha=weights, **chosen)
    # a factor that all weights share must not change what min_child_weight means
    mean = 1.0 if weights is None else float(np.average(weights, weights=counts))
    totals = class_counts.sum(axis=-1, keepdims=True)
    log_share = np.log(np.clip(class_counts / totals, least_share, 1.0 - least_share))
    start = log_share - log_share.mean() if kind == "multiclass" else log_share[..., 1] - log_share[..., 0]
    return Plan(loss, np.atleast_1d(start), loss.margin_loss.slope_at_ends / mean)


def decide(raw_prediction: FloatArray, class_weights: Any) -> NDArray[np.intp]:
    """Return the index of the class that α favours: that of the largest log-odds plus log α.

    Parameters
    ----------
    raw_prediction : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
    class_weights : sequence of float
        Two for raw predictions of one log-odds per row or label, else one per column.
    """
    log_alpha = np.log(class_weights)
    if raw_prediction.ndim == 2 and raw_prediction.shape[1] == len(log_alpha) > 2:
        return np.asarray((raw_prediction + log_alpha).argmax(axis=1))
    return np.asarray(raw_prediction > log_alpha[0] - log_alpha[1], np.intp)


def count_classes(labels: NDArray[Any], weight: FloatArray | None, n_classes: int) -> FloatArray:
    """Return the weight of each class, of shape (n_classes,), or (n_labels, 2) for many labels.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,) or (n_samples, n_labels)
        Codes.
    """
    if labels.ndim == 2:
        return np.array([count_classes(column, weight, 2) for column in labels.T])
    if weight is None and n_classes == 2:  # bincount would make a wide copy of the codes
        ones = np.count_nonzero(labels)
        return np.array([len(labels) - ones, ones], dtype=np.float64)
    return np.bincount(labels.astype(np.intp, copy=False), weight, n_classes).astype(np.float64)
