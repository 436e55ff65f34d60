"""The bare custom objective for `lightgbm.train` and `LGBMClassifier(objective=)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import lightgbm

from focal_gbm._versions import warn_if_untested
from focal_gbm.fit import FocalObjective

warn_if_untested("lightgbm", lightgbm.__version__)


@dataclass(frozen=True)
class FocalLGBMObjective(FocalObjective):
    """Focal loss, the objective of ``lightgbm.train({"objective": ...})`` and ``LGBMClassifier(objective=)``.

    `focal_gbm.lightgbm.train` also sets the start, computes metrics on probabilities and writes both into the
    model.

    Parameters
    ----------
    loss, scale, n_jobs
        See `focal_gbm.fit.objective.FocalObjective`. Without `n_jobs` LightGBM itself says how many threads.

    Examples
    --------
    >>> import numpy as np, lightgbm
    >>> from focal_gbm import BinaryFocalLoss, FocalLGBMObjective
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 3))
    >>> y = (X[:, 0] + rng.normal(size=500) > 2).astype(int)
    >>> loss = BinaryFocalLoss(gamma=2.0)
    >>> data = lightgbm.Dataset(X, y, init_score=np.full(len(y), loss.fit_intercept_only(y)))
    >>> params = {"objective": FocalLGBMObjective(loss), "verbose": -1}
    >>> booster = lightgbm.train(params, data, num_boost_round=5)
    """

    order: ClassVar[Literal["C", "F"]] = "F"
    shared_object: ClassVar[str | None] = getattr(getattr(lightgbm.basic, "_LIB", None), "_name", None)

    @staticmethod
    def softmax_hessian_factor(n_classes: int) -> float:
        """Return LightGBM's factor, K/(K-1)."""
        return n_classes / (n_classes - 1.0)
