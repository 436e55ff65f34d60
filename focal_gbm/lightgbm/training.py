"""Training with LightGBM, the one way for estimator, search and Dask: data sets, rounds, the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_array

from focal_gbm._arrays import as_table
from focal_gbm._validation import FloatArray, check_sample_weight
from focal_gbm.kernels.threads import Threads
from focal_gbm.lightgbm.booster import CompletesFile, FocalBooster
from focal_gbm.lightgbm.columns import check_columns
from focal_gbm.lightgbm.library import KINDS, LIGHTGBM
from focal_gbm.lightgbm.metrics import EvalMetrics
from focal_gbm.lightgbm.model_file import check_text
from focal_gbm.lightgbm.model_text import add_start, read_state
from focal_gbm.lightgbm.parameters import (
    METRIC,
    MIN_HESSIAN,
    MIN_ROWS,
    given,
    given_number,
    is_dart,
    starts_from_average,
)
from focal_gbm.lightgbm.private import FirstRound, set_scores
from focal_gbm.training.continuation import check_goes_on
from focal_gbm.training.evaluation import Evaluation
from focal_gbm.training.plan import Plan, Rows, Target
from focal_gbm.training.state import FocalState, state_from_json


@dataclass(frozen=True)
class EvaluationSets:
    """The evaluation sets as `LGBMClassifier.fit` takes them."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    names: Sequence[str] | None = None
    weights: Any = None
    class_weights: Any = None
    init_scores: Any = None
    knows_training_set: bool = True  #: not in the form of `eval_X` and `eval_y`, as in LightGBM


class DataSet(NamedTuple):
    """A data set of LightGBM's, its name and rows, and the user's scores to start from."""

    dataset: lightgbm.Dataset
    name: str
    n_samples: int
    init_score: Any


class DataSets(NamedTuple):
    """The data sets of a fit."""

    train: DataSet
    evals: list[DataSet]


def data_sets(
    model: Any,
    plan: Plan,
    target: Target,
    rows: Rows,
    params: dict[str, Any],
    evaluation: EvaluationSets,
    init_score: Any = None,
    init_model: Any = None,
    **columns: Any,
) -> DataSets:
    """Return the data sets of the rows to train on, as the user gave them, and of the evaluation sets.

    Parameters
    ----------
    model : FocalLGBMClassifier
    plan : Plan
    target : Target
    rows : Rows
    params : dict
        The booster's.
    evaluation : EvaluationSets
    init_score : array-like or None
        The user's, of the rows to train on.
    init_model : object or None
        The model that training goes on from, which LightGBM can only take before it has binned the rows.
    **columns
        `feature_name` and `categorical_feature` of `LGBMClassifier.fit`.
    """
    _check_score(init_score, plan, target.codes, "init_score")
    data = _as_library_takes(rows.X, least_rows=2)
    train = lightgbm.Dataset(data, target.codes, weight=target.sample_weight, params=params, **columns)
    if init_model is None:
        train.construct()
    evals = []
    for i, (data, labels) in enumerate(evaluation.pairs):
        is_train = evaluation.knows_training_set and data is rows.X and labels is rows.y
        codes, weight, score, default_name = target.codes, target.sample_weight, init_score, "training"
        if not is_train:
            codes = plan.encode(labels, f"the labels of eval_set[{i}]", data)
            weight = _eval_weight(evaluation, i, codes, plan.state.classes)
            score, default_name = _item(evaluation.init_scores, i), f"valid_{i}"
            _check_score(score, plan, codes, f"eval_init_score[{i}]")
        # LightGBM drops trees of a dart model when a custom metric asks for its predictions of the training
        # set, after the last round for good: the rows get a data set of their own.
        dataset = train
        if is_dart(model) or not is_train:
            dataset = train.create_valid(_as_library_takes(data), codes, weight=weight, params=params)
            if init_model is None:
                dataset.construct()
        names = evaluation.names or []
        name = names[i] if i < len(names) else default_name
        evals.append(DataSet(dataset, name, len(codes), score))
    return DataSets(DataSet(train, "training", len(target.codes), init_score), evals)


