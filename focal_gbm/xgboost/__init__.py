"""Focal loss with XGBoost: a callback that boosts with our gradient, and XGBClassifier with it."""

from focal_gbm.xgboost.boosting import FocalBoosting, train
from focal_gbm.xgboost.estimator import FocalXGBClassifier
from focal_gbm.xgboost.objective import FocalXGBObjective

__all__ = ["FocalBoosting", "FocalXGBClassifier", "FocalXGBObjective", "train"]
