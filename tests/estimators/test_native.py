"""Estimator, `train`, `cv` and the callback in a plain XGBClassifier: one model, whatever the way to it."""

import json

import lightgbm
import numpy as np
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from problems import CLOSE, Problem, Rows, as_columns, booster, fit, log, n_best, ours, rows
from scipy.special import expit, softmax

import focal_gbm.lightgbm
import focal_gbm.xgboost
from focal_gbm import (
    BinaryFocalLoss,
    FocalLGBMObjective,
    FocalXGBObjective,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
    Poly1Focal,
)
from focal_gbm.losses import Focal
from focal_gbm.xgboost import FocalBoosting

XGBOOST = ("two", "many", "labels")


def matrix(data, weighted=False):
    return xgboost.DMatrix(data.X, data.y, weight=data.weight if weighted else None)


def dataset(data, weighted=False, **more):
    return lightgbm.Dataset(data.X, data.y, weight=data.weight if weighted else None, **more)


def trained(problem, n_rounds=10, evaluate=None, stop=None, weighted=False, params=None, **more):
    """Train natively what `fit` trains; return the booster, its probabilities, the log and the best round."""
    params = {**problem.native, **(params or {})}
    results = {}
    if problem.library == "xgboost":
        sets = evaluate and {
            "evals": [(matrix(evaluate, weighted), "valid")], "evals_result": results, "verbose_eval": False
        }  # fmt: skip
        found = focal_gbm.xgboost.train(
            params, matrix(problem.train, weighted), n_rounds, **(sets or {}),
            early_stopping_rounds=stop, **{"gamma": 2.0, **more},
        )  # fmt: skip
        probability = found.predict(xgboost.DMatrix(problem.valid.X))
    else:
        train_set, sets = dataset(problem.train, weighted), {}
        if evaluate:
            callbacks = [lightgbm.record_evaluation(results)]
            callbacks += [lightgbm.early_stopping(stop, verbose=False)] if stop else []
            sets = {
                "valid_sets": [dataset(evaluate, weighted, reference=train_set)], "valid_names": ["valid"],
                "callbacks": callbacks,
            }  # fmt: skip
        found = focal_gbm.lightgbm.train(params, train_set, n_rounds, **{"gamma": 2.0, **sets, **more})
        probability = found.predict(problem.valid.X)
    return found, probability if problem.kind == "labels" else as_columns(probability), results.get("valid")


LOSSES = {"focal": {}, "alpha": {"alpha": "balanced"}, "poly-1": {"margin_loss": Poly1Focal(1.5, 0.5)}}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("loss", LOSSES)
def test_train_is_the_estimator(problem, loss, weighted):
    arguments = {"gamma": 1.0, **LOSSES[loss]} if "margin_loss" in LOSSES[loss] else LOSSES[loss]
    names = {"gamma": "focal_gamma", "alpha": "focal_alpha", "margin_loss": "margin_loss"}
    model = fit(
        problem.ours(**{names[name]: value for name, value in arguments.items()}),
        problem.train,
        weighted=weighted,
    )
    _, probability, _ = trained(problem, weighted=weighted, **arguments)
    assert_allclose(probability, model.predict_proba(problem.valid.X), rtol=0, atol=problem.close)


def test_the_bare_objective_with_its_start_and_scale_is_the_estimator(problem):
    data, X = rows(problem.kind, 0, 1500), problem.valid.X
    loss = {
        "two": BinaryFocalLoss(2.0),
        "many": MulticlassFocalLoss(3, 2.0),
        "labels": MultilabelFocalLoss(3, 2.0),
    }[problem.kind]
    start, params = np.asarray(loss.fit_intercept_only(data.y)), dict(problem.native)
    if problem.library == "xgboost":
        params["objective"] = "multi:softprob" if problem.kind == "many" else "binary:logistic"
        params["base_score"] = (start if problem.kind == "many" else expit(start)).tolist()
        objective = FocalXGBObjective(loss, scale=3.0)  # 1 + γ
        found = xgboost.train(params, matrix(data), 10, obj=objective).predict(xgboost.DMatrix(X))
    else:
        params["objective"] = FocalLGBMObjective(loss, scale=3.0)
        starts = np.tile(start, (1500, 1)).squeeze()
        train_set = lightgbm.Dataset(data.X, data.y, init_score=starts)
        raw = lightgbm.train(params, train_set, 10).predict(X, raw_score=True) + start
        found = softmax(raw, axis=1) if problem.kind == "many" else expit(raw)
    found = found if problem.kind == "labels" else as_columns(found)
    expected = fit(problem.ours(), data).predict_proba(X)
    assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_train_stops_where_the_estimator_does(problem, weighted):
    model = problem.ours(n_estimators=100, learning_rate=0.5)
    fit(model, problem.train, problem.valid, stop=5, weighted=weighted)
    found, probability, results = trained(
        problem, 100, problem.valid, 5, weighted=weighted, params={"learning_rate": 0.5}
    )
    best = found.best_iteration + (problem.library == "xgboost")
    assert 1 < best == n_best(model) < 60
    for name, values in log(model).items():
        assert_allclose(results[name], values, rtol=1e-9)
    assert_allclose(probability, model.predict_proba(problem.valid.X), rtol=0, atol=problem.close)


