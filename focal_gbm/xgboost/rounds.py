"""The rounds of a fit on one machine: `xgboost.train` for an objective that sees predictions where they lie.

`xgboost.train` copies the predictions twice on their way to an objective, of a round of a million rows on 16
threads a tenth. Here XGBoost's documented C functions hand over their address; all else is as there.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import xgboost
from xgboost.callback import CallbackContainer, EarlyStopping, EvaluationMonitor, TrainingCallback
from xgboost.libpath import find_lib_path

from focal_gbm._validation import FloatArray

#: Raw predictions of all trees so far, as `Booster.update` asks for them: with the trees that dart dropped.
_MARGIN = json.dumps(
    {"type": 1, "training": True, "iteration_begin": 0, "iteration_end": 0, "strict_shape": False}
).encode()


def train(
    params: dict[str, Any],
    dtrain: xgboost.DMatrix,
    num_boost_round: int,
    *,
    obj: Callable[[FloatArray], tuple[Any, Any]],
    evals: Sequence[tuple[xgboost.DMatrix, str]] = (),
    custom_metric: Callable[..., Any] | None = None,
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
        From raw predictions, float32 of shape (n_samples,) or (n_samples, n_scores), to gradient
        and Hessian.
        The predictions are not to be written to, and are gone with the next round.
    params, dtrain, num_boost_round, evals, custom_metric, early_stopping_rounds, evals_result, \
verbose_eval, xgb_model, callbacks
        As in `xgboost.train`.

    Returns
    -------
    xgboost.Booster
    """
    if xgboost.train is not xgboost.training.train:
        # another's in its place, as MLflow's that logs each training: it is called
        watched: xgboost.Booster = xgboost.train(
            params, dtrain, num_boost_round, obj=obj, evals=evals, custom_metric=custom_metric,
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
    container = CallbackContainer(all_callbacks, metric=custom_metric, output_margin=True)
    evals = [*evals]
    booster = container.before_training(booster)
    for i in range(num_boost_round):
        if container.before_iteration(booster, i, dtrain, evals):
            break
        gradient, hessian = obj(_predictions(booster, dtrain))
        booster.boost(dtrain, iteration=i, grad=gradient, hess=hessian)
        if container.after_iteration(booster, i, dtrain, evals):
            break
    booster = container.after_training(booster)
    if evals_result is not None:
        evals_result.update(container.history)
    return booster.reset()


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(find_lib_path()[0])
    library.XGBGetLastError.restype = ctypes.c_char_p
    return library


def _predictions(booster: xgboost.Booster, data: xgboost.DMatrix) -> FloatArray:
    """Return the raw predictions of the rows trained on, in XGBoost's own memory."""
    shape, n_axes = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
    values = ctypes.POINTER(ctypes.c_float)()
    failed = _library().XGBoosterPredictFromDMatrix(
        booster.handle, data.handle, _MARGIN, ctypes.byref(shape), ctypes.byref(n_axes), ctypes.byref(values)
    )
    if failed:
        raise xgboost.core.XGBoostError(_library().XGBGetLastError().decode())
    predictions = np.ctypeslib.as_array(values, tuple(shape[i] for i in range(n_axes.value)))
    predictions.flags.writeable = False
    return predictions
