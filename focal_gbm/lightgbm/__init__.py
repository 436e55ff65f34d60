"""Focal loss with LightGBM: objective, metrics and completed text of a fit, and LGBMClassifier with them."""

from focal_gbm.lightgbm.boosting import train
from focal_gbm.lightgbm.estimator import FocalLGBMClassifier
from focal_gbm.lightgbm.objective import FocalLGBMObjective

__all__ = ["FocalLGBMClassifier", "FocalLGBMObjective", "train"]
