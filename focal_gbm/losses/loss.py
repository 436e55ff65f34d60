"""Losses of two classes, many classes and many labels, of any loss of the margin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import KW_ONLY, InitVar, dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax

from focal_gbm._validation import (
    FloatArray,
    check_binary_labels,
    check_choice,
    check_class_weights,
    check_raw_prediction,
    check_sample_weight,
    row_blocks,
)
from focal_gbm.losses.log_odds import (
    derivatives_in_log_odds,
    derivatives_in_scores,
    log_odds_of_scores,
    margins_of_log_odds,
    margins_of_scores,
)
from focal_gbm.losses.margin import Focal, Margin, MarginLoss, check_margin_loss

#: What raw predictions are: log-odds, or the published scores.
LINKS = ("logit", "focal")

HESSIANS = ("floored", "exact")

#: A `link_term` above this at p = exp(-700) is bounded: the slope of the loss is finite at p = 0.
_UNBOUNDED = -10.0


class Loss(ABC):
    r"""What the losses of two classes, many classes and many labels have in common.

    All are computed in float64, by row blocks, whatever the dtype of the raw prediction.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
    margin_loss : MarginLoss
        The loss of the margin.
    link : {"logit", "focal"}
        Whether raw predictions are log-odds or published scores.
    class_weights : tuple of float
        The weight α of each class; for labels (α_0, α_1).
    n_classes : int
        2 for two classes and for labels.
    n_labels : int
        1 except for labels.
    """

    kind: ClassVar[str]
    margin_loss: MarginLoss
    link: str
    n_classes: int = 2
    n_labels: int = 1
    class_weights: tuple[float, ...]

    @abstractmethod
    def check_labels(self, y_true: ArrayLike) -> NDArray[Any]:
        """Return labels as booleans (two classes, labels) or indices of classes, or say what is wrong."""

    @abstractmethod
    def raw_shape(self, n_rows: int) -> tuple[int, ...]:
        """Return the shape of raw predictions."""

    def loss(self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None) -> FloatArray:
        """Return the loss of every row, times its weight; for labels the sum over them.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels 0 and 1, or 0 to K-1 for many classes.
        raw_prediction : array-like of float32 or float64
            With ``link="logit"`` log-odds: those of class 1, of shape (n_samples,) or (n_samples, n_labels),
            or log-probabilities up to a constant, of shape (n_samples, n_classes). With ``link="focal"``
            published scores z, in logits of σ(z) or softmax(z).
        sample_weight : array-like of shape (n_samples,), default=None
            Finite and >= 0.

        Returns
        -------
        ndarray of shape (n_samples,), in nats, of the dtype of `raw_prediction`

        Raises
        ------
        TypeError, ValueError
            Naming the argument that has the wrong type, shape or values.
        """
        labels, raw, weight = self._checked(y_true, raw_prediction, sample_weight)
        total = np.zeros(len(raw))
        for rows, _, label, block in self._blocks(labels, raw):
            m = self._margins(block)[label, np.arange(len(label))]
            total[rows] += np.array(self.class_weights)[label] * self.margin_loss.value(Margin(m))
        return (total if weight is None else total * weight).astype(raw.dtype)

    def gradient(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> FloatArray:
        """Return the derivative of the loss in the raw prediction; parameters and errors as in `loss`."""
        return self.gradient_hessian(y_true, raw_prediction, sample_weight)[0]

    def gradient_hessian(
        self,
        y_true: ArrayLike,
        raw_prediction: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        hessian: str = "floored",
        hessian_factor: float = 1.0,
    ) -> tuple[FloatArray, FloatArray]:
        r"""Return the gradient and the diagonal of the Hessian in `raw_prediction`.

        Parameters
        ----------
        y_true, raw_prediction, sample_weight
            As in `loss`.
        hessian : {"floored", "exact"}, default="floored"
            - "exact": the second derivative, which is negative where p is small and γ > 0.
            - "floored": max(exact, floor \|gradient\|), with the floor of the loss of the margin,
              0.05 min(γ, 1) for focal loss. It is what the libraries train with.
        hessian_factor : float, default=1.0
            Multiplies the exact Hessian: a library's own factor of its softmax.

        Returns
        -------
        gradient, hessian : ndarrays of the shape and dtype of `raw_prediction`
        """
        check_choice(hessian, HESSIANS, "hessian")
        if not isinstance(hessian_factor, Real) or not 0.0 < hessian_factor < np.inf:
            raise ValueError(f"hessian_factor must be a finite number > 0, got {hessian_factor!r}.")
        labels, raw, weight = self._checked(y_true, raw_prediction, sample_weight)
        gradient, second = np.empty_like(raw), np.empty_like(raw)
        in_raw = derivatives_in_log_odds if self.link == "logit" else derivatives_in_scores
        alpha = np.array(self.class_weights)
        for rows, columns, label, block in self._blocks(labels, raw):
            g, h = in_raw(self.margin_loss, alpha, block, label)
            h *= hessian_factor
            if hessian == "floored":
                h = np.maximum(h, self.margin_loss.floor * np.abs(g))
            for out, values in ((gradient, g), (second, h)):
                values = values if weight is None else values * weight[rows]
                out[rows, columns] = values.T if self.kind == "multiclass" else values[1]
        return gradient, second

    def probability(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return probabilities of raw predictions: P(y=1), or the probability of every class or label.

        With ``link="logit"`` it is σ or softmax of them, whatever the loss.

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64, as in `loss`

        Returns
        -------
        ndarray of the shape and dtype of `raw_prediction`, in [0, 1]
        """
        raw = check_raw_prediction(raw_prediction)
        if raw.shape != self.raw_shape(len(raw)):
            raise ValueError(f"raw_prediction must have shape {self.raw_shape(len(raw))}, got {raw.shape}.")
        f: FloatArray = raw.astype(np.float64)
        if self.kind == "multiclass":
            if self.link == "focal":
                f = log_odds_of_scores(self.margin_loss, np.array(self.class_weights), f.T).T
            return softmax(f, axis=1).astype(raw.dtype)
        if self.link == "focal":
            pair = _pair(f.ravel())
            of_0, of_1 = log_odds_of_scores(self.margin_loss, np.array(self.class_weights), pair)
            f = (of_1 - of_0).reshape(raw.shape)
        return expit(f).astype(raw.dtype)

    def fit_intercept_only(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> FloatArray:
        """Return the constant raw prediction that minimises the weighted mean loss.

        With ``link="logit"`` it is that of the log loss: the log-odds of the weighted class frequencies.

        Parameters
        ----------
        y_true : array-like, as in `loss`
            Every class must have a positive weight.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        ndarray of float64 of shape (), (n_classes,) with mean 0, or (n_labels,)
        """
        labels = self.check_labels(y_true)
        weight = check_sample_weight(sample_weight, len(labels))
        weight = None if weight is None else weight.astype(np.float64)
        columns = labels.reshape(len(labels), self.n_labels).astype(np.intp).T
        counts = np.array([np.bincount(column, weight, self.n_classes) for column in columns]).T
        if not counts.all():
            missing, label = np.argwhere(counts == 0)[0]
            of_label = f" of label {label}" if self.n_labels > 1 else ""
            raise ValueError(
                f"y_true must hold all {self.n_classes} classes with a positive weight, class {missing}"
                f"{of_label} has none."
            )
        start = np.log(counts)
        if self.link == "focal":
            m = Margin(margins_of_log_odds(self.margin_loss, np.array(self.class_weights), start))
            start = -m.minus_log_p
        if self.kind == "multiclass":
            return np.asarray(start[:, 0] - start[:, 0].mean())
        return np.asarray((start[1] - start[0]).reshape(self.raw_shape(1)[1:]))

    def _margins(self, block: FloatArray) -> FloatArray:
        if self.link == "focal":
            return margins_of_scores(block)
        return margins_of_log_odds(self.margin_loss, np.array(self.class_weights), block)

    def _checked(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[NDArray[Any], FloatArray, FloatArray | None]:
        labels = self.check_labels(y_true)
        raw = check_raw_prediction(raw_prediction, self.raw_shape(len(labels)))
        return labels, raw, check_sample_weight(sample_weight, len(labels))

    def _blocks(
        self, labels: NDArray[Any], raw: FloatArray
    ) -> Iterator[tuple[slice, Any, NDArray[np.intp], FloatArray]]:
        """Yield rows, column, true class and raw predictions, of shape (n_classes, n_rows), of each block.

        `raw[rows, column]` are its raw predictions; of two classes they are (0, raw).
        """
        for rows in row_blocks(len(raw), self.n_classes):
            if self.kind == "multiclass":
                yield rows, slice(None), labels[rows].astype(np.intp), raw[rows].T.astype(np.float64)
            elif self.kind == "binary":
                yield rows, ..., labels[rows].astype(np.intp), _pair(raw[rows].astype(np.float64))
            else:
                for j in range(self.n_labels):
                    yield rows, j, labels[rows, j].astype(np.intp), _pair(raw[rows, j].astype(np.float64))


@dataclass(frozen=True)
class BinaryFocalLoss(Loss):
    r"""Focal loss, or another loss of the margin, of two classes, with labels in {0, 1}.

    Parameters
    ----------
    gamma : float or None, default=None
        Focusing parameter γ >= 0 of the focal loss. With 0 it is the log loss. It is no attribute of the
        loss: read `margin_loss`.
    alpha : None, float or sequence of 2 floats, default=None
        - ``None``: no class weight, α_0 = α_1 = 1.
        - a float in (0, 1): the α of the paper, α_1 = alpha and α_0 = 1 - alpha.
        - two positive numbers: (α_0, α_1).
    margin_loss : MarginLoss or None, default=None
        The loss of the margin instead of `gamma`: exactly one of the two must be given.
    link : {"logit", "focal"}, default="logit"
        - "logit": raw predictions are log-odds, of which σ is P(y=1) (see `focal_gbm.losses.log_odds`).
        - "focal": they are the score z of the paper, in which ``loss = α_y φ((2y-1) z)``; σ(z) is not
          P(y=1).

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017,
    arXiv:1708.02002, equations 4 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm import BinaryFocalLoss
    >>> y, z = np.array([0, 1, 1]), np.array([-2.0, -2.0, 2.0])
    >>> published = BinaryFocalLoss(gamma=2.0, link="focal")
    >>> published.loss(y, z).round(4)
    array([0.0018, 1.6501, 0.0018])
    >>> published.probability(z).round(4)  # σ(2) is 0.8808
    array([0.0045, 0.0045, 0.9955])
    >>> BinaryFocalLoss(gamma=2.0).gradient(y, np.array([-5.4, -5.4, 5.4])).round(4)
    array([ 0.0018, -0.3921, -0.0018])
    """

    kind: ClassVar[str] = "binary"

    gamma: InitVar[float | None] = None
    alpha: float | tuple[float, float] | None = None
    _: KW_ONLY
    margin_loss: MarginLoss = None  # type: ignore[assignment]  # that of gamma
    link: str = "logit"

    def __post_init__(self, gamma: float | None) -> None:
        _check(self, gamma, _pair_of_weights(self.alpha))

    def check_labels(self, y_true: ArrayLike) -> NDArray[Any]:
        """Return labels as booleans of shape (n_samples,)."""
        return check_binary_labels(y_true)

    def raw_shape(self, n_rows: int) -> tuple[int, ...]:
        """Return the shape of raw predictions."""
        return (n_rows,)


@dataclass(frozen=True)
class MulticlassFocalLoss(Loss):
    r"""Focal loss, or another loss of the margin, of many classes, with labels in {0, ..., K-1}.

    Parameters
    ----------
    n_classes : int
        Number K of classes, >= 2.
    gamma : float or None, default=None
        Focusing parameter γ >= 0 of the focal loss. With 0 it is the cross-entropy.
    alpha : None or sequence of n_classes floats, default=None
        Positive weights of the classes; ``None`` means that all are 1.
    margin_loss : MarginLoss or None, default=None
        The loss of the margin instead of `gamma`: exactly one of the two must be given.
    link : {"logit", "focal"}, default="logit"
        - "logit": raw predictions are log-probabilities up to a constant per row, of which softmax is the
          probabilities.
        - "focal": they are the scores z in which ``loss = α_t φ(m)``, with the margin
          ``m = z_t - log Σ_{j≠t} exp(z_j)`` of the true class t.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017,
    arXiv:1708.02002, equations 4 and 5, with the softmax instead of the sigmoid.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm import MulticlassFocalLoss
    >>> y, z = np.array([0, 2]), np.array([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    >>> published = MulticlassFocalLoss(n_classes=3, gamma=2.0, link="focal")
    >>> published.loss(y, z).round(4)
    array([0.0109, 1.7879])
    >>> gradient, hessian = published.gradient_hessian(y, z)
    >>> gradient.round(4)
    array([[-0.0268,  0.0134,  0.0134],
           [ 0.9637,  0.1304, -1.0941]])
    >>> published.probability(z[:1]).round(4)
    array([[0.973 , 0.0135, 0.0135]])
    """

    kind: ClassVar[str] = "multiclass"

    n_classes: int
    gamma: InitVar[float | None] = None
    alpha: tuple[float, ...] | None = None
    _: KW_ONLY
    margin_loss: MarginLoss = None  # type: ignore[assignment]  # that of gamma
    link: str = "logit"

    def __post_init__(self, gamma: float | None) -> None:
        n_classes = _whole(self.n_classes, "n_classes", 2)
        alpha = None if self.alpha is None else check_class_weights(self.alpha, n_classes, "alpha")
        object.__setattr__(self, "n_classes", n_classes)
        _check(self, gamma, alpha)
        if self.link == "logit" and self.margin_loss.link_term(Margin(np.array([-700.0])))[0] > _UNBOUNDED:
            raise ValueError(
                "margin_loss must have an infinite slope at p = 0 for log-odds of many classes, which "
                f"{self.margin_loss!r} has not: large differences of log-odds would mean no probabilities."
            )

    def check_labels(self, y_true: ArrayLike) -> NDArray[Any]:
        """Return labels in {0, ..., n_classes - 1} as indices of shape (n_samples,)."""
        n_classes = self.n_classes
        y = np.asarray(y_true)
        if y.ndim != 1:
            raise ValueError(f"y_true must have shape (n_samples,), got shape {y.shape}.")
        if y.dtype.kind not in "biuf":
            raise TypeError(f"y_true must hold whole numbers from 0 to {n_classes - 1}, got dtype {y.dtype}.")
        right = (y >= 0) & (y < n_classes)
        if y.dtype.kind == "f":
            right &= np.floor(y) == y
        if not right.all():
            row = int(right.argmin())
            raise ValueError(f"y_true must hold whole numbers from 0 to {n_classes - 1}, got {y[row]!s} at row {row}.")
        return y.astype(np.intp)

    def raw_shape(self, n_rows: int) -> tuple[int, ...]:
        """Return the shape of raw predictions."""
        return n_rows, self.n_classes


@dataclass(frozen=True)
class MultilabelFocalLoss(Loss):
    r"""The sum of one loss of two classes per label, for labels that do not exclude each other.

    Parameters
    ----------
    n_labels : int
        Number of labels, >= 1.
    gamma, alpha, margin_loss, link
        Those of every label, as in `BinaryFocalLoss`.

    Examples
    --------
    >>> from focal_gbm import MultilabelFocalLoss
    >>> loss = MultilabelFocalLoss(2, gamma=2.0)
    >>> loss.loss([[0, 1]], [[0.0, 0.0]]).round(4)  # log(2) / 4 twice
    array([0.3466])
    """

    kind: ClassVar[str] = "multilabel"

    n_labels: int
    gamma: InitVar[float | None] = None
    alpha: float | tuple[float, float] | None = None
    _: KW_ONLY
    margin_loss: MarginLoss = None  # type: ignore[assignment]  # that of gamma
    link: str = "logit"

    def __post_init__(self, gamma: float | None) -> None:
        _check(self, gamma, _pair_of_weights(self.alpha))
        object.__setattr__(self, "n_labels", _whole(self.n_labels, "n_labels", 1))

    def check_labels(self, y_true: ArrayLike) -> NDArray[Any]:
        """Return labels as booleans of shape (n_samples, n_labels)."""
        y = np.asarray(y_true)
        if y.ndim != 2 or y.shape[1] != self.n_labels:
            raise ValueError(f"y_true must have shape (n_samples, {self.n_labels}), got shape {y.shape}.")
        return np.column_stack([check_binary_labels(column) for column in y.T])

    def raw_shape(self, n_rows: int) -> tuple[int, ...]:
        """Return the shape of raw predictions."""
        return n_rows, self.n_labels


def _check(loss: Loss, gamma: float | None, alpha: Any) -> None:
    """Check what the losses have in common, and make `margin_loss` what they are of."""
    check_choice(loss.link, LINKS, "link")
    if (gamma is None) == (loss.margin_loss is None):
        given = "neither" if gamma is None else f"gamma={gamma!r} and margin_loss={loss.margin_loss!r}"
        raise TypeError(f"exactly one of gamma and margin_loss must be given, got {given}.")
    margin_loss = check_margin_loss(loss.margin_loss) if gamma is None else Focal(gamma)
    one_each = (1.0,) * loss.n_classes if alpha is None else alpha
    object.__setattr__(loss, "margin_loss", margin_loss)
    object.__setattr__(loss, "alpha", alpha)
    object.__setattr__(loss, "class_weights", one_each if isinstance(one_each, tuple) else (1.0 - alpha, alpha))


def _pair_of_weights(alpha: Any) -> Any:
    if alpha is None:
        return None
    if not isinstance(alpha, Real) or isinstance(alpha, (bool, np.bool_)):
        return check_class_weights(alpha, 2, "alpha")
    if not 0.0 < float(alpha) < 1.0:
        raise ValueError(f"alpha must lie in the open interval (0, 1), got {alpha!r}.")
    return float(alpha)


def _pair(f: FloatArray) -> FloatArray:
    """Return two classes as many have them."""
    return np.stack([np.zeros_like(f), f])


def _whole(number: Any, name: str, least: int) -> int:
    if isinstance(number, (bool, np.bool_)) or not isinstance(number, Integral):
        raise TypeError(f"{name} must be an integer >= {least}, got {number!r} ({type(number).__name__}).")
    if number < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {number!r}.")
    return int(number)
