"""The plan of a fit: all that follows from its parameters and its labels, wherever the rows are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_consistent_length

from focal_gbm._arrays import smallest_integers
from focal_gbm._validation import FloatArray, check_choice, check_sample_weight
from focal_gbm.losses import (
    BinaryFocalLoss,
    Loss,
    MarginLoss,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
)
from focal_gbm.losses.base import DEFAULT_GAMMA, HESSIANS, LINKS
from focal_gbm.losses.margin import check_margin_loss
from focal_gbm.training.alpha import resolve_alpha
from focal_gbm.training.gamma import ESTIMATOR_GAMMA, resolve_gamma
from focal_gbm.training.labels import (
    as_indicator,
    as_target,
    check_two_classes,
    classes_and_codes,
    encode_labels,
)
from focal_gbm.training.objective import FocalObjective, is_log_loss
from focal_gbm.training.state import FocalState

#: What `focal_scale` can be beside a number.
SCALES = ("log-loss",)

#: What `probability` can be.
PROBABILITIES = ("posterior", "score")


class Rows(NamedTuple):
    """Rows of a table, in whatever type the library takes."""

    X: Any
    y: Any
    sample_weight: Any


class Target(NamedTuple):
    """Checked labels and weights of the rows to train on."""

    classes: NDArray[Any]  #: the labels in sorted order; 0 and 1 for many labels
    codes: NDArray[Any]  #: positions in `classes`, of shape (n,); booleans of shape (n, n_labels)
    sample_weight: FloatArray | None
    class_counts: FloatArray  #: weight of each class, of shape (n_classes,) or (n_labels, 2)

    @classmethod
    def of(cls, X: Any, y: ArrayLike, sample_weight: ArrayLike | None) -> Target:
        """Check labels and weights of the rows X."""
        labels = as_target(y)
        if labels.ndim == 2:
            codes: NDArray[Any] = as_indicator(labels, "y")
            classes: NDArray[Any] = np.arange(2)
            check_consistent_length(X, codes)
            weight = as_library_keeps(check_sample_weight(sample_weight, len(codes)))
            counts = np.array([_counts(column, weight, 2) for column in codes.T])
            return cls(classes, codes, weight, counts)
        check_consistent_length(X, labels)
        classes, codes = classes_and_codes(labels)
        check_two_classes(classes)
        weight = as_library_keeps(check_sample_weight(sample_weight, len(labels)))
        counts = _counts(codes, weight, len(classes))
        return cls(classes, smallest_integers(codes, len(classes)), weight, counts)


def as_library_keeps(weight: FloatArray | None) -> FloatArray | None:
    """Return weights as float32, in which both libraries keep them, where none becomes infinite."""
    if weight is None or weight.max() > np.finfo(np.float32).max:
        return weight  # the first gradient says so
    return weight.astype(np.float32)


class Alpha(NamedTuple):
    """A parameter that weights the classes."""

    name: str
    given: Any  #: as the user gave it
    weights: Any  #: the same in a form that `resolve_alpha` takes


#: From classes and the weight of each to the library's own parameters that weight the classes.
AlphasOf: TypeAlias = Callable[[NDArray[Any], FloatArray], list[Alpha]]


def _counts(codes: NDArray[Any], weight: FloatArray | None, n_classes: int) -> FloatArray:
    if weight is None and n_classes == 2:  # bincount would make a wide copy of the codes
        ones = np.count_nonzero(codes)
        return np.array([len(codes) - ones, ones], dtype=np.float64)
    return np.bincount(codes, weights=weight, minlength=n_classes).astype(np.float64)


@dataclass(frozen=True, eq=False)
class FocalParameters:
    """The parameters that the estimators add to their library's, as the user gave them."""

    focal_gamma: Any
    focal_alpha: Any
    margin_loss: MarginLoss | None
    focal_link: str
    focal_scale: float | str
    hessian: str | None
    probability: str

    def __post_init__(self) -> None:
        check_choice(self.focal_link, LINKS, "focal_link")
        if self.hessian is not None:
            check_choice(self.hessian, HESSIANS[self.focal_link], "hessian")
        check_choice(self.probability, PROBABILITIES, "probability")
        check_margin_loss(self.margin_loss)
        gamma = self.focal_gamma
        if self.margin_loss is not None and not (isinstance(gamma, Real) and gamma == ESTIMATOR_GAMMA):
            raise ValueError(
                f"focal_gamma is that of the focal loss: beside margin_loss={self.margin_loss!r} it must be "
                f"left alone, got {gamma!r}."
            )

    def loss(self, classes: NDArray[Any], weights: tuple[float, ...] | None) -> Any:
        """Return the loss of these classes with these class weights."""
        return loss_of_classes(classes, self.gamma, weights, self.margin_loss, self.focal_link, "focal_gamma")

    @property
    def gamma(self) -> Any:
        """γ as the losses take it: beside another loss that is left alone which they have by default."""
        return self.focal_gamma if self.margin_loss is None else DEFAULT_GAMMA

    def scale(self, loss: Loss, class_counts: FloatArray) -> float | tuple[float, ...]:
        """Return the number that multiplies the loss, or one a label."""
        scale = self.focal_scale
        if isinstance(scale, str) and scale in SCALES:
            return log_loss_scale(loss, class_counts, self.hessian, self.focal_alpha)
        if isinstance(scale, (bool, np.bool_)) or not isinstance(scale, Real):
            raise TypeError(f"focal_scale must be 'log-loss' or a number > 0, got {scale!r}.")
        if not 0.0 < float(scale) < np.inf:
            raise ValueError(f"focal_scale must be 'log-loss' or a number > 0, got {scale!r}.")
        return float(scale)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a fit derives from its parameters and the weight of each class."""

    state: FocalState
    objective: FocalObjective
    class_counts: FloatArray
    n_samples: int

    @property
    def start(self) -> FloatArray:
        """Constant scores that minimise the mean loss, one a tree of a round; for γ=0 the library's own."""
        loss, counts = self.state.loss, self.class_counts
        weights_alike = len({weight for _, weight in loss.weighted_losses()}) == 1
        if loss.activation == "softmax" and is_log_loss(loss) and weights_alike:
            return self.objective.library.start_of_softmax(counts / counts.sum())
        return np.atleast_1d(loss.start(counts))

    @property
    def has_one_class(self) -> bool:
        """Whether no two classes have a weight, of any label: nothing is left to tell apart."""
        counts = self.class_counts
        least = self.objective.library.least_share * counts.sum(axis=-1, keepdims=True)
        return bool(((counts > least).sum(axis=-1) < 2).all())

    def hessian_at_start(self) -> float:
        """Return the largest sum of Hessians that a tree of the first round has for its leaves."""
        objective = self.objective
        sums = self.state.loss.hessian_at_start(
            self.class_counts, objective.hessian, objective.hessian_factor
        )
        return float((sums * np.asarray(objective.scale)).max())

    def encode(self, y: ArrayLike, name: str, X: Any) -> NDArray[Any]:
        """Return the codes of the labels of an evaluation set of the rows X."""
        if self.class_counts.ndim == 2:
            codes: NDArray[Any] = as_indicator(y, name, n_labels=len(self.class_counts))
        else:
            codes = smallest_integers(encode_labels(y, self.state.classes, name), len(self.state.classes))
        try:
            check_consistent_length(X, codes)
        except ValueError as error:
            raise ValueError(f"{name} must be as many as the rows they are for. {error}") from None
        return codes


