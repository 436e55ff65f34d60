"""Softmax focal loss: value, gradient, diagonal Hessian, best constant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from focal_gbm._arrays import BLOCK_SIZE, EXP_LIMIT, in_few_bytes, row_blocks
from focal_gbm._validation import (
    FloatArray,
    Gamma,
    check_choice,
    check_class_weights,
    check_gammas,
    check_raw_prediction,
    check_sample_weight,
)
from focal_gbm.links import MulticlassFocalLink
from focal_gbm.losses._margin import FocalMargin, power_of_q
from focal_gbm.losses.binary import HESSIANS


class MulticlassTargets(NamedTuple):
    """Labels and weights as the kernel wants them, prepared once per fit."""

    label: NDArray[np.unsignedinteger[Any]]  #: index of the true class, in as few bytes as hold it
    weight: FloatArray | None  #: α of the true class times the sample weight; None means 1 everywhere

    def rows(self, part: slice) -> MulticlassTargets:
        """Return a view of some rows."""
        return MulticlassTargets(self.label[part], None if self.weight is None else self.weight[part])


@dataclass(frozen=True)
class MulticlassFocalLoss:
    r"""Focal loss of softmax(z) on raw predictions, with labels in {0, ..., K-1}.

    It is the binary focal loss of one number, the margin ``m = z_t - log Σ_{j≠t} exp(z_j)`` of the
    true class t. With ``p = σ(m)`` its probability, ``q = σ(-m)``, ``ℓ = softplus(-m) = -log p`` and
    ``s`` the softmax over the other classes (``s_j = p_j / q``),

        loss       = α_t q^γ ℓ
        g          = α_t q^γ (q + γ p ℓ)                             (minus its derivative in m)
        h          = α_t q^γ [ (1+2γ) p q + γ (γ p - q) p ℓ ]        (its second derivative in m)
        gradient_t = -g            gradient_j = g s_j
        hessian_tt =  h            hessian_jj = s_j [ h s_j + g (1 - s_j) ]

    for j ≠ t, with respect to ``z``, where γ may be that of the true class, γ_t. Domain: z real.
    Neither ``q`` nor ``1 - s_j`` is formed as one minus the other where that cancels, ``p_j / q`` is
    never a quotient of two small numbers, and nothing has to be clipped. Only the diagonal of the
    Hessian is given: it is all the hosts take.

    Parameters
    ----------
    n_classes : int
        Number K of classes, >= 2.
    gamma : float or sequence of n_classes floats, default=2.0
        Focusing parameter, >= 0, or that of the rows of each class. With 0 the loss is the cross-entropy.
    alpha : None or sequence of n_classes floats, default=None
        Positive weights of the classes; ``None`` means that all are 1.

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

    n_classes: int
    gamma: Gamma = 2.0
    alpha: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        n_classes: Any = self.n_classes
        if isinstance(n_classes, (bool, np.bool_)) or not isinstance(n_classes, Integral):
            raise TypeError(
                f"n_classes must be an integer >= 2, got {n_classes!r} ({type(n_classes).__name__})."
            )
        if n_classes < 2:
            raise ValueError(f"n_classes must be an integer >= 2, got {n_classes!r}.")
        object.__setattr__(self, "n_classes", int(n_classes))
        object.__setattr__(self, "gamma", check_gammas(self.gamma, int(n_classes)))
        if self.alpha is not None:
            object.__setattr__(self, "alpha", check_class_weights(self.alpha, self.n_classes, "alpha"))

    @property
    def class_weights(self) -> tuple[float, ...]:
        """(α_0, ..., α_{K-1})."""
        return (1.0,) * self.n_classes if self.alpha is None else self.alpha

    @cached_property
    def link(self) -> MulticlassFocalLink:
        """The closed form between scores and probabilities."""
        return MulticlassFocalLink(self.gamma, self.class_weights)

    def loss(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> FloatArray:
        """Return the loss of every row, times its weight.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Labels 0 to K-1.
        raw_prediction : array-like of float32 or float64 of shape (n_samples, n_classes)
            Scores z, in logits of softmax(z).
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
        ndarray of shape (n_samples, n_classes), of the dtype of `raw_prediction`
        """
        return self.gradient_hessian(y_true, raw_prediction, sample_weight)[0]

    def gradient_hessian(
        self,
        y_true: ArrayLike,
        raw_prediction: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        hessian: str = "exact",
        hessian_factor: float = 1.0,
        out: tuple[FloatArray, FloatArray] | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        r"""Return the first derivative and a diagonal second derivative in `raw_prediction`.

        Parameters
        ----------
        y_true, raw_prediction, sample_weight
            As in `loss`.
        hessian : {"exact", "floored", "majorizing"}, default="exact"
            - "exact": the diagonal of the Hessian, negative in places where γ > 0.
            - "floored": max(exact, 0.05 min(γ, 1) \|gradient\|), γ that of the row; exact for γ=0.
            - "majorizing": ``s_j [ h₊ + g q (1 - s_j) ]``, with s_t = 1 and h₊ the h without its one
              negative term, as in `BinaryFocalLoss`. Never negative. With ``hessian_factor=2`` this
              diagonal matrix less the full Hessian is positive semidefinite (Gershgorin).
        hessian_factor : float, default=1.0
            Multiplies "exact", before the floor, and "majorizing". At γ=0 all three are
            ``hessian_factor * p (1-p)``: 2 is what XGBoost uses, K/(K-1) what LightGBM uses.
        out : pair of float arrays of shape (n_samples, n_classes), default=None
            Where to write; they are returned.

        Returns
        -------
        gradient, hessian : ndarrays of shape (n_samples, n_classes), of the dtype of `raw_prediction`
        """
        check_choice(hessian, HESSIANS, "hessian")
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

    def fit_intercept_only(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> FloatArray:
        """Return the constant scores that minimise the weighted mean loss.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Labels 0 to K-1; every class must carry weight.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        ndarray of float64 of shape (n_classes,), with mean 0
            `link.link` of the weighted class frequencies. Any constant may be added to it.
        """
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
        return self.link.link(count / count.sum())

    # Prepared form: what an objective calls every round, after checking once.

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

    def prepare(
        self,
        label: NDArray[np.integer[Any]],
        sample_weight: FloatArray | None,
        dtype: DTypeLike = np.float32,
    ) -> MulticlassTargets:
        """Return labels and weights in the form the kernel takes, weights in `dtype`."""
        weight: FloatArray | None = None
        if self.alpha is not None:
            weight = np.asarray(self.alpha, dtype=np.float64)[label]
        if sample_weight is not None:
            weight = sample_weight if weight is None else weight * sample_weight
        codes = in_few_bytes(label, self.n_classes)
        return MulticlassTargets(codes, None if weight is None else weight.astype(dtype))

    def loss_prepared(self, targets: MulticlassTargets, z: FloatArray) -> FloatArray:
        """Return the loss of every row for prepared labels."""
        out = np.empty(len(z), dtype=z.dtype)
        others = _OtherClasses(z)
        largest = np.finfo(z.dtype).max
        for rows in row_blocks(*z.shape):
            _, _, total, x, odds = others.load(z[rows], targets.label[rows])
            # ℓ: log1p(odds) until the odds are clipped, and -m, linear in the scores, from there on;
            # each is the larger where it holds. Capped, as a weight of 0 times infinity is NaN.
            np.clip(x, -largest, largest, out=x)
            x += np.log(total, out=total)
            log_loss = np.maximum(np.log1p(odds), x, out=x)
            block = out[rows]
            power_of_q(self.gamma, targets.label[rows], odds, odds / (1 + odds), out=block)
            block *= log_loss
            if targets.weight is not None:
                block *= targets.weight[rows]
        return out

    def gradient_hessian_prepared(
        self,
        targets: MulticlassTargets,
        z: FloatArray,
        hessian: str,
        gradient: Any,
        second: Any,
        *,
        loss_scale: float = 1.0,
        hessian_factor: float = 1.0,
    ) -> None:
        """Write gradient and diagonal Hessian of `loss_scale` times the loss; nothing is checked.

        `gradient` and `second` are float arrays of the shape of `z`, in any memory order, possibly of
        lower precision; `gradient` may be `z` itself.
        """
        others = _OtherClasses(z)
        margin = FocalMargin(self.gamma, others.n_rows, z.dtype)
        class_work = np.empty_like(others.class_work)
        row_work = np.empty((2, others.n_rows), dtype=z.dtype)
        for rows in row_blocks(*z.shape):
            label = targets.label[rows]
            u, true_class, total, _, odds = others.load(z[rows], label)
            v = class_work[: u.size].reshape(u.shape)
            slope, rest = row_work[:, : len(total)]
            weight = None if targets.weight is None else targets.weight[rows]
            g = margin.gradient(odds, label, weight, loss_scale)
            q = margin.q
            if self.gamma and hessian == "majorizing":
                np.multiply(g, q, out=slope)
                h = margin.hessian(g, negative_term=False)
            else:
                h = margin.hessian(g)
                np.subtract(g, h, out=slope)

            h *= hessian_factor
            slope *= hessian_factor

            # The other classes: hessian_jj = s_j [h + slope (1 - s_j)], where s_j = u_j / total and
            # 1 - s_j = (rest + 1 - u_j) / total. `rest` is total - 1, the sum of all but the largest u,
            # which is 1: summed without it, as small numbers would be lost beside it. Its ties count.
            np.floor(u, out=v)
            np.add.reduce(v, axis=0, out=rest)
            np.subtract(u, v, out=v)
            rest -= 1
            rest += np.add.reduce(v, axis=0, out=q)
            slope /= total
            rest *= slope
            rest += h
            np.subtract(1, u, out=v)
            v *= slope
            v += rest
            if hessian == "floored" and self.gamma:  # the cross-entropy has nothing to floor
                np.multiply(g, margin.floor, out=q)
                np.maximum(v, q, out=v)
                np.maximum(h, q, out=h)
            u *= np.reciprocal(total, out=total)

            # Products first and then the copies: faster than products into the output's short rows.
            v *= u
            v.reshape(-1)[true_class] = h
            _write_transposed(v, second[rows])
            u *= g
            u.reshape(-1)[true_class] = np.negative(g, out=g)
            _write_transposed(u, gradient[rows])

    def _checked(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[MulticlassTargets, FloatArray]:
        label = self.check_labels(y_true)
        z = check_raw_prediction(raw_prediction, (len(label), self.n_classes))
        weight = check_sample_weight(sample_weight, len(label))
        return self.prepare(label, weight, z.dtype), z


#: With fewer classes NumPy loops along them, and such short loops take up to four times as long.
_FEW_CLASSES = 12


def _write_transposed(values: FloatArray, out: FloatArray) -> None:
    """Write values of shape (n_classes, n_rows) into `out` of shape (n_rows, n_classes)."""
    if len(values) < _FEW_CLASSES:
        for k, of_class in enumerate(values):
            out[:, k] = of_class
    else:
        out[...] = values.T


class _OtherClasses:
    """Softmax over the classes other than the true one, and the odds against the true one, by blocks.

    Blocks lie class by class: reductions over a short last axis are slow.
    """

    def __init__(self, z: FloatArray) -> None:
        self.n_rows = min(len(z), max(1, BLOCK_SIZE // z.shape[1]))
        self.class_work = np.empty(z.shape[1] * self.n_rows, dtype=z.dtype)
        self._row_work = np.empty((3, self.n_rows), dtype=z.dtype)
        self._column = np.arange(self.n_rows)
        self._true_class = np.empty_like(self._column)
        self._limit = EXP_LIMIT[z.dtype]

    def load(
        self, z: FloatArray, label: NDArray[np.unsignedinteger[Any]]
    ) -> tuple[FloatArray, NDArray[np.intp], FloatArray, FloatArray, FloatArray]:
        """Return views of buffers that hold the following for the rows `z`.

        u : (n_classes, n_rows), exp(z_j - max), the maximum over j ≠ t; 0 for the true class t
        true_class : (n_rows,), the indices of the true classes in the flat u, contiguous
        total : (n_rows,), the sum of u over j, in [1, n_classes - 1]
        gap : (n_rows,), max - z_t, infinite if that overflows
        odds : (n_rows,), (1-p_t) / p_t = exp(gap) total, clipped so that it and its reciprocal are
            normal numbers
        """
        n_rows, n_classes = z.shape
        u = self.class_work[: z.size].reshape(n_classes, n_rows)
        true_class = np.multiply(label, n_rows, out=self._true_class[:n_rows], dtype=np.intp)
        true_class += self._column[:n_rows]
        total, gap, odds = self._row_work[:, :n_rows]
        np.copyto(u, z.T)
        flat = u.reshape(-1)
        np.negative(flat[true_class], out=gap)
        flat[true_class] = -np.inf
        top = np.maximum.reduce(u, axis=0, out=odds)
        with np.errstate(over="ignore"):  # two scores at opposite ends of the range
            gap += top
            u -= top
        if u.dtype == np.float64:  # whose exp takes ten times as long for a number that it makes 0
            flat[true_class] = 0.0
            np.exp(u, out=u)
            flat[true_class] = 0.0
        else:
            np.exp(u, out=u)
        np.add.reduce(u, axis=0, out=total)
        # What is beyond the limits has long underflowed against what it is added to.
        np.clip(gap, -self._limit, self._limit - math.log(n_classes), out=odds)
        np.exp(odds, out=odds)
        odds *= total
        return u, true_class, total, gap, odds
