"""Small models and tables for the tests of the estimators."""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier


class Table(NamedTuple):
    X: np.ndarray
    y: np.ndarray  #: 0 and 1
    weight: np.ndarray
    probability: np.ndarray  #: of class 1, the truth


def make_table(seed: int, n_samples: int = 500, shift: float = -1.5) -> Table:
    """Five features, of which the first three matter; about a quarter positives at the usual shift."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 5))
    probability = expit(1.5 * X[:, 0] - np.abs(X[:, 1]) * X[:, 2] + shift)
    y = (rng.random(n_samples) < probability).astype(np.int64)
    return Table(X, y, rng.uniform(0.2, 3.0, n_samples), probability)


def _gamma(params: dict[str, Any]) -> dict[str, Any]:
    """Return γ=2, whose scores are far from probabilities, unless another loss is given."""
    return {} if params.get("margin_loss") is not None else {"focal_gamma": 2.0}


def focal_xgb(**params: Any) -> FocalXGBClassifier:
    return FocalXGBClassifier(**{"n_estimators": 10, "max_depth": 3, "n_jobs": 1, **_gamma(params), **params})


def focal_lgb(**params: Any) -> FocalLGBMClassifier:
    common = {"n_estimators": 10, "num_leaves": 7, "n_jobs": 1, "verbose": -1}
    return FocalLGBMClassifier(**{**common, **_gamma(params), **params})


BOTH = {"xgboost": focal_xgb, "lightgbm": focal_lgb}