def train(
    model: Any,
    plan: Plan,
    target: Target,
    data: DataSets,
    params: dict[str, Any],
    metrics: EvalMetrics,
    callbacks: Sequence[Callable[..., Any]] = (),
    init_model: Any = None,
) -> tuple[FocalBooster, dict[str, Any]]:
    """Return the trained booster, complete with its start, and the history of its metrics.

    Parameters
    ----------
    model : FocalLGBMClassifier
    plan : Plan
    target : Target
    data : DataSets
    params : dict
        As `booster_params` returns them.
    metrics : EvalMetrics
    callbacks : sequence of callable
    init_model : str, Path, Booster, LGBMModel or None
    """
    start = start_of(model, plan, data.train.init_score, init_model)
    for one in (data.train, *(one for one in data.evals if one.dataset is not data.train.dataset)):
        set_scores(one.dataset, _scores(start, one.n_samples, one.init_score))
    history: dict[str, Any] = {}
    loss = plan.state.loss
    entry = model.entry_of(plan.state, best_iteration=0, named=False)
    completes = CompletesFile(loss, entry, (start.tolist(), _objective(plan.state)), model.focal_parameters())
    booster = lightgbm.train(
        {**params, "objective": plan.objective.bind(target.codes, target.sample_weight)},
        data.train.dataset,
        model.n_estimators,
        valid_sets=[one.dataset for one in data.evals],
        valid_names=[one.name for one in data.evals],
        feval=[metric.native for metric in metrics.ours],
        callbacks=[
            *callbacks,
            completes,
            FirstRound(is_dart(model)),
            metrics,
            lightgbm.record_evaluation(history),
        ],
        init_model=init_model.booster_ if isinstance(init_model, lightgbm.LGBMModel) else init_model,
    )
    return _completed(booster, booster.model_to_string(num_iteration=-1), plan.state), history


def start_of(model: Any, plan: Plan, init_score: Any, init_model: Any) -> FloatArray:
    """Return the constant scores that become part of the model: zeros beside the user's scores or model."""
    start = KINDS[plan.state.loss.kind].own_start(plan.start)
    has_start = init_score is None and init_model is None and starts_from_average(model)
    return start if has_start else np.zeros_like(start)


def with_start(booster: lightgbm.Booster, start: FloatArray, state: FocalState) -> FocalBooster:
    """Return the booster with the start and the link to the score's probability written into the model."""
    text = add_start(booster.model_to_string(num_iteration=-1), start.tolist(), _objective(state))
    return _completed(booster, text, state)


def _completed(booster: lightgbm.Booster, text: str, state: FocalState) -> FocalBooster:
    """Return the booster of a complete text, with what a text does not hold."""
    complete = FocalBooster(text)
    complete.best_iteration, complete.best_score = booster.best_iteration, booster.best_score
    # by the user's names
    complete.params = {**booster.params, "objective": _objective(state).partition(" ")[0]}
    return complete


def _objective(state: FocalState) -> str:
    return KINDS[state.loss.kind].objective.format(len(state.classes))


def eval_metrics(model: Any, plan: Plan, eval_metric: Any = None) -> EvalMetrics:
    """Return the metrics of a fit: those of `eval_metric` and those of the parameter `metric`."""
    threads = Threads(LIGHTGBM.shared_object, plan.objective.n_jobs)
    evaluation = Evaluation(plan.state, model.probability, threads)
    return EvalMetrics(eval_metric, given(model, METRIC)[1], evaluation)


def check_init_model(init_model: Any, plan: Plan) -> None:
    """Raise unless the model to go on from has the classes of y and raw predictions that mean the same."""
    if init_model is None:
        return
    classes = plan.state.classes.tolist()
    others, loss = classes, None  # a booster knows no labels, and one of plain LightGBM no loss
    booster = init_model.booster_ if isinstance(init_model, lightgbm.LGBMModel) else init_model
    if isinstance(booster, FocalBooster):
        loss = booster.loss
    if isinstance(init_model, LGBMClassifier):
        others = np.asarray(init_model.classes_).tolist()
    elif isinstance(init_model, (str, Path)):
        text = Path(init_model).read_text(encoding="utf-8", errors="replace")
        try:
            check_text(text)
        except ValueError as error:
            raise ValueError(f"init_model must be a model of LightGBM: {error}") from None
        line = read_state(text)
        if line is not None:
            state = state_from_json(line)[0]
            others, loss = state.classes.tolist(), state.loss
    if others != classes:
        raise ValueError(f"init_model must have the classes of y, {classes}, got {others}.")
    if isinstance(booster, lightgbm.Booster) and booster.num_model_per_iteration() != len(plan.start):
        raise ValueError(
            f"init_model must have {len(plan.start)} scores a row for this y, got "
            f"{booster.num_model_per_iteration()}."
        )
    check_goes_on(loss, plan.state.loss, "init_model")


