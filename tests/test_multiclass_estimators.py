"""The two estimators with three classes and more."""

import os
import pickle
import re
import subprocess
import sys
import textwrap
import warnings

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import BOTH, focal_lgb, focal_xgb
from many import make_classes
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier, MulticlassFocalLoss

NAMES = np.array(["bird", "cat", "dog"])
ALPHA = {"bird": 0.5, "cat": 1.0, "dog": 3.0}

both = pytest.mark.parametrize("library", BOTH)
weighted = pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
strategies = pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])


@pytest.fixture(scope="module")
def table():
    return make_classes(0)


@pytest.fixture(scope="module")
def validation():
    return make_classes(1)


@pytest.fixture(scope="module")
def models(table):
    """A fitted model of each library, γ=2 and α by label."""
    return {
        library: make(focal_alpha=ALPHA).fit(table.X, NAMES[table.y], sample_weight=table.weight)
        for library, make in BOTH.items()
    }


def first_trees(model, X, n):
    """The scores of the first n iterations."""
    if isinstance(model, xgboost.XGBClassifier):
        return model.predict(X, output_margin=True, iteration_range=(0, n))
    return model.predict(X, raw_score=True, num_iteration=n)


def log_of(model):
    """The evaluation log of the one data set."""
    log = model.evals_result() if isinstance(model, FocalXGBClassifier) else model.evals_result_
    return next(iter(log.values()))


def with_validation(library, data, y, weight=None):
    if library == "xgboost":
        weights = {} if weight is None else {"sample_weight_eval_set": [weight]}
        return {"eval_set": [(data.X, y)], "verbose": False, **weights}
    weights = {} if weight is None else {"eval_sample_weight": [weight]}
    return {"eval_X": data.X, "eval_y": y, **weights}


# γ=0 without α is the library's own softmax training


def fit_xgb_pair(X, y, params, library_params=None, **fit):
    params = {"n_estimators": 12, "max_depth": 3, "n_jobs": 1, "random_state": 3, **params}
    ours = focal_xgb(focal_gamma=0.0, **params).fit(X, y, verbose=False, **fit)
    plain = xgboost.XGBClassifier(**{**params, **(library_params or {})}).fit(X, y, verbose=False, **fit)
    return ours, plain


XGB_SETTINGS = {
    "defaults": {},
    "exact": {"tree_method": "exact"},
    "approx": {"tree_method": "approx", "max_bin": 1024},  # no sketch, whose cuts hang on last bits
    "lossguide": {"grow_policy": "lossguide", "max_leaves": 6, "max_depth": 0},
    "subsample": {"subsample": 0.5},
    "colsample": {"colsample_bytree": 0.6, "colsample_bylevel": 0.7, "colsample_bynode": 0.8},
    "dart": {"booster": "dart", "rate_drop": 0.3, "skip_drop": 0.2},
    "forest": {"num_parallel_tree": 3, "subsample": 0.5},
    "regularised": {"reg_alpha": 0.5, "reg_lambda": 3.0, "gamma": 0.3, "min_child_weight": 3},
    "max_delta_step": {"max_delta_step": 0.5, "learning_rate": 0.7},
    "monotone": {"monotone_constraints": (1, 0, -1, 0, 0)},
    "linear": {"booster": "gblinear", "updater": "coord_descent", "max_depth": None},
    "multi_output_tree": {"multi_strategy": "multi_output_tree"},
    "base_score": {"base_score": 0.3},
    "base_scores": {"base_score": [0.3, -1.0, 0.1]},
}


@weighted
@pytest.mark.parametrize("setting", XGB_SETTINGS)
def test_gamma_zero_is_xgboosts_own_training(table, setting, weighted):
    """XGBoost's own start is the centred log of the class shares, as ours is."""
    fit = {"sample_weight": table.weight} if weighted else {}
    ours, plain = fit_xgb_pair(table.X, table.y, XGB_SETTINGS[setting], **fit)
    margin = plain.predict(table.X, output_margin=True)
    assert np.ptp(margin) > 0.5
    assert_allclose(ours.decision_function(table.X), margin, atol=1e-5, rtol=0)
    assert_allclose(ours.predict_proba(table.X), plain.predict_proba(table.X), atol=3e-6, rtol=0)
    assert_array_equal(ours.predict(table.X), plain.predict(table.X))


def fit_lgb_pair(X, y, params, **fit):
    params = {
        "n_estimators": 12, "num_leaves": 7, "n_jobs": 1, "random_state": 3, "verbose": -1,
        "deterministic": True, "force_col_wise": True, **params,
    }  # fmt: skip
    ours = focal_lgb(focal_gamma=0.0, **params).fit(X, y, **fit)
    plain = lightgbm.LGBMClassifier(**params).fit(X, y, **fit)
    return ours, plain


