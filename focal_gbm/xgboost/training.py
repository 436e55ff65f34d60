"""Training with XGBoost, the one way for estimator, search and Dask: parameters, matrices, rounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import xgboost
from numpy.typing import ArrayLike

from focal_gbm._arrays import as_table
from focal_gbm._validation import check_sample_weight, per_evaluation_set
from focal_gbm.training.continuation import check_goes_on
from focal_gbm.training.plan import Plan, Rows, Target
from focal_gbm.training.state import state_from_json
from focal_gbm.training.tracking import log_parameters
from focal_gbm.xgboost.device_rows import DeviceMatrix, Placed, cuda_for, place
from focal_gbm.xgboost.library import KINDS, XGBOOST
from focal_gbm.xgboost.local_metrics import EvalData
from focal_gbm.xgboost.metrics import EvalMetrics
from focal_gbm.xgboost.model_file import STATE, read_booster
from focal_gbm.xgboost.stopping import stopping_callbacks


class Matrices(NamedTuple):
    """Rows as XGBoost's matrices: to train on, to evaluate on, and which of them are on a device."""

    train: xgboost.DMatrix
    evals: list[EvalData]
    on_device: list[DeviceMatrix]


class EvaluationSets(NamedTuple):
    """The evaluation sets as `XGBClassifier.fit` takes them."""

    sets: Sequence[tuple[Any, ArrayLike]] | None
    weights: Sequence[ArrayLike | None] | None = None
    margins: Sequence[ArrayLike | None] | None = None

    def each(self) -> list[tuple[Any, Any, Any, Any]]:
        """Return (rows, labels, weights, margins) of each."""
        n_sets = 0 if self.sets is None else len(self.sets)
        weights = per_evaluation_set(self.weights, n_sets, "sample_weight_eval_set")
        margins = per_evaluation_set(self.margins, n_sets, "base_margin_eval_set")
        each = zip(self.sets or [], weights, margins, strict=True)
        return [(as_table(X), y, weight, margin) for (X, y), weight, margin in each]


def training_params(model: Any, plan: Plan, previous: xgboost.Booster | None) -> dict[str, Any]:
    """Return the booster's parameters: the user's, with objective and start of the plan.

    Parameters
    ----------
    model : FocalXGBClassifier
    plan : Plan
    previous : xgboost.Booster or None
        The model that training goes on from, which brings its own start.
    """
    loss = plan.state.loss
    kind = KINDS[loss.kind]
    if model.objective not in (None, *kind.names):
        raise ValueError(
            f"objective must be left alone: {type(model).__name__} trains the focal loss, "
            f"got {model.objective!r}. Use xgboost.XGBClassifier(objective=FocalXGBObjective(...)) for "
            "XGBoost's own estimator with a focal objective."
        )
    params: dict[str, Any] = model.get_xgb_params()
    n_classes = len(plan.state.classes) if loss.activation == "softmax" else None
    if params.pop("num_class", None) not in (None, 0, n_classes or 1):
        raise ValueError(f"num_class is taken from y, got {model.get_params()['num_class']!r}.")
    params["objective"] = kind.objective
    if n_classes is not None:
        params["num_class"] = n_classes
    params.pop("scale_pos_weight", None)  # part of α
    if previous is not None:
        params.pop("base_score", None)
    elif params.get("base_score") is None:
        start = kind.to_base_score(plan.start)
        params["base_score"] = start.tolist() if len(start) > 1 else float(start[0])
    return params


def feature_weights_of(model: Any, given: ArrayLike | None) -> ArrayLike | None:
    """Return the feature weights, from `fit` or from the constructor."""
    if given is None:
        weights: ArrayLike | None = model.feature_weights
        return weights
    if model.feature_weights is not None:
        raise ValueError("feature_weights must be given to the constructor or to fit, got both.")
    return given


def matrices(
    model: Any,
    plan: Plan,
    target: Target,
    rows: Rows,
    base_margin: ArrayLike | None = None,
    evaluation: EvaluationSets | None = None,
    feature_weights: ArrayLike | None = None,
    previous: xgboost.Booster | None = None,
) -> Matrices:
    """Return the matrices of the rows to train on, as the user gave them, and of the evaluation sets."""
    feature_types = model.feature_types
    if previous is not None and _is_dataframe(rows.X):
        categories = previous.get_categories()
        feature_types = feature_types if categories.empty() else categories
    sets = evaluation.each() if evaluation else []
    cuda = None
    if len(target.codes) > XGBOOST.exact_rows and not isinstance(feature_types, xgboost.core.Categories):
        cuda = cuda_for(model)
    tables = [rows.X, *(data for data, *_ in sets)]
    placed = [None] * len(tables) if cuda is None else place(cuda, tables)
    on_device: list[DeviceMatrix] = []

    def make(i: int, types: Any, **content: Any) -> xgboost.DMatrix:
        rows_on_device = placed[i]
        matrix = _matrix(model, **_content(tables[i], rows_on_device, types), **content)
        if cuda is not None and rows_on_device is not None:
            on_device.append(DeviceMatrix(matrix, rows_on_device, cuda))
        return matrix

    train = make(
        0,
        feature_types,
        label=target.codes.astype(np.float32),
        weight=target.sample_weight,
        base_margin=base_margin,
        feature_weights=feature_weights,
    )
    evals: list[EvalData] = []
    for i, (data, labels, weights, margin) in enumerate(sets):
        name = f"validation_{i}"
        if data is rows.X and labels is rows.y and weights is rows.sample_weight and margin is base_margin:
            evals.append((train, name, target.codes, target.sample_weight))
            continue
        codes = plan.encode(labels, f"the labels of eval_set[{i}]", data)
        weight = check_sample_weight(weights, len(codes), f"sample_weight_eval_set[{i}]")
        types = feature_types
        if _is_dataframe(data) and _is_dataframe(rows.X) and not train.get_categories().empty():
            types = train.get_categories()
        content = {"label": codes.astype(np.float32), "weight": weight, "base_margin": margin}
        evals.append((make(1 + i, types, ref=train, **content), name, codes, weight))
    return Matrices(train, evals, on_device)


