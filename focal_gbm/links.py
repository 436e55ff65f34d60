"""Focal links: from the score that minimises a focal loss to the true probability, and back.

Focal loss is classification-calibrated but not strictly proper: at its minimum σ(z) is not
P(y=1|x) (Charoenphakdee et al. 2021, arXiv:2011.09172). Setting the expected gradient to zero
gives the probability in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from focal_gbm._arrays import BLOCK_SIZE, EXP_LIMIT, row_blocks
from focal_gbm._validation import (
    FloatArray,
    Gamma,
    check_class_weights,
    check_gammas,
    check_raw_prediction,
)

#: Steps at most of the bracketed Newton searches behind `link`, and the relative step that ends one: the
#: error left is its square. With probabilities from 1e-300 and 2 to 100 classes a search took up to 11 steps
#: for gamma in [0, 50], equal or not, and 46 for gamma in [0, 1e15].
_ROOT_STEPS = 100
_ROOT_TOLERANCE = 1e-13

#: float32 probabilities of a hundred classes sum to 1 within this.
_SUM_TOLERANCE = 1e-5


def _r(x: FloatArray, out: tuple[FloatArray, FloatArray] | None = None) -> FloatArray:
    """softplus(x) exp(-x) = log1p(exp(x)) / exp(x), in (0, 1], decreasing.

    `out` is room for exp(x), which may be x itself, and for the result.
    """
    limit = EXP_LIMIT[x.dtype]
    t, r = (np.empty_like(x), np.empty_like(x)) if out is None else out
    np.maximum(x, -limit, out=t)  # np.clip takes longer for a row than all of this
    np.minimum(t, limit, out=t)
    np.exp(t, out=t)
    np.log1p(t, out=r)
    r /= t
    return r


def _work(z: FloatArray) -> FloatArray:
    """Return room for two numbers of z and of -z, for the rows of a block."""
    return np.empty((2, 2, min(len(z), BLOCK_SIZE // 2)), dtype=z.dtype)


def _probability(logit_against: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(x)) in the place of x: as scipy's expit of -x, and three times as fast.

    Infinite odds are a probability of 0, rightly: the caller ignores that exp overflows.
    """
    np.exp(logit_against, out=logit_against)
    logit_against += 1.0
    return np.reciprocal(logit_against, out=logit_against)


def _r_slope(x: FloatArray) -> FloatArray:
    """dr/dx = σ(x) exp(-x) - r(x) = σ(-x) - r(x)."""
    return np.asarray(expit(-x) - _r(x))


