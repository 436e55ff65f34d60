"""The published focal losses for boosted trees, as far as they are installed.

They are installed beside the package, without their dependencies, which exclude current versions:

    pip install --no-deps gbdtCBL bokbokbok imlightgbm imbalance-xgboost
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: (labels, raw predictions, γ) -> gradient, Hessian
Derivatives = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]


class _Labels:
    """What a peer that is called with the library's data set asks of it."""

    def __init__(self, y: np.ndarray) -> None:
        self._y = y

    def get_label(self) -> np.ndarray:
        return self._y


def _gbdtcbl() -> Derivatives:
    from gbdtCBL.binary import FLLoss

    return lambda y, z, gamma: FLLoss(gamma)(y, z)


def _bokbokbok() -> Derivatives:
    from bokbokbok.loss_functions.classification import WeightedFocalLoss

    # its α weights class 1; its γ is a power of (1 - p) as published
    def derivatives(y: np.ndarray, z: np.ndarray, gamma: float) -> Any:
        return WeightedFocalLoss(alpha=1.0, gamma=gamma)(z, _Labels(y))

    return derivatives


def _imlightgbm() -> Derivatives:
    from imlightgbm.objective import binary_focal_objective

    return lambda y, z, gamma: binary_focal_objective(y, z, gamma)


def _imbalance_xgboost() -> Derivatives:
    from imxgboost.focal_loss import Focal_Binary_Loss

    return lambda y, z, gamma: Focal_Binary_Loss(gamma).focal_binary_object(z, _Labels(y))


def peers() -> tuple[dict[str, Derivatives], dict[str, str]]:
    """Return the derivatives by name, and for each peer that is left out the reason."""
    makers = {
        "gbdtCBL": _gbdtcbl,
        "bokbokbok": _bokbokbok,
        "imlightgbm": _imlightgbm,
        "imbalance-xgboost": _imbalance_xgboost,
    }
    found: dict[str, Derivatives] = {}
    skipped: dict[str, str] = {}
    for name, maker in makers.items():
        try:
            found[name] = maker()
        except Exception as error:  # whatever is wrong with it in these versions
            skipped[name] = f"{type(error).__name__}: {error}"
    return found, skipped
