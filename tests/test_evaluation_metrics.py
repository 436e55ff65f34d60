"""Metrics of evaluation sets: each is computed on the scale it is meant for, with γ=2 and an α."""

import warnings

import lightgbm
import numpy as np
import pytest
import xgboost
from estimators import focal_lgb, focal_xgb
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import (
    accuracy_score,
    auc,
    average_precision_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    ndcg_score,
    precision_recall_curve,
    roc_auc_score,
)

from focal_gbm import BinaryFocalLoss, FocalLGBMMetric, FocalXGBMetric

ALPHA = 0.3
GAMMA = 2.0


def naive_focal_loss(y, z, weight=None, gamma=GAMMA, class_weights=(1 - ALPHA, ALPHA)):
    """Lin et al. 2017, equation 5."""
    z = np.asarray(z, dtype=np.float64)
    p = 1 / (1 + np.exp(-np.where(y, z, -z)))
    values = -np.where(y, class_weights[1], class_weights[0]) * (1 - p) ** gamma * np.log(p)
    return np.average(values, weights=weight)


def fit_xgb(table, validation, weighted=False, fit=None, **params):
    model = focal_xgb(**{"focal_gamma": GAMMA, "focal_alpha": ALPHA, **params})
    arguments = {"eval_set": [(table.X, table.y), (validation.X, validation.y)], "verbose": False}
    if weighted:
        arguments["sample_weight"] = table.weight
        arguments["sample_weight_eval_set"] = [table.weight, validation.weight]
    return model.fit(table.X, table.y, **{**arguments, **(fit or {})})


def fit_lgb(table, validation, weighted=False, fit=None, **params):
    model = focal_lgb(**{"focal_gamma": GAMMA, "focal_alpha": ALPHA, **params})
    arguments = {"eval_X": (table.X, validation.X), "eval_y": (table.y, validation.y)}
    if weighted:
        arguments["sample_weight"] = table.weight
        arguments["eval_sample_weight"] = [table.weight, validation.weight]
    return model.fit(table.X, table.y, **{**arguments, **(fit or {})})


def log_of(model, i=1):
    """The evaluation log of one data set."""
    log = model.evals_result() if isinstance(model, xgboost.XGBClassifier) else model.evals_result_
    return log[list(log)[i]]


weighted = pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])


# The default


@weighted
def test_the_default_metric_of_xgboost_is_the_focal_loss(table, validation, weighted):
    model = fit_xgb(table, validation, weighted)
    for i, data in enumerate((table, validation)):
        assert list(log_of(model, i)) == ["focal_loss"]
        staged = [model.predict(data.X, output_margin=True, iteration_range=(0, k)) for k in range(1, 11)]
        expected = [naive_focal_loss(data.y, z, data.weight if weighted else None) for z in staged]
        assert_allclose(log_of(model, i)["focal_loss"], expected, rtol=1e-6)


@weighted
def test_the_default_metric_of_lightgbm_is_the_focal_loss(table, validation, weighted):
    model = fit_lgb(table, validation, weighted)
    for i, data in enumerate((table, validation)):
        assert list(log_of(model, i)) == ["focal_loss"]
        staged = [model.decision_function(data.X, num_iteration=k) for k in range(1, 11)]
        expected = [naive_focal_loss(data.y, z, data.weight if weighted else None) for z in staged]
        assert_allclose(log_of(model, i)["focal_loss"], expected, rtol=1e-6 if weighted else 1e-12)


def test_full_precision_in_xgboost(table, validation):
    """The library passes on six decimals; the focal loss of γ=20 has none of them."""
    model = fit_xgb(table, validation, focal_gamma=20.0, focal_alpha=None)
    values = log_of(model)["focal_loss"]
    z = model.decision_function(validation.X)
    expected = naive_focal_loss(validation.y, z, gamma=20.0, class_weights=(1.0, 1.0))
    assert expected < 1e-6
    assert values[-1] == pytest.approx(expected, rel=1e-4)
    assert len(set(values)) == 10