@pytest.mark.parametrize("stop", [None, 5])
@pytest.mark.parametrize("kind", XGBOOST)
def test_the_callback_in_a_plain_classifier(kind, stop):
    problem = Problem("xgboost", kind)
    params = {"n_estimators": 40, "learning_rate": 0.5}
    focal = fit(problem.ours(**params, focal_alpha="balanced"), problem.train, problem.valid, stop=stop)
    callback = FocalBoosting(2.0, "balanced")
    plain = fit(problem.own(**params, callbacks=[callback]), problem.train, problem.valid, stop=stop)
    assert_allclose(plain.predict_proba(problem.valid.X), focal.predict_proba(problem.valid.X), rtol=0, atol=1e-6)
    assert log(plain) == log(focal)
    # the same object again, and plain boosting without it
    again = fit(problem.own(**params, callbacks=[callback]), problem.train, problem.valid, stop=stop)
    assert_array_equal(again.predict_proba(problem.valid.X), plain.predict_proba(problem.valid.X))
    if stop:
        assert plain.best_iteration == focal.best_iteration
        assert plain.get_booster().num_boosted_rounds() == plain.best_iteration + 1


@pytest.mark.parametrize("kind", XGBOOST)
def test_cv_of_xgboost(kind):
    problem = Problem("xgboost", kind)
    data, n = problem.train, len(problem.train.y)
    folds = [(np.arange(n // 2), np.arange(n // 2, n)), (np.arange(n // 2, n), np.arange(n // 2))]
    params = {**problem.native, "objective": "multi:softprob" if kind == "many" else "binary:logistic"}
    found = xgboost.cv(params, matrix(data), 10, folds=folds, callbacks=[FocalBoosting(2.0)], as_pandas=False)
    metric = "mlogloss" if kind == "many" else "logloss"
    logs = []
    for train, test in folds:
        model = problem.ours().fit(data.X[train], data.y[train], eval_set=[(data.X[test], data.y[test])], verbose=False)
        logs.append(log(model)[metric])
    assert_allclose(found[f"test-{metric}-mean"], np.mean(logs, axis=0), rtol=1e-5)


def test_gamma_zero_of_train_is_the_librarys(problem):
    params = dict(problem.native)
    _, probability, _ = trained(problem, gamma=0.0)
    if problem.library == "xgboost":
        params["objective"] = "multi:softprob" if problem.kind == "many" else "binary:logistic"
        own = xgboost.train(params, matrix(problem.train), 10).predict(xgboost.DMatrix(problem.valid.X))
    else:
        params["objective"] = "multiclass" if problem.kind == "many" else "binary"
        own = lightgbm.train(params, dataset(problem.train), 10).predict(problem.valid.X)
    assert_array_equal(probability, own if problem.kind == "labels" else as_columns(own))


# Going on, checkpoints, other callbacks


def go_on(problem, model, first, **arguments):
    name = "xgb_model" if problem.library == "xgboost" else "init_model"
    return fit(model, problem.train, **{name: first, **arguments})


@pytest.mark.parametrize("form", ["estimator", "booster", "file"])
def test_twice_five_rounds_are_ten(problem, form, tmp_path):
    first = fit(problem.ours(n_estimators=5), problem.train)
    of = {"estimator": first, "booster": booster(first), "file": tmp_path / "model.json"}[form]
    booster(first).save_model(tmp_path / "model.json")
    if form == "file" and problem.library == "xgboost":
        of = str(of)
    model = go_on(problem, problem.ours(n_estimators=5), of)
    whole = fit(problem.ours(), problem.train)
    assert_allclose(model.predict_proba(problem.valid.X), whole.predict_proba(problem.valid.X), rtol=0, atol=1e-6)
    _, probability, _ = trained(
        problem, 5, **{"xgb_model" if problem.library == "xgboost" else "init_model": booster(first)}
    )
    assert_allclose(probability, whole.predict_proba(problem.valid.X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("before", ["the library's", "another γ", "α"])
def test_going_on_from_any_log_odds(problem, before):
    first = {
        "the library's": problem.own, "another γ": lambda: problem.ours(focal_gamma=0.5),
        "α": lambda: problem.ours(focal_alpha="balanced"),
    }[before]()  # fmt: skip
    data = problem.train
    fit(first, data)
    some = data.y == data.y.max() if data.y.ndim == 1 else data.y[:, 0] == 1
    keep = some | (np.arange(300) % 4 == 0)  # other base rates, which must not move the start
    model = problem.ours(n_estimators=1, learning_rate=1e-9)
    name = "xgb_model" if problem.library == "xgboost" else "init_model"
    fit(model, Rows(data.X[keep], data.y[keep], None), **{name: booster(first)})
    assert_allclose(model.predict_proba(problem.valid.X), first.predict_proba(problem.valid.X), rtol=0, atol=1e-6)


def test_going_on_after_early_stopping_uses_the_new_rounds(problem):
    first = fit(problem.ours(n_estimators=100, learning_rate=0.5), problem.train, problem.valid, stop=5)
    best = n_best(first)
    model = go_on(problem, problem.ours(n_estimators=7), booster(first))
    counted = (
        booster(model).num_boosted_rounds()
        if problem.library == "xgboost"
        else booster(model).num_trees() // (3 if problem.kind == "many" else 1)
    )
    assert counted == best + 7
    more = go_on(problem, problem.ours(n_estimators=1), booster(model))
    assert np.abs(more.predict_proba(problem.valid.X) - model.predict_proba(problem.valid.X)).max() > 1e-3
    assert np.abs(model.predict_proba(problem.valid.X) - first.predict_proba(problem.valid.X)).max() > 1e-2


@pytest.mark.parametrize("kind", XGBOOST)
def test_checkpoints_of_xgboost(kind, tmp_path):
    problem = Problem("xgboost", kind)
    checkpoint = xgboost.callback.TrainingCheckPoint(tmp_path, name="at", interval=4)
    model = fit(problem.ours(callbacks=[checkpoint]), problem.train)
    first = xgboost.Booster(model_file=str(tmp_path / "at_4.ubj"))
    expected = model.get_booster()[: first.num_boosted_rounds()]
    rest = xgboost.DMatrix(problem.valid.X)
    assert_array_equal(first.predict(rest), expected.predict(rest))
    model = go_on(problem, problem.ours(n_estimators=10 - first.num_boosted_rounds()), first)
    whole = fit(problem.ours(), problem.train)
    assert_allclose(model.predict_proba(problem.valid.X), whole.predict_proba(problem.valid.X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["two", "many"])
def test_checkpoints_of_lightgbm(kind, tmp_path):
    problem, texts = Problem("lightgbm", kind), []

    def checkpoint(env):
        if env.iteration == 3:
            texts.extend(env.model.model_to_string(start_iteration=start) for start in (0, 2))
            env.model.save_model(tmp_path / "at_4.txt")

    model = fit(problem.ours(), problem.train, callbacks=[checkpoint])
    expected = model.predict_proba(problem.valid.X, num_iteration=4)
    for first in (lightgbm.Booster(model_file=tmp_path / "at_4.txt"), lightgbm.Booster(model_str=texts[0])):
        assert_allclose(as_columns(first.predict(problem.valid.X)), expected, rtol=0, atol=1e-12)
    rest = lightgbm.Booster(model_str=texts[1]).predict(problem.valid.X, raw_score=True)  # without the start
    expected = model.booster_.predict(problem.valid.X, start_iteration=2, num_iteration=2, raw_score=True)
    assert_allclose(rest, expected, rtol=0, atol=1e-12)


class Recorder(xgboost.callback.TrainingCallback):
    def __init__(self):
        super().__init__()
        self.calls = []

    def before_training(self, model):
        self.calls.append("before")
        return model

    def after_training(self, model):
        self.calls.append("after")
        return model

    def before_iteration(self, model, epoch, evals_log):
        self.calls.append((epoch, model.num_boosted_rounds()))
        return False


def test_other_callbacks_of_xgboost(table):
    recorder = Recorder()
    rates = xgboost.callback.LearningRateScheduler([0.3] * 5 + [1e-9] * 5)
    model = fit(ours("xgboost", callbacks=[recorder, rates]), table)
    assert recorder.calls == ["before", *((i, i) for i in range(10)), "after"]
    half = fit(ours("xgboost", n_estimators=6), table)  # XGBoost itself takes a new rate one round late
    assert_allclose(model.predict_proba(table.X), half.predict_proba(table.X), atol=1e-6)
    plain = xgboost.Booster(model_file=booster(model).save_raw())
    for one in (booster(model), plain):  # the library's own update again
        one.set_param({"max_depth": 3, "learning_rate": 0.3})
        one.update(matrix(table), 10)
    assert_array_equal(booster(model).predict(matrix(table)), plain.predict(matrix(table)))


def test_rates_of_lightgbm(table):
    rates = lightgbm.reset_parameter(learning_rate=lambda i: 0.5 if i < 5 else 1e-9)
    model = fit(ours("lightgbm"), table, callbacks=[rates])
    half = fit(ours("lightgbm", n_estimators=5, learning_rate=0.5), table)
    assert_allclose(model.predict_proba(table.X), half.predict_proba(table.X), atol=1e-6)


# What the booster says, and what is refused


def test_how_a_booster_of_xgboost_was_trained(table):
    found = focal_gbm.xgboost.train({}, matrix(table), 2, gamma=1.5, alpha=[1, 3])
    assert json.loads(found.attr("focal_gbm")) == {
        "gamma": 1.5,
        "margin_loss": None,
        "class_weights": [1.0, 3.0],
    }
    nameless = type("Nameless", (Focal,), {})(2.0)
    found = focal_gbm.xgboost.train({}, matrix(table), 2, margin_loss=nameless)
    assert json.loads(found.attr("focal_gbm"))["margin_loss"] == repr(nameless)  # no more than a text can be kept


def test_a_start_of_the_user_is_kept(table):
    found = focal_gbm.xgboost.train({"base_score": 0.4, "eta": 0.0}, matrix(table), 1)
    assert_allclose(found.predict(matrix(table)), 0.4, atol=1e-6)
    found = focal_gbm.xgboost.train({"eta": 0.0}, matrix(table), 1)
    assert_allclose(found.predict(matrix(table)), table.y.mean(), atol=1e-6)
    p = focal_gbm.lightgbm.train({"verbose": -1, "learning_rate": 1e-12}, dataset(table), 1).predict(table.X)
    assert_allclose(p, table.y.mean(), atol=1e-9)
    params = {"verbose": -1, "learning_rate": 1e-12, "boost_from_average": False}
    assert_allclose(focal_gbm.lightgbm.train(params, dataset(table), 1).predict(table.X), 0.5, atol=1e-9)


def test_another_objective_is_refused(table):
    for name in ("reg:squarederror", "binary:hinge", "rank:pairwise"):
        with pytest.raises(ValueError, match=rf"objective must be one of binary:logistic, .*, got '{name}'"):
            focal_gbm.xgboost.train({"objective": name}, matrix(table), 2)
    with pytest.raises(ValueError, match="FocalBoosting is the objective"):
        focal_gbm.xgboost.train({}, matrix(table), 2, obj=lambda p, d: (p, p))
    for name in ("objective", "application"):
        with pytest.raises(ValueError, match=f"{name} must be 'binary' or left alone.*got 'regression'"):
            focal_gbm.lightgbm.train({name: "regression", "verbose": -1}, dataset(table), 2)
    objective = FocalLGBMObjective(MulticlassFocalLoss(3, 2.0))
    with pytest.raises(ValueError, match="objective must be 'multiclass' or 'softmax'"):
        focal_gbm.lightgbm.train({"objective": objective, "num_class": 3, "verbose": -1}, dataset(table), 2)


@pytest.mark.parametrize("kind", ["two", "many"])
@pytest.mark.parametrize("label", [-1, 0.5, 3])
def test_labels_are_codes(kind, label):
    data = rows(kind)
    y = data.y.astype(float)
    y[7] = label
    params = {"num_class": 3} if kind == "many" else {}
    message = r"Labels must be whole numbers from 0 to \d, got"
    if label == 0.5 or kind == "two" or label == 3:
        with pytest.raises((ValueError, xgboost.core.XGBoostError), match=message):
            focal_gbm.xgboost.train(params, xgboost.DMatrix(data.X, y), 2)
    with pytest.raises(ValueError, match=message):
        focal_gbm.lightgbm.train({**params, "verbose": -1}, lightgbm.Dataset(data.X, y), 2)


def test_parameters_of_focal_loss_are_checked(table):
    for train, data in ((focal_gbm.xgboost.train, matrix(table)), (focal_gbm.lightgbm.train, dataset(table))):
        with pytest.raises(ValueError, match="gamma must be a finite number >= 0"):
            train({}, data, 2, gamma=-1.0)
        with pytest.raises(ValueError, match="gamma must be a finite number >= 0 and at most 100, got"):
            train({}, data, 2, gamma=1e3)
        with pytest.raises(ValueError, match="gamma belongs to the focal loss"):
            train({}, data, 2, gamma=2.0, margin_loss=Poly1Focal(1.0, 0.5))
        with pytest.raises(TypeError, match="margin_loss must be None or a MarginLoss, got 'poly'"):
            train({}, data, 2, margin_loss="poly")
        with pytest.raises(TypeError, match="params has no parameter focal_gamma: those of focal loss are gamma"):
            train({"focal_gamma": 2.0}, data, 2)
    with pytest.raises(ValueError, match="gamma is no parameter of LightGBM"):
        focal_gbm.lightgbm.train({"gamma": 2.0}, data, 2)
    with pytest.raises(ValueError, match="alpha must have one weight for each of the classes"):
        focal_gbm.xgboost.train({}, matrix(table), 2, alpha={0: 1.0})


def test_a_booster_of_lightgbm_that_is_not_done_has_no_start(table):
    with pytest.raises(ValueError, match="keep_training_booster must be False"):
        focal_gbm.lightgbm.train({"verbose": -1}, dataset(table), 2, keep_training_booster=True)


def test_dart_of_lightgbm_does_not_evaluate_the_rows_trained_on(table):
    data = dataset(table)
    with pytest.raises(ValueError, match="valid_sets must not hold train_set with boosting='dart'"):
        focal_gbm.lightgbm.train({"boosting": "dart", "verbose": -1}, data, 1, valid_sets=[data])


def test_what_a_booster_of_lightgbm_says_of_itself(table):
    found = focal_gbm.lightgbm.train({"verbose": -1}, dataset(table), 2)
    assert lightgbm.Booster(model_str=found.model_to_string()).params["objective"] == "binary"
    nodes = found.trees_to_dataframe().query("tree_index == 0")
    leaves = nodes.query("split_feature.isnull()")["value"]
    assert nodes["value"].between(leaves.min() - 0.01, leaves.max() + 0.01).all()  # the start is in inner nodes, too


def test_metrics_of_train_see_probabilities(table, validation):
    seen = {}

    def mean(prediction, data):
        seen["mean"] = prediction.mean()
        return "mean", prediction.mean(), False

    results, train_set = {}, dataset(table)
    found = focal_gbm.lightgbm.train(
        {"verbose": -1, "metric": ["logloss", "auc"]}, train_set, 5, feval=mean,
        valid_sets=[dataset(validation, reference=train_set)],
        callbacks=[lightgbm.record_evaluation(results)],
    )  # fmt: skip
    assert seen["mean"] == pytest.approx(found.predict(validation.X).mean(), abs=CLOSE["lightgbm"])
    assert [*results["valid_0"]] == [
        "binary_logloss",
        "auc",
        "mean",
    ]  # LightGBM itself computes its own first
    results = {}
    focal_gbm.xgboost.train(
        {}, matrix(table), 5, evals=[(matrix(validation), "v")], evals_result=results, verbose_eval=False,
        custom_metric=lambda p, d: ("lowest", float(p.min() >= 0)),
    )  # fmt: skip
    assert results["v"]["lowest"] == [1.0] * 5
