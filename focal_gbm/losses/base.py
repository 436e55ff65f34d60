"""What losses of two classes, of many classes and of many labels have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from numbers import Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from focal_gbm._validation import (
    FloatArray,
    check_choice,
    check_raw_prediction,
    check_sample_weight,
)
from focal_gbm.losses.margin import MarginLoss, margin_loss_from_dict

#: What raw predictions are, with what `gradient_hessian` can return as the second derivative.
HESSIANS = {"focal": ("floored", "exact", "majorizing"), "logit": ("floored", "exact", "expected")}

LINKS = tuple(HESSIANS)

#: γ where a user names none: the published one.
DEFAULT_GAMMA = 2.0

#: The kinds of problems, by the name that a saved model gives them.
_KINDS: dict[str, type[Loss]] = {}


class Targets(NamedTuple):
    """Checked labels and sample weights of some rows, prepared once a fit."""

    label: NDArray[Any]  #: booleans, or the index of the true class in the smallest integer type
    weight: FloatArray | None  #: sample weights; None means 1 everywhere

    def rows(self, rows: slice) -> Targets:
        """Return a view of some of the rows."""
        return Targets(self.label[rows], None if self.weight is None else self.weight[rows])


class Loss(ABC):
    """A loss on raw predictions, whose subclasses are for two classes, many classes and many labels.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
    n_classes : int
    activation : {"sigmoid", "softmax"}
        What makes a score a probability at γ=0.
    focal_link : {"focal", "logit"}
        Whether raw predictions are focal scores z or log-odds f.
    link
        The closed form between raw predictions and probabilities.
    """

    kind: ClassVar[str] = ""
    focal_link: str
    n_classes: int = 2
    activation: ClassVar[str] = "sigmoid"

    def __init_subclass__(cls, kind: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if kind:
            cls.kind = kind
            _KINDS[kind] = cls

    def loss(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> FloatArray:
        """Return the loss of every row, times its weight.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels 0 and 1, or 0 to K-1 for many classes.
        raw_prediction : array-like of float32 or float64
            Scores z, in logits of σ(z) or softmax(z), of shape (n_samples,) for two classes,
            (n_samples, n_classes) for many classes and (n_samples, n_labels) for many labels. With
            ``focal_link="logit"`` the log-odds f in their place.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        ndarray of shape (n_samples,), in nats, of the dtype of `raw_prediction`

        Raises
        ------
        TypeError, ValueError
            Naming the argument that has the wrong type, shape or values.
        """
        targets, z = self._checked(y_true, raw_prediction, sample_weight)
        return self.loss_prepared(targets, z)

    def gradient(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> FloatArray:
        """Return the derivative of the loss in the raw prediction; parameters and errors as in `loss`.

        Returns
        -------
        ndarray of the shape and dtype of `raw_prediction`
        """
        return self.gradient_hessian(y_true, raw_prediction, sample_weight, hessian=None)[0]

    def gradient_hessian(
        self,
        y_true: ArrayLike,
        raw_prediction: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        hessian: str | None = "exact",
        hessian_factor: float = 1.0,
        out: tuple[FloatArray, FloatArray] | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        r"""Return the first derivative and the diagonal of a second derivative in `raw_prediction`.

        Parameters
        ----------
        y_true, raw_prediction, sample_weight
            As in `loss`.
        hessian : {"exact", "floored", "majorizing", "expected"} or None, default="exact"
            - "exact": the second derivative, negative where p is small and γ > 0.
            - "floored": max(exact, 0.05 min(γ, 1) \|gradient\|), γ that of the row; exact for γ=0.
            - "expected": with ``focal_link="logit"``, the mean of the exact one over the labels that the
              log-odds foresee, the Fisher information, which is never negative. Of many classes its diagonal
              is up to 1+γ times the exact one where rows are nearly certain, and steps are that much shorter.
            - None: "floored"; "expected" with ``focal_link="logit"`` and a `margin_loss` without
              `share_slope`.
            - "majorizing": with ``focal_link="focal"``, the exact one without its one negative term, an
              upper bound. For many classes ``s_j [ h₊ + g q (1 - s_j) ]``, with s_t = 1 and h₊ the h of
              the margin without that term.
              With ``hessian_factor=2`` this diagonal matrix less the full Hessian is positive semidefinite
              (Gershgorin).
        hessian_factor : float, default=1.0
            Multiplies all but the floor. For many classes at γ=0 all are
            ``hessian_factor * p (1-p)``: 2 is what XGBoost uses, K/(K-1) what LightGBM uses.
        out : pair of float arrays of the shape of `raw_prediction`, default=None
            Where to write; they are returned.

        Returns
        -------
        gradient, hessian : ndarrays of the shape and dtype of `raw_prediction`
        """
        hessian = self.hessian_of(hessian)
        if not isinstance(hessian_factor, Real) or not 0.0 < hessian_factor < math.inf:
            raise ValueError(f"hessian_factor must be a finite number > 0, got {hessian_factor!r}.")
        targets, z = self._checked(y_true, raw_prediction, sample_weight)
        if out is None:
            out = np.empty_like(z), np.empty_like(z)
        if len(out) != 2:
            raise ValueError(f"out must be two float arrays of shape {z.shape}, got {len(out)}.")
        for array in out:
            if array.shape != z.shape or array.dtype.kind != "f":
                raise ValueError(
                    f"out must be two float arrays of shape {z.shape}, "
                    f"got {array.dtype} of shape {array.shape}."
                )
        self.gradient_hessian_prepared(targets, z, hessian, *out, hessian_factor=hessian_factor)
        return out

    @abstractmethod
    def fit_intercept_only(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Return the constant raw prediction that minimises the weighted mean loss.

        Parameters
        ----------
        y_true : array-like, as in `loss`
            Every class must carry weight.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float, or ndarray of float64 of shape (n_classes,), with mean 0, or (n_labels,)
            `start` of the weighted class frequencies.
        """

    @abstractmethod
    def start(self, class_counts: FloatArray) -> Any:
        """Return what `fit_intercept_only` returns, given the weight of each class.

        Parameters
        ----------
        class_counts : ndarray of shape (n_classes,), or (n_labels, 2) for many labels
            All positive.
        """

    # Prepared form: what an objective calls every round, after checking once.

    @abstractmethod
    def check_labels(self, y_true: ArrayLike) -> NDArray[Any]:
        """Return labels as booleans, or as indices of the classes."""

    @abstractmethod
    def raw_shape(self, n_samples: int) -> tuple[int, ...]:
        """Return the shape of raw predictions."""

    @abstractmethod
    def loss_prepared(self, targets: Targets, z: FloatArray) -> FloatArray:
        """Return the loss of every row for prepared labels."""

    @abstractmethod
    def gradient_hessian_prepared(
        self,
        targets: Targets,
        z: FloatArray,
        hessian: str,
        gradient: Any,
        second: Any,
        *,
        scale: Any = 1.0,
        hessian_factor: float = 1.0,
    ) -> None:
        """Write gradient and Hessian of `scale` times the loss; nothing is checked.

        `gradient` and `second` are float arrays of the shape of `z`, in any memory order, possibly of lower
        precision; `gradient` may be `z` itself. For many labels `scale` may be one number a label.
        """

    def prepare(
        self, labels: NDArray[Any], sample_weight: FloatArray | None, dtype: DTypeLike = np.float32
    ) -> Targets:
        """Return checked labels and weights in the form that a fit keeps, weights in `dtype`."""
        return Targets(
            self.smallest_labels(labels), None if sample_weight is None else sample_weight.astype(dtype)
        )

    def smallest_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return labels in the smallest type that holds them, without a copy where they are in bytes."""
        return labels.view(np.bool_) if labels.dtype == np.uint8 else labels.astype(np.bool_, copy=False)

    # What else differs between the kinds of problems

    @property
    @abstractmethod
    def link(self) -> Any:
        """The closed form between raw predictions and probabilities."""

    @property
    def n_labels(self) -> int:
        """Number of losses that a row's loss is the sum of."""
        return 1

    @abstractmethod
    def weighted_losses(self, scale: Any = 1.0) -> list[tuple[MarginLoss, float]]:
        """Return the loss of the margin and the weight, α times `scale`, of every class, of every label."""

    def hessian_of(self, hessian: str | None) -> str:
        """Return `hessian` if the link has one of that name, its default for None."""
        if hessian is None:
            has_exact = self.focal_link == "focal" or all(
                loss.has_share_slope for loss, _ in self.weighted_losses()
            )
            return "floored" if has_exact else "expected"
        return check_choice(hessian, HESSIANS[self.focal_link], "hessian")

    def hessian_at_start(
        self, class_counts: FloatArray, hessian: str | None = None, factor: float = 1.0
    ) -> FloatArray:
        """Return the sum of the Hessian over rows at the best constant, one number a score.

        Parameters
        ----------
        class_counts : ndarray of shape (n_classes,), or (n_labels, 2) for many labels
            Weight of each class.
        hessian, factor
            As `hessian` and `hessian_factor` of `gradient_hessian`.
        """
        labels = np.arange(len(class_counts))
        z = np.empty(self.raw_shape(len(labels)))
        z[...] = self.start(class_counts)
        _, second = self.gradient_hessian(labels, z, class_counts, hessian=hessian, hessian_factor=factor)
        return np.atleast_1d(second.sum(axis=0))

    def log_loss_scale(self, class_counts: FloatArray, hessian: str | None = None) -> Any:
        """Return the factor that makes the Hessian as large as that of the log loss.

        With ``focal_link="focal"``, at the start:
        At its best constant, focal loss has a Hessian of another size than the equally weighted log
        loss has at its own (2.6 times for γ=2 and 2 % positives). min_child_weight, reg_lambda and the
        minimum gain of a split are numbers beside that Hessian, and would be that much weaker. The
        quotient of the two, 1 for γ=0, undoes it.

        With ``focal_link="logit"``, where rows are nearly certain: there the weight of a row is 1/(1+γ) of
        that in the log loss, and the factor is 1+γ, with a γ by class its mean. At the start the Hessian is
        then up to a few times too small or too large, and yet it is better so: where classes are nearly
        separable, most rows get there, and fall below min_child_weight too early (benchmarks/links.py).

        Parameters
        ----------
        class_counts : ndarray of shape (n_classes,), or (n_labels, 2) for many labels
            Weight of each class, all > 0.
        hessian : str or None, default=None
            As for `gradient_hessian`.

        Returns
        -------
        float, or a tuple of one a label

        Examples
        --------
        >>> import numpy as np
        >>> from focal_gbm import BinaryFocalLoss
        >>> round(BinaryFocalLoss(2.0).log_loss_scale(np.array([98.0, 2.0])), 3)
        0.382
        """
        of_log_loss, own = (
            loss.hessian_at_start(class_counts, hessian).sum() for loss in (self.log_loss(), self)
        )
        return float(of_log_loss / own)

    @abstractmethod
    def log_loss(self) -> Any:
        """Return the log loss with the same class weights: this loss at γ=0."""

    @abstractmethod
    def raw_prediction_of(self, probability: FloatArray) -> FloatArray:
        """Return the scores of which σ or softmax is `probability`."""

    def to_dict(self) -> dict[str, Any]:
        """Return all that makes the loss, for a file."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {"kind": self.kind, **{name: _saved(value) for name, value in values.items()}}

    def decide(self, raw_prediction: FloatArray) -> NDArray[np.intp]:
        """Return the index of the class with the largest focal score, for each row or label."""
        return (raw_prediction > 0).astype(np.intp)

    def hessian_factor(self, of_softmax: Callable[[int], float]) -> float:
        """Return the factor of a library's own Hessian, given that of its softmax of so many classes."""
        return 1.0

    def _checked(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Targets, FloatArray]:
        labels = self.check_labels(y_true)
        z = check_raw_prediction(raw_prediction, self.raw_shape(len(labels)))
        weight = check_sample_weight(sample_weight, len(labels))
        return self.prepare(labels, weight, z.dtype), z


def loss_from_dict(saved: dict[str, Any]) -> Loss:
    """Return the loss that `Loss.to_dict` described."""
    parameters = dict(saved)
    kind = parameters.pop("kind")
    if kind not in _KINDS:
        raise ValueError(f"its loss is of the unknown kind {kind!r}")
    return _KINDS[kind](**{name: _restored(value) for name, value in parameters.items()})


def _saved(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_saved(one) for one in value]
    return value.to_dict() if isinstance(value, (Loss, MarginLoss)) else value


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_restored(one) for one in value)
    if isinstance(value, dict):
        return loss_from_dict(value) if "kind" in value else margin_loss_from_dict(value)
    return value
