"""Early stopping with XGBoost, which takes every callable metric for one to be minimised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xgboost.callback import EarlyStopping

from focal_gbm.training.direction import greater_is_better
from focal_gbm.xgboost.metrics import EvalMetrics


def stops_early(callback: Any) -> bool:
    """Say whether a callback of the user's stops early."""
    return isinstance(callback, EarlyStopping)


def stopping_callbacks(
    callbacks: Sequence[Any] | None, rounds: int | None, metrics: EvalMetrics
) -> list[Any]:
    """Return the user's callbacks and one that stops early, each of which knows which way a metric is better.

    Parameters
    ----------
    callbacks : sequence of TrainingCallback or None
        The user's.
    rounds : int or None
        Rounds without improvement after which to stop.
    metrics : EvalMetrics

    Raises
    ------
    ValueError
        If that cannot be known of the metric that decides.
    """
    result = [*(callbacks or [])]
    if rounds is not None:
        result.append(EarlyStopping(rounds=rounds))
    for callback in filter(stops_early, result):
        if callback.maximize is None:  # XGBoost's own metrics it knows
            callback.maximize = _direction(callback.metric_name, metrics)
    return result


def _direction(name: str | None, metrics: EvalMetrics) -> bool | None:
    metric = metrics.callable_that_decides(name)
    if metric is None:
        return None
    greater = greater_is_better(metric)
    if greater is None:
        raise ValueError(
            f"eval_metric={metric!r} decides when to stop, and must say which way it is better: give it an "
            "attribute greater_is_better, True or False, or use "
            "callbacks=[xgboost.callback.EarlyStopping(rounds, maximize=...)]."
        )
    return greater
