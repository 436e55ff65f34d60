"""What all displays share: the way to matplotlib, colours, labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from focal_gbm._classifier import FocalClassifierMixin
from focal_gbm._state import FocalState
from focal_gbm._validation import check_gamma

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


def check_gamma_list(gammas: Sequence[float]) -> tuple[float, ...]:
    """Return at least one focusing parameter."""
    if isinstance(gammas, str) or not np.iterable(gammas) or not len(gammas):
        raise ValueError(f"gammas must hold one number >= 0 or more, got {gammas!r}.")
    return tuple(check_gamma(gamma, f"gammas[{i}]") for i, gamma in enumerate(gammas))


def gamma_label(gamma: float) -> str:
    """Return how the legend names γ."""
    return "γ = 0 (log loss)" if gamma == 0 else f"γ = {gamma:g}"


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
    """Draw a line for each row of `y`, add the legend, and return the lines."""
    lines = []
    for ordinate, label, color in zip(y, labels, colors(len(labels)), strict=True):
        lines += ax.plot(x, ordinate, **{"color": color, "label": label, **kwargs})
    ax.legend(title=name, frameon=False, loc=legend)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return lines