def plan_of(
    parameters: FocalParameters,
    target: Target,
    alphas_of: AlphasOf,
    objective: type[FocalObjective],
    n_jobs: int | None,
    n_samples: int,
) -> Plan:
    """Return the plan.

    Parameters
    ----------
    parameters : FocalParameters
    target : Target
    alphas_of : callable
        From classes and the weight of each to a list of `Alpha`: the library's own parameters that weight the
        classes.
    objective : subclass of FocalObjective
        That of the library.
    n_jobs : int or None
        The library's number of threads.
    n_samples : int
    """
    classes, counts = target.classes, target.class_counts
    loss: Loss
    if counts.ndim == 1:
        alpha = _class_weights(parameters.focal_alpha, classes, counts, alphas_of)
        loss = parameters.loss(classes, alpha)
    else:
        loss = _loss_of_labels(parameters, classes, counts, alphas_of)
    # a class without weight has no best constant: the libraries take it for one of almost no rows
    counts = np.where(counts > 0, counts, objective.library.least_share * counts.sum(axis=-1, keepdims=True))
    scale = parameters.scale(loss, counts)
    return Plan(
        FocalState(classes, loss), objective(loss, parameters.hessian, scale, n_jobs), counts, n_samples
    )


def log_loss_scale(
    loss: Loss, class_counts: FloatArray, hessian: str | None, alpha: Any
) -> float | tuple[float, ...]:
    """Return `Loss.log_loss_scale` for weights α whose mean over the rows is 1.

    A factor that all classes share says nothing, but would change what min_child_weight and reg_lambda mean.
    The libraries' own class weights, with no `alpha`, keep the size that they have in the library.
    """
    scale: float | tuple[float, ...] = loss.log_loss_scale(class_counts, hessian)
    weights = np.reshape([weight for _, weight in loss.weighted_losses()], class_counts.shape)
    if class_counts.ndim == 1:
        return float(np.divide(scale, _mean(weights, class_counts, alpha)))
    alphas = alpha if isinstance(alpha, list | np.ndarray) else [alpha] * len(weights)
    means = map(_mean, weights, class_counts, alphas)
    return tuple(of_label / mean for of_label, mean in zip(np.atleast_1d(scale).tolist(), means, strict=True))