LGB_SETTINGS = {
    "defaults": {},
    "feature_fraction": {"colsample_bytree": 0.6},
    "bagging": {"subsample": 0.5, "subsample_freq": 2},
    "goss": {"data_sample_strategy": "goss", "learning_rate": 0.5},
    "extra_trees": {"extra_trees": True},
    "quantised": {"use_quantized_grad": True, "stochastic_rounding": False},
    "linear_tree": {"linear_tree": True},
    "monotone": {"monotone_constraints": [1, 0, -1, 0, 0]},
    "path_smooth": {"path_smooth": 5.0},
    "regularised": {"reg_alpha": 0.3, "reg_lambda": 2.0, "min_split_gain": 0.1, "min_child_weight": 1.0},
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


@weighted
@pytest.mark.parametrize("setting", LGB_SETTINGS)
def test_gamma_zero_is_lightgbms_own_training(table, setting, weighted):
    """LightGBM's own start is the log of the class shares, as ours is."""
    fit = {"sample_weight": table.weight} if weighted else {}
    ours, plain = fit_lgb_pair(table.X, table.y, LGB_SETTINGS[setting], **fit)
    raw = plain.predict(table.X, raw_score=True)
    assert np.ptp(raw) > 0.5
    # the library multiplies weights into its gradients in float32
    assert_allclose(ours.decision_function(table.X), raw, atol=1e-6 if weighted else 1e-9, rtol=0)
    assert_allclose(ours.predict_proba(table.X), plain.predict_proba(table.X), atol=1e-6, rtol=0)
    assert_array_equal(ours.predict(table.X), plain.predict(table.X))


@pytest.fixture(scope="module")
def mixed(table):
    """A data frame with categories and missing values."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(table.X, columns=[f"x{i}" for i in range(5)])
    frame["c"] = pd.Categorical(rng.choice(list("abcdefgh"), len(frame)))
    frame["d"] = pd.Categorical((7 * table.y + rng.integers(0, 12, len(frame))) % 20)
    frame.loc[rng.random(len(frame)) < 0.3, "x0"] = np.nan
    frame.loc[rng.random(len(frame)) < 0.1, "c"] = np.nan
    return frame


def test_gamma_zero_with_categories_and_missing_values(table, mixed):
    ours, plain = fit_xgb_pair(mixed, table.y, {"enable_categorical": True})
    margin = plain.predict(mixed, output_margin=True)
    assert_allclose(ours.decision_function(mixed), margin, atol=1e-5, rtol=0)
    ours, plain = fit_lgb_pair(mixed, table.y, {})
    assert_allclose(ours.decision_function(mixed), plain.predict(mixed, raw_score=True), atol=1e-9, rtol=0)


@weighted
def test_evaluation_log_of_xgboost_at_gamma_zero(table, validation, weighted):
    metrics = ["mlogloss", "merror", "auc"]
    fit = with_validation("xgboost", validation, validation.y, validation.weight if weighted else None)
    del fit["verbose"]
    ours, plain = fit_xgb_pair(table.X, table.y, {"eval_metric": metrics}, **fit)
    assert list(log_of(ours)) == metrics
    for name, expected in plain.evals_result()["validation_0"].items():
        assert_allclose(log_of(ours)[name], expected, atol=2e-6, rtol=0, err_msg=name)


@weighted
def test_evaluation_log_of_lightgbm_at_gamma_zero(table, validation, weighted):
    metrics = ["multi_logloss", "multi_error", "auc_mu"]
    fit = with_validation("lightgbm", validation, validation.y, validation.weight if weighted else None)
    ours, plain = fit_lgb_pair(table.X, table.y, {}, eval_metric=metrics, **fit)
    assert set(log_of(ours)) == {*metrics, "focal_loss"}
    for name, expected in plain.evals_result_["valid_0"].items():
        assert_allclose(log_of(ours)[name], expected, rtol=1e-9, err_msg=name)
    assert_allclose(log_of(ours)["focal_loss"], log_of(ours)["multi_logloss"], rtol=1e-9)


def test_early_stopping_at_gamma_zero_is_the_librarys(table, validation):
    fit = with_validation("xgboost", validation, validation.y)
    del fit["verbose"]
    params = {"n_estimators": 200, "learning_rate": 0.5, "early_stopping_rounds": 5}
    # One start for both: XGBoost's own adds 1e-6 to every share, and after many rounds a near tie shows it
    params["base_score"] = (
        focal_xgb(focal_gamma=0.0, n_estimators=1).fit(table.X, table.y).intercept_.tolist()
    )
    ours, plain = fit_xgb_pair(table.X, table.y, params, **fit)
    assert 0 < ours.best_iteration == plain.best_iteration < 100
    assert_allclose(ours.predict_proba(table.X), plain.predict_proba(table.X), atol=3e-6, rtol=0)
    fit = with_validation("lightgbm", validation, validation.y)
    stop = lightgbm.early_stopping(5, verbose=False)
    ours, plain = fit_lgb_pair(
        table.X, table.y, {"n_estimators": 200, "learning_rate": 0.5}, callbacks=[stop], **fit
    )
    assert 0 < ours.best_iteration_ == plain.best_iteration_ < 100
    assert_allclose(ours.predict_proba(table.X), plain.predict_proba(table.X), atol=1e-9, rtol=0)


# The start: the class frequencies, through the link


@weighted
@both
@pytest.mark.parametrize("alpha", [None, "balanced", "effective", [0.2, 1.0, 4.0]], ids=str)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_start_is_the_class_frequencies(table, library, alpha, gamma, weighted):
    weight = table.weight if weighted else None
    model = BOTH[library](
        focal_gamma=gamma, focal_alpha=alpha, n_estimators=1, learning_rate=1e-9, max_depth=1
    ).fit(table.X, table.y, sample_weight=weight)
    shares = np.bincount(table.y, weights=weight) / (len(table.y) if weight is None else weight.sum())
    bar = 1e-6 if library == "xgboost" else 1e-7
    assert_allclose(model.predict_proba(table.X), np.tile(shares, (len(table.y), 1)), atol=bar, rtol=0)


# α in all its forms, and the decision

FORMS = {
    "array": (np.array([0.5, 1.0, 3.0]), (0.5, 1.0, 3.0)),
    "list": ([0.5, 1.0, 3.0], (0.5, 1.0, 3.0)),
    "tuple": ((0.5, 1.0, 3.0), (0.5, 1.0, 3.0)),
    "dict": ({"dog": 3.0, "bird": 0.5, "cat": 1.0}, (0.5, 1.0, 3.0)),
    "none": (None, (1.0, 1.0, 1.0)),
}


@both
@pytest.mark.parametrize("form", FORMS)
def test_alpha_by_class(table, models, library, form):
    alpha, expected = FORMS[form]
    model = BOTH[library](focal_alpha=alpha).fit(table.X, NAMES[table.y], sample_weight=table.weight)
    same = form != "none"
    assert (
        np.abs(model.decision_function(table.X) - models[library].decision_function(table.X)) < 1e-9
    ).all() == same
    link = MulticlassFocalLoss(3, 2.0, expected).link
    proba = link.inverse(model.decision_function(table.X))
    assert_allclose(model.predict_proba(table.X), proba, atol=1e-7, rtol=0)


@weighted
@both
def test_alpha_from_counts_counts_weights(table, library, weighted):
    weight = table.weight if weighted else None
    counts = np.bincount(table.y, weights=weight)
    balanced = counts.sum() / (3 * counts)
    effective = (1 - 0.99) / (1 - 0.99**counts)
    for alpha, expected in (("balanced", balanced), (("effective", 0.99), 3 * effective / effective.sum())):
        fit = {"sample_weight": weight}
        by_name = BOTH[library](focal_alpha=alpha).fit(table.X, table.y, **fit).decision_function(table.X)
        by_number = (
            BOTH[library](focal_alpha=expected).fit(table.X, table.y, **fit).decision_function(table.X)
        )
        assert_allclose(by_name, by_number, atol=1e-5, rtol=0)


@both
def test_predict_is_the_largest_focal_score(table, models, library):
    model = models[library]
    decision = model.decision_function(table.X)
    assert decision.shape == (len(table.y), 3)
    predicted = model.predict(table.X)
    assert predicted.dtype == NAMES.dtype
    assert_array_equal(predicted, NAMES[decision.argmax(axis=1)])
    assert_array_equal(model.classes_, NAMES)
    assert model.n_classes_ == 3
    # α moves the decision, from the most probable class to the heavy one, and not the probabilities
    likely = NAMES[model.predict_proba(table.X).argmax(axis=1)]
    assert (predicted == "dog").sum() > (likely == "dog").sum()
    plain = BOTH[library]().fit(table.X, NAMES[table.y], sample_weight=table.weight)
    assert (predicted == "dog").sum() > (plain.predict(table.X) == "dog").sum()
    assert_array_equal(plain.predict(table.X), NAMES[plain.predict_proba(table.X).argmax(axis=1)])


@both
def test_alpha_of_class_weight_and_the_like(table, library):
    """What the library has for class weights is α; XGBoost has nothing for many classes."""
    if library == "xgboost":
        return
    counts = np.bincount(table.y)
    fitted = [
        focal_lgb(**params).fit(table.X, NAMES[table.y]).decision_function(table.X)
        for params in (
            {"class_weight": {"dog": 3.0, "bird": 0.5}},
            {"focal_alpha": ALPHA},
            {"class_weight": "balanced"},
            {"focal_alpha": "balanced"},
            {"is_unbalance": True},
            {"focal_alpha": counts.max() / counts},
        )
    ]
    # the factor that the weights of focal_alpha share is taken out of the scale: LightGBM has nothing beside
    # which it would show, but for a sum of Hessians of 1e-3 and rounding
    for ours, alpha in zip(fitted[::2], fitted[1::2], strict=True):
        assert_allclose(ours, alpha, atol=1e-7, rtol=0)


# Probabilities


def expected_log_loss(truth, proba):
    """The log loss over all labels that there could be."""
    return -(truth * np.log(proba)).sum(axis=1).mean()


@both
def test_posteriors_are_the_true_probabilities(library):
    """As good as those of γ=0, far better than the scores, and right in the mean."""
    train, test = make_classes(3, 4000), make_classes(4, 2000)
    own = None
    for gamma in (0.0, 0.5, 2.0, 5.0):
        for alpha in (None, "balanced"):
            params = {"n_estimators": 30, "learning_rate": 0.2, "focal_gamma": gamma, "focal_alpha": alpha}
            model = BOTH[library](**params).fit(train.X, train.y)
            proba = model.predict_proba(test.X)
            assert_allclose(proba.sum(axis=1), 1.0, atol=1e-6)
            assert_allclose(proba.mean(axis=0), test.probability.mean(axis=0), atol=0.02)
            score = model.set_params(probability="score").predict_proba(test.X)
            assert_allclose(score, softmax(model.decision_function(test.X), axis=1), atol=1e-6)
            value = expected_log_loss(test.probability, proba)
            own = value if own is None else own
            assert value < 1.03 * own
            if gamma >= 2:
                assert expected_log_loss(test.probability, score) > 1.1 * own


@both
def test_ten_classes(library):
    data, test = make_classes(5, 3000, 10), make_classes(6, 1000, 10)
    model = BOTH[library](focal_alpha="balanced", n_estimators=15, learning_rate=0.2).fit(data.X, data.y)
    proba = model.predict_proba(test.X)
    assert proba.shape == (1000, 10)
    assert_allclose(proba.sum(axis=1), 1.0, atol=1e-5)
    constant = log_loss(test.y, np.tile(np.bincount(data.y) / 3000, (1000, 1)))
    assert expected_log_loss(test.probability, proba) < 0.85 * constant
    assert_array_equal(np.unique(model.predict(test.X)), np.arange(10))


# Evaluation sets


@both
def test_the_default_metric_is_the_focal_loss(table, validation, library):
    y, labels = validation.y, NAMES[validation.y]
    model = BOTH[library](focal_alpha=ALPHA)
    fit = with_validation(library, validation, labels, validation.weight)
    model.fit(table.X, NAMES[table.y], sample_weight=table.weight, **fit)
    loss = MulticlassFocalLoss(3, 2.0, tuple(ALPHA.values()))
    expected = [
        np.average(
            loss.loss(y, first_trees(model, validation.X, n).astype(np.float64)), weights=validation.weight
        )
        for n in range(1, 11)
    ]
    assert list(log_of(model)) == ["focal_loss"]
    assert_allclose(log_of(model)["focal_loss"], expected, rtol=1e-6)
    assert expected[-1] < expected[0]


@both
def test_metrics_see_what_predict_and_predict_proba_return(table, validation, library):
    names = {"xgboost": ["mlogloss", "merror", "auc"], "lightgbm": ["multi_logloss", "multi_error"]}[library]
    labels, weight = NAMES[validation.y], validation.weight
    seen = []

    def spy(y_true, proba, sample_weight=None):
        seen.append((y_true.copy(), proba.copy(), sample_weight))
        return 0.5 if library == "xgboost" else ("spy", 0.5, False)

    fit = with_validation(library, validation, labels, weight)
    if library == "xgboost":
        model = focal_xgb(focal_alpha=ALPHA, eval_metric=[*names, spy])
    else:
        model = focal_lgb(focal_alpha=ALPHA)
        fit["eval_metric"] = [*names, spy]
    model.fit(table.X, NAMES[table.y], **fit)
    proba = model.predict_proba(validation.X).astype(np.float64)
    proba /= proba.sum(axis=1, keepdims=True)
    log = {name: values[-1] for name, values in log_of(model).items()}
    assert log[names[0]] == pytest.approx(log_loss(labels, proba, sample_weight=weight), rel=1e-5)
    wrong = model.predict(validation.X) != labels
    assert log[names[1]] == pytest.approx(np.average(wrong, weights=weight), abs=1e-6)
    if library == "xgboost":
        area = roc_auc_score(labels, proba, multi_class="ovr", average="weighted", sample_weight=weight)
        assert log["auc"] == pytest.approx(area, abs=1e-6)
    y_true, last, given = seen[-1]
    assert_array_equal(y_true, validation.y)
    assert_allclose(last, proba, atol=1e-6)
    assert_allclose(given, weight, rtol=1e-6)


def test_auc_mu_of_lightgbm_sees_the_order_of_scores(table, validation):
    """Kleiman and Page 2019: the mean over pairs of classes of the area under the curve of z_i - z_j."""
    fit = with_validation("lightgbm", validation, NAMES[validation.y])
    model = focal_lgb(focal_alpha=ALPHA).fit(table.X, NAMES[table.y], eval_metric="auc_mu", **fit)
    raw, y = model.predict(validation.X, raw_score=True), validation.y
    areas = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        rows = (y == i) | (y == j)
        areas.append(roc_auc_score(y[rows] == i, raw[rows, i] - raw[rows, j]))
    assert log_of(model)["auc_mu"][-1] == pytest.approx(np.mean(areas), rel=1e-9)


def test_auc_of_an_evaluation_set_that_lacks_a_class(table, validation):
    """XGBoost's own is NaN there. The absent class has no weight among the others."""
    there = validation.y < 2
    X, labels = validation.X[there], NAMES[validation.y[there]]
    model = focal_xgb(eval_metric="auc").fit(table.X, NAMES[table.y], eval_set=[(X, labels)], verbose=False)
    proba = model.predict_proba(X)
    areas = [roc_auc_score(labels == name, proba[:, k]) for k, name in enumerate(NAMES[:2])]
    shares = [(labels == name).mean() for name in NAMES[:2]]
    assert log_of(model)["auc"][-1] == pytest.approx(np.average(areas, weights=shares), abs=1e-6)
    with pytest.raises(ValueError, match=r"^auc needs rows of two classes or more in each evaluation set"):
        focal_xgb(eval_metric="auc").fit(
            table.X, table.y, eval_set=[(validation.X[validation.y == 1], np.ones((validation.y == 1).sum()))]
        )


@both
def test_early_stopping(table, validation, library):
    params = {"n_estimators": 300, "learning_rate": 0.5, "focal_alpha": ALPHA}
    fit = with_validation(library, validation, NAMES[validation.y])
    if library == "xgboost":
        params["early_stopping_rounds"] = 5
    else:
        fit["callbacks"] = [lightgbm.early_stopping(5, verbose=False)]
    model = BOTH[library](**params).fit(table.X, NAMES[table.y], **fit)
    best = (model.best_iteration + 1) if library == "xgboost" else model.best_iteration_
    values = log_of(model)["focal_loss"]
    assert 1 < best == np.argmin(values) + 1 < 100
    assert_array_equal(model.decision_function(table.X), first_trees(model, table.X, best))
    if library == "xgboost":  # LightGBM drops the later trees
        all_trees = first_trees(model, table.X, len(values))
        assert np.abs(model.decision_function(table.X) - all_trees).max() > 0.01


@both
def test_metrics_of_two_classes_are_refused(table, validation, library):
    fit = with_validation(library, validation, validation.y)
    if library == "xgboost":
        with pytest.raises(
            ValueError, match=r"among auc, aucpr, focal_loss, merror, mlogloss for .*, got 'logloss'\.$"
        ):
            focal_xgb(eval_metric="logloss").fit(table.X, table.y, **fit)
    else:
        with pytest.raises(
            ValueError, match=r"among auc_mu, .* for these labels, got 'average_precision'\.$"
        ):
            focal_lgb().fit(table.X, table.y, eval_metric="average_precision", **fit)


# What the boosters give: SHAP, slices, warm starts


def test_shap_values_of_xgboost_add_up(table, models):
    model = models["xgboost"]
    for approximate in (False, True):
        contributions = model.get_booster().predict(
            xgboost.DMatrix(table.X), pred_contribs=True, approx_contribs=approximate
        )
        assert contributions.shape == (len(table.y), 3, 6)
        assert_allclose(contributions.sum(axis=2), model.decision_function(table.X), atol=1e-5)


def test_shap_values_of_lightgbm_add_up(table, models):
    model = models["lightgbm"]
    contributions = model.predict(table.X, pred_contrib=True)
    assert contributions.shape == (len(table.y), 18)
    total = contributions.reshape(-1, 3, 6).sum(axis=2)
    assert_allclose(total, model.decision_function(table.X), atol=1e-12)
    assert_array_equal(model.predict_proba(table.X, pred_contrib=True), contributions)
    assert model.predict(table.X, pred_leaf=True).shape == (len(table.y), 30)


@both
def test_slices_of_iterations(table, models, library):
    for n in (1, 4, 10):
        short = BOTH[library](focal_alpha=ALPHA, n_estimators=n)
        short.fit(table.X, NAMES[table.y], sample_weight=table.weight)
        assert_array_equal(first_trees(models[library], table.X, n), short.decision_function(table.X))
        part = {"iteration_range": (0, n)} if library == "xgboost" else {"num_iteration": n}
        assert_array_equal(models[library].predict_proba(table.X, **part), short.predict_proba(table.X))
        assert_array_equal(models[library].predict(table.X, **part), short.predict(table.X))


@both
@pytest.mark.parametrize("form", ["estimator", "booster", "file"])
def test_warm_start(table, models, library, form, tmp_path):
    fit = {"X": table.X, "y": NAMES[table.y], "sample_weight": table.weight}
    half = BOTH[library](focal_alpha=ALPHA, n_estimators=5).fit(**fit)
    previous = half
    if form == "booster":
        previous = half.get_booster() if library == "xgboost" else half.booster_
    elif form == "file":
        previous = tmp_path / ("half.ubj" if library == "xgboost" else "half.txt")
        half.save_model(previous)
    name = "xgb_model" if library == "xgboost" else "init_model"
    whole = BOTH[library](focal_alpha=ALPHA, n_estimators=5).fit(**fit, **{name: previous})
    expected = models[library].decision_function(table.X)
    assert_allclose(whole.decision_function(table.X), expected, atol=1e-6 if library == "xgboost" else 1e-12)
    assert_allclose(whole.predict_proba(table.X), models[library].predict_proba(table.X), atol=1e-6)
    if (library, form) != ("lightgbm", "booster"):  # it knows no labels
        with pytest.raises(
            ValueError, match=rf"^{name} must have the classes of y, \[0, 1, 2\], got \['bird', "
        ):
            BOTH[library]().fit(table.X, table.y, **{name: previous})


@both
def test_warm_start_from_a_model_of_the_library(table, library):
    """It knows no labels, but how many scores a row has; its scores are log-odds."""
    name = "xgb_model" if library == "xgboost" else "init_model"
    make = {"xgboost": xgboost.XGBClassifier, "lightgbm": lightgbm.LGBMClassifier}[library]
    params = {"n_estimators": 3, "n_jobs": 1, **({"verbose": -1} if library == "lightgbm" else {})}
    own = make(**params).fit(table.X, table.y)
    model = BOTH[library](focal_link="logit").fit(table.X, table.y, **{name: own})
    assert_allclose(first_trees(model, table.X, 3), first_trees(own, table.X, 3), atol=1e-6)
    two = make(**params).fit(table.X, table.y > 0)
    booster = two.get_booster() if library == "xgboost" else two.booster_
    with pytest.raises(ValueError, match=rf"^{name} must have 3 scores a row for this y, got 1\.$"):
        BOTH[library](focal_link="logit").fit(table.X, table.y, **{name: booster})
    booster = own.get_booster() if library == "xgboost" else own.booster_
    with pytest.raises(ValueError, match=rf"^{name} must have 1 scores a row for this y, got 3\.$"):
        BOTH[library](focal_link="logit").fit(table.X, table.y > 0, **{name: booster})


# Scores to start from


def test_base_margin_of_xgboost(table, models):
    loss = MulticlassFocalLoss(3, 2.0, tuple(ALPHA.values()))
    start = np.tile(loss.fit_intercept_only(table.y, table.weight), (len(table.y), 1))
    model = focal_xgb(focal_alpha=ALPHA)
    model.fit(table.X, NAMES[table.y], sample_weight=table.weight, base_margin=start)
    own = models["xgboost"].decision_function(table.X)
    assert_allclose(model.decision_function(table.X, base_margin=start), own, atol=1e-5)
    assert_allclose(
        model.predict_proba(table.X, base_margin=start), models["xgboost"].predict_proba(table.X), atol=1e-6
    )
    assert_allclose(model.predict(table.X, output_margin=True, base_margin=start), own, atol=1e-5)


@pytest.mark.parametrize("flat", [False, True])
def test_init_score_of_lightgbm(table, validation, models, flat):
    """The library's flat form is class after class."""
    loss = MulticlassFocalLoss(3, 2.0, tuple(ALPHA.values()))
    start = np.tile(loss.fit_intercept_only(table.y, table.weight), (len(table.y), 1))
    given = start.ravel(order="F") if flat else start
    model = focal_lgb(focal_alpha=ALPHA)
    model.fit(table.X, NAMES[table.y], sample_weight=table.weight, init_score=given)
    assert_allclose(
        softmax(model.decision_function(table.X) + start, axis=1),
        softmax(models["lightgbm"].decision_function(table.X), axis=1),
        atol=1e-9,
    )
    # of an evaluation set, on top of the start
    shift = np.random.default_rng(0).normal(size=start.shape)
    fit = with_validation("lightgbm", validation, NAMES[validation.y])
    fit["eval_init_score"] = [shift.ravel(order="F") if flat else shift]
    model = focal_lgb(focal_alpha=ALPHA).fit(table.X, NAMES[table.y], **fit)
    raw = model.decision_function(validation.X) + shift
    assert log_of(model)["focal_loss"][-1] == pytest.approx(loss.loss(validation.y, raw).mean(), rel=1e-6)


@pytest.mark.parametrize("shape", [(600,), (600, 2), (3, 600), (1200,)], ids=str)
def test_init_score_of_another_shape(table, shape):
    message = rf"must have shape \(600, 3\), got shape {re.escape(str(shape))}\.$"
    with pytest.raises(ValueError, match="^init_score " + message):
        focal_lgb().fit(table.X, table.y, init_score=np.zeros(shape))
    fit = with_validation("lightgbm", table, table.y)
    with pytest.raises(ValueError, match=r"^eval_init_score\[0\] " + message):
        focal_lgb().fit(table.X, table.y, eval_init_score=[np.zeros(shape)], **fit)


# From a start at the class shares, where rows of rare classes have a negative Hessian


@pytest.mark.parametrize("gamma", [2.0, 5.0])
@both
def test_majorizing_learns_from_a_wrong_start(library, gamma):
    rng = np.random.default_rng(0)
    y = rng.choice(3, p=[0.97, 0.02, 0.01], size=3000)
    X = rng.normal(size=(3000, 4))
    X[np.arange(3000), y] += 2 * (y > 0)
    shares = np.bincount(y) / len(y)
    start, constant = np.tile(np.log(shares), (len(y), 1)), -(shares * np.log(shares)).sum()
    link = MulticlassFocalLoss(3, gamma).link
    losses = {}
    for hessian in ("majorizing", "exact"):
        params = {"focal_gamma": gamma, "hessian": hessian, "n_estimators": 20, "learning_rate": 0.3}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* grew no split", UserWarning)
            if library == "xgboost":
                model = focal_xgb(**params).fit(X, y, base_margin=start)
                raw = model.decision_function(X, base_margin=start)
            else:
                model = focal_lgb(**params).fit(X, y, init_score=start)
                raw = model.decision_function(X) + start
        proba = link.inverse(raw.astype(np.float64))
        losses[hessian] = log_loss(y, proba / proba.sum(axis=1, keepdims=True))
    assert losses["majorizing"] < 0.7 * constant
    assert losses["exact"] > constant


# Saved models


SUFFIXES = [("xgboost", "json"), ("xgboost", "ubj"), ("lightgbm", "txt")]


@pytest.mark.parametrize(("library", "suffix"), SUFFIXES)
def test_a_saved_model_is_restored(table, models, library, suffix, tmp_path):
    path = tmp_path / f"model.{suffix}"
    models[library].save_model(path)
    restored = (FocalXGBClassifier if library == "xgboost" else FocalLGBMClassifier)()
    restored.load_model(path)
    assert_array_equal(restored.predict_proba(table.X), models[library].predict_proba(table.X))
    assert_array_equal(restored.predict(table.X), models[library].predict(table.X))
    assert_array_equal(restored.classes_, NAMES)
    assert restored.n_classes_ == 3
    assert restored.get_params()["focal_alpha"] == ALPHA
    # a later fit is focal again, from the same start
    restored.set_params(
        **{k: v for k, v in models[library].get_params().items() if not k.startswith("focal_")}
    )
    restored.fit(table.X, NAMES[table.y], sample_weight=table.weight)
    assert_array_equal(restored.predict_proba(table.X), models[library].predict_proba(table.X))


ALONE = {
    "xgboost": """
        import numpy, xgboost
        data = numpy.load("X.npy")
        for suffix in ("json", "ubj"):
            booster = xgboost.Booster(model_file=f"model.{suffix}")
            numpy.save(f"alone-{suffix}.npy", booster.predict(xgboost.DMatrix(data)))
            estimator = xgboost.XGBClassifier()
            estimator.load_model(f"model.{suffix}")
            numpy.save(f"estimator-{suffix}.npy", estimator.predict_proba(data))
        """,
    "lightgbm": """
        import numpy, lightgbm
        data = numpy.load("X.npy")
        booster = lightgbm.Booster(model_file="model.txt")
        numpy.save("alone-txt.npy", booster.predict(data))
        numpy.save("estimator-txt.npy", booster.predict(data, num_iteration=10))
        """,
}


@both
def test_a_saved_model_stands_alone(table, models, library, tmp_path):
    """In a process that has the library alone it predicts softmax(z)."""
    suffixes = [suffix for of_library, suffix in SUFFIXES if of_library == library]
    for suffix in suffixes:
        models[library].save_model(tmp_path / f"model.{suffix}")
    np.save(tmp_path / "X.npy", table.X)
    script = textwrap.dedent(ALONE[library])
    script += 'import sys; assert not any(name.startswith("focal_gbm") for name in sys.modules)\n'
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    score = softmax(models[library].decision_function(table.X).astype(np.float64), axis=1)
    bar = {"xgboost": 1e-6, "lightgbm": 1e-12}[library]
    for suffix in suffixes:
        assert_allclose(np.load(tmp_path / f"alone-{suffix}.npy"), score, atol=bar, rtol=0)
        assert_allclose(np.load(tmp_path / f"estimator-{suffix}.npy"), score, atol=bar, rtol=0)


@both
def test_pickle_and_clone(table, models, library):
    restored = pickle.loads(pickle.dumps(models[library]))
    assert_array_equal(restored.predict_proba(table.X), models[library].predict_proba(table.X))
    again = clone(models[library]).fit(table.X, NAMES[table.y], sample_weight=table.weight)
    assert_array_equal(again.predict_proba(table.X), models[library].predict_proba(table.X))


# scikit-learn


@both
@pytest.mark.parametrize(
    "params", [{}, {"eval_metric": ["mlogloss", "focal_loss"]}, {"base_score": 0.3}], ids=str
)
def test_parameters_set_after_a_fit_wait_for_the_next(table, library, params):
    """XGBoost hands them to the fitted booster, which has another objective, start and metric."""
    if library == "lightgbm" and params:
        return
    model = BOTH[library](**params).fit(table.X, table.y)
    proba, score = model.predict_proba(table.X), softmax(model.decision_function(table.X), axis=1)
    model.set_params(focal_gamma=0.5, focal_alpha="balanced", learning_rate=0.5, n_jobs=2)
    assert_array_equal(model.predict_proba(table.X), proba)
    assert_allclose(model.set_params(probability="score").predict_proba(table.X), score, atol=1e-6)
    model.set_params(probability="posterior").fit(table.X, table.y)
    expected = BOTH[library](**params, focal_gamma=0.5, focal_alpha="balanced", learning_rate=0.5)
    expected.fit(table.X, table.y)
    assert_array_equal(model.predict_proba(table.X), expected.predict_proba(table.X))


@both
def test_grid_search_and_cross_validation(table, library):
    model = BOTH[library](n_estimators=5)
    grid = {"focal_gamma": [0.0, 2.0], "focal_alpha": [None, "balanced", ALPHA]}
    search = GridSearchCV(model, grid, scoring="neg_log_loss", cv=3, error_score="raise")
    search.fit(table.X, NAMES[table.y])
    assert len(set(search.cv_results_["mean_test_score"])) == 6
    scores = cross_val_score(
        clone(model).set_params(**search.best_params_), table.X, NAMES[table.y], scoring="neg_log_loss", cv=3
    )
    assert scores.mean() == pytest.approx(search.best_score_)
    shares = np.bincount(table.y) / len(table.y)
    assert search.best_score_ > (shares * np.log(shares)).sum() + 0.1


# Weights: k is k copies


def test_weights_are_copies_in_a_small_table_of_xgboost():
    """To the last bit, as the library's sums of so few gradients are exact."""
    data = make_classes(7, 150)
    copies = np.random.default_rng(0).integers(1, 4, 150)
    many = np.repeat(np.arange(150), copies)
    for strategy in ("one_output_per_tree", "multi_output_tree"):
        params = {"focal_alpha": "balanced", "multi_strategy": strategy}
        one = focal_xgb(**params).fit(data.X, data.y, sample_weight=copies)
        other = focal_xgb(**params).fit(data.X[many], data.y[many])
        assert_array_equal(one.predict_proba(data.X), other.predict_proba(data.X))


@both
def test_weights_are_copies_in_the_start_alpha_and_metric(table, validation, library):
    copies = np.random.default_rng(0).integers(1, 4, len(validation.y))
    many = np.repeat(np.arange(len(validation.y)), copies)
    train_copies = np.random.default_rng(1).integers(1, 4, len(table.y))
    train = np.repeat(np.arange(len(table.y)), train_copies)
    params = {"n_estimators": 1, "learning_rate": 1e-3, "max_depth": 1, "focal_alpha": "balanced"}
    fit = with_validation(library, validation, validation.y, copies)
    one = BOTH[library](**params).fit(table.X, table.y, sample_weight=train_copies, **fit)
    repeated = validation._replace(X=validation.X[many])
    fit = with_validation(library, repeated, validation.y[many])
    other = BOTH[library](**params).fit(table.X[train], table.y[train], **fit)
    assert_allclose(
        one.predict_proba(table.X).mean(axis=0), other.predict_proba(table.X).mean(axis=0), atol=1e-4
    )
    assert_allclose(log_of(one)["focal_loss"], log_of(other)["focal_loss"], rtol=1e-4)


# Trees of all classes


def test_trees_of_all_classes(table, tmp_path):
    model = focal_xgb(focal_alpha="balanced", multi_strategy="multi_output_tree").fit(table.X, table.y)
    assert len(model.get_booster().get_dump()) == 10
    proba = model.predict_proba(table.X)
    assert proba.shape == (len(table.y), 3)
    assert_allclose(proba.sum(axis=1), 1.0, atol=1e-6)
    assert (model.predict(table.X) == table.y).mean() > 0.6
    model.save_model(tmp_path / "model.json")
    restored = FocalXGBClassifier()
    restored.load_model(tmp_path / "model.json")
    assert_array_equal(restored.predict_proba(table.X), proba)
    plain = xgboost.Booster(model_file=tmp_path / "model.json").predict(xgboost.DMatrix(table.X))
    assert_allclose(plain, softmax(model.decision_function(table.X), axis=1), atol=1e-6)
    start = MulticlassFocalLoss(3, 2.0, tuple(600 / (3 * np.bincount(table.y)))).fit_intercept_only(table.y)
    assert_allclose(model.intercept_, start, atol=1e-6)


# Warnings and errors


@both
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_a_model_without_a_split_says_which_hessian_a_leaf_can_have(table, library, gamma):
    """The least weight is compared with the Hessians of one class, the most there is at the start."""
    loss = MulticlassFocalLoss(3, gamma)
    start = np.tile(loss.fit_intercept_only(table.y), (len(table.y), 1))
    factor = 2.0 if library == "xgboost" else 1.5
    second = loss.gradient_hessian(table.y, start, hessian="floored", hessian_factor=factor)[1]
    total = second.sum(axis=0).max()
    params = {"focal_gamma": gamma, "focal_scale": 1.0}
    message = (
        rf"grew no split in any tree.* Lower min_child_weight: .* together have {total:.3g} at the start"
    )
    with pytest.warns(UserWarning, match=message):
        BOTH[library](**params, min_child_weight=0.51 * total).fit(table.X, table.y)


@strategies
def test_no_split_in_trees_of_xgboost(table, strategy):
    params = {"multi_strategy": strategy, "n_estimators": 2}
    with pytest.warns(UserWarning, match=r"^FocalXGBClassifier grew no split in any tree"):
        focal_xgb(**params, min_child_weight=1e4).fit(table.X, table.y)
    focal_xgb(**params).fit(table.X, table.y)  # and no warning


@both
def test_a_class_that_training_did_not_see(table, library):
    there = table.y < 2
    fit = with_validation(library, table, NAMES[table.y])
    with pytest.raises(ValueError, match=r"must hold only labels seen in y, \['bird', 'cat'\], got dog\.$"):
        BOTH[library]().fit(table.X[there], NAMES[table.y[there]], **fit)


@both
def test_a_class_missing_from_a_training_fold(table, library):
    """Without α the classes there are trained; α by label says what is wrong."""
    there = table.y < 2
    X, labels = table.X[there], NAMES[table.y[there]]
    model = BOTH[library](focal_alpha="balanced").fit(X, labels)
    assert_array_equal(model.classes_, NAMES[:2])
    assert model.predict_proba(table.X).shape == (len(table.y), 2)
    with pytest.raises(ValueError, match=r"classes \['bird', 'cat'\], got .* for the unknown \['dog'\]\.$"):
        BOTH[library](focal_alpha=ALPHA).fit(X, labels)
    with pytest.raises(ValueError, match=r"focal_alpha must hold 2 positive numbers, one a class, got"):
        BOTH[library](focal_alpha=[0.5, 1.0, 3.0]).fit(X, labels)


@both
@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        (
            [1.0, 2.0],
            r"^focal_alpha must hold 3 positive numbers, one a class, got an array of shape \(2,\)\.$",
        ),
        (np.ones((3, 1)), r"^focal_alpha must hold 3 positive numbers, .* got an array of shape \(3, 1\)\.$"),
        ([1.0, 2.0, 0.0], r"^focal_alpha must be finite and > 0 for every class, got"),
        (0.25, r"^focal_alpha can be a single number only for two classes, got 3 classes\.$"),
        ({"bird": 1.0, "cat": 1.0}, r"got none for \['dog'\]"),
    ],
)
def test_alpha_that_does_not_fit_the_classes(table, library, alpha, message):
    with pytest.raises(ValueError, match=message):
        BOTH[library](focal_alpha=alpha).fit(table.X, NAMES[table.y])


