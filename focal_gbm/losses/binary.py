"""Binary focal loss: value, gradient, Hessian, best constant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from focal_gbm._arrays import BLOCK_SIZE, EXP_LIMIT, row_blocks
from focal_gbm._validation import (
    FloatArray,
    Gamma,
    check_binary_labels,
    check_choice,
    check_class_weights,
    check_gammas,
    check_raw_prediction,
    check_sample_weight,
)
from focal_gbm.links import BinaryFocalLink
from focal_gbm.losses._margin import FocalMargin, power_of_q

#: What `gradient_hessian` can return as the second derivative.
HESSIANS = ("floored", "exact", "majorizing")


class BinaryTargets(NamedTuple):
    """Labels and weights as the kernel wants them, prepared once per fit."""

    negative_sign: NDArray[np.int8]  #: -1 for class 1, +1 for class 0
    weight: FloatArray | None  #: α_y times the sample weight; None means 1 everywhere

    def rows(self, part: slice) -> BinaryTargets:
        """Return a view of some rows."""
        return BinaryTargets(self.negative_sign[part], None if self.weight is None else self.weight[part])


@dataclass(frozen=True)
class BinaryFocalLoss:
    r"""Binary focal loss on raw predictions, with labels in {0, 1}.

    With the margin ``m = (2y-1) z``, ``p = σ(m)``, ``q = σ(-m)`` and ``ℓ = softplus(-m) = -log p``,

        loss     =  α_y q^γ ℓ
        gradient = -(2y-1) α_y q^γ (q + γ p ℓ)
        hessian  =  α_y q^γ [ (1+2γ) p q + γ (γ p - q) p ℓ ]

    with respect to ``z``, where γ may be that of the true class, γ_y. Domain: z real, y in {0, 1}.
    ``q`` is never formed as ``1 - p``: nothing cancels in the gradient and nothing has to be clipped.

    Parameters
    ----------
    gamma : float or sequence of 2 floats, default=2.0
        Focusing parameter, >= 0. With 0 the loss is the log loss. Two numbers are (γ_0, γ_1), those of
        the rows of class 0 and of class 1.
    alpha : None, float or sequence of 2 floats, default=None
        - ``None``: no class weight, α_0 = α_1 = 1.
        - a float in (0, 1): the α of the paper, α_1 = alpha and α_0 = 1 - alpha.
        - two positive numbers: (α_0, α_1).

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

    gamma: Gamma = 2.0
    alpha: float | tuple[float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", check_gammas(self.gamma, 2))
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
    def link(self) -> BinaryFocalLink:
        """The closed form between score and probability."""
        return BinaryFocalLink(self.gamma, self.class_weights)

    def loss(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> FloatArray:
        """Return the loss of every row, times its weight.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Labels 0 and 1.
        raw_prediction : array-like of float32 or float64 of shape (n_samples,)
            Scores z, in logits of σ(z).
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
        """Return d loss / dz; parameters and errors as in `loss`.

        Returns
        -------
        ndarray of shape (n_samples,), of the dtype of `raw_prediction`
        """
        return self.gradient_hessian(y_true, raw_prediction, sample_weight)[0]

    def gradient_hessian(
        self,
        y_true: ArrayLike,
        raw_prediction: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        hessian: str = "exact",
        out: tuple[FloatArray, FloatArray] | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        r"""Return the first and second derivative with respect to `raw_prediction`.

        Parameters
        ----------
        y_true, raw_prediction, sample_weight
            As in `loss`.
        hessian : {"exact", "floored", "majorizing"}, default="exact"
            - "exact": the second derivative, negative where p is small and γ > 0.
            - "floored": max(exact, 0.05 min(γ, 1) \|gradient\|), γ that of the row; exact for γ=0.
            - "majorizing": the exact one without its one negative term, an upper bound.
        out : pair of float arrays of shape (n_samples,), default=None
            Where to write; they are returned.

        Returns
        -------
        gradient, hessian : ndarrays of shape (n_samples,), of the dtype of `raw_prediction`
        """
        check_choice(hessian, HESSIANS, "hessian")
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
        self.gradient_hessian_prepared(targets, z, hessian, *out)
        return out

    def fit_intercept_only(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the constant score that minimises the weighted mean loss.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Labels 0 and 1; both must carry weight.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
            `link.link` of the weighted base rate.
        """
        positive = check_binary_labels(y_true)
        weight = check_sample_weight(sample_weight, len(positive))
        base_rate = float(np.average(positive, weights=weight)) if positive.size else math.nan
        if not 0.0 < base_rate < 1.0:
            raise ValueError(
                "y_true must hold both classes with a positive weight, "
                f"got a weighted share of class 1 of {base_rate}."
            )
        return float(self.link.link(base_rate))

    # Prepared form: what an objective calls every round, after checking once.

    def check_labels(self, y_true: ArrayLike) -> NDArray[np.bool_]:
        """Return labels as booleans of shape (n_samples,)."""
        return check_binary_labels(y_true)

    def raw_shape(self, n_samples: int) -> tuple[int, ...]:
        """Return the shape of raw predictions."""
        return (n_samples,)

    def prepare(
        self,
        positive: NDArray[np.bool_],
        sample_weight: FloatArray | None,
        dtype: DTypeLike = np.float32,
    ) -> BinaryTargets:
        """Return labels and weights in the form the kernel takes, weights in `dtype`."""
        negative_sign = np.where(positive, np.int8(-1), np.int8(1))
        weight: FloatArray | None = None
        if self.alpha is not None:
            weight = np.asarray(self.class_weights, dtype=np.float64)[positive.astype(np.intp)]
        if sample_weight is not None:
            weight = sample_weight if weight is None else weight * sample_weight
        return BinaryTargets(negative_sign, None if weight is None else weight.astype(dtype))

    def loss_prepared(self, targets: BinaryTargets, z: FloatArray) -> FloatArray:
        """Return the loss of every row for prepared labels."""
        out = np.empty_like(z)
        limit, largest = EXP_LIMIT[z.dtype], np.finfo(z.dtype).max
        x, odds, work = np.empty((3, min(len(z), BLOCK_SIZE)), dtype=z.dtype)
        for rows in row_blocks(len(z)):
            block = out[rows]
            if len(block) < len(x):  # the last block
                x, odds, work = x[: len(block)], odds[: len(block)], work[: len(block)]
            sign = targets.negative_sign[rows]
            np.multiply(z[rows], sign, out=x)  # -m
            if targets.weight is not None:  # finite, as a weight of 0 times infinity is NaN
                np.clip(x, -largest, largest, out=x)
            np.clip(x, -limit, limit, out=odds)
            np.exp(odds, out=odds)
            if self.gamma:
                np.add(odds, 1, out=work)
                np.divide(odds, work, out=work)
                power_of_q(self.gamma, sign < 0, odds, work, out=block)
            # ℓ: log1p(odds) until the odds are clipped, and -m from there on, each where it is the larger
            np.log1p(odds, out=odds)
            np.maximum(x, odds, out=odds)
            if self.gamma:
                block *= odds
            else:
                np.copyto(block, odds)
            if targets.weight is not None:
                block *= targets.weight[rows]
        return out

    def gradient_hessian_prepared(
        self,
        targets: BinaryTargets,
        z: FloatArray,
        hessian: str,
        gradient: Any,
        second: Any,
        *,
        loss_scale: float = 1.0,
    ) -> None:
        """Write gradient and Hessian of `loss_scale` times the loss; nothing is checked.

        `gradient` and `second` are float arrays of the shape of `z`, possibly of lower precision;
        `gradient` may be `z` itself.
        """
        limit = EXP_LIMIT[z.dtype]
        margin = FocalMargin(self.gamma, min(len(z), BLOCK_SIZE), z.dtype)
        signs = np.empty_like(margin.odds)
        for rows in row_blocks(len(z)):
            n_rows = rows.stop - rows.start
            sign, odds = signs[:n_rows], margin.odds[:n_rows]
            np.copyto(sign, targets.negative_sign[rows])  # a product with int8 takes as long again
            label = targets.negative_sign[rows] < 0
            # -m, then odds = exp(-m). Past the limit q and p have long underflowed against what they
            # are added to; inside it no intermediate overflows and none is 0/0.
            np.multiply(z[rows], sign, out=odds)
            np.clip(odds, -limit, limit, out=odds)
            np.exp(odds, out=odds)
            weight = None if targets.weight is None else targets.weight[rows]
            g = margin.gradient(odds, label, weight, loss_scale)
            h = margin.hessian(g, negative_term=hessian != "majorizing")
            np.multiply(g, sign, out=gradient[rows], casting="same_kind")
            if hessian == "floored" and self.gamma:  # the log loss has nothing to floor
                g *= margin.floor
                np.maximum(h, g, out=second[rows], casting="same_kind")
            else:
                second[rows] = h

    def _checked(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[BinaryTargets, FloatArray]:
        positive = check_binary_labels(y_true)
        z = check_raw_prediction(raw_prediction, positive.shape)
        weight = check_sample_weight(sample_weight, len(positive))
        return self.prepare(positive, weight, z.dtype), z
