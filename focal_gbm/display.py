"""FocalLossDisplay: loss, gradient and weight of several losses over the log-odds, in one picture.

It follows scikit-learn's Display convention: `from_gammas` computes and draws, `plot` draws again. Drawing needs
matplotlib (the extra ``plot``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit, logit

from focal_gbm._validation import FloatArray, check_gamma
from focal_gbm.losses import BinaryFocalLoss, Focal, MarginLoss

#: Those of the paper's figure 1.
PAPER_GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)

#: Viridis differs in lightness, so that the order of γ shows to every eye and in print. Its last part is a yellow
#: that is lost on white.
_COLORMAP, _LIGHTEST = "viridis", 0.85

#: Log-odds up to which the curves go, in points of this number: probabilities from 0.0001 to 0.9999.
_MOST, _N_POINTS = 9.3, 601

#: Probabilities at which the axis of the weight has its ticks.
_TICKS = (1e-3, 0.1, 0.5, 0.9, 0.999)


class FocalLossDisplay:
    """Loss, gradient and weight of a row of class 1, for several γ or losses.

    All are drawn over the log-odds f of class 1, the raw prediction of the estimators, with the scale that the
    estimators use: at both ends the curves meet those of the log loss. It is recommended to use `from_gammas` to
    create a display.

    Parameters
    ----------
    log_odds : ndarray of shape (n_points,)
    loss, gradient : ndarrays of shape (n_losses, n_points)
        The loss in nats and its derivative in f.
    weight : ndarray of shape (n_losses, n_points)
        The weight w of the gradient ``w(η) (η - y)``, where η is the probability of class 1. It is 1 everywhere
        for the log loss, and the same for rows of both classes.
    labels : sequence of n_losses str
        What the legend says.

    Attributes
    ----------
    axes_ : ndarray of 3 matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        Panel by panel, loss by loss.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017, arXiv:1708.02002,
    figure 1, which is drawn over the published score instead.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from focal_gbm import FocalLossDisplay
    >>> display = FocalLossDisplay.from_gammas([0, 2])
    >>> display.weight.min(axis=1).round(2)  # of the log loss, and of γ=2 at a probability of one half
    array([1.  , 0.67])
    """

    def __init__(
        self,
        *,
        log_odds: FloatArray,
        loss: FloatArray,
        gradient: FloatArray,
        weight: FloatArray,
        labels: Sequence[str],
    ) -> None:
        self.log_odds = log_odds
        self.loss = loss
        self.gradient = gradient
        self.weight = weight
        self.labels = labels

    @classmethod
    def from_gammas(
        cls, gammas: Sequence[float | MarginLoss] = PAPER_GAMMAS, *, ax: Any = None, **kwargs: Any
    ) -> FocalLossDisplay:
        """Compute the curves, and draw them.

        Parameters
        ----------
        gammas : sequence of float or MarginLoss, default=(0, 0.5, 1, 2, 5)
            A number is the γ of the focal loss.
        ax, **kwargs
            As for `plot`.

        Returns
        -------
        FocalLossDisplay

        Raises
        ------
        ValueError
            If a γ is not a finite number >= 0, or none is given.
        ImportError
            If matplotlib is not installed.
        """
        if isinstance(gammas, str) or not np.iterable(gammas) or not len(gammas):
            raise ValueError(f"gammas must hold one number >= 0 or more, got {gammas!r}.")
        log_odds = np.linspace(-_MOST, _MOST, _N_POINTS)
        ones, zeros = np.ones(_N_POINTS), np.zeros(_N_POINTS)
        curves, labels = [], []
        for i, gamma in enumerate(gammas):
            one = gamma if isinstance(gamma, MarginLoss) else Focal(check_gamma(gamma, f"gammas[{i}]"))
            loss, scale = BinaryFocalLoss(margin_loss=one), one.slope_at_ends
            # of a row of class 0 the gradient is w η, which loses no digits where η is small
            weight = loss.gradient(zeros, log_odds) / expit(log_odds)
            quantities = loss.loss(ones, log_odds), loss.gradient(ones, log_odds), weight
            curves.append([scale * quantity for quantity in quantities])
            labels.append(one.symbol + (" (log loss)" if one.is_log_loss else ""))
        loss_, gradient, weights = np.array(curves).swapaxes(0, 1)
        display = cls(log_odds=log_odds, loss=loss_, gradient=gradient, weight=weights, labels=labels)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> FocalLossDisplay:
        """Draw one panel each for loss, gradient and weight.

        Parameters
        ----------
        ax : array-like of 3 matplotlib Axes, default=None
            None makes a figure.
        **kwargs
            For ``ax.plot``, for all lines.

        Returns
        -------
        self
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError("Pictures need matplotlib: pip install 'focal-gbm[plot]'.") from error
        if ax is None:
            ax = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")[1]
        if np.size(ax) != 3:
            raise ValueError(f"ax must hold 3 Axes, for loss, gradient and weight, got {np.size(ax)}.")
        self.axes_ = np.ravel(ax)
        self.figure_ = self.axes_[0].figure
        colors = plt.get_cmap(_COLORMAP)(np.linspace(0.0, _LIGHTEST, len(self.labels)))
        panels = (
            ("Loss of a row of class 1", self.loss),
            ("Its gradient", self.gradient),
            ("Weight w(η), of both classes", self.weight),
        )
        self.lines_ = []
        for panel, (title, curves) in zip(self.axes_, panels, strict=True):
            for curve, label, color in zip(curves, self.labels, colors, strict=True):
                self.lines_ += panel.plot(self.log_odds, curve, **{"color": color, "label": label, **kwargs})
            panel.set(title=title, xlabel="Log-odds of class 1")
            panel.spines[["top", "right"]].set_visible(False)
        self.axes_[0].legend(frameon=False)
        self.axes_[2].set(xlabel="Probability η of class 1", ylim=(0.0, None))
        self.axes_[2].set_xticks(logit(_TICKS), [f"{tick:g}" for tick in _TICKS])
        return self
