"""Focal loss for XGBoost and LightGBM.

Importing this package imports neither library: the estimators are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from focal_gbm._versions import UntestedLibraryWarning
    from focal_gbm.diagnostics import show_versions
    from focal_gbm.display import FocalLinkDisplay, FocalLossDisplay, FocusDisplay
    from focal_gbm.lightgbm import FocalLGBMClassifier, FocalLGBMMetric, FocalLGBMObjective
    from focal_gbm.lightgbm.dask import DaskFocalLGBMClassifier
    from focal_gbm.losses import BinaryFocalLoss, MulticlassFocalLoss, MultilabelFocalLoss, Poly1Focal
    from focal_gbm.search import FocalSearchCV
    from focal_gbm.training.counts import ClassCounts
    from focal_gbm.training.metrics import focal_loss
    from focal_gbm.xgboost import FocalXGBClassifier, FocalXGBMetric, FocalXGBObjective
    from focal_gbm.xgboost.dask import DaskFocalXGBClassifier

__version__ = "0.1.0"

_MODULES = {
    "BinaryFocalLoss": "losses",
    "ClassCounts": "training.counts",
    "DaskFocalLGBMClassifier": "lightgbm.dask",
    "DaskFocalXGBClassifier": "xgboost.dask",
    "FocalLGBMClassifier": "lightgbm",
    "FocalLGBMMetric": "lightgbm",
    "FocalLGBMObjective": "lightgbm",
    "FocalLinkDisplay": "display",
    "FocalLossDisplay": "display",
    "FocalSearchCV": "search",
    "FocalXGBClassifier": "xgboost",
    "FocalXGBMetric": "xgboost",
    "FocalXGBObjective": "xgboost",
    "FocusDisplay": "display",
    "MulticlassFocalLoss": "losses",
    "MultilabelFocalLoss": "losses",
    "Poly1Focal": "losses",
    "UntestedLibraryWarning": "_versions",
    "focal_loss": "training.metrics",
    "show_versions": "diagnostics",
}

__all__ = [
    "BinaryFocalLoss",
    "ClassCounts",
    "FocalLGBMClassifier",
    "FocalLGBMMetric",
    "FocalLGBMObjective",
    "FocalLinkDisplay",
    "FocalLossDisplay",
    "FocalSearchCV",
    "FocalXGBClassifier",
    "FocalXGBMetric",
    "FocalXGBObjective",
    "FocusDisplay",
    "MulticlassFocalLoss",
    "MultilabelFocalLoss",
    "Poly1Focal",
    "UntestedLibraryWarning",
    "__version__",
    "focal_loss",
    "show_versions",
]

# `import *` and what walks `dir` would fail on what cannot be imported
if all(find_spec(package) is not None for package in ("dask", "distributed")):
    __all__ += ["DaskFocalLGBMClassifier", "DaskFocalXGBClassifier"]

#: What needs an extra, with the packages that it brings.
_EXTRAS = {
    "lightgbm.dask": ("dask", ("dask.array", "dask.dataframe", "distributed")),
    "xgboost.dask": ("dask", ("dask.array", "dask.dataframe", "distributed")),
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'focal_gbm' has no attribute {name!r}")
    module = _MODULES[name]
    extra, packages = _EXTRAS.get(module, ("", ()))
    try:
        for package in packages:
            import_module(package)
    except ImportError as error:
        raise ImportError(f"{name} needs Dask: pip install 'focal-gbm[{extra}]' ({error}).") from error
    library = module.partition(".")[0]
    if library in ("xgboost", "lightgbm"):
        try:
            import_module(library)
        except ModuleNotFoundError as error:
            raise ImportError(f"{name} needs {library}: pip install {library} ({error}).") from error
    value = getattr(import_module(f"focal_gbm.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