# Metrics by name

SCALED = {
    "logloss": lambda y, p, predicted, w: log_loss(y, p, sample_weight=w),
    "error": lambda y, p, predicted, w: 1 - accuracy_score(y, predicted, sample_weight=w),
    "l1": lambda y, p, predicted, w: mean_absolute_error(y, p, sample_weight=w),
    "l2": lambda y, p, predicted, w: mean_squared_error(y, p, sample_weight=w),
    "rmse": lambda y, p, predicted, w: mean_squared_error(y, p, sample_weight=w) ** 0.5,
}
SCALED["binary_logloss"] = SCALED["cross_entropy"] = SCALED["logloss"]
SCALED["binary_error"] = SCALED["error"]
SCALED["mae"] = SCALED["l1"]


@weighted
@pytest.mark.parametrize("probability", ["posterior", "score"])
def test_every_scaled_metric_of_xgboost(table, validation, weighted, probability):
    names = ["logloss", "error", "mae", "rmse"]
    model = fit_xgb(table, validation, weighted, probability=probability, eval_metric=names)
    w = validation.weight if weighted else None
    p = model.predict_proba(validation.X)[:, 1].astype(np.float64)
    for name in names:
        expected = SCALED[name](validation.y, p, model.predict(validation.X), w)
        assert log_of(model)[name][-1] == pytest.approx(expected, rel=1e-6), name


def test_error_at_a_threshold_in_xgboost(table, validation):
    model = fit_xgb(table, validation, eval_metric=["error@0.2", "error@0.7", "error"])
    p = model.predict_proba(validation.X)[:, 1]
    for t in (0.2, 0.7):
        assert log_of(model)[f"error@{t}"][-1] == pytest.approx(np.mean((p > t) != validation.y))
    # plain "error" is that of predict, which α moves away from 1/2
    wrong = np.mean(model.predict(validation.X) != validation.y)
    assert log_of(model)["error"][-1] == pytest.approx(wrong)
    assert wrong != np.mean((p > 0.5) != validation.y)


@weighted
@pytest.mark.parametrize("probability", ["posterior", "score"])
def test_every_scaled_metric_of_lightgbm(table, validation, weighted, probability):
    names = ["binary_logloss", "cross_entropy", "binary_error", "l1", "l2", "rmse"]
    model = fit_lgb(table, validation, weighted, {"eval_metric": names}, probability=probability)
    w = validation.weight if weighted else None
    p = model.predict_proba(validation.X)[:, 1]
    for name in names:
        expected = SCALED[name](validation.y, p, model.predict(validation.X), w)
        assert log_of(model)[name][-1] == pytest.approx(expected, rel=1e-6), name


ALIASES = {
    "binary_logloss": ["binary_logloss", "logloss", "binary"],
    "cross_entropy": ["cross_entropy", "xentropy"],
    "binary_error": ["binary_error", "error"],
    "l1": ["l1", "mean_absolute_error", "mae", "regression_l1"],
    "l2": ["l2", "mean_squared_error", "mse", "regression_l2", "regression"],
    "rmse": ["rmse", "root_mean_squared_error", "l2_root"],
}


@pytest.mark.parametrize(("name", "alias"), [(name, alias) for name in ALIASES for alias in ALIASES[name]])
def test_aliases_of_lightgbm_have_its_names(table, validation, name, alias):
    model = fit_lgb(table, validation, metric=alias, n_estimators=2)
    assert list(log_of(model)) == [name]
    model = fit_lgb(table, validation, fit={"eval_metric": alias}, n_estimators=2)
    assert set(log_of(model)) == {name, "focal_loss"}
    plain = lightgbm.LGBMClassifier(n_estimators=1, verbose=-1, n_jobs=1, metric="None")
    plain.fit(table.X, table.y, eval_X=validation.X, eval_y=validation.y, eval_metric=alias)
    assert list(plain.evals_result_["valid_0"]) == [name]