def _mean(weights: FloatArray, counts: FloatArray, alpha: Any) -> float:
    if alpha is None:
        return 1.0
    first = weights[0]  # of equal weights to the last bit
    return float(first) * float(np.average(np.divide(weights, first), weights=counts))


def loss_of_classes(
    classes: NDArray[Any],
    gamma: Any,
    weights: tuple[float, ...] | None,
    margin_loss: MarginLoss | None = None,
    focal_link: str = "focal",
    name: str = "gamma",
) -> BinaryFocalLoss | MulticlassFocalLoss:
    """Return the loss of two classes or of more, with a γ as a user writes it."""
    gamma = resolve_gamma(gamma, classes, name)
    if len(classes) == 2:
        return BinaryFocalLoss(gamma, weights, margin_loss, focal_link)  # type: ignore[arg-type]
    return MulticlassFocalLoss(len(classes), gamma, weights, margin_loss, focal_link)


def _loss_of_labels(
    parameters: FocalParameters, classes: NDArray[Any], counts: FloatArray, alphas_of: AlphasOf
) -> MultilabelFocalLoss:
    n_labels = len(counts)
    # a tuple is one α for all labels, ("effective", beta) or the weights of 0 and 1
    gammas = _per_label(parameters.gamma, list | tuple | np.ndarray, n_labels, "focal_gamma", "γ")
    alphas = _per_label(parameters.focal_alpha, list | np.ndarray, n_labels, "focal_alpha", "α")
    columns = []
    for (name, gamma), (_, alpha), of_label in zip(gammas, alphas, counts, strict=True):
        weights = _class_weights(alpha, classes, of_label, alphas_of)
        of_classes = resolve_gamma(gamma, classes, name)
        columns.append(
            BinaryFocalLoss(of_classes, weights, parameters.margin_loss, parameters.focal_link)  # type: ignore[arg-type]
        )
    return MultilabelFocalLoss(tuple(columns))


def _class_weights(
    alpha: Any, classes: NDArray[Any], counts: FloatArray, alphas_of: AlphasOf
) -> tuple[float, ...] | None:
    alphas = [*alphas_of(classes, counts)]
    if alpha is not None or not alphas:
        alphas.append(Alpha("focal_alpha", alpha, alpha))
    if len(alphas) > 1:
        given = " and ".join(f"{one.name}={one.given!r}" for one in alphas)
        raise ValueError(f"Only one parameter can weight the classes, got {given}.")
    (one,) = alphas
    if one.name == "scale_pos_weight" and len(classes) > 2:
        raise ValueError(f"scale_pos_weight is for two classes, got {len(classes)}: use focal_alpha.")
    return resolve_alpha(one.weights, classes, counts, one.name)


def _per_label(value: Any, sequences: Any, n_labels: int, name: str, symbol: str) -> list[tuple[str, Any]]:
    """Return (name, value) of a parameter for each label, given one for all or a sequence of one each."""
    if not isinstance(value, sequences):
        return [(name, value)] * n_labels
    if len(value) != n_labels:
        raise ValueError(
            f"{name} must be one {symbol} for all labels or a list of one for each of the {n_labels} "
            f"labels, got {len(value)}."
        )
    return [(f"{name}[{j}]", one) for j, one in enumerate(value)]
