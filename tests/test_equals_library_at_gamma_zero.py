"""γ=0 without α is the log loss: the models are those of the plain hosts.

The first tree of XGBoost's own estimator starts from the same base score. LightGBM's own keeps its
start in a tree, ours in the model text: the scores are equal to rounding.
"""

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import focal_lgb, focal_xgb, make_table
from numpy.testing import assert_allclose
from scipy.special import expit, logit


@pytest.fixture(scope="module")
def mixed():
    """A data frame with categories and missing values."""
    base = make_table(2)
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(base.X, columns=[f"x{i}" for i in range(5)])
    frame["c"] = pd.Categorical(rng.choice(list("abcdefgh"), len(frame)))
    frame["d"] = pd.Categorical(rng.integers(0, 30, len(frame)))
    frame.loc[rng.random(len(frame)) < 0.3, "x0"] = np.nan
    frame.loc[rng.random(len(frame)) < 0.1, "c"] = np.nan
    return frame, base.y


# XGBoost


def fit_xgb_pair(X, y, params, **fit):
    params = {"n_estimators": 15, "max_depth": 4, "n_jobs": 1, "random_state": 3, **params}
    ours = focal_xgb(focal_gamma=0.0, **params).fit(X, y, verbose=False, **fit)
    weight = fit.get("sample_weight")
    start = params.get("base_score", float(np.average(y, weights=weight)))
    host = xgboost.XGBClassifier(**{**params, "base_score": start}).fit(X, y, verbose=False, **fit)
    return ours, host


XGB_SETTINGS = {
    "defaults": {},
    "exact": {"tree_method": "exact"},
    "approx": {"tree_method": "approx"},
    "lossguide": {"grow_policy": "lossguide", "max_leaves": 12, "max_depth": 0},
    "subsample": {"subsample": 0.5},
    "colsample": {"colsample_bytree": 0.6, "colsample_bylevel": 0.7, "colsample_bynode": 0.8},
    "dart": {"booster": "dart", "rate_drop": 0.3, "skip_drop": 0.2},
    "forest": {"num_parallel_tree": 4, "subsample": 0.5, "colsample_bynode": 0.5},
    "regularised": {"reg_alpha": 0.5, "reg_lambda": 3.0, "gamma": 0.3, "min_child_weight": 3},
    "max_delta_step": {"max_delta_step": 0.5, "learning_rate": 0.7},
    "monotone": {"monotone_constraints": (1, 0, -1, 0, 0)},
    "interaction": {"interaction_constraints": "[[0, 1], [2, 3, 4]]"},
    "max_bin": {"max_bin": 16},
    "linear": {"booster": "gblinear", "updater": "coord_descent", "max_depth": None},
    "base_score": {"base_score": 0.3},
}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("setting", XGB_SETTINGS)
def test_xgboost(table, setting, weighted):
    fit = {"sample_weight": table.weight} if weighted else {}
    ours, host = fit_xgb_pair(table.X, table.y, XGB_SETTINGS[setting], **fit)
    margin = host.predict(table.X, output_margin=True)
    assert np.ptp(margin) > 0.5
    assert_allclose(ours.decision_function(table.X), margin, atol=1e-5, rtol=0)
    assert_allclose(ours.predict_proba(table.X), host.predict_proba(table.X), atol=1e-6, rtol=0)
    assert (ours.predict(table.X) == host.predict(table.X)).all()


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("method", ["hist", "approx", "exact"])
def test_xgboost_of_more_rows(method, weighted):
    """Beyond the number up to which the objective rounds its gradients."""
    table = make_table(5, n_samples=1500)
    fit = {"sample_weight": table.weight} if weighted else {}
    ours, host = fit_xgb_pair(table.X, table.y, {"tree_method": method}, **fit)
    margin = host.predict(table.X, output_margin=True)
    assert_allclose(ours.decision_function(table.X), margin, atol=1e-5, rtol=0)


def test_xgboost_with_categories_and_missing_values(mixed):
    X, y = mixed
    for params in ({}, {"max_cat_to_onehot": 20}, {"tree_method": "approx"}):
        ours, host = fit_xgb_pair(X, y, {"enable_categorical": True, **params})
        margin = host.predict(X, output_margin=True)
        assert_allclose(ours.decision_function(X), margin, atol=1e-5, rtol=0)