@weighted
def test_order_metrics_of_xgboost(table, validation, weighted):
    model = fit_xgb(table, validation, weighted, eval_metric=["auc", "aucpr"])
    w = validation.weight if weighted else None
    z = model.decision_function(validation.X)
    auc_of_roc = roc_auc_score(validation.y, z, sample_weight=w)
    assert log_of(model)["auc"][-1] == pytest.approx(auc_of_roc, rel=1e-5)
    # the library interpolates between the points of the curve in its own way
    precision, recall, _ = precision_recall_curve(validation.y, z, sample_weight=w)
    assert log_of(model)["aucpr"][-1] == pytest.approx(auc(recall, precision), abs=5e-3)


def test_metrics_of_the_first_rows_in_xgboost(table, validation):
    model = fit_xgb(table, validation, eval_metric=["pre@20", "ndcg@20", "map@20"])
    z = model.decision_function(validation.X)
    hits = validation.y[np.argsort(-z, kind="stable")][:20]
    assert log_of(model)["pre@20"][-1] == pytest.approx(hits.mean(), rel=1e-5)
    assert log_of(model)["ndcg@20"][-1] == pytest.approx(ndcg_score([validation.y], [z], k=20), abs=5e-3)
    precision = np.cumsum(hits) / np.arange(1, 21)
    assert log_of(model)["map@20"][-1] == pytest.approx((precision * hits).sum() / 20, abs=5e-2)


@weighted
def test_order_metrics_of_lightgbm(table, validation, weighted):
    model = fit_lgb(table, validation, weighted, metric=["auc", "average_precision"])
    w = validation.weight if weighted else None
    z = model.decision_function(validation.X)
    expected = roc_auc_score(validation.y, z, sample_weight=w)
    assert log_of(model)["auc"][-1] == pytest.approx(expected, rel=1e-6)
    expected = average_precision_score(validation.y, z, sample_weight=w)
    assert log_of(model)["average_precision"][-1] == pytest.approx(expected, rel=1e-6)


XGB_REFUSED = [
    "mlogloss", "merror", "rmsle", "mape", "mphe", "poisson-nloglik", "gamma-nloglik", "cox-nloglik",
    "gamma-deviance", "tweedie-nloglik@1.5", "aft-nloglik", "interval-regression-accuracy", "quantile",
    "logloss@2", "focal", "",
]  # fmt: skip
LGB_REFUSED = [
    "quantile", "huber", "fair", "poisson", "gamma", "gamma_deviance", "tweedie", "ndcg", "map",
    "auc_mu", "cross_entropy_lambda", "focal",
]  # fmt: skip


@pytest.mark.parametrize("metric", XGB_REFUSED)
def test_xgboost_refuses(table, validation, metric):
    for asked in (metric, ["auc", metric]):
        with pytest.raises(ValueError, match=f"eval_metric must be a callable or among .*got '{metric}'"):
            fit_xgb(table, validation, eval_metric=asked)


@pytest.mark.parametrize("metric", LGB_REFUSED)
def test_lightgbm_refuses(table, validation, metric):
    message = f"eval_metric and metric must be callables or among .*got '{metric}'"
    with pytest.raises(ValueError, match=message):
        fit_lgb(table, validation, metric=metric)
    with pytest.raises(ValueError, match=message):
        fit_lgb(table, validation, fit={"eval_metric": ["auc", metric]})


def test_metrics_that_are_no_metrics(table, validation):
    with pytest.raises(TypeError, match="eval_metric must hold strings and callables, got 3"):
        fit_xgb(table, validation, eval_metric=["auc", 3])
    with pytest.raises(TypeError, match="eval_metric must be a string, a callable or a list"):
        fit_xgb(table, validation, eval_metric=3)
    with pytest.raises(TypeError, match="eval_metric must hold strings and callables, got 3"):
        fit_lgb(table, validation, fit={"eval_metric": 3})
    with pytest.raises(ValueError, match=r"error@t needs a number t, got 'error@half'"):
        fit_xgb(table, validation, eval_metric="error@half")