def _content(table: Any, placed: Placed | None, feature_types: Any) -> dict[str, Any]:
    """Return rows as XGBoost takes them, with names and types of columns also where a table loses its own."""
    if placed is None:
        return {"data": table, "feature_types": feature_types}
    content = {"data": placed.table, "feature_types": feature_types}
    if _is_dataframe(table):
        named = xgboost.DMatrix(table.iloc[:1], feature_types=feature_types)
        content.update(feature_names=named.feature_names, feature_types=named.feature_types)
    return content


def _matrix(model: Any, ref: xgboost.DMatrix | None = None, **content: Any) -> xgboost.DMatrix:
    content.update(missing=model.missing, enable_categorical=model.enable_categorical, nthread=model.n_jobs)
    if bins_ahead(model):
        try:
            return xgboost.QuantileDMatrix(**content, ref=ref, max_bin=model.max_bin)
        except TypeError:  # it takes fewer types than DMatrix
            pass
    return xgboost.DMatrix(**content)


def bins_ahead(model: Any) -> bool:
    """Say whether rows are quantised as the matrix is made, as in XGBClassifier: a quarter of the memory."""
    return (
        model.tree_method in (None, "auto", "hist")
        and model.booster != "gblinear"
        and not str(model.device).startswith("sycl")
    )


class StateEntry(xgboost.callback.TrainingCallback):
    """Write our part of the model before the first round, so that what a checkpoint saves has it.

    Parameters
    ----------
    text : str or None
        None of labels that text cannot hold.
    parameters : dict
        For MLflow.
    """

    def __init__(self, text: str | None, parameters: dict[str, Any]) -> None:
        super().__init__()
        self._text, self._parameters = text, parameters

    def before_training(self, model: Any) -> Any:
        """Write it; XGBoost calls this once."""
        model.set_attr(**{STATE: self._text})
        log_parameters("xgboost", self._parameters)
        return model


def training_arguments(
    model: Any,
    plan: Plan,
    metrics: EvalMetrics,
    evals: list[tuple[Any, str]],
    early_stopping_rounds: int | None,
    verbose: bool | int | None,
    previous: xgboost.Booster | None,
) -> dict[str, Any]:
    """Return the arguments of `xgboost.train` and of `xgboost.dask.train`, but for parameters and matrix."""
    text = None
    with suppress(TypeError):  # labels that only a pickle can hold: save_model says so
        text = model._state_as_json(plan.state)
    entry = StateEntry(text, model.focal_parameters())
    stopping = stopping_callbacks(model.callbacks, early_stopping_rounds, metrics)
    return {
        "num_boost_round": model.get_num_boosting_rounds(),
        "evals": evals,
        "verbose_eval": verbose,
        "xgb_model": previous,
        "callbacks": [entry, metrics, *stopping],
    }


def previous_booster(xgb_model: Any, plan: Plan) -> xgboost.Booster | None:
    """Return a copy of the model that training goes on from."""
    if isinstance(xgb_model, xgboost.XGBModel):
        previous = xgb_model.get_booster()
    elif xgb_model is None or isinstance(xgb_model, xgboost.Booster):
        previous = xgb_model
    else:
        try:
            previous = read_booster(xgb_model)
        except (OSError, ValueError) as error:
            raise ValueError(f"xgb_model must be a model of XGBoost: {error}") from error
    if previous is None:
        return None
    _check_goes_on(previous, plan)
    # XGBoost would keep the best iteration, and predict without the trees to come
    previous = previous.copy()
    previous.set_attr(best_iteration=None, best_score=None)
    return previous


def _check_goes_on(previous: xgboost.Booster, plan: Plan) -> None:
    shape = json.loads(previous.save_config())["learner"]["learner_model_param"]
    n_scores = max(int(shape["num_class"]), int(shape["num_target"]))
    saved = previous.attr(STATE)
    classes, loss = plan.state.classes, None  # a model of plain XGBoost knows none
    if saved is not None:
        state = state_from_json(saved)[0]
        classes, loss = state.classes, state.loss
    if classes.tolist() != plan.state.classes.tolist():
        raise ValueError(
            f"xgb_model must have the classes of y, {plan.state.classes.tolist()}, got {classes.tolist()}."
        )
    if n_scores != len(plan.start):
        raise ValueError(f"xgb_model must have {len(plan.start)} scores a row for this y, got {n_scores}.")
    check_goes_on(loss, plan.state.loss, "xgb_model")


def why_no_split(model: Any, plan: Plan) -> str | None:
    """Return what to do where every tree of a fitted model is a single leaf, None where one is not."""
    try:
        if model.get_booster().get_score(importance_type="weight"):
            return None
    except xgboost.core.XGBoostError:
        return None  # gblinear: it has no trees
    least = 1.0 if model.min_child_weight is None else float(model.min_child_weight)
    total = plan.hessian_at_start()
    if total < 2 * least:
        return (
            f"Lower min_child_weight: two leaves need a Hessian of {least:g} each, and all rows "
            f"together have {total:.3g} at the start (focal_gamma, focal_alpha and sample_weight "
            "scale it)."
        )
    return (
        "Lower min_child_weight, gamma (the minimum split loss) or the other parameters that keep "
        "XGBoost from splitting; or else no feature tells the classes apart."
    )


def _is_dataframe(data: Any) -> bool:
    return hasattr(data, "columns") or hasattr(data, "column_names")
