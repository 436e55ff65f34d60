"""What all displays share: the way to matplotlib, colours, labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from focal_gbm._validation import check_gamma
from focal_gbm.losses import Focal, MarginLoss
from focal_gbm.training.estimator import FocalClassifierMixin
from focal_gbm.training.state import FocalState

#: Those of the paper's figure 1.
PAPER_GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)

#: Viridis differs in lightness, so that the order of γ shows to every eye and in print. Its last part is
#: a yellow that is lost on white.
_COLORMAP, _LIGHTEST = "viridis", 0.85


def pyplot() -> Any:
    """Return matplotlib.pyplot."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install 'focal-gbm[plot]'.") from error
    return plt


def new_axes(ax: Any, **kwargs: Any) -> Any:
    """Return `ax`, or new axes in a figure of their own."""
    plt = pyplot()
    return plt.subplots(layout="constrained", **kwargs)[1] if ax is None else ax


def colors(n_lines: int) -> list[Any]:
    """Return a colour for each of some lines that are in order."""
    colormap = pyplot().get_cmap(_COLORMAP)
    return [colormap(x) for x in np.linspace(0.0, _LIGHTEST, n_lines)]


def check_gamma_list(gammas: Sequence[float | MarginLoss]) -> tuple[MarginLoss, ...]:
    """Return at least one loss of the margin; a number is the γ of the focal loss."""
    if isinstance(gammas, str) or not np.iterable(gammas) or not len(gammas):
        raise ValueError(f"gammas must hold one number >= 0 or more, got {gammas!r}.")
    return tuple(
        gamma if isinstance(gamma, MarginLoss) else Focal(check_gamma(gamma, f"gammas[{i}]"))
        for i, gamma in enumerate(gammas)
    )


def label_of(margin_loss: MarginLoss) -> str:
    """Return how the legend names a loss."""
    return margin_loss.symbol + (" (log loss)" if margin_loss.is_log_loss else "")


def fitted_state(estimator: Any, display: str) -> FocalState:
    """Return what a fitted estimator of this package knows."""
    if not isinstance(estimator, FocalClassifierMixin):
        raise TypeError(
            f"{display}.from_estimator needs a FocalXGBClassifier or FocalLGBMClassifier, "
            f"got {type(estimator).__name__}."
        )
    return estimator._state()


def draw(
    ax: Any, x: Any, y: Any, labels: Sequence[str], name: str | None, *, legend: str = "best", **kwargs: Any
) -> list[Any]:
    """Draw each row of `y` over `x`, one row or as many, add the legend, and return the lines."""
    lines = []
    abscissae = np.broadcast_to(x, np.shape(y))
    for abscissa, ordinate, label, color in zip(abscissae, y, labels, colors(len(labels)), strict=True):
        lines += ax.plot(abscissa, ordinate, **{"color": color, "label": label, **kwargs})
    ax.legend(title=name, frameon=False, loc=legend)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return lines
