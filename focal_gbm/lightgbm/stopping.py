"""How EarlyStoppingClassifier stops an estimator of LightGBM."""

from __future__ import annotations

from typing import Any

from focal_gbm.lightgbm.parameters import EARLY_STOPPING, METRIC, N_ROUNDS

#: What the estimator must leave to a parameter of EarlyStoppingClassifier, or to its own `n_estimators`. An alias
#: that is overlooked would win over the name that is set here.
TAKEN = {"n_estimators": N_ROUNDS, "rounds": EARLY_STOPPING, "eval_metric": METRIC}


def stop_early(
    model: Any, y: Any, rounds: int, eval_metric: Any, weights: list[Any] | None, *, cut: bool
) -> dict[str, Any]:
    """Let a model stop early, and return the arguments of its `fit` beside the rows.

    Parameters
    ----------
    model : LGBMClassifier
        Its parameters are set.
    y, cut
        Not used: LightGBM's log loss is one name for any number of classes, and it predicts with the best rounds.
    rounds, eval_metric
        Those of EarlyStoppingClassifier.
    weights : list of one array, or None
        Of the rows to stop on.
    """
    # as parameters, and not as a callback: LightGBM then asks its `verbose` whether to print
    model.set_params(early_stopping_round=rounds, first_metric_only=True)
    if callable(eval_metric):
        model.set_params(metric="None")  # the library's own metric would come first
    return {"eval_metric": eval_metric or "logloss", "eval_sample_weight": weights}


def n_best_rounds(model: Any) -> int:
    """Return the number of rounds up to the best one, 0 of a model that could not stop early."""
    return int(model.best_iteration_)
