"""Small models for the tests of the estimators."""

from typing import Any

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier


def _gamma(params: dict[str, Any]) -> dict[str, Any]:
    """Return γ=2, whose scores are far from probabilities, unless another loss is given."""
    return {} if params.get("margin_loss") is not None else {"focal_gamma": 2.0}


def focal_xgb(**params: Any) -> FocalXGBClassifier:
    return FocalXGBClassifier(**{"n_estimators": 10, "max_depth": 3, "n_jobs": 1, **_gamma(params), **params})


def focal_lgb(**params: Any) -> FocalLGBMClassifier:
    common = {"n_estimators": 10, "num_leaves": 7, "n_jobs": 1, "verbose": -1}
    return FocalLGBMClassifier(**{**common, **_gamma(params), **params})


BOTH = {"xgboost": focal_xgb, "lightgbm": focal_lgb}