def test_xgboost_with_feature_weights_and_base_margin(table):
    margin = np.linspace(-2, 1, len(table.y))
    params = {"colsample_bytree": 0.4, "feature_weights": [4.0, 1.0, 1.0, 1.0, 0.1]}
    ours, host = fit_xgb_pair(table.X, table.y, params, base_margin=margin)
    assert_allclose(
        ours.decision_function(table.X, base_margin=margin),
        host.predict(table.X, output_margin=True, base_margin=margin),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_scale_pos_weight_of_xgboost_is_alpha(table, weighted):
    """The host's own scale_pos_weight multiplies gradients as α does; the start is its base_score."""
    fit = {"sample_weight": table.weight} if weighted else {}
    rate = float(np.average(table.y, weights=fit.get("sample_weight")))
    params = {"n_estimators": 15, "max_depth": 4, "n_jobs": 1, "scale_pos_weight": 3.0}
    start = float(expit(logit(rate) + np.log(3.0)))
    host = xgboost.XGBClassifier(**params, base_score=start).fit(table.X, table.y, **fit)
    ours = focal_xgb(focal_gamma=0.0, **params).fit(table.X, table.y, **fit)
    margin = host.predict(table.X, output_margin=True)
    assert_allclose(ours.decision_function(table.X), margin, atol=1e-5, rtol=0)
    # the score is the host's probability, the posterior has the weight undone
    ours.set_params(probability="score")
    assert_allclose(ours.predict_proba(table.X), host.predict_proba(table.X), atol=1e-6, rtol=0)
    ours.set_params(probability="posterior")
    assert_allclose(ours.predict_proba(table.X)[:, 1], expit(margin - np.log(3.0)), atol=1e-6, rtol=0)


def test_evaluation_log_of_xgboost(table, validation):
    sets = [(table.X, table.y), (validation.X, validation.y)]
    metrics = ["logloss", "auc", "aucpr", "error", "error@0.3", "mae", "rmse"]
    ours, host = fit_xgb_pair(table.X, table.y, {"eval_metric": metrics}, eval_set=sets)
    for name, log in host.evals_result().items():
        assert list(ours.evals_result()[name]) == metrics
        for metric in metrics:
            assert_allclose(ours.evals_result()[name][metric], log[metric], atol=2e-6, rtol=0, err_msg=metric)


def test_early_stopping_of_xgboost(table, validation):
    params = {"n_estimators": 200, "learning_rate": 0.5, "early_stopping_rounds": 5, "eval_metric": "logloss"}
    sets = [(validation.X, validation.y)]
    ours, host = fit_xgb_pair(table.X, table.y, params, eval_set=sets)
    assert host.best_iteration < 100
    assert ours.best_iteration == host.best_iteration
    assert ours.best_score == pytest.approx(host.best_score, abs=2e-6)
    margin = host.predict(table.X, output_margin=True)
    assert_allclose(ours.decision_function(table.X), margin, atol=1e-5, rtol=0)


# LightGBM


def fit_lgb_pair(X, y, params, **fit):
    params = {
        "n_estimators": 15, "num_leaves": 15, "n_jobs": 1, "random_state": 3, "verbose": -1,
        "deterministic": True, "force_col_wise": True, **params,
    }  # fmt: skip
    ours = focal_lgb(focal_gamma=0.0, **params).fit(X, y, **fit)
    host = lightgbm.LGBMClassifier(**params).fit(X, y, **fit)
    return ours, host


# For dart, LightGBM draws at another place of its random stream beside an objective that is not its own:
# only where every tree is dropped do both drop the same. And its own start would be dropped, too.
LGB_SETTINGS = {
    "defaults": {},
    "feature_fraction": {"colsample_bytree": 0.6},
    "feature_fraction_bynode": {"feature_fraction_bynode": 0.5},
    "bagging": {"subsample": 0.5, "subsample_freq": 2},
    "bagging_and_fraction": {"subsample": 0.5, "subsample_freq": 1, "colsample_bytree": 0.6},
    "goss": {"data_sample_strategy": "goss", "learning_rate": 0.5},
    "extra_trees": {"extra_trees": True},
    "quantised": {"use_quantized_grad": True, "stochastic_rounding": False},
    "linear_tree": {"linear_tree": True},
    "monotone": {"monotone_constraints": [1, 0, -1, 0, 0]},
    "interaction": {"interaction_constraints": [[0, 1], [2, 3, 4]]},
    "path_smooth": {"path_smooth": 5.0},
    "max_bin": {"max_bin": 15},
    "regularised": {"reg_alpha": 0.3, "reg_lambda": 2.0, "min_split_gain": 0.1, "min_child_weight": 1.0},
    "max_delta_step": {"max_delta_step": 0.5},
    "row_wise": {"force_col_wise": False, "force_row_wise": True},
    "dart": {
        "boosting_type": "dart",
        "drop_rate": 1.0,
        "uniform_drop": True,
        "skip_drop": 0.0,
        "learning_rate": 1.0,
        "boost_from_average": False,
    },
    "from_zero": {"boost_from_average": False},
}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("setting", LGB_SETTINGS)
def test_lightgbm(table, setting, weighted):
    fit = {"sample_weight": table.weight} if weighted else {}
    ours, host = fit_lgb_pair(table.X, table.y, LGB_SETTINGS[setting], **fit)
    raw = host.predict(table.X, raw_score=True)
    assert np.ptp(raw) > 0.5
    # the host multiplies weights into its gradients in float32
    tolerance = 1e-6 if weighted else 1e-9
    assert_allclose(ours.decision_function(table.X), raw, atol=tolerance, rtol=0)
    assert_allclose(ours.predict_proba(table.X), host.predict_proba(table.X), atol=1e-6, rtol=0)
    assert (ours.predict(table.X) == host.predict(table.X)).all()


def test_lightgbm_with_categories_and_missing_values(mixed):
    X, y = mixed
    for params in ({}, {"max_cat_to_onehot": 20}, {"linear_tree": True}):
        ours, host = fit_lgb_pair(X, y, params)
        raw = host.predict(X, raw_score=True)
        assert_allclose(ours.decision_function(X), raw, atol=1e-9, rtol=0)


def test_lightgbm_with_init_score(table):
    init_score = np.linspace(-2, 1, len(table.y))
    ours, host = fit_lgb_pair(table.X, table.y, {}, init_score=init_score)
    assert_allclose(ours.decision_function(table.X), host.predict(table.X, raw_score=True), atol=1e-9, rtol=0)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize(
    "params",
    [
        {"scale_pos_weight": 3.0},
        {"is_unbalance": True},
        {"unbalance": True},
        {"class_weight": "balanced"},
        {"class_weight": {0: 0.4, 1: 2.5}},
        {"class_weight": {1: 2.5}},
    ],
    ids=str,
)
def test_class_weights_of_lightgbm_are_alpha(table, params, weighted):
    """From a start at 0: the host's own start is that of its weights, with them or without."""
    fit = {"sample_weight": table.weight} if weighted else {}
    if weighted and "scale_pos_weight" not in params and params.get("class_weight") != {1: 2.5}:
        # the host counts rows for is_unbalance and "balanced", here a weight of k is k copies of a row
        fit = {"sample_weight": np.full(len(table.y), 1.5)}
    ours, host = fit_lgb_pair(table.X, table.y, {"boost_from_average": False, **params}, **fit)
    raw = host.predict(table.X, raw_score=True)
    assert_allclose(ours.decision_function(table.X), raw, atol=1e-6, rtol=0)
    ours.set_params(probability="score")
    assert_allclose(ours.predict_proba(table.X), host.predict_proba(table.X), atol=1e-6, rtol=0)


def test_evaluation_log_of_lightgbm(table, validation):
    fit = {"eval_X": (table.X, validation.X), "eval_y": (table.y, validation.y)}
    metrics = [
        "binary_logloss",
        "auc",
        "average_precision",
        "binary_error",
        "l1",
        "l2",
        "rmse",
        "cross_entropy",
    ]
    ours, host = fit_lgb_pair(table.X, table.y, {}, eval_metric=metrics, **fit)
    for name, log in host.evals_result_.items():
        assert set(ours.evals_result_[name]) == {*metrics, "focal_loss"}
        for metric in metrics:
            result = ours.evals_result_[name][metric]
            assert_allclose(result, log[metric], rtol=1e-9, err_msg=metric)


def test_early_stopping_of_lightgbm(table, validation):
    params = {"n_estimators": 200, "learning_rate": 0.5}
    fit = {"eval_X": validation.X, "eval_y": validation.y, "eval_metric": "binary_logloss"}
    stop = lightgbm.early_stopping(5, verbose=False)
    ours, host = fit_lgb_pair(table.X, table.y, params, callbacks=[stop], **fit)
    assert host.best_iteration_ < 100
    assert ours.best_iteration_ == host.best_iteration_
    assert ours.best_score_["valid_0"]["binary_logloss"] == pytest.approx(
        host.best_score_["valid_0"]["binary_logloss"], rel=1e-9
    )
    raw = host.predict(validation.X, raw_score=True)
    assert_allclose(ours.decision_function(validation.X), raw, atol=1e-9, rtol=0)
