"""FocalLinkDisplay: what a focal score means as a probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from focal_gbm._validation import FloatArray
from focal_gbm.display._axes import (
    PAPER_GAMMAS,
    check_gamma_list,
    draw,
    fitted_state,
    label_of,
    new_axes,
)
from focal_gbm.losses import BinaryFocalLoss, Focal, MarginLoss

#: Scores reach ±12: what lies beyond is closer to the corners than a line is wide.
_RAW_PREDICTION = np.linspace(-12.0, 12.0, 601)


class FocalLinkDisplay:
    """The focal link: the probability P(y=1) against the focal score σ(z), for several γ.

    A model at its best predicts the score at which the expected focal loss is least, which for γ > 0 lies
    nearer to 1/2 than the probability does. `predict_proba` goes from the horizontal axis to the
    vertical. It is recommended to use `from_gammas` or `from_estimator` to create a display.

    Parameters
    ----------
    score : ndarray of shape (n_points,)
        Focal scores σ(z), what a booster alone predicts.
    probability : ndarray of shape (n_lines, n_points)
        P(y=1) for each of them.
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
    Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior
    Probability Estimation, CVPR 2021, arXiv:2011.09172.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from focal_gbm import FocalLinkDisplay
    >>> display = FocalLinkDisplay.from_gammas([0, 2])
    >>> bool(abs(display.probability[0] - display.score).max() < 1e-15)  # γ=0
    True
    """

    def __init__(
        self,
        *,
        score: FloatArray,
        probability: FloatArray,
        labels: Sequence[str],
        estimator_name: str | None = None,
    ) -> None:
        self.score = score
        self.probability = probability
        self.labels = labels
        self.estimator_name = estimator_name

    @classmethod
    def from_gammas(
        cls,
        gammas: Sequence[float | MarginLoss] = PAPER_GAMMAS,
        *,
        alpha: float | tuple[float, float] | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> FocalLinkDisplay:
        """Compute the link for several γ, and draw it.

        Parameters
        ----------
        gammas : sequence of float or MarginLoss, default=(0, 0.5, 1, 2, 5)
            Focusing parameters, >= 0, or other losses.
        alpha : None, float or tuple of 2 floats, default=None
            As for `BinaryFocalLoss`: None, Lin's α in (0, 1), or the weights (α_0, α_1).
        name, ax, **kwargs
            As for `plot`.

        Returns
        -------
        FocalLinkDisplay

        Raises
        ------
        TypeError, ValueError
            Naming the argument that is wrong.
        ImportError
            If matplotlib is not installed.
        """
        of_margin = check_gamma_list(gammas)
        losses = {label_of(one): BinaryFocalLoss(alpha=alpha, margin_loss=one) for one in of_margin}
        return cls._of(losses, name).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **kwargs: Any
    ) -> FocalLinkDisplay:
        """Draw the link of a fitted estimator: from σ(z) to what `predict_proba` returns.

        Parameters
        ----------
        estimator : fitted FocalXGBClassifier or FocalLGBMClassifier
            Of two classes: with more, a probability depends on all scores.
        name, ax, **kwargs
            As for `plot`; `name` defaults to the estimator's class.

        Returns
        -------
        FocalLinkDisplay

        Raises
        ------
        TypeError, ValueError
            If the estimator is not one of two classes.
        sklearn.exceptions.NotFittedError
            If the estimator was not fitted.
        """
        loss: Any = fitted_state(estimator, cls.__name__).loss
        if loss.kind != "binary":
            raise ValueError(f"estimator must be one of two classes, got a {type(loss).__name__}.")
        text = " and ".join(one.symbol for one in loss.margin_losses)
        if loss.alpha is not None:
            text += ", α = {:.3g} and {:.3g}".format(*loss.class_weights)
        losses = {label_of(Focal(0.0)): BinaryFocalLoss(0.0), text: loss}
        return cls._of(losses, name or type(estimator).__name__).plot(ax, **kwargs)

    @classmethod
    def _of(cls, losses: dict[str, BinaryFocalLoss], name: str | None) -> FocalLinkDisplay:
        return cls(
            score=expit(_RAW_PREDICTION),
            probability=np.array([loss.link.inverse(_RAW_PREDICTION) for loss in losses.values()]),
            labels=list(losses),
            estimator_name=name,
        )

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> FocalLinkDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            Title of the legend; None is `estimator_name`.
        **kwargs
            For ``ax.plot``, for all lines.

        Returns
        -------
        self
        """
        ax = new_axes(ax, figsize=(4.8, 4.8))
        name = self.estimator_name if name is None else name
        self.lines_ = draw(ax, self.score, self.probability, self.labels, name, **kwargs)
        ax.set(
            xlabel="Focal score $\\sigma(z)$, what the booster predicts",
            ylabel="Probability $P(y=1)$",
            xlim=(0, 1),
            ylim=(0, 1),
            aspect="equal",
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self
