"""How EarlyStoppingClassifier stops an estimator of XGBoost."""

from __future__ import annotations

from typing import Any

import numpy as np
from xgboost.callback import EarlyStopping

#: What the estimator must leave to a parameter of EarlyStoppingClassifier.
TAKEN = {"rounds": ("early_stopping_rounds",), "eval_metric": ("eval_metric",)}


def stop_early(
    model: Any, y: Any, rounds: int, eval_metric: Any, weights: list[Any] | None, *, cut: bool
) -> dict[str, Any]:
    """Let a model stop early, and return the arguments of its `fit` beside the rows.

    Parameters
    ----------
    model : XGBClassifier
        Its parameters are set.
    y : array-like of shape (n_samples,)
        Labels of the rows to train on.
    rounds, eval_metric
        Those of EarlyStoppingClassifier.
    weights : list of one array, or None
        Of the rows to stop on.
    cut : bool
        Whether the model ends at its best round.
    """
    metric = eval_metric or ("logloss" if len(np.unique(y)) <= 2 else "mlogloss")
    stopping = EarlyStopping(rounds=rounds, save_best=cut)
    model.set_params(eval_metric=metric, callbacks=[*(model.callbacks or ()), stopping])
    return {"verbose": False, "sample_weight_eval_set": weights}


def n_best_rounds(model: Any) -> int:
    """Return the number of rounds up to the best one."""
    return int(model.best_iteration) + 1
