"""Objective and metric for `lightgbm.train` and `LGBMClassifier`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import ArrayLike

from focal_gbm.lightgbm.library import LIGHTGBM
from focal_gbm.training.library import Library
from focal_gbm.training.metrics import FocalMetric
from focal_gbm.training.objective import FocalObjective


@dataclass(frozen=True)
class FocalLGBMObjective(FocalObjective):
    """Focal loss, the objective of ``lightgbm.train({"objective": ...})`` and ``LGBMClassifier(objective=)``.

    Parameters
    ----------
    loss, hessian, scale, n_jobs
        See `focal_gbm.training.objective.FocalObjective`.

    Examples
    --------
    >>> import numpy as np, lightgbm
    >>> from focal_gbm import BinaryFocalLoss, FocalLGBMObjective
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 3))
    >>> y = (X[:, 0] + rng.normal(size=500) > 2).astype(int)
    >>> loss = BinaryFocalLoss(gamma=2.0)
    >>> start = np.full(len(y), loss.fit_intercept_only(y))
    >>> data = lightgbm.Dataset(X, y, init_score=start)
    >>> params = {"objective": FocalLGBMObjective(loss), "verbose": -1}
    >>> booster = lightgbm.train(params, data, num_boost_round=5)
    """

    library: ClassVar[Library] = LIGHTGBM


@dataclass(frozen=True)
class FocalLGBMMetric(FocalMetric):
    """Mean focal loss as a metric for ``lightgbm.train(feval=)`` and ``LGBMClassifier.fit(eval_metric=)``.

    Parameters
    ----------
    loss, prediction
        See `focal_gbm.training.metrics.FocalMetric`.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm import BinaryFocalLoss, FocalLGBMMetric
    >>> metric = FocalLGBMMetric(BinaryFocalLoss(gamma=0.0))
    >>> name, value, greater_is_better = metric(np.array([0, 1]), np.array([-1.0, 1.0]), None)
    >>> name, round(value, 6), greater_is_better
    ('focal_loss', 0.313262, False)
    """

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[str, float, bool]:
        """Return (name, mean loss, False) of ``(y_true, y_pred, sample_weight)`` or ``(y_pred, Dataset)``.

        Three parameters, so that LGBMClassifier, which counts them, hands over the weights.
        """
        if hasattr(y_pred, "get_label"):
            y_true, y_pred, sample_weight = y_pred.get_label(), y_true, y_pred.get_weight()
        return self.__name__, self.value(y_true, y_pred, sample_weight), False