@dataclass(frozen=True)
class BinaryFocalLink:
    """The map between the binary focal score and the probability of class 1.

    With ``r(z) = softplus(z) exp(-z)`` the logit of the probability is

        log(α_0/α_1) + (1+γ) z + log1p(γ r(z)) - log1p(γ r(-z)),

    the zero in η of ``η g_1(z) + (1-η) g_0(z)``, g_y the gradients of the loss, or with a γ by class

        log(α_0/α_1) + z + γ_1 softplus(z) - γ_0 softplus(-z) + log1p(γ_0 r(z)) - log1p(γ_1 r(-z)).

    It is strictly increasing in z for all γ, and the identity for γ=0 with equal weights: its slope is
    ``t(z, γ_1) + t(-z, γ_0)``, t the positive slope that `MulticlassFocalLink` states.

    Parameters
    ----------
    gamma : float or sequence of 2 floats, default=2.0
        Focusing parameter of the loss, >= 0, or those of both classes, (γ_0, γ_1).
    class_weights : tuple of 2 floats, default=(1.0, 1.0)
        Weights (α_0, α_1) of the loss.

    References
    ----------
    Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior
    Probability Estimation, CVPR 2021, arXiv:2011.09172, Theorem 11.

    Examples
    --------
    >>> from focal_gbm.links import BinaryFocalLink
    >>> link = BinaryFocalLink(gamma=2.0)
    >>> float(link.inverse(-1.0).round(4))  # sigmoid(-1) is 0.2689
    0.0641
    >>> float(link.link(0.0641).round(3))
    -1.0
    """

    gamma: Gamma = 2.0
    class_weights: tuple[float, float] = (1.0, 1.0)
    _shift: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        gamma = check_gammas(self.gamma, 2)
        weights = check_class_weights(self.class_weights, 2, "class_weights")
        object.__setattr__(self, "gamma", gamma)
        object.__setattr__(self, "class_weights", weights)
        # math.log of each: the quotient could overflow.
        object.__setattr__(self, "_shift", math.log(weights[0]) - math.log(weights[1]))

    def posterior_logit(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return the logit of P(y=1).

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64, any shape
            Focal scores z, in logits of σ(z).

        Returns
        -------
        ndarray of the same shape and dtype
        """
        z = check_raw_prediction(raw_prediction)
        shape, z = z.shape, np.ascontiguousarray(z).reshape(-1)
        out = np.empty_like(z)
        work = _work(z)
        with np.errstate(over="ignore"):  # a huge score is a logit of infinity, rightly
            for rows in row_blocks(len(z), 2):
                self._write_logit(z[rows], out[rows], work)
        return out.reshape(shape)

    def _write_logit(self, z: FloatArray, out: FloatArray, work: FloatArray) -> None:
        if self.gamma == 0.0:
            np.add(z, self._shift, out=out)
            return
        gamma_0, gamma_1 = _one_a_class(self.gamma, 2)
        # of z and of -z together: for a few rows it is calls that cost
        both, r = work[:, :, : len(z)]
        both[0] = z
        np.negative(z, out=both[1])
        _r(both, out=(both, r))
        if gamma_0 == gamma_1:
            r *= gamma_0
        else:
            r *= np.array([[gamma_0], [gamma_1]], dtype=z.dtype)
        r += 1.0
        pull = np.divide(r[0], r[1], out=r[0])
        np.log(pull, out=pull)
        pull += self._shift
        if gamma_0 == gamma_1:
            np.multiply(z, 1.0 + gamma_0, out=out)
            out += pull
            return
        # softplus(z) is max(z, 0) + tail, softplus(-z) is -min(z, 0) + tail
        tail = np.log1p(np.exp(-np.abs(z)))
        line = (1.0 + gamma_1) * np.maximum(z, 0) + (1.0 + gamma_0) * np.minimum(z, 0)
        np.add(line + (gamma_1 - gamma_0) * tail, pull, out=out)

    def inverse(self, raw_prediction: ArrayLike) -> FloatArray:
        """Return P(y=1), the inverse link of the score.

        Parameters
        ----------
        raw_prediction : array-like of float32 or float64, any shape

        Returns
        -------
        ndarray of the same shape and dtype, in [0, 1]
        """
        logits = self.posterior_logit(raw_prediction)
        with np.errstate(over="ignore"):
            return _probability(np.negative(logits, out=logits))

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
        work = _work(z)
        with np.errstate(over="ignore"):
            for rows in row_blocks(len(z), 2):
                logits = work[0, :, : rows.stop - rows.start]
                self._write_logit(z[rows], logits[0], work)
                np.negative(logits[0], out=logits[1])
                _probability(logits)
                out[rows, 0] = logits[0]
                out[rows, 1] = logits[1]
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
        target = np.where(finite, limit, 0.0)
        gamma_0, gamma_1 = _one_a_class(self.gamma, 2)
        # For z > 0 the logit is at least (1+γ_1) z - γ_0 log 2 - log1p(γ_1) + shift; mirrored for z < 0
        up = (target - self._shift) / (1.0 + gamma_1)
        down = (target - self._shift) / (1.0 + gamma_0)
        positive = target > self.posterior_logit(0.0)
        low = np.where(
            positive, 0.0, down - (gamma_1 * math.log(2.0) + math.log1p(gamma_0)) / (1.0 + gamma_0)
        )
        high = np.where(positive, up + (gamma_0 * math.log(2.0) + math.log1p(gamma_1)) / (1.0 + gamma_1), 0.0)
        z = _increasing_root(partial(self._residual, target), low, high, np.where(positive, up, down))
        return np.where(finite, z, limit)

    def _residual(self, target: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        gamma_0, gamma_1 = _one_a_class(self.gamma, 2)
        slope = _log_term_slope(z, gamma_1) + _log_term_slope(-z, gamma_0)
        return self.posterior_logit(z) - target, slope


@dataclass(frozen=True)
class MulticlassFocalLink:
    """The map between softmax focal scores and class probabilities.

    With the margins ``m_k = z_k - log Σ_{j≠k} exp(z_j)``, ``p_k = σ(m_k)`` and
    ``r(x) = softplus(x) exp(-x)`` the logarithm of the probability of class k is

        log p_k + γ_k softplus(m_k) - log1p(γ_k r(-m_k)) - log α_k + constant,

    the zero in η of ``Σ_t η_t gradient(t)``, gradient(t) that of the loss where class t is true. Its
    slope in m_k is ``t(m_k, γ_k) = [q + 2γp - γ (1-γ) p r] / (1 + γr)`` with γ = γ_k, p = p_k, q = 1-p_k
    and r = r(-m_k) <= 1, which is positive for every γ >= 0. So the probabilities determine the scores
    up to one constant; with equal weights and one γ they keep the order of the classes, and with γ=0
    they are softmax(z).

    Parameters
    ----------
    gamma : float or sequence of n_classes floats
        Focusing parameter of the loss, >= 0, or that of each class.
    class_weights : sequence of n_classes floats
        Weights (α_0, ..., α_{K-1}) of the loss, at least 2.

    References
    ----------
    Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior
    Probability Estimation, CVPR 2021, arXiv:2011.09172, Theorem 11.

    Examples
    --------
    >>> from focal_gbm.links import MulticlassFocalLink
    >>> link = MulticlassFocalLink(gamma=2.0, class_weights=(1.0, 1.0, 1.0))
    >>> link.inverse([1.0, 0.0, -1.0]).round(4)  # softmax gives 0.6652, 0.2447, 0.09
    array([0.8838, 0.0875, 0.0287])
    >>> link.link([0.8838, 0.0875, 0.0287]).round(3)
    array([ 1.,  0., -1.])
    """

    gamma: Gamma
    class_weights: tuple[float, ...]

    def __post_init__(self) -> None:
        n_classes = np.size(self.class_weights)
        if n_classes < 2:
            raise ValueError(f"class_weights must hold at least 2 numbers, got {self.class_weights!r}.")
        weights = check_class_weights(self.class_weights, n_classes, "class_weights")
        object.__setattr__(self, "gamma", check_gammas(self.gamma, n_classes))
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
        gamma = self.gamma if isinstance(self.gamma, float) else np.array([self.gamma], dtype=z.dtype).T
        with np.errstate(over="ignore"):  # of scores so far apart that the odds are rightly infinite
            for rows in row_blocks(*z_rows.shape):
                log_odds = _log_term(_margins(z_rows[rows].T), gamma) - log_weights
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
        if self.gamma != 0.0:
            gammas = np.array(_one_a_class(self.gamma, len(self.class_weights)))
            scores = _log_softmax_of_terms(np.atleast_2d(scores), gammas).reshape(eta.shape)
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


def _one_a_class(gamma: Gamma, n_classes: int) -> tuple[float, ...]:
    return gamma if isinstance(gamma, tuple) else (gamma,) * n_classes


def _log_term(m: FloatArray, gamma: float | FloatArray) -> FloatArray:
    """Return log p + γ softplus(m) - log1p(γ r(-m)), p = σ(m): log η_k + log α_k + constant."""
    tail = np.log1p(np.exp(-np.abs(m)))  # softplus is this and the positive part
    log_p, minus_log_q = -(np.maximum(-m, 0) + tail), np.maximum(m, 0) + tail
    return np.asarray(log_p + gamma * minus_log_q - np.log1p(gamma * _r(-m)))


def _log_term_slope(m: FloatArray, gamma: float | FloatArray) -> FloatArray:
    """Return the derivative of `_log_term` with respect to m."""
    return np.asarray(expit(-m) + gamma * expit(m) + gamma * _r_slope(-m) / (1.0 + gamma * _r(-m)))


def _log_softmax_of_terms(y: FloatArray, gamma: FloatArray) -> FloatArray:
    """Return log p of shape (n, K) such that `_log_term` is y + c, with the c for which Σ p = 1.

    As c grows, one class is the first to reach p = 1/2. It alone can have more in the end, and its
    margin is what is searched for: 1 - p keeps its digits, and all other margins are at most 0.
    """
    (n_rows, n_classes), log_2 = y.shape, math.log(2.0)
    rows = np.arange(n_rows)
    first = (_log_term(np.zeros(n_classes), gamma) - y).argmin(axis=1)
    is_other = np.ones(y.shape, dtype=bool)
    is_other[rows, first] = False
    y = y - y[rows, first][:, np.newaxis]
    others = y[is_other].reshape(n_rows, n_classes - 1)
    other_gamma = np.broadcast_to(gamma, y.shape)[is_other].reshape(others.shape)
    residual = partial(_log_excess, others, other_gamma, gamma[first])

    at_zero, _ = residual(np.zeros(n_rows))
    # No class reaches 1/K below this c, and for m <= 0 the term is at most m + γ log 2
    lowest = (_log_term(np.full(n_classes, -math.log(n_classes - 1.0)), gamma) - y).min(axis=1)
    low = np.where(at_zero < 0, 0.0, np.minimum(0.0, lowest - gamma[first] * log_2))
    # At a larger m the others have more than at 0, and softplus(m) > m
    high = np.where(at_zero < 0, log_2 - at_zero, 0.0)
    start = -np.logaddexp.reduce(others, axis=1) / (1.0 + gamma[first])
    m = _increasing_root(residual, low, high, start)

    margins = np.empty_like(y)
    margins[rows, first] = m
    margins[is_other] = _margin_at(others + _log_term(m, gamma[first])[:, np.newaxis], other_gamma).ravel()
    return -np.logaddexp(0.0, -margins)


def _log_excess(
    others: FloatArray, other_gamma: FloatArray, gamma: FloatArray, m: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return log Σ p of the others less log(1 - p) of the class of margin m, and its derivative in m.

    `others` are the terms of the others less the one of that class.
    """
    margins = _margin_at(others + _log_term(m, gamma)[:, np.newaxis], other_gamma)
    log_p = -np.logaddexp(0.0, -margins)
    log_sum = np.logaddexp.reduce(log_p, axis=1)
    share = np.where(margins < 0, np.exp(log_p - log_sum[:, np.newaxis]), 0.0)
    rise = (share * expit(-margins) / _log_term_slope(margins, other_gamma)).sum(axis=1)
    return log_sum + np.logaddexp(0.0, m), expit(m) + rise * _log_term_slope(m, gamma)


def _margin_at(value: FloatArray, gamma: FloatArray) -> FloatArray:
    """Return the margin m <= 0 at which `_log_term` is `value`, or 0 where there is none."""
    at_zero = _log_term(np.zeros_like(value), gamma)
    target = np.minimum(value, at_zero)
    # For m <= 0 the term is at most m + γ log 2; far to the left it is m
    low = np.minimum(0.0, target - gamma * math.log(2.0))
    m = _increasing_root(partial(_term_residual, target, gamma), low, np.zeros_like(value), target)
    return np.where(value < at_zero, m, 0.0)


def _term_residual(value: FloatArray, gamma: FloatArray, m: FloatArray) -> tuple[FloatArray, FloatArray]:
    return _log_term(m, gamma) - value, _log_term_slope(m, gamma)


def _increasing_root(
    function: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    low: FloatArray,
    high: FloatArray,
    start: FloatArray,
) -> FloatArray:
    """Return where an increasing function, which returns value and slope, is 0, for each element."""
    # An end that is the root but for rounding would turn every Newton step into a bisection
    low, high = low - 1.0, high + 1.0
    x = np.clip(start, low, high)
    for _ in range(_ROOT_STEPS):
        value, slope = function(x)
        low = np.where(value <= 0, x, low)
        high = np.where(value >= 0, x, high)
        step = x - value / slope
        # Within the bracket, too, Newton's steps can go to and fro between two points for ever. They are then
        # its ends: no step may be longer than half of it
        half = (high - low) / 2
        step = np.where((step >= low) & (step <= high) & (np.abs(step - x) <= half), step, low + half)
        done = np.abs(step - x) <= _ROOT_TOLERANCE * (1.0 + np.abs(x))
        x = step
        if done.all():
            break
    return x
