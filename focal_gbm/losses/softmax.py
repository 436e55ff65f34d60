"""Losses of many classes: value, gradient, diagonal Hessian, best constant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focal_gbm._arrays import row_blocks, smallest_integers
from focal_gbm._validation import FloatArray, Gamma, check_choice, check_class_weights, check_sample_weight
from focal_gbm.losses.base import DEFAULT_GAMMA, LINKS, Targets
from focal_gbm.losses.classes import LossOfClasses, check_margin_losses
from focal_gbm.losses.inversion import margins_of
from focal_gbm.losses.links import MulticlassFocalLink
from focal_gbm.losses.logit import write_derivatives
from focal_gbm.losses.margin import Margin, MarginLoss, by_class, derivatives_by_class, odds_of


@dataclass(frozen=True)
class MulticlassFocalLoss(LossOfClasses, kind="multiclass"):
    r"""Focal loss, or another loss of the margin, of softmax(z), with labels in {0, ..., K-1}.

    It is a loss of one number, the margin ``m = z_t - log Σ_{j≠t} exp(z_j)`` of the true class t. With
    the loss φ of the margin, ``g = -dφ/dm`` and ``h = d²φ/dm²``, ``p = σ(m)`` the probability of the true
    class, ``q = σ(-m)``, and ``s`` the softmax over the other classes (``s_j = p_j / q``),

        loss       = α_t φ(m)
        gradient_t = -α_t g                gradient_j = α_t g s_j
        hessian_tt =  α_t h                hessian_jj = α_t s_j [ h s_j + g (1 - s_j) ]

    for j ≠ t, with respect to ``z``. Domain: z real. `focal_gbm.losses.Focal` has the formulas of φ.
    Neither ``q`` nor ``1 - s_j`` is formed as one minus the other where that cancels, ``p_j / q`` is
    never a quotient of two small numbers, and nothing has to be clipped. Only the diagonal of the
    Hessian is given: it is all that the libraries take.

    Parameters
    ----------
    n_classes : int
        Number K of classes, >= 2.
    gamma : float or sequence of n_classes floats, default=2.0
        Focusing parameter, >= 0, or that of the rows of each class. With 0 the loss is the cross-entropy.
    alpha : None or sequence of n_classes floats, default=None
        Positive weights of the classes; ``None`` means that all are 1.
    margin_loss : None or MarginLoss, default=None
        The loss of the margin; None is the focal loss of `gamma`. Any other has parameters of its own.
    focal_link : {"focal", "logit"}, default="focal"
        Whether raw predictions are the scores z, or the logarithms f of the probabilities that `score_link`
        makes of them, but for a constant a row. Of those softmax is the probabilities, and derivatives are
        with respect to them (see `focal_gbm.losses.logit`).

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017,
    arXiv:1708.02002, equations 4 and 5, with the softmax in the place of the sigmoid.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm import MulticlassFocalLoss
    >>> loss = MulticlassFocalLoss(n_classes=3, gamma=2.0)
    >>> y, z = np.array([0, 2]), np.array([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    >>> loss.loss(y, z).round(4)
    array([0.0109, 1.7879])
    >>> gradient, hessian = loss.gradient_hessian(y, z)
    >>> gradient.round(4)
    array([[-0.0268,  0.0134,  0.0134],
           [ 0.9637,  0.1304, -1.0941]])
    >>> loss.link.inverse(z[0]).round(4)  # the probabilities that these scores mean
    array([0.973 , 0.0135, 0.0135])
    """

    activation: ClassVar[str] = "softmax"

    n_classes: int
    gamma: Gamma = DEFAULT_GAMMA
    alpha: tuple[float, ...] | None = None
    margin_loss: MarginLoss | None = None
    focal_link: str = "focal"

    def __post_init__(self) -> None:
        n_classes: Any = self.n_classes
        if isinstance(n_classes, (bool, np.bool_)) or not isinstance(n_classes, Integral):
            raise TypeError(
                f"n_classes must be an integer >= 2, got {n_classes!r} ({type(n_classes).__name__})."
            )
        if n_classes < 2:
            raise ValueError(f"n_classes must be an integer >= 2, got {n_classes!r}.")
        object.__setattr__(self, "n_classes", int(n_classes))
        check_choice(self.focal_link, LINKS, "focal_link")
        gamma = check_margin_losses(self.gamma, self.margin_loss, self.n_classes)
        object.__setattr__(self, "gamma", gamma)
        if self.alpha is not None:
            object.__setattr__(self, "alpha", check_class_weights(self.alpha, self.n_classes, "alpha"))

    @property
    def class_weights(self) -> tuple[float, ...]:
        """(α_0, ..., α_{K-1})."""
        return (1.0,) * self.n_classes if self.alpha is None else self.alpha

    @cached_property
    def score_link(self) -> MulticlassFocalLink:
        """The closed form between focal scores and probabilities."""
        return MulticlassFocalLink(self.gamma, self.class_weights, self.margin_loss)

    def fit_intercept_only(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> FloatArray:
        """Return the constant scores that minimise the weighted mean loss; see `Loss.fit_intercept_only`."""
        label = self.check_labels(y_true)
        weight = check_sample_weight(sample_weight, len(label))
        if weight is not None:
            weight = weight.astype(np.float64)
        count = np.bincount(label, weights=weight, minlength=self.n_classes)
        if not count.all():
            raise ValueError(
                f"y_true must hold all {self.n_classes} classes with a positive weight, "
                f"class {int(count.argmin())} has none."
            )
        start: FloatArray = self.link.link(count / count.sum())
        return start

    def start(self, class_counts: FloatArray) -> FloatArray:
        """Return the constant scores for given weights of the classes."""
        return self.fit_intercept_only(np.arange(self.n_classes), class_counts)

    def check_labels(self, y_true: ArrayLike) -> NDArray[np.intp]:
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
            raise ValueError(
                f"y_true must hold whole numbers from 0 to {n_classes - 1}, got {y[row]!s} at row {row}."
            )
        return y.astype(np.intp)

    def raw_shape(self, n_samples: int) -> tuple[int, ...]:
        """Return the shape of raw predictions."""
        return n_samples, self.n_classes

    def smallest_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return labels in the smallest type that holds them."""
        return smallest_integers(labels, self.n_classes)

    def loss_prepared(self, targets: Targets, z: FloatArray) -> FloatArray:
        """Return the loss of every row for prepared labels."""
        out = np.empty(len(z), dtype=z.dtype)
        largest = np.finfo(z.dtype).max
        for rows in row_blocks(*z.shape):
            part = targets.rows(rows)
            others = _OtherClasses.of(self.focal_scores(z[rows]), part.label)
            # capped, as a weight of 0 times infinity is NaN
            minus_m = np.clip(others.gap, -largest, largest) + np.log(others.total)
            value = by_class(self.margin_losses, "value", Margin(others.odds, minus_m), part.label)
            factor = self.row_factor(part, z.dtype)
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
        """Write gradient and diagonal Hessian; see `Loss.gradient_hessian_prepared`."""
        if self.focal_link == "logit":
            write_derivatives(self, targets, z, hessian, gradient, second, scale, hessian_factor)
            return
        for rows in row_blocks(*z.shape):
            part = targets.rows(rows)
            others = _OtherClasses.of(z[rows], part.label)
            u, total = others.u, others.total
            m = Margin(others.odds)
            g, h, floor = derivatives_by_class(self.margin_losses, hessian, m, part.label)
            slope = g * m.q if hessian == "majorizing" else g - h
            h, slope = hessian_factor * h, hessian_factor * slope

            # The other classes: hessian_jj = s_j [h + slope (1 - s_j)], where s_j = u_j / total and
            # 1 - s_j = (rest + 1 - u_j) / total. `rest` is total - 1, the sum of all but the largest u,
            # which is 1: summed without it, as small numbers would be lost beside it. Its ties count.
            largest = np.floor(u)
            rest = largest.sum(axis=0) - 1 + (u - largest).sum(axis=0)
            factor = self.row_factor(part, z.dtype, scale)
            s = u / total
            h_others = np.maximum(h + slope / total * (rest + (1 - u)), floor) * s
            h = np.maximum(h, floor)
            if factor is not None:
                g, h, h_others = g * factor, h * factor, h_others * factor
            s *= g
            s[others.true_class] = -g
            h_others[others.true_class] = h
            gradient[rows] = s.T
            second[rows] = h_others.T

    def raw_prediction_of(self, probability: FloatArray) -> FloatArray:
        """Return scores of which softmax is `probability`."""
        return np.asarray(np.log(probability))

    def decide(self, raw_prediction: FloatArray) -> NDArray[np.intp]:
        """Return the index of the class with the largest focal score, for each row."""
        if self.focal_link == "logit" and len(self.margin_losses) > 1:
            return np.asarray(self.focal_scores(raw_prediction).argmax(axis=1))
        # one increasing function of all log-odds plus log α keeps their order
        shift = 0.0 if self.focal_link == "focal" else np.log(self.class_weights)
        return np.asarray((raw_prediction + shift).argmax(axis=1))

    def margins(self, raw_prediction: FloatArray) -> FloatArray:
        """Return the margin of every class, of shape (n_classes, n_samples)."""
        return margins_of(self.focal_scores(raw_prediction).T)

    def hessian_factor(self, of_softmax: Any) -> float:
        """Return a library's own factor of its softmax."""
        return float(of_softmax(self.n_classes))


class _OtherClasses(NamedTuple):
    """Softmax over the classes other than the true one, and the odds against the true one, of some rows."""

    u: FloatArray  #: (n_classes, n_rows), exp(z_j - max), the maximum over j ≠ t; 0 for the true class t
    true_class: tuple[NDArray[Any], NDArray[np.intp]]  #: where in u the true classes are
    total: FloatArray  #: (n_rows,), the sum of u over j, in [1, n_classes - 1]
    gap: FloatArray  #: (n_rows,), max - z_t, infinite if that overflows
    odds: FloatArray  #: (n_rows,), (1-p_t) / p_t = exp(gap) total, within the limits of a `Margin`

    @classmethod
    def of(cls, z: FloatArray, label: NDArray[Any]) -> _OtherClasses:
        u = z.T.copy()  # class by class: reductions over a short last axis are slow
        true_class = label, np.arange(len(label))
        own = u[true_class]
        u[true_class] = -np.inf
        top = u.max(axis=0, initial=-np.inf)
        with np.errstate(over="ignore", invalid="ignore"):  # two scores at opposite ends of the range
            gap = top - own
            u -= top
        np.exp(u, out=u)
        total = u.sum(axis=0)
        odds = odds_of(gap, room=math.log(len(u))) * total
        return cls(u, true_class, total, gap, odds)
