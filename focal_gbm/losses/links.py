"""Links: from the score that minimises a loss of the margin to the true probability, and back.

Focal loss is classification-calibrated but not strictly proper: at its minimum σ(z) is not
P(y=1|x) (Charoenphakdee et al. 2021, arXiv:2011.09172). Setting the expected gradient to zero
gives the probability in closed form: for a loss φ of the probability p of the true class and class weights α,

    η_k  is in proportion to  1 / (α_k (-φ'(p_k))),

and log(1 / (-φ')) is what `MarginLoss.link_term` returns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from focal_gbm._arrays import row_blocks
from focal_gbm._validation import FloatArray, Gamma, check_class_weights, check_raw_prediction
from focal_gbm.losses.base import DEFAULT_GAMMA, check_margin_losses, margin_losses
from focal_gbm.losses.margin import Margin, MarginLoss, by_class
from focal_gbm.losses.roots import increasing_root, lower_bound, upper_bound

#: float32 probabilities of a hundred classes sum to 1 within this.
_SUM_TOLERANCE = 1e-5

#: Classes 0 and 1 of two, one a row.
_BOTH = np.array([[0], [1]])


class _LinkOfClasses:
    """What the links of two and of many classes have in common."""

    gamma: Gamma
    margin_loss: MarginLoss | None

    @cached_property
    def _losses(self) -> tuple[MarginLoss, ...]:
        return margin_losses(self.gamma, self.margin_loss)

    @cached_property
    def _is_log_loss(self) -> bool:
        return all(loss.is_log_loss for loss in self._losses)


@dataclass(frozen=True)
class BinaryFocalLink(_LinkOfClasses):
    """The map between the score of two classes and the probability of class 1.

    With the `link_term` t of the loss of the margin, that of class 0 and that of class 1, the logit is

        log(α_0/α_1) + t_1(z) - t_0(-z),

    the zero in η of ``η g_1(z) + (1-η) g_0(z)``, g_y the gradients of the loss. For focal loss, with
    ``r(z) = softplus(z) exp(-z)``, that is

        log(α_0/α_1) + (1+γ) z + log1p(γ r(z)) - log1p(γ r(-z)).

    It is strictly increasing in z, and the identity for the log loss with equal weights.

    Parameters
    ----------
    gamma : float or sequence of 2 floats, default=2.0
        Focusing parameter of the loss, >= 0, or those of both classes, (γ_0, γ_1).
    class_weights : tuple of 2 floats, default=(1.0, 1.0)
        Weights (α_0, α_1) of the loss.
    margin_loss : None or MarginLoss, default=None
        The loss of the margin; None is the focal loss of `gamma`.

    References
    ----------
    Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior
    Probability Estimation, CVPR 2021, arXiv:2011.09172, Theorem 11.

    Examples
    --------
    >>> from focal_gbm.losses.links import BinaryFocalLink
    >>> link = BinaryFocalLink(gamma=2.0)
    >>> float(link.inverse(-1.0).round(4))  # sigmoid(-1) is 0.2689
    0.0641
    >>> float(link.link(0.0641).round(3))
    -1.0
    """

    gamma: Gamma = DEFAULT_GAMMA
    class_weights: tuple[float, float] = (1.0, 1.0)
    margin_loss: MarginLoss | None = None
    _shift: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        weights = check_class_weights(self.class_weights, 2, "class_weights")
        object.__setattr__(self, "gamma", check_margin_losses(self.gamma, self.margin_loss, 2))
        object.__setattr__(self, "class_weights", weights)
        # math.log of each: the quotient could overflow.
        object.__setattr__(self, "_shift", math.log(weights[0]) - math.log(weights[1]))

    def posterior_logit(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return the logit of P(y=1).

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64, any shape
            Scores z, in logits of σ(z).

        Returns
        -------
        ndarray of the same shape and dtype
        """
        z = check_raw_prediction(raw_prediction)
        shape, z = z.shape, z.reshape(-1)
        out = np.empty_like(z)
        for rows in row_blocks(len(z), 2):
            out[rows] = self._logit(z[rows])
        return out.reshape(shape)

    def _logit(self, z: FloatArray) -> FloatArray:
        if self._is_log_loss:
            return np.asarray(z + self._shift)
        # of z and of -z together: for a few rows it is calls that cost
        with np.errstate(over="ignore"):  # a huge score is a logit of infinity, rightly
            pair = Margin.of(np.stack([z, -z]))
            if len(self._losses) == 1:
                return np.asarray(self._losses[0].link_logit(z, pair) + self._shift)
            of_0, of_1 = by_class(self._losses, "link_term", pair, _BOTH)
            return np.asarray(of_1 - of_0 + self._shift)

    def inverse(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return P(y=1), the inverse link of the score.

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64, any shape

        Returns
        -------
        ndarray of the same shape and dtype, in [0, 1]
        """
        return _sigmoid(self.posterior_logit(raw_prediction))

    def probabilities(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return both class probabilities; neither is formed as one minus the other.

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64 of shape (n_samples,)

        Returns
        -------
        ndarray of shape (n_samples, 2)
        """
        z = np.atleast_1d(check_raw_prediction(raw_prediction))
        out = np.empty((len(z), 2), dtype=z.dtype)
        for rows in row_blocks(len(z), 2):
            logits = self._logit(z[rows])
            out[rows, 1] = _sigmoid(logits)
            out[rows, 0] = _sigmoid(-logits)
        return out

    @cached_property
    def of_score(self) -> BinaryFocalLink:
        """The link of γ=0 without weights: σ(z), what the booster alone predicts."""
        return BinaryFocalLink(gamma=0.0)

    def log_loss(self, labels: NDArray[np.bool_], raw_prediction: FloatArray) -> FloatArray:
        """Return -log P(y = label) for every row; no probability is formed, so none is clipped.

        Parameters
        ----------
        labels : ndarray of bool
        raw_prediction : ndarray of float32 or float64 of the same shape

        Returns
        -------
        ndarray of the same shape, in nats
        """
        logit = self.posterior_logit(raw_prediction)
        np.negative(logit, out=logit, where=labels)
        return np.asarray(np.logaddexp(logit.dtype.type(0), logit, out=logit))

    def link(self, probability: ArrayLike) -> FloatArray:
        """Return the score at which the expected focal loss is least when P(y=1) is given.

        Parameters
        ----------
        probability : array-like of float, any shape
            Numbers in [0, 1]; 0 and 1 give -inf and inf.

        Returns
        -------
        ndarray of float64 of the same shape

        Raises
        ------
        ValueError
            If a probability lies outside [0, 1] or is NaN.
        """
        eta = np.asarray(probability, dtype=np.float64)
        if not ((eta >= 0) & (eta <= 1)).all():
            raise ValueError(f"probability must lie in [0, 1], got {probability!r}.")
        limit = np.asarray(logit(eta))
        finite = np.isfinite(limit)
        residual = partial(self._residual, np.where(finite, limit, 0.0))
        zero = np.zeros(eta.shape)
        z = increasing_root(residual, lower_bound(residual, zero), upper_bound(residual, zero), zero)
        return np.where(finite, z, limit)

    def _residual(self, target: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        m = Margin.of(np.stack([z, -z]))
        both = _BOTH.reshape(2, *[1] * z.ndim)
        return self.posterior_logit(z) - target, by_class(self._losses, "link_slope", m, both).sum(axis=0)


def _sigmoid(logits: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-x)): as scipy's expit, and three times as fast."""
    with np.errstate(over="ignore"):  # infinite odds are a probability of 0, rightly
        odds = np.exp(-logits)
    odds += 1.0
    return np.asarray(np.reciprocal(odds))


@dataclass(frozen=True)
class MulticlassFocalLink(_LinkOfClasses):
    """The map between the scores of many classes and their probabilities.

    With the margins ``m_k = z_k - log Σ_{j≠k} exp(z_j)`` and the `link_term` t_k of the loss of class k, the
    logarithm of the probability of class k is

        t_k(m_k) - log α_k + constant,

    the zero in η of ``Σ_t η_t gradient(t)``, gradient(t) that of the loss where class t is true. For focal
    loss ``t = log p + γ softplus(m) - log1p(γ r(-m))``, ``p = σ(m)`` and ``r(x) = softplus(x) exp(-x)``. As
    t increases, the probabilities determine the scores up to one constant; with equal weights and one γ they
    keep the order of the classes, and for the log loss they are softmax(z).

    Parameters
    ----------
    gamma : float or sequence of n_classes floats
        Focusing parameter of the loss, >= 0, or that of each class.
    class_weights : sequence of n_classes floats
        Weights (α_0, ..., α_{K-1}) of the loss, at least 2.
    margin_loss : None or MarginLoss, default=None
        The loss of the margin; None is the focal loss of `gamma`.

    References
    ----------
    Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior
    Probability Estimation, CVPR 2021, arXiv:2011.09172, Theorem 11.

    Examples
    --------
    >>> from focal_gbm.losses.links import MulticlassFocalLink
    >>> link = MulticlassFocalLink(gamma=2.0, class_weights=(1.0, 1.0, 1.0))
    >>> link.inverse([1.0, 0.0, -1.0]).round(4)  # softmax gives 0.6652, 0.2447, 0.09
    array([0.8838, 0.0875, 0.0287])
    >>> link.link([0.8838, 0.0875, 0.0287]).round(3)
    array([ 1.,  0., -1.])
    """

    gamma: Gamma
    class_weights: tuple[float, ...]
    margin_loss: MarginLoss | None = None

    def __post_init__(self) -> None:
        n_classes = np.size(self.class_weights)
        if n_classes < 2:
            raise ValueError(f"class_weights must hold at least 2 numbers, got {self.class_weights!r}.")
        weights = check_class_weights(self.class_weights, n_classes, "class_weights")
        object.__setattr__(self, "gamma", check_margin_losses(self.gamma, self.margin_loss, n_classes))
        object.__setattr__(self, "class_weights", weights)

    def log_posterior(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return log P(y=k) for every class k.

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64 of shape (n_samples, n_classes) or (n_classes,)
            Focal scores z, in logits of softmax(z).

        Returns
        -------
        ndarray of the same shape and dtype, <= 0
        """
        z = check_raw_prediction(raw_prediction)
        self._check_shape(z, "raw_prediction")
        out = np.empty(z.shape, dtype=z.dtype)
        z_rows, out_rows = np.atleast_2d(z, out)
        log_weights = self._log_weights.astype(z.dtype)[:, np.newaxis]
        classes = np.arange(len(self.class_weights))[:, np.newaxis]
        with np.errstate(over="ignore"):  # of scores so far apart that the odds are rightly infinite
            for rows in row_blocks(*z_rows.shape):
                m = Margin.of(-_margins(z_rows[rows].T))
                log_odds = by_class(self._losses, "link_term", m, classes) - log_weights
                columns = np.arange(log_odds.shape[1])
                largest = log_odds.argmax(axis=0), columns
                shift = log_odds[largest]
                # the largest stays out of the sum, which is small beside it where it is nearly certain
                log_odds[largest] = -np.inf
                log_odds -= shift
                total = np.exp(log_odds).sum(axis=0)
                log_odds[largest] = 0.0
                out_rows[rows] = (log_odds - np.log1p(total)).T
        return out

    def inverse(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return P(y=k) for every class k, the inverse link of the scores.

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64 of shape (n_samples, n_classes) or (n_classes,)

        Returns
        -------
        ndarray of the same shape and dtype, in [0, 1]; rows sum to 1
        """
        log_posterior = self.log_posterior(raw_prediction)
        return np.exp(log_posterior, out=log_posterior)

    probabilities = inverse

    @cached_property
    def of_score(self) -> MulticlassFocalLink:
        """The link of γ=0 without weights: softmax(z), what the booster alone predicts."""
        return MulticlassFocalLink(0.0, (1.0,) * len(self.class_weights))

    def log_loss(self, labels: NDArray[np.intp], raw_prediction: FloatArray) -> FloatArray:
        """Return -log P(y = label) for every row, in nats.

        Parameters
        ----------
        labels : ndarray of int of shape (n_samples,)
        raw_prediction : ndarray of float32 or float64 of shape (n_samples, n_classes)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        log_posterior = self.log_posterior(raw_prediction)
        return np.asarray(-np.take_along_axis(log_posterior, labels[:, np.newaxis], axis=1)[:, 0])

    def link(self, probabilities: ArrayLike) -> FloatArray:
        """Return the scores at which the expected focal loss is least when the probabilities are given.

        The scores are right to rounding, which the way back through `inverse` multiplies by up to 1+γ.

        Parameters
        ----------
        probabilities : array-like of float of shape (n_samples, n_classes) or (n_classes,)
            Positive numbers; rows sum to 1.

        Returns
        -------
        ndarray of float64 of the same shape; rows have mean 0

        Raises
        ------
        ValueError
            If the shape is another, a probability is not positive, or a row does not sum to 1.
        """
        eta = np.asarray(probabilities, dtype=np.float64)
        self._check_shape(eta, "probabilities")
        if not (eta > 0).all():
            raise ValueError(f"probabilities must be > 0, got {eta[~(eta > 0)][0]!s}.")
        total = eta.sum(axis=-1)
        wrong = np.abs(total - 1.0) > _SUM_TOLERANCE
        if wrong.any():
            raise ValueError(
                f"probabilities must sum to 1 within {_SUM_TOLERANCE:g}, got {total[wrong].flat[0]!s}."
            )
        scores = np.log(eta) + self._log_weights
        if not self._is_log_loss:
            scores = _log_softmax_of_terms(np.atleast_2d(scores), self._losses).reshape(eta.shape)
        return np.asarray(scores - scores.mean(axis=-1, keepdims=True))

    @property
    def _log_weights(self) -> FloatArray:
        return np.log(self.class_weights)

    def _check_shape(self, array: FloatArray, name: str) -> None:
        n_classes = len(self.class_weights)
        if array.ndim not in (1, 2) or array.shape[-1] != n_classes:
            raise ValueError(
                f"{name} must have shape (n_samples, {n_classes}) or ({n_classes},), got {array.shape}."
            )


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


def _margins(z: FloatArray) -> FloatArray:
    """Return z_k - log Σ_{j≠k} exp(z_j) for scores of shape (n_classes, n_rows)."""
    largest = z.argmax(axis=0), np.arange(z.shape[1])
    others = z.copy()
    others[largest] = -np.inf
    runner_up = others.max(axis=0)
    gap = z - z[largest]
    u = np.exp(gap)
    rest = u.sum(axis=0) - u  # no cancellation, except for the largest, which is replaced
    rest[largest] = np.exp(others - runner_up).sum(axis=0)
    gap[largest] = z[largest] - runner_up
    # finite, so that 0 log q is 0 for γ=0
    np.clip(gap, -np.finfo(z.dtype).max, np.finfo(z.dtype).max, out=gap)
    return np.asarray(gap - np.log(rest))


def _term(losses: tuple[MarginLoss, ...], label: NDArray[np.intp], m: FloatArray) -> FloatArray:
    return by_class(losses, "link_term", Margin.of(-m), label)


def _slope(losses: tuple[MarginLoss, ...], label: NDArray[np.intp], m: FloatArray) -> FloatArray:
    return by_class(losses, "link_slope", Margin.of(-m), label)


def _log_softmax_of_terms(y: FloatArray, losses: tuple[MarginLoss, ...]) -> FloatArray:
    """Return log p of shape (n, K) such that the `link_term` is y + c, with the c for which Σ p = 1.

    As c grows, one class is the first to reach p = 1/2. It alone can have more in the end, and its
    margin is what is searched for: 1 - p keeps its digits, and all other margins are at most 0.
    """
    (n_rows, n_classes), rows = y.shape, np.arange(len(y))
    classes = np.arange(n_classes)
    first = (_term(losses, classes, np.zeros(n_classes)) - y).argmin(axis=1)
    is_other = np.ones(y.shape, dtype=bool)
    is_other[rows, first] = False
    y = y - y[rows, first][:, np.newaxis]
    others = y[is_other].reshape(n_rows, n_classes - 1)
    label = np.broadcast_to(classes, y.shape)[is_other].reshape(others.shape)
    residual = partial(_log_excess, losses, others, label, first)

    at_zero, _ = residual(np.zeros(n_rows))
    low = np.where(at_zero < 0, 0.0, lower_bound(residual, np.zeros(n_rows)))
    # At a larger m the others have more than at 0, and softplus(m) > m
    high = np.where(at_zero < 0, math.log(2.0) - at_zero, 0.0)
    start = -np.logaddexp.reduce(others, axis=1) / _slope(losses, first, np.zeros(n_rows))
    m = increasing_root(residual, low, high, start)

    margins = np.empty_like(y)
    margins[rows, first] = m
    margins[is_other] = _margin_at(losses, label, others + _term(losses, first, m)[:, np.newaxis]).ravel()
    return -np.logaddexp(0.0, -margins)


def _log_excess(
    losses: tuple[MarginLoss, ...],
    others: FloatArray,
    label: NDArray[np.intp],
    first: NDArray[np.intp],
    m: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return log Σ p of the others less log(1 - p) of the class `first` of margin m, and its slope in m.

    `others` are the terms of the others, of the classes `label`, less the one of that class.
    """
    margins = _margin_at(losses, label, others + _term(losses, first, m)[:, np.newaxis])
    log_p = -np.logaddexp(0.0, -margins)
    log_sum = np.logaddexp.reduce(log_p, axis=1)
    share = np.where(margins < 0, np.exp(log_p - log_sum[:, np.newaxis]), 0.0)
    rise = (share * expit(-margins) / _slope(losses, label, margins)).sum(axis=1)
    return log_sum + np.logaddexp(0.0, m), expit(m) + rise * _slope(losses, first, m)


def _margin_at(losses: tuple[MarginLoss, ...], label: NDArray[np.intp], value: FloatArray) -> FloatArray:
    """Return the margin m <= 0 at which the `link_term` is `value`, or 0 where there is none."""
    zero = np.zeros_like(value)
    at_zero = _term(losses, label, zero)
    target = np.minimum(value, at_zero)

    def residual(m: FloatArray) -> tuple[FloatArray, FloatArray]:
        return _term(losses, label, m) - target, _slope(losses, label, m)

    # far to the left the term is m, and a constant
    m = increasing_root(residual, lower_bound(residual, zero), zero, np.minimum(target, 0.0))
    return np.where(value < at_zero, m, 0.0)
