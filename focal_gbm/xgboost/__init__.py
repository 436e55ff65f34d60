"""XGBoost: estimator, objective, training, metrics, model file, Dask; mirrored file by file in `lightgbm/`.

All that is particular to XGBoost is here, and nothing that LightGBM could share. `private.py` alone may
touch what XGBoost does not document.
"""

from focal_gbm.xgboost.estimator import FocalXGBClassifier
from focal_gbm.xgboost.objective import FocalXGBMetric, FocalXGBObjective

__all__ = ["FocalXGBClassifier", "FocalXGBMetric", "FocalXGBObjective"]
