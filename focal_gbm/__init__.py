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
    from focal_gbm.display import FocalLossDisplay
    from focal_gbm.early_stopping import EarlyStoppingClassifier
    from focal_gbm.lightgbm import FocalLGBMClassifier, FocalLGBMObjective
    from focal_gbm.lightgbm.dask import DaskFocalLGBMClassifier
    from focal_gbm.losses import BinaryFocalLoss, MulticlassFocalLoss, MultilabelFocalLoss, Poly1Focal
    from focal_gbm.xgboost import FocalBoosting, FocalXGBClassifier, FocalXGBObjective
    from focal_gbm.xgboost.dask import DaskFocalXGBClassifier

__version__ = "0.1.0"

_MODULES = {
    "BinaryFocalLoss": "losses",
    "DaskFocalLGBMClassifier": "lightgbm.dask",
    "DaskFocalXGBClassifier": "xgboost.dask",
    "EarlyStoppingClassifier": "early_stopping",
    "FocalBoosting": "xgboost",
    "FocalLGBMClassifier": "lightgbm",
    "FocalLGBMObjective": "lightgbm",
    "FocalLossDisplay": "display",
    "FocalXGBClassifier": "xgboost",
    "FocalXGBObjective": "xgboost",
    "MulticlassFocalLoss": "losses",
    "MultilabelFocalLoss": "losses",
    "Poly1Focal": "losses",
    "UntestedLibraryWarning": "_versions",
    "show_versions": "diagnostics",
}

__all__ = [
    "BinaryFocalLoss",
    "EarlyStoppingClassifier",
    "FocalBoosting",
    "FocalLGBMClassifier",
    "FocalLGBMObjective",
    "FocalLossDisplay",
    "FocalXGBClassifier",
    "FocalXGBObjective",
    "MulticlassFocalLoss",
    "MultilabelFocalLoss",
    "Poly1Focal",
    "UntestedLibraryWarning",
    "__version__",
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