# Callables


@weighted
def test_callables_of_xgboost_see_the_posterior(table, validation, weighted):
    seen = []

    def brier(y_true, y_pred, sample_weight=None):
        seen.append((y_true, y_pred, sample_weight))
        return np.average((y_true - y_pred) ** 2, weights=sample_weight)

    model = fit_xgb(table, validation, weighted, eval_metric=brier)
    p = model.predict_proba(validation.X)[:, 1]
    y_true, y_pred, weight = seen[-1]
    assert_array_equal(y_true, validation.y)
    assert_allclose(y_pred, p, rtol=1e-6)
    if weighted:
        assert_array_equal(weight, validation.weight)
    else:
        assert weight is None
    w = validation.weight if weighted else None
    assert log_of(model)["brier"][-1] == pytest.approx(np.average((validation.y - p) ** 2, weights=w))


def test_metrics_of_scikit_learn_in_xgboost(table, validation):
    model = fit_xgb(table, validation, eval_metric=[log_loss, roc_auc_score])
    p = model.predict_proba(validation.X)[:, 1]
    assert log_of(model)["log_loss"][-1] == pytest.approx(log_loss(validation.y, p), rel=1e-6)
    assert log_of(model)["roc_auc_score"][-1] == pytest.approx(roc_auc_score(validation.y, p), rel=1e-6)


@weighted
@pytest.mark.parametrize("n_parameters", [2, 3, 4])
def test_callables_of_lightgbm_see_the_posterior(table, validation, weighted, n_parameters):
    seen = []

    def two(y_true, y_pred):
        seen.append((y_true, y_pred))
        return "mine", np.mean((y_true - y_pred) ** 2), False

    def three(y_true, y_pred, weight):
        seen.append((y_true, y_pred, weight))
        return [("mine", np.mean((y_true - y_pred) ** 2), False), ("other", 1.0, True)]

    def four(y_true, y_pred, weight, group):
        seen.append((y_true, y_pred, weight, group))
        return "mine", np.mean((y_true - y_pred) ** 2), False

    metric = {2: two, 3: three, 4: four}[n_parameters]
    model = fit_lgb(table, validation, weighted, {"eval_metric": metric})
    y_true, y_pred, *rest = seen[-1]
    p = model.predict_proba(validation.X)[:, 1]
    assert_array_equal(y_true, validation.y)
    assert_allclose(y_pred, p, rtol=1e-6)
    if rest and weighted:
        assert_allclose(rest[0], validation.weight, rtol=1e-6)
    elif rest:
        assert rest[0] is None
    if n_parameters == 4:
        assert rest[1] is None
    assert log_of(model)["mine"][-1] == pytest.approx(np.mean((validation.y - p) ** 2), rel=1e-6)
    assert set(log_of(model)) - {"mine", "focal_loss"} == ({"other"} if n_parameters == 3 else set())


@pytest.mark.parametrize("prediction", ["raw", "probability"])
def test_focal_metric_of_another_gamma(table, validation, prediction):
    loss = BinaryFocalLoss(gamma=1.0, alpha=0.4)
    fit = {"eval_metric": FocalLGBMMetric(loss, prediction=prediction)}
    other = fit_lgb(table, validation, fit=fit, metric="None")
    z = other.decision_function(validation.X)
    expected = naive_focal_loss(validation.y, z, gamma=1.0, class_weights=(0.6, 0.4))
    assert log_of(other)["focal_loss"][-1] == pytest.approx(expected, rel=1e-6)
    model = fit_xgb(table, validation, eval_metric=FocalXGBMetric(loss, prediction=prediction))
    z = model.decision_function(validation.X)
    expected = naive_focal_loss(validation.y, z, gamma=1.0, class_weights=(0.6, 0.4))
    assert log_of(model)["focal_loss"][-1] == pytest.approx(expected, rel=1e-5)


# Early stopping


