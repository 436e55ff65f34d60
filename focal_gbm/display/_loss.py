"""FocalLossDisplay: the loss and its derivatives against the margin or the true class's probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
from scipy.special import expit

from focal_gbm._validation import FloatArray, check_choice
from focal_gbm.display._axes import (
    PAPER_GAMMAS,
    check_gamma_list,
    draw,
    fitted_state,
    label_of,
    new_axes,
)
from focal_gbm.losses import BinaryFocalLoss, Focal, MarginLoss

_QUANTITIES = {
    "loss": "Focal loss (nats)",
    "gradient": "Gradient with respect to the margin",
    "hessian": "Hessian with respect to the margin",
    "weight": "Weight $w(\\eta)$ of the difference $\\eta - y$",
}
_ABSCISSAE = {
    "probability": "Probability of the true class, $p_t = \\sigma(m)$",
    "margin": "Margin $m$ of the true class",
}
_N_POINTS = 601

#: Where the axis of η ends: the weight hardly changes beyond.
_LEAST_ETA = 1e-4


class FocalLossDisplay:
    """Focal loss, its gradient and its Hessian for several γ: the paper's figure 1, and its derivatives.

    Two classes or many, focal loss is a function of one number, the margin m of the true class, with
    ``p_t = σ(m)``. It is recommended to use `from_gammas` or `from_estimator` to create a display.

    Parameters
    ----------
    margin : ndarray of shape (n_points,)
        Margins m.
    loss, gradient, hessian : ndarrays of shape (n_lines, n_points)
        The loss in nats and its derivatives in m.
    log_odds, weight : ndarrays of shape (n_lines, n_points)
        With two classes of that loss, the logit of the probability η that a score of m means, and the
        weight w(η): as a proper loss of η its gradient in the log-odds is ``w(η) (η - y)``. Of the log loss
        w is 1 everywhere. It is what focal loss attends to, in probabilities.
    labels : sequence of n_lines str
        What the legend says.
    estimator_name : str, default=None
        Title of the legend.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        What the last `plot` drew on.
    lines_ : list of matplotlib Line2D

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017,
    arXiv:1708.02002, figures 1, 5 and 6.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from focal_gbm import FocalLossDisplay
    >>> display = FocalLossDisplay.from_gammas([0, 2])
    >>> display.loss.shape
    (2, 601)
    >>> display.plot(quantity="gradient", against="margin").ax_.get_xlabel()
    'Margin $m$ of the true class'
    """

    def __init__(
        self,
        *,
        margin: FloatArray,
        loss: FloatArray,
        gradient: FloatArray,
        hessian: FloatArray,
        log_odds: FloatArray,
        weight: FloatArray,
        labels: Sequence[str],
        estimator_name: str | None = None,
    ) -> None:
        self.margin = margin
        self.loss = loss
        self.gradient = gradient
        self.hessian = hessian
        self.log_odds = log_odds
        self.weight = weight
        self.labels = labels
        self.estimator_name = estimator_name

    @classmethod
    def from_gammas(
        cls,
        gammas: Sequence[float | MarginLoss] = PAPER_GAMMAS,
        *,
        hessian: str = "exact",
        max_margin: float = 6.0,
        quantity: str = "loss",
        against: str = "probability",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> FocalLossDisplay:
        """Compute the loss without class weights for several γ, and draw it.

        Parameters
        ----------
        gammas : sequence of float or MarginLoss, default=(0, 0.5, 1, 2, 5)
            Focusing parameters, >= 0, or other losses.
        hessian : {"exact", "floored", "majorizing"}, default="exact"
            Second derivative, see `BinaryFocalLoss.gradient_hessian`.
        max_margin : float, default=6.0
            Margins go from ``-max_margin`` to ``max_margin``.
        quantity, against, name, ax, **kwargs
            As for `plot`.

        Returns
        -------
        FocalLossDisplay

        Raises
        ------
        TypeError, ValueError
            Naming the argument that is wrong.
        ImportError
            If matplotlib is not installed.
        """
        losses = {label_of(one): BinaryFocalLoss(margin_loss=one) for one in check_gamma_list(gammas)}
        display = cls._of(losses, hessian, max_margin, name)
        return display.plot(ax, quantity=quantity, against=against, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        max_margin: float = 6.0,
        quantity: str = "loss",
        against: str = "probability",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> FocalLossDisplay:
        """Draw the loss that a fitted estimator was trained with, a line for each different class.

        Weights α and a γ of each class are in the lines; the log loss is beside them. `focal_scale`, one
        factor for all rows, is not.

        Parameters
        ----------
        estimator : fitted FocalXGBClassifier or FocalLGBMClassifier
            Of two classes or more. Its `hessian` is the second derivative drawn, with
            ``focal_link="logit"`` the exact one in the margin.
        max_margin : float, default=6.0
            Margins go from ``-max_margin`` to ``max_margin``.
        quantity, against, name, ax, **kwargs
            As for `plot`; `name` defaults to the estimator's class.

        Returns
        -------
        FocalLossDisplay

        Raises
        ------
        TypeError, ValueError
            Naming the argument that is wrong; many labels are refused.
        sklearn.exceptions.NotFittedError
            If the estimator was not fitted.
        """
        state = fitted_state(estimator, cls.__name__)
        if state.loss.n_labels > 1:
            raise ValueError("estimator must have one loss, got many labels, each with its own.")
        by_class = state.loss.weighted_losses()
        losses = {label_of(Focal(0.0)): BinaryFocalLoss(0.0)}
        for label, (loss, weight) in zip(state.classes.tolist(), by_class, strict=True):
            text = loss.symbol + ("" if weight == 1.0 else f", α = {weight:.3g}")
            if len(set(by_class)) > 1:
                text = f"class {label}: {text}"
            losses[text] = BinaryFocalLoss(alpha=(weight, weight), margin_loss=loss)
        hessian = estimator.hessian if state.loss.focal_link == "focal" else "exact"
        display = cls._of(losses, hessian, max_margin, name or type(estimator).__name__)
        return display.plot(ax, quantity=quantity, against=against, **kwargs)

    @classmethod
    def _of(
        cls, losses: dict[str, BinaryFocalLoss], hessian: str | None, max_margin: float, name: str | None
    ) -> FocalLossDisplay:
        if not isinstance(max_margin, Real) or not 0.0 < max_margin < math.inf:
            raise ValueError(f"max_margin must be a finite number > 0, got {max_margin!r}.")
        margin = np.linspace(-max_margin, max_margin, _N_POINTS)
        true = np.ones(_N_POINTS, dtype=bool)  # the score of a positive row is its margin
        log_odds = np.array([loss.link.posterior_logit(margin) for loss in losses.values()])
        derivatives = [loss.gradient_hessian(true, margin, hessian=hessian) for loss in losses.values()]
        return cls(
            margin=margin,
            loss=np.array([loss.loss(true, margin) for loss in losses.values()]),
            gradient=np.array([gradient for gradient, _ in derivatives]),
            hessian=np.array([second for _, second in derivatives]),
            log_odds=log_odds,
            weight=np.array([_weight(*pair) for pair in zip(losses.values(), log_odds, strict=True)]),
            labels=list(losses),
            estimator_name=name,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        quantity: str = "loss",
        against: str = "probability",
        name: str | None = None,
        **kwargs: Any,
    ) -> FocalLossDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        quantity : {"loss", "gradient", "hessian", "weight"}, default="loss"
            What to draw. Derivatives are those in the margin, whatever they are drawn against. "weight" is
            drawn against the probability η that the score means, on the scale of its logit.
        against : {"probability", "margin"}, default="probability"
            What to draw the others against.
        name : str, default=None
            Title of the legend; None is `estimator_name`.
        **kwargs
            For ``ax.plot``, for all lines.

        Returns
        -------
        self
        """
        check_choice(quantity, tuple(_QUANTITIES), "quantity")
        check_choice(against, tuple(_ABSCISSAE), "against")
        ax = new_axes(ax)
        ax.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
        name = self.estimator_name if name is None else name
        x, label = expit(self.margin) if against == "probability" else self.margin, _ABSCISSAE[against]
        if quantity == "weight":
            x, label = expit(self.log_odds), "Probability $\\eta = P(y=1)$"
            ax.set_xscale("logit")
            ax.set_xlim(_LEAST_ETA, 1.0 - _LEAST_ETA)
        self.lines_ = draw(ax, x, getattr(self, quantity), self.labels, name, **kwargs)
        ax.set(xlabel=label, ylabel=_QUANTITIES[quantity])
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _weight(loss: BinaryFocalLoss, log_odds: FloatArray) -> FloatArray:
    """Return the gradient in the log-odds where y is 1, over η - 1."""
    ones = np.ones(len(log_odds), dtype=bool)
    in_log_odds = replace(loss, focal_link="logit")
    return -in_log_odds.gradient(ones, log_odds) / expit(-log_odds)
