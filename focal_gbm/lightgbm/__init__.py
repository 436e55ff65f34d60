"""LightGBM: estimator, objective, training, metrics, model file, Dask; mirrored file by file in `xgboost/`.

All that is particular to LightGBM is here, and nothing that XGBoost could share. `private.py` alone may
touch what LightGBM does not document.
"""

from focal_gbm.lightgbm.estimator import FocalLGBMClassifier
from focal_gbm.lightgbm.objective import FocalLGBMMetric, FocalLGBMObjective

__all__ = ["FocalLGBMClassifier", "FocalLGBMMetric", "FocalLGBMObjective"]