class Scripted:
    """A metric with a best round that the test chooses."""

    def __init__(self, best):
        self.best, self.calls, self.__name__ = best, 0, "scripted"
        self.greater_is_better = False

    def __call__(self, y_true, y_pred):
        self.calls += 1
        return abs(self.calls - self.best) / 100


def stopped_at(eval_metric, table, validation, **params):
    fit = {"eval_set": [(validation.X, validation.y)]}
    params = {"n_estimators": 60, "early_stopping_rounds": 3, **params}
    model = fit_xgb(table, validation, fit=fit, eval_metric=eval_metric, **params)
    assert list(log_of(model, 0)) == [getattr(metric, "__name__", metric) for metric in eval_metric]
    return model


@pytest.mark.parametrize("last", ["auc", "logloss", "focal_loss", "error", "scripted"])
def test_xgboost_stops_on_the_users_last_metric(table, validation, last):
    others = [metric for metric in ("auc", "logloss", "focal_loss", "error") if metric != last]
    metric = Scripted(best=6) if last == "scripted" else last
    model = stopped_at([*others, metric], table, validation, learning_rate=0.5)
    values = np.array(log_of(model, 0)[last])
    best = values.argmax() if last == "auc" else values.argmin()
    assert model.best_iteration == best
    assert len(values) == best + 4 < 60
    assert model.best_score == pytest.approx(values[best])
    if last == "scripted":
        assert best == 5


def test_an_early_stopping_callback_of_xgboost_sees_the_same_last_metric(table, validation):
    def stop():
        return xgboost.callback.EarlyStopping(rounds=3, save_best=True)

    for metrics in (["focal_loss", "auc"], ["auc", "focal_loss"]):
        params = {"early_stopping_rounds": None, "callbacks": [stop()], "learning_rate": 0.5}
        model = stopped_at(metrics, table, validation, **params)
        values = np.array(log_of(model, 0)[metrics[-1]])
        best = values.argmax() if metrics[-1] == "auc" else values.argmin()
        assert model.get_booster().num_boosted_rounds() == best + 1
    named = xgboost.callback.EarlyStopping(rounds=3, metric_name="auc", data_name="validation_0")
    params = {"early_stopping_rounds": None, "callbacks": [named], "learning_rate": 0.5}
    model = stopped_at(["auc", "focal_loss"], table, validation, **params)
    assert model.best_iteration == np.argmax(log_of(model, 0)["auc"])


@pytest.mark.parametrize("first", ["auc", "average_precision", "binary_logloss", "focal_loss", "scripted"])
def test_first_metric_only_of_lightgbm_is_the_users_first(table, validation, first):
    scripted = Scripted(best=6)

    def mine(y_true, y_pred):
        return "scripted", scripted(y_true, y_pred), False

    others = [m for m in ("binary_logloss", "average_precision", "focal_loss", "auc") if m != first]
    fit = {
        "eval_X": validation.X,
        "eval_y": validation.y,
        "eval_metric": [mine if first == "scripted" else first, *others],
        "callbacks": [lightgbm.early_stopping(3, first_metric_only=True, verbose=False)],
    }
    model = fit_lgb(table, validation, fit=fit, n_estimators=60, learning_rate=0.5)
    log = log_of(model, 0)
    assert next(iter(log)) == first
    values = np.array(log[first])
    best = values.argmax() if first in ("auc", "average_precision") else values.argmin()
    assert model.best_iteration_ == best + 1
    assert len(values) == best + 4
    assert model.best_score_["valid_0"][first] == values[best]


def test_early_stopping_of_lightgbm_by_parameter(table, validation):
    """As with the library, each metric can stop: here ours alone."""
    fit = {"eval_X": validation.X, "eval_y": validation.y}
    model = fit_lgb(table, validation, fit=fit, n_estimators=60, learning_rate=0.5, early_stopping_round=3)
    values = log_of(model, 0)["focal_loss"]
    assert model.best_iteration_ == np.argmin(values) + 1
    assert len(values) == model.best_iteration_ + 3


