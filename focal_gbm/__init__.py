"""Focal loss for XGBoost and LightGBM.

Importing this package imports neither host: the estimators are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from focal_gbm._hosts import UntestedHostWarning
    from focal_gbm.counts import ClassCounts
    from focal_gbm.display import FocalLinkDisplay, FocalLossDisplay, FocusDisplay
    from focal_gbm.lightgbm import FocalLGBMClassifier
    from focal_gbm.losses import BinaryFocalLoss, MulticlassFocalLoss, MultilabelFocalLoss
    from focal_gbm.metrics import FocalMetric, focal_loss
    from focal_gbm.objectives import FocalObjective
    from focal_gbm.search import FocalSearchCV
    from focal_gbm.xgboost import FocalXGBClassifier

__version__ = "0.1.0"

_MODULES = {
    "BinaryFocalLoss": "losses",
    "ClassCounts": "counts",
    "FocalLGBMClassifier": "lightgbm",
    "FocalLinkDisplay": "display",
    "FocalLossDisplay": "display",
    "FocalMetric": "metrics",
    "FocalObjective": "objectives",
    "FocalSearchCV": "search",
    "FocalXGBClassifier": "xgboost",
    "FocusDisplay": "display",
    "MulticlassFocalLoss": "losses",
    "MultilabelFocalLoss": "losses",
    "UntestedHostWarning": "_hosts",
    "focal_loss": "metrics",
}

__all__ = [
    "BinaryFocalLoss",
    "ClassCounts",
    "FocalLGBMClassifier",
    "FocalLinkDisplay",
    "FocalLossDisplay",
    "FocalMetric",
    "FocalObjective",
    "FocalSearchCV",
    "FocalXGBClassifier",
    "FocusDisplay",
    "MulticlassFocalLoss",
    "MultilabelFocalLoss",
    "UntestedHostWarning",
    "__version__",
    "focal_loss",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = getattr(import_module(f"focal_gbm.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'focal_gbm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
