"""The estimators on Dask collections, trained by the hosts' own distributed engines.

Labels, class weights, the start and the scale are those of all rows, whichever worker has them. They
are found in one reduction before training; while it runs, nothing of ours is sent except, for XGBoost's
evaluation sets, one sum a metric and round.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from focal_gbm.dask._lightgbm import DaskFocalLGBMClassifier
    from focal_gbm.dask._xgboost import DaskFocalXGBClassifier

_MODULES = {"DaskFocalLGBMClassifier": "_lightgbm", "DaskFocalXGBClassifier": "_xgboost"}

__all__ = ["DaskFocalLGBMClassifier", "DaskFocalXGBClassifier"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'focal_gbm.dask' has no attribute {name!r}")
    try:
        for needed in ("dask.array", "dask.dataframe", "distributed"):
            import_module(needed)
    except ImportError as error:
        raise ImportError(f"{name} needs Dask: pip install 'focal-gbm[dask]' ({error}).") from error
    value = getattr(import_module(f"focal_gbm.dask.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