def why_no_split(model: Any, plan: Plan) -> str | None:
    """Return what to do where every tree of a fitted model is a single leaf, None where one is not."""
    if model.booster_.feature_importance("split").any():
        return None
    name, least_rows = given_number(model, MIN_ROWS)
    if plan.n_samples < 2 * least_rows:
        return f"Lower {name}: two leaves need {least_rows:g} rows each, and there are {plan.n_samples}."
    name, least = given_number(model, MIN_HESSIAN)
    total = plan.hessian_at_start()
    if total < 2 * least:
        return (
            f"Lower {name}: two leaves need a Hessian of {least:g} each, and all rows "
            f"together have {total:.3g} at the start (focal_gamma, focal_alpha and sample_weight "
            "scale it)."
        )
    return (
        "Lower min_child_samples, min_child_weight, min_split_gain or the other parameters that "
        "keep LightGBM from splitting; or else no feature tells the classes apart."
    )


def evaluation_pairs(eval_set: Any, eval_X: Any, eval_y: Any) -> list[tuple[Any, Any]]:
    """Return the evaluation sets as pairs, in whichever of LightGBM's two forms they came."""
    if eval_set is not None:
        if eval_X is not None or eval_y is not None:
            raise ValueError("eval_set and eval_X, eval_y must not both be given.")
        return [eval_set] if isinstance(eval_set, tuple) else list(eval_set)
    if (eval_X is None) != (eval_y is None):
        raise ValueError("eval_X and eval_y must be given together, got one of them.")
    if eval_X is None:
        return []
    if isinstance(eval_X, tuple) != isinstance(eval_y, tuple):
        raise ValueError("eval_X and eval_y must both be tuples or both be single sets.")
    if not isinstance(eval_X, tuple):
        return [(eval_X, eval_y)]
    if len(eval_X) != len(eval_y):
        raise ValueError(f"eval_X and eval_y must have the same length, got {len(eval_X)} and {len(eval_y)}.")
    return list(zip(eval_X, eval_y, strict=True))


def _item(collection: Any, i: int) -> Any:
    """Return what a user gave for evaluation set `i`, in the list or the dict that LightGBM takes."""
    if isinstance(collection, dict):
        return collection.get(i)
    return collection[i] if collection is not None and i < len(collection) else None


def _eval_weight(evaluation: EvaluationSets, i: int, codes: NDArray[Any], classes: NDArray[Any]) -> Any:
    """Return the weights of the rows of evaluation set `i`, class weights in them."""
    weight = check_sample_weight(_item(evaluation.weights, i), len(codes), f"eval_sample_weight[{i}]")
    by_class = _item(evaluation.class_weights, i)
    if by_class is None:
        return weight
    if isinstance(by_class, dict):
        positions = {label: code for code, label in enumerate(classes.tolist())}
        unknown = [label for label in by_class if label not in positions]
        if unknown:
            raise ValueError(
                f"eval_class_weight must hold weights of the labels {list(positions)}, got {unknown}."
            )
        by_class = {positions[label]: one for label, one in by_class.items()}
    of_class = compute_sample_weight(by_class, codes)
    return of_class if weight is None else of_class * weight


def _check_score(score: Any, plan: Plan, codes: NDArray[Any], name: str) -> None:
    if score is None:
        return
    array = np.asarray(score, dtype=np.float64)
    n_samples, n_scores = len(codes), len(plan.start)
    if array.shape not in ((n_samples * n_scores,), (n_samples, n_scores)):
        expected = (n_samples, n_scores) if n_scores > 1 else (n_samples,)
        raise ValueError(f"{name} must have shape {expected}, got shape {array.shape}.")
    if not np.isfinite(array).all():  # LightGBM takes nan for 0 without a word
        raise ValueError(f"{name} must be finite, got inf or nan.")


def _scores(start: FloatArray, n_samples: int, score: Any) -> FloatArray | None:
    """Return the start for every row, on top of a user's scores, in a shape that LightGBM takes.

    As LightGBM's own start, which is part of the first tree. None where both are nothing.
    """
    if score is None and not start.any():
        return None
    score = np.zeros(n_samples) if score is None else np.asarray(score)
    if len(start) == 1:
        return np.asarray(score.reshape(n_samples) + start[0])
    if score.ndim == 1 and score.size != n_samples:
        score = score.reshape(len(start), n_samples).T  # LightGBM's flat form is class after class
    return np.asarray(score.reshape(n_samples, -1) + start)


def _as_library_takes(X: Any, least_rows: int = 1) -> Any:
    """Return what LGBMClassifier makes of a table: data frames as they are, all else as an array."""
    X = as_table(X)
    check_columns(X)
    if hasattr(X, "columns"):
        return X
    return check_array(X, accept_sparse=True, ensure_all_finite=False, ensure_min_samples=least_rows)
