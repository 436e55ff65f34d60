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
from scipy.special import logit

from focal_gbm._arrays import row_blocks
from focal_gbm._validation import FloatArray, Gamma, check_class_weights, check_raw_prediction
from focal_gbm.losses.base import DEFAULT_GAMMA
from focal_gbm.losses.classes import LinkOfClasses, check_margin_losses
from focal_gbm.losses.inversion import log_softmax_of_terms, margins_of
from focal_gbm.losses.margin import Margin, MarginLoss, by_class
from focal_gbm.losses.roots import increasing_root, lower_bound, upper_bound

#: float32 probabilities of a hundred classes sum to 1 within this.
_SUM_TOLERANCE = 1e-5

#: Classes 0 and 1 of two, one a row.
_BOTH = np.array([[0], [1]])


@dataclass(frozen=True)
class BinaryFocalLink(LinkOfClasses):
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
        return self.scores(np.asarray(logit(eta)))

    def scores(self, logits: FloatArray) -> FloatArray:
        """Return the scores of which `posterior_logit` is given, as float64: the inverse of that method.

        Parameters
        ----------
        logits : ndarray of float32 or float64, any shape
            Those of infinity give infinity.
        """
        limit = logits.astype(np.float64)
        if self._is_log_loss:
            return limit - self._shift
        finite = np.isfinite(limit)
        residual = partial(self._residual, np.where(finite, limit, 0.0))
        zero = np.zeros(limit.shape)
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
class MulticlassFocalLink(LinkOfClasses):
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
                m = Margin.of(-margins_of(z_rows[rows].T))
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
        scores = self.scores(np.log(eta))
        return np.asarray(scores - scores.mean(axis=-1, keepdims=True))

    def scores(self, log_probabilities: FloatArray) -> FloatArray:
        """Return scores of which `log_posterior` is given but for a constant a row, as float64.

        Parameters
        ----------
        log_probabilities : ndarray of float32 or float64 of shape (n_samples, n_classes) or (n_classes,)
        """
        terms = log_probabilities.astype(np.float64) + self._log_weights
        if self._is_log_loss:
            return terms
        return log_softmax_of_terms(np.atleast_2d(terms), self._losses).reshape(terms.shape)

    @property
    def _log_weights(self) -> FloatArray:
        return np.log(self.class_weights)

    def _check_shape(self, array: FloatArray, name: str) -> None:
        n_classes = len(self.class_weights)
        if array.ndim not in (1, 2) or array.shape[-1] != n_classes:
            raise ValueError(
                f"{name} must have shape (n_samples, {n_classes}) or ({n_classes},), got {array.shape}."
            )
