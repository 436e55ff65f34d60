"""Objective and metric for `xgboost.train` and `XGBClassifier`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import ArrayLike

from focal_gbm.training.library import Library
from focal_gbm.training.metrics import FocalMetric
from focal_gbm.training.objective import FocalObjective
from focal_gbm.xgboost.library import XGBOOST


@dataclass(frozen=True)
class FocalXGBObjective(FocalObjective):
    """Focal loss as a custom objective for ``xgboost.train(obj=)`` and ``XGBClassifier(objective=)``.

    Parameters
    ----------
    loss, hessian, scale, n_jobs
        See `focal_gbm.training.objective.FocalObjective`.

    Examples
    --------
    >>> import numpy as np, xgboost
    >>> from focal_gbm import BinaryFocalLoss, FocalXGBObjective
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 3))
    >>> y = (X[:, 0] + rng.normal(size=500) > 2).astype(int)
    >>> loss = BinaryFocalLoss(gamma=2.0)
    >>> start = np.full(len(y), loss.fit_intercept_only(y))
    >>> data = xgboost.DMatrix(X, y, base_margin=start)
    >>> params = {"objective": "binary:logistic", "max_depth": 2}
    >>> booster = xgboost.train(params, data, num_boost_round=5, obj=FocalXGBObjective(loss))
    """

    library: ClassVar[Library] = XGBOOST


@dataclass(frozen=True)
class FocalXGBMetric(FocalMetric):
    """Mean focal loss as a metric for ``xgboost.train(custom_metric=)`` and ``XGBClassifier(eval_metric=)``.

    Parameters
    ----------
    loss, prediction
        See `focal_gbm.training.metrics.FocalMetric`.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm import BinaryFocalLoss, FocalXGBMetric
    >>> metric = FocalXGBMetric(BinaryFocalLoss(gamma=0.0))
    >>> round(metric(np.array([0, 1]), np.array([-1.0, 1.0])), 6)
    0.313262
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None) -> Any:
        """Return the mean loss of ``(y_true, y_pred)``, or (name, value) of ``(y_pred, xgboost.DMatrix)``."""
        if hasattr(y_pred, "get_label"):
            return self.__name__, self.value(y_pred.get_label(), y_true, y_pred.get_weight())
        return self.value(y_true, y_pred, sample_weight)
