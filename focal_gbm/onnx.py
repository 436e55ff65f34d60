"""The estimators for skl2onnx: needs it and onnxmltools, which has the converters of the libraries' own."""

from __future__ import annotations

from typing import Any

import xgboost

from focal_gbm._warnings import warn_user
from focal_gbm.lightgbm import FocalLGBMClassifier
from focal_gbm.training.continuation import is_log_odds
from focal_gbm.xgboost import FocalXGBClassifier

_OPTIONS = {"nocl": [True, False], "zipmap": [True, False, "columns"]}


def register_converters() -> None:
    """Teach skl2onnx to convert `FocalXGBClassifier` and `FocalLGBMClassifier`, also in pipelines.

    The graph returns the probabilities of `predict_proba`, and the most probable class as its label. A model
    whose scores are no log-odds is refused as it is converted.

    Raises
    ------
    ImportError
        If skl2onnx or onnxmltools is not installed.
    """
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    for estimator, converter in (
        (FocalXGBClassifier, _convert_xgboost),
        (FocalLGBMClassifier, _convert_lightgbm),
    ):
        update_registered_converter(
            estimator, f"FocalGBM{estimator.__name__}", calculate_linear_classifier_output_shapes, converter,
            options=_OPTIONS,
        )  # fmt: skip


def _convert_xgboost(scope: Any, operator: Any, container: Any) -> None:
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost

    model = operator.raw_operator
    _check(model)
    booster = model.get_booster()
    if model.early_stopping_rounds is not None:
        booster = booster[: model.best_iteration + 1]
    # the parameter `objective` of ours is not that of many classes
    operator.raw_operator = xgboost.XGBClassifier()
    operator.raw_operator.load_model(booster.save_raw())
    convert_xgboost(scope, operator, container)


def _convert_lightgbm(scope: Any, operator: Any, container: Any) -> None:
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

    _check(operator.raw_operator)
    convert_lightgbm(scope, operator, container)


def _check(model: Any) -> None:
    loss = model._state().loss
    name = type(model).__name__
    if not is_log_odds(loss):
        raise ValueError(
            f"{name} cannot be converted: its booster predicts focal scores, which ONNX would take for "
            'probabilities. Train it with focal_link="logit".'
        )
    if len({*loss.weighted_losses()}) > 1:
        warn_user(
            f"{name}: the label of the ONNX graph is the most probable class, and not that of predict, whose "
            "decision focal_alpha or a focal_gamma by class moves."
        )