def test_metric_none(table, validation):
    for metric in ("None", "none", "", ["None"], "null", "na", "custom"):
        model = fit_lgb(table, validation, metric=metric, n_estimators=2)
        assert model.evals_result_ == {}
    model = fit_lgb(table, validation, fit={"eval_metric": "auc"}, metric="None", n_estimators=2)
    assert list(log_of(model)) == ["auc"]
    model = fit_xgb(table, validation, disable_default_eval_metric=True, n_estimators=2)
    with pytest.raises(xgboost.core.XGBoostError, match="No evaluation result"):
        model.evals_result()
    model = fit_xgb(table, validation, disable_default_eval_metric=True, eval_metric="auc", n_estimators=2)
    assert list(log_of(model)) == ["auc"]


def test_asked_twice_computed_once_in_lightgbm(table, validation):
    fit = {"eval_metric": ["logloss", "binary_logloss", "focal_loss", "auc"]}
    model = fit_lgb(table, validation, fit=fit, metric="auc,binary_logloss", n_estimators=3)
    assert {name: len(values) for name, values in log_of(model).items()} == {
        "binary_logloss": 3,
        "focal_loss": 3,
        "auc": 3,
    }


# Evaluation sets


def test_string_labels_in_evaluation_sets(table, validation):
    words = np.array(["no", "yes"])
    for fit_one in (fit_xgb, fit_lgb):
        numbers = fit_one(table, validation)
        model = fit_one(table._replace(y=words[table.y]), validation._replace(y=words[validation.y]))
        assert log_of(model) == log_of(numbers)
        # a set of one class alone
        one = validation._replace(X=validation.X[:5], y=np.repeat("no", 5), weight=validation.weight[:5])
        model = fit_one(table._replace(y=words[table.y]), one)
        z = model.decision_function(one.X)
        assert log_of(model)["focal_loss"][-1] == pytest.approx(naive_focal_loss(np.zeros(5), z), rel=1e-6)


def test_forms_of_evaluation_sets_of_lightgbm(table, validation):
    reference = fit_lgb(table, validation)
    pairs = [(table.X.copy(), table.y), (validation.X, validation.y)]
    for eval_set in (pairs, pairs[0], [list(pair) for pair in pairs]):
        fit = {"eval_set": eval_set, "eval_X": None, "eval_y": None}
        model = fit_lgb(table, validation, fit=fit)
        assert log_of(model, 0) == log_of(reference, 0)
    single = fit_lgb(table, validation, fit={"eval_X": validation.X, "eval_y": validation.y})
    assert single.evals_result_["valid_0"] == log_of(reference)
    in_tuples = {"eval_X": (validation.X,), "eval_y": (validation.y.tolist(),)}
    assert fit_lgb(table, validation, fit=in_tuples).evals_result_["valid_0"] == log_of(reference)
    named = fit_lgb(table, validation, fit={"eval_names": ["first", "second"]})
    assert list(named.evals_result_) == ["first", "second"]


# It is the library's own warning, where the library's own way to recognise the training set is used.
@pytest.mark.filterwarnings(
    "ignore:The argument 'eval_set' is deprecated:lightgbm.basic.LGBMDeprecationWarning"
)
@pytest.mark.parametrize("boosting_type", ["gbdt", "dart"])
def test_the_training_set_as_evaluation_set_of_lightgbm(table, validation, boosting_type):
    params = {
        "boosting_type": boosting_type,
        "n_estimators": 25,
        "random_state": 0,
        "metric": "binary_logloss",
    }
    fit = {
        "eval_X": None,
        "eval_y": None,
        "eval_set": [(table.X, table.y), (validation.X, validation.y)],
        "sample_weight": table.weight,
    }
    model = fit_lgb(table, validation, fit=fit, **params)
    assert list(model.evals_result_) == ["training", "valid_1"]
    plain = focal_lgb(focal_alpha=ALPHA, **params).fit(table.X, table.y, sample_weight=table.weight)
    assert_array_equal(model.decision_function(table.X), plain.decision_function(table.X))
    p = model.predict_proba(table.X)[:, 1]
    expected = log_loss(table.y, p, sample_weight=table.weight)
    assert model.evals_result_["training"]["binary_logloss"][-1] == pytest.approx(expected, rel=1e-6)


