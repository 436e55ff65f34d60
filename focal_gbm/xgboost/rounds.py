"""The rounds of a fit on one machine: `xgboost.train`, with predictions seen where they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import xgboost
from xgboost.callback import CallbackContainer, EarlyStopping, EvaluationMonitor, TrainingCallback

from focal_gbm.xgboost.margins import Margins


def train(
    params: dict[str, Any],
    dtrain: xgboost.DMatrix,
    num_boost_round: int,
    *,
    obj: Callable[[Any], tuple[Any, Any]],
    margins: Margins,
    evals: Sequence[tuple[xgboost.DMatrix, str]] = (),
    early_stopping_rounds: int | None = None,
    evals_result: dict[str, Any] | None = None,
    verbose_eval: bool | int | None = True,
    xgb_model: xgboost.Booster | None = None,
    callbacks: Sequence[TrainingCallback] = (),
) -> xgboost.Booster:
    """Train a booster; parameters as in `xgboost.train`.

    Parameters
    ----------
    obj : callable
        From raw predictions, as `Margins.of` returns them, to gradient and Hessian.
    margins : Margins
    params, dtrain, num_boost_round, evals, early_stopping_rounds, evals_result, verbose_eval, xgb_model, \
callbacks
        As in `xgboost.train`. A metric of ours is a callback: see `LocalEvalMetrics`.

    Returns
    -------
    xgboost.Booster
    """
    if xgboost.train is not xgboost.training.train:
        # another's in its place, as MLflow's that logs each training: it is called
        watched: xgboost.Booster = xgboost.train(
            params, dtrain, num_boost_round, obj=obj, evals=evals,
            early_stopping_rounds=early_stopping_rounds, evals_result=evals_result, verbose_eval=verbose_eval,
            xgb_model=xgb_model, callbacks=callbacks,
        )  # fmt: skip
        return watched
    booster = xgboost.Booster(params, [dtrain, *(data for data, _ in evals)], model_file=xgb_model)
    all_callbacks = [*callbacks]
    if verbose_eval:
        all_callbacks.append(EvaluationMonitor(period=int(verbose_eval)))
    if early_stopping_rounds:
        all_callbacks.append(EarlyStopping(rounds=early_stopping_rounds))
    container = CallbackContainer(all_callbacks)
    evals = [*evals]
    booster = container.before_training(booster)
    for i in range(num_boost_round):
        if container.before_iteration(booster, i, dtrain, evals):
            break
        gradient, hessian = obj(margins.of(booster, dtrain, training=True))
        booster.boost(dtrain, iteration=i, grad=gradient, hess=hessian)
        if container.after_iteration(booster, i, dtrain, evals):
            break
    booster = container.after_training(booster)
    if evals_result is not None:
        evals_result.update(container.history)
    return booster.reset()
