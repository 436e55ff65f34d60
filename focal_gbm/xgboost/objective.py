"""The bare custom objective for `xgboost.train(obj=)` and `XGBClassifier(objective=)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import xgboost
from xgboost.libpath import find_lib_path

from focal_gbm._versions import warn_if_untested
from focal_gbm.fit import FocalObjective

warn_if_untested("xgboost", xgboost.__version__)


@dataclass(frozen=True)
class FocalXGBObjective(FocalObjective):
    """Focal loss as a custom objective for ``xgboost.train(obj=)`` and ``XGBClassifier(objective=)``.

    `focal_gbm.xgboost.train` and `FocalBoosting` also set the start and leave XGBoost its metrics.

    Parameters
    ----------
    loss, scale, n_jobs
        See `focal_gbm.fit.objective.FocalObjective`.

    Examples
    --------
    >>> import numpy as np, xgboost
    >>> from focal_gbm import BinaryFocalLoss, FocalXGBObjective
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 3))
    >>> y = (X[:, 0] + rng.normal(size=500) > 2).astype(int)
    >>> params = {"objective": "binary:logistic", "base_score": y.mean(), "max_depth": 2}
    >>> objective = FocalXGBObjective(BinaryFocalLoss(gamma=2.0))
    >>> booster = xgboost.train(params, xgboost.DMatrix(X, y), num_boost_round=5, obj=objective)
    >>> bool(abs(booster.predict(xgboost.DMatrix(X)).mean() - y.mean()) < 0.02)  # probabilities
    True
    """

    order: ClassVar[Literal["C", "F"]] = "C"
    shared_object: ClassVar[str | None] = next(iter(find_lib_path()), None)

    @staticmethod
    def softmax_hessian_factor(n_classes: int) -> float:
        """Return XGBoost's factor, 2."""
        return 2.0