def test_eval_x_never_warns(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = focal_lgb().fit(table.X, table.y, eval_X=table.X, eval_y=table.y)
    assert list(model.evals_result_) == ["valid_0"]


def test_the_training_set_as_evaluation_set_of_xgboost(table, validation):
    fit = {"eval_set": [(table.X, table.y)] * 2, "sample_weight": table.weight}
    fit["sample_weight_eval_set"] = [table.weight, None]
    model = fit_xgb(table, validation, fit=fit)
    z = model.decision_function(table.X)
    expected = naive_focal_loss(table.y, z, table.weight)
    assert log_of(model, 0)["focal_loss"][-1] == pytest.approx(expected, rel=1e-6)
    assert log_of(model, 1)["focal_loss"][-1] == pytest.approx(naive_focal_loss(table.y, z), rel=1e-6)


def test_class_weights_of_evaluation_sets_of_lightgbm(table, validation):
    words = np.array(["no", "yes"])
    fit = {"eval_X": validation.X, "eval_y": words[validation.y], "eval_class_weight": [{"yes": 3.0}]}
    model = fit_lgb(table._replace(y=words[table.y]), validation, fit=fit)
    z = model.decision_function(validation.X)
    expected = naive_focal_loss(validation.y, z, np.where(validation.y, 3.0, 1.0))
    assert log_of(model, 0)["focal_loss"][-1] == pytest.approx(expected, rel=1e-6)
    fit["eval_class_weight"] = ["balanced"]
    model = fit_lgb(table._replace(y=words[table.y]), validation, fit=fit)
    rate = validation.y.mean()
    expected = naive_focal_loss(validation.y, z, np.where(validation.y, 0.5 / rate, 0.5 / (1 - rate)))
    assert log_of(model, 0)["focal_loss"][-1] == pytest.approx(expected, rel=1e-6)
    fit["eval_class_weight"] = [{"ja": 3.0}]
    with pytest.raises(ValueError, match=r"eval_class_weight .* \['no', 'yes'\], got \['ja'\]"):
        fit_lgb(table._replace(y=words[table.y]), validation, fit=fit)


def test_scores_that_evaluation_sets_start_from(table, validation):
    """They come on top of the start, as the library's own start does."""
    offset = np.linspace(-1, 1, 300)
    fit = {"eval_X": (validation.X,) * 2, "eval_y": (validation.y,) * 2, "eval_init_score": [None, offset]}
    model = fit_lgb(table, validation, fit=fit)
    z = model.decision_function(validation.X)
    assert log_of(model, 0)["focal_loss"][-1] == pytest.approx(naive_focal_loss(validation.y, z), rel=1e-6)
    expected = naive_focal_loss(validation.y, z + offset)
    assert log_of(model, 1)["focal_loss"][-1] == pytest.approx(expected, rel=1e-6)
    # with scores for the training set there is no start to come on top of
    fit["init_score"] = np.full(500, -1.0)
    model = fit_lgb(table, validation, fit=fit)
    z = model.decision_function(validation.X)
    assert log_of(model, 0)["focal_loss"][-1] == pytest.approx(naive_focal_loss(validation.y, z), rel=1e-6)
    fit = {
        "eval_set": [(validation.X, validation.y)],
        "base_margin": np.full(500, -1.0),
        "base_margin_eval_set": [offset],
    }
    model = fit_xgb(table, validation, fit=fit)
    z = model.decision_function(validation.X, base_margin=offset)
    assert log_of(model, 0)["focal_loss"][-1] == pytest.approx(naive_focal_loss(validation.y, z), rel=1e-5)