@both
def test_labels_with_a_gap(table, library):
    """Labels are names, also where they look like codes."""
    numbers = np.array([0, 1, 3])
    model = BOTH[library]().fit(table.X, numbers[table.y])
    assert_array_equal(model.classes_, numbers)
    assert_array_equal(np.unique(model.predict(table.X)), numbers)
    codes = BOTH[library]().fit(table.X, table.y)
    assert_array_equal(model.predict_proba(table.X), codes.predict_proba(table.X))
    with pytest.raises(ValueError, match=r"must hold only labels seen in y, \[0, 1, 3\], got 2\.$"):
        BOTH[library]().fit(table.X, numbers[table.y], **with_validation(library, table, table.y))


@both
def test_a_class_without_weight(table, library):
    """It is taken, as in the library, and never predicted."""
    model = BOTH[library]().fit(table.X, NAMES[table.y], sample_weight=(table.y < 2).astype(float))
    assert model.predict_proba(table.X)[:, list(model.classes_).index(NAMES[2])].max() < 1e-3


@both
def test_scale_pos_weight_is_for_two_classes(table, library):
    with pytest.raises(ValueError, match=r"^scale_pos_weight is for two classes, got 3: use focal_alpha\.$"):
        BOTH[library](scale_pos_weight=2.0).fit(table.X, table.y)


@both
def test_num_class_is_taken_from_y(table, library):
    BOTH[library](num_class=3, n_estimators=1).fit(table.X, table.y)
    with pytest.raises(ValueError, match=r"^num_class is taken from y, got 4\.$"):
        BOTH[library](num_class=4).fit(table.X, table.y)
