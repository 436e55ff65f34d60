"""The estimators inside scikit-learn: parameters, copies, searches, wrappers, explanations."""

import copy
import io
import pickle
import warnings

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import focal_lgb, focal_xgb
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from focal_gbm import FocalLGBMClassifier

FOCAL = {
    "focal_gamma": 1.25,
    "focal_alpha": {"no": 1.0, "yes": 3.0},
    "focal_scale": 1.0,
    "hessian": "majorizing",
    "probability": "score",
}


@pytest.fixture(scope="session")
def words(table):
    return np.array(["no", "yes"])[table.y]


def assert_same_model(a, b, X):
    assert_array_equal(a.decision_function(X), b.decision_function(X))
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert_array_equal(a.predict(X), b.predict(X))
    assert_array_equal(a.classes_, b.classes_)


# Parameters


def test_parameters_are_the_librarys_and_ours(make):
    library_class = xgboost.XGBClassifier if make is focal_xgb else lightgbm.LGBMClassifier
    ours = type(make())().get_params()
    added = {name: value for name, value in ours.items() if name not in library_class().get_params()}
    assert added == {
        "focal_gamma": 1.0,
        "focal_alpha": None,
        "margin_loss": None,
        "focal_link": "focal",
        "focal_scale": "log-loss",
        "hessian": None,
        "probability": "posterior",
    }
    shared = {name: value for name, value in ours.items() if name not in added}
    # nan, XGBoost's missing, is not equal to itself
    assert str(shared) == str(library_class().get_params())
    assert is_classifier(make())


def test_set_and_get(make):
    model = make()
    assert model.set_params(**FOCAL, n_estimators=7, subsample=0.5) is model
    params = model.get_params()
    assert {name: params[name] for name in FOCAL} == FOCAL
    assert (params["n_estimators"], params["subsample"]) == (7, 0.5)
    copied = clone(model)
    assert str(copied.get_params()) == str(params)
    assert copied.focal_alpha == FOCAL["focal_alpha"]


def test_an_attribute_set_after_set_params_is_the_parameter(make, table, words):
    """What fit uses, get_params says and clone copies."""
    model = make().set_params(focal_gamma=5.0)
    model.focal_gamma = 0.0
    assert model.get_params()["focal_gamma"] == 0.0
    assert_same_model(clone(model).fit(table.X, words), model.fit(table.X, words), table.X)


def test_constructor_takes_ours_by_keyword_only(make):
    with pytest.raises(TypeError, match="positional argument"):
        type(make())(2.0)


@pytest.mark.parametrize("name", ["focal_gama", "focal_loss", "focal_"])
def test_unknown_focal_parameter(make, table, name):
    for model in (make(**{name: 1.0}), make().set_params(**{name: 1.0})):
        with pytest.raises(TypeError, match=f"Focal...?.?Classifier has no parameter {name}"):
            model.fit(table.X, table.y)


def test_fit_changes_no_parameter(make, table, words):
    alpha = {"no": 1.0, "yes": 3.0}
    for given in ({}, FOCAL, {"focal_alpha": alpha}, {"scale_pos_weight": 2.0}):
        model = make(**given)
        before = copy.deepcopy(model.get_params())
        model.fit(table.X, words, sample_weight=table.weight)
        assert str(model.get_params()) == str(before)
        assert str(vars(clone(model))) == str(vars(make(**given)))
    assert alpha == {"no": 1.0, "yes": 3.0}


def test_class_weight_of_lightgbm_is_kept(table, words):
    model = focal_lgb(class_weight={"no": 1.0, "yes": 2.0}).fit(table.X, words)
    assert model.class_weight == model.get_params()["class_weight"] == {"no": 1.0, "yes": 2.0}
    # focal_alpha's own factor is taken out of the scale, which changes the last digits in LightGBM
    same = focal_lgb(focal_alpha=[1.0, 2.0]).fit(table.X, words)
    assert_allclose(model.decision_function(table.X), same.decision_function(table.X), atol=1e-7)
    assert_array_equal(model.predict(table.X), same.predict(table.X))


# Copies


@pytest.mark.parametrize("how", ["pickle", "joblib", "deepcopy", "copy"])
def test_copies_predict_alike(make, table, words, how):
    model = make(**FOCAL).fit(table.X, words)
    if how == "pickle":
        other = pickle.loads(pickle.dumps(model))
    elif how == "joblib":
        buffer = io.BytesIO()
        joblib.dump(model, buffer)
        buffer.seek(0)
        other = joblib.load(buffer)
    else:
        other = getattr(copy, how)(model)
    assert_same_model(model, other, table.X)
    assert str(other.get_params()) == str(model.get_params())
    # still a focal model when it is fitted again
    assert_same_model(other.fit(table.X, words), model, table.X)


def test_unfitted_model_pickles(make):
    assert str(pickle.loads(pickle.dumps(make(**FOCAL))).get_params()) == str(make(**FOCAL).get_params())


def test_early_stopped_model_pickles(make, table, validation):
    model = fit_with_early_stopping(make, table, validation)
    other = pickle.loads(pickle.dumps(model))
    assert_same_model(model, other, table.X)
    assert best_iteration(other) == best_iteration(model)


def fit_with_early_stopping(make, table, validation):
    if make is focal_xgb:
        model = make(n_estimators=300, learning_rate=0.5, early_stopping_rounds=5)
        return model.fit(table.X, table.y, eval_set=[(validation.X, validation.y)], verbose=False)
    stop = lightgbm.early_stopping(5, verbose=False)
    model = make(n_estimators=300, learning_rate=0.5)
    return model.fit(table.X, table.y, eval_X=validation.X, eval_y=validation.y, callbacks=[stop])


def best_iteration(model):
    """Number of rounds that predictions use."""
    return model.best_iteration + 1 if hasattr(model, "best_iteration") else model.best_iteration_


# Fitting again


def test_two_fits_are_identical(make, table, words):
    params = {"subsample": 0.7, "random_state": 1, "colsample_bytree": 0.7}
    if make is focal_lgb:
        params["subsample_freq"] = 1
    assert_same_model(make(**params).fit(table.X, words), make(**params).fit(table.X, words), table.X)
    other_seed = make(**{**params, "random_state": 2}).fit(table.X, words)
    assert not np.array_equal(
        other_seed.predict_proba(table.X), make(**params).fit(table.X, words).predict_proba(table.X)
    )


def test_two_fits_of_dart_are_identical(make, table, words):
    params = {"booster": "dart", "rate_drop": 0.3} if make is focal_xgb else {"boosting_type": "dart"}
    reference = make(**params, random_state=1, n_estimators=25).fit(table.X, words)
    for _ in range(4):
        # what lies in memory that was used before decides what LightGBM takes for its first draw
        make(n_estimators=3).fit(table.X, words)
        again = make(**params, random_state=1, n_estimators=25).fit(table.X, words)
        assert_same_model(again, reference, table.X)


def test_fitting_again_forgets_the_first_fit(make, table, validation, words):
    model = fit_with_early_stopping(make, table, validation)
    model.set_params(n_estimators=6, learning_rate=0.1)
    if make is focal_xgb:
        model.set_params(early_stopping_rounds=None)
    X = table.X[:300, :3]
    model.fit(X, words[:300])
    fresh = make(n_estimators=6, learning_rate=0.1).fit(X, words[:300])
    assert_same_model(model, fresh, X)
    assert model.n_features_in_ == 3
    if make is focal_xgb:
        with pytest.raises(xgboost.core.XGBoostError, match="No evaluation result"):
            model.evals_result()
        assert not hasattr(model, "best_iteration")
    else:
        assert model.evals_result_ == {}
        assert model.best_iteration_ == 0
    assert model.get_params()["n_estimators"] == 6


def test_fit_after_load_model_is_focal_and_equal_to_a_fresh_fit(make, table, words, tmp_path):
    path = tmp_path / "model.json"
    saved = make(focal_gamma=1.0, focal_alpha="balanced").fit(table.X, words)
    saved.save_model(path)
    model = make()
    model.load_model(path)
    assert (model.focal_gamma, model.focal_alpha) == (1.0, "balanced")
    other = np.random.default_rng(0).normal(size=(200, 3))
    y = (other[:, 0] > 0.5).astype(float)
    fresh = make(focal_gamma=1.0, focal_alpha="balanced")
    assert_same_model(model.fit(other, y), fresh.fit(other, y), other)
    assert model.score(other, y) > 0.9


class ExpectedError(Exception):
    pass


def test_an_error_during_fit_leaves_the_fitted_model_as_it_was(make, table, validation, words):
    model = make(focal_gamma=1.0, focal_alpha="balanced").fit(table.X, words)
    if make is focal_lgb:
        model.set_params(class_weight=None)
    before = model.predict_proba(table.X)
    attributes = str(vars(model))

    class Raise(xgboost.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            if epoch == 2:
                raise ExpectedError

    def raise_in_third_round(env):
        if env.iteration == 2:
            raise ExpectedError

    if make is focal_xgb:
        model.set_params(callbacks=[Raise()])
        attributes = str(vars(model))
        with pytest.raises(ExpectedError):
            model.fit(table.X[:, :2], table.y)
    else:
        with pytest.raises(ExpectedError):
            model.fit(table.X[:, :2], table.y, callbacks=[raise_in_third_round])
    for bad in ({"X": table.X[:, :2], "y": table.y[:-1]}, {"X": table.X, "y": np.zeros(500)}):
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples|one class only"):
            model.fit(**bad)
    assert str(vars(model)) == attributes
    assert model.n_features_in_ == 5
    assert_array_equal(model.predict_proba(table.X), before)


def test_an_error_of_the_library_leaves_an_unfitted_model_unfitted(make, table):
    name, value = ("grow_policy", "sideways") if make is focal_xgb else ("num_leaves", 0)
    model = make(**{name: value})
    with pytest.raises((xgboost.core.XGBoostError, lightgbm.basic.LightGBMError)):
        model.fit(table.X, table.y)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    with pytest.raises(NotFittedError):
        model.predict(table.X)
    model.set_params(**{name: None if make is focal_xgb else 7})
    assert_same_model(model.fit(table.X, table.y), make().fit(table.X, table.y), table.X)


# What a fitted model tells


def test_unfitted(make, table):
    model = make()
    for name in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(model, name)(table.X)
    for name in ("classes_", "feature_importances_", "n_features_in_"):
        assert not hasattr(model, name)
    with pytest.raises(NotFittedError):
        model.save_model("never_written")


@pytest.mark.parametrize("alpha", [None, 0.25, "balanced"])
def test_predict_is_the_sign_of_the_decision_function(make, table, words, alpha):
    model = make(focal_alpha=alpha).fit(table.X, words)
    z = model.decision_function(table.X)
    assert z.shape == (500,)
    assert_array_equal(model.predict(table.X), np.where(z > 0, "yes", "no"))
    proba = model.predict_proba(table.X)
    assert proba.shape == (500, 2)
    assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
    assert (np.diff(proba[np.argsort(z), 1]) >= 0).all()
    if make is focal_xgb:
        assert z.dtype == proba.dtype == np.float32
        assert_array_equal(model.predict(table.X, output_margin=True), z)
    else:
        assert z.dtype == proba.dtype == np.float64
        assert_array_equal(model.predict(table.X, raw_score=True), z)
        assert_array_equal(model.predict_proba(table.X, raw_score=True), z)


def test_probability_is_read_at_prediction_time(make, table, words):
    model = make(focal_alpha="balanced").fit(table.X, words)
    z = model.decision_function(table.X).astype(np.float64)
    posterior, decided = model.predict_proba(table.X), model.predict(table.X)
    model.set_params(probability="score")
    assert_allclose(model.predict_proba(table.X)[:, 1], 1 / (1 + np.exp(-z)), rtol=1e-6)
    assert_array_equal(model.predict(table.X), decided)
    # which of the two it is does not enter training
    assert_array_equal(model.fit(table.X, words).decision_function(table.X).astype(np.float64), z)
    model.set_params(probability="posterior")
    assert_array_equal(model.predict_proba(table.X), posterior)
    assert abs(posterior[:, 1] - 1 / (1 + np.exp(-z))).max() > 0.05
    model.set_params(probability="logit")
    with pytest.raises(ValueError, match=r"probability must be one of 'posterior', 'score', got 'logit'"):
        model.predict_proba(table.X)


def test_feature_importances(make, table, words):
    model = make(n_estimators=30).fit(table.X, words)
    importances = model.feature_importances_
    assert importances.shape == (5,)
    assert importances[:3].min() > 0
    assert importances[0] > importances[3:].max()
    found = permutation_importance(model, table.X, words, scoring="neg_log_loss", n_repeats=2, random_state=0)
    assert found.importances_mean.argmax() == 0


def test_evaluation_results_and_best_iteration(make, table, validation):
    model = fit_with_early_stopping(make, table, validation)
    log = model.evals_result() if make is focal_xgb else model.evals_result_
    (values,) = log.values()
    (values,) = values.values()
    best = best_iteration(model)
    assert 1 < best < 100
    assert len(values) == best + 5
    assert np.argmin(values) == best - 1
    shorter = make(n_estimators=best, learning_rate=0.5).fit(table.X, table.y)
    assert_array_equal(model.predict_proba(table.X), shorter.predict_proba(table.X))


# Inside scikit-learn


def test_pipeline(make, table, words):
    pipeline = make_pipeline(StandardScaler(), make()).fit(table.X, words)
    assert pipeline.score(table.X, words) > 0.7
    assert set(pipeline.classes_) == {"no", "yes"}
    name = pipeline.steps[-1][0]
    pipeline.set_params(**{f"{name}__focal_gamma": 0.5})
    assert pipeline[-1].focal_gamma == 0.5
    frame = make_pipeline(StandardScaler(), make()).set_output(transform="pandas")
    frame.fit(pd.DataFrame(table.X, columns=list("abcde")), words)
    assert list(frame[-1].feature_names_in_) == list("abcde")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search(make, table, words, n_jobs):
    grid = {"focal_gamma": [0.0, 1.0, 2.0], "focal_alpha": [None, 0.25, "balanced", {"no": 1.0, "yes": 2.0}]}
    search = GridSearchCV(make(n_estimators=5), grid, cv=2, scoring="neg_log_loss", n_jobs=n_jobs)
    search.fit(table.X, words)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 12
    best = make(n_estimators=5, **search.best_params_).fit(table.X, words)
    assert_same_model(search.best_estimator_, best, table.X)


def test_cross_validation_is_better_than_the_base_rate(make, table, words):
    model = make(n_estimators=30, learning_rate=0.2)
    rate = table.y.mean()
    scores = cross_val_score(model, table.X, words, cv=3, scoring="neg_log_loss")
    assert -scores.mean() < 0.9 * log_loss(table.y, np.full(500, rate))
    precision = cross_val_score(model, table.X, table.y, cv=3, scoring="average_precision")
    assert precision.mean() > 2 * rate


def test_calibrated_classifier(make, table, words):
    model = CalibratedClassifierCV(make(), cv=3).fit(table.X, words)
    proba = model.predict_proba(table.X)
    assert proba.shape == (500, 2)
    assert proba[:, 1].mean() == pytest.approx(table.y.mean(), abs=0.03)


def test_tuned_threshold(make, table, words):
    tuned = TunedThresholdClassifierCV(
        make(n_estimators=20), scoring="balanced_accuracy", cv=3, random_state=0
    ).fit(table.X, words)
    assert 0 < tuned.best_threshold_ < 0.5
    assert (tuned.predict(table.X) == "yes").sum() > (tuned.estimator_.predict(table.X) == "yes").sum()


def test_one_against_the_rest(make, table):
    y = np.digitize(table.X[:, 0], [-0.5, 0.5])
    model = OneVsRestClassifier(make()).fit(table.X, y)
    assert model.score(table.X, y) > 0.95


def test_sample_weights_through_metadata_routing(make, table, words):
    pipeline = make_pipeline(StandardScaler(), make())
    name = pipeline.steps[-1][0]
    pipeline.fit(table.X, words, **{f"{name}__sample_weight": table.weight})
    X = pipeline[0].transform(table.X)
    assert_same_model(pipeline[-1], make().fit(X, words, sample_weight=table.weight), X)


def test_a_weight_of_k_is_k_copies(make, table, words):
    rng = np.random.default_rng(0)
    k = rng.integers(1, 4, 500)
    params = {"focal_alpha": "balanced", "min_child_weight": 0.01}
    if make is focal_lgb:
        params.update(min_child_samples=1, min_data_in_bin=1, max_bin=600)
    else:
        params["tree_method"] = "exact"  # bins would be of as many rows
    weighted = make(**params).fit(table.X, words, sample_weight=k)
    rows = np.repeat(np.arange(500), k)
    repeated = make(**params).fit(table.X[rows], words[rows])
    assert_allclose(weighted.predict_proba(table.X), repeated.predict_proba(table.X), atol=2e-5, rtol=0)


# Explanations


def test_contributions_of_the_library_add_up_to_the_score(make, table, words):
    model = make(focal_alpha=0.3).fit(table.X, words)
    z = model.decision_function(table.X)
    if make is focal_xgb:
        parts = model.get_booster().predict(xgboost.DMatrix(table.X), pred_contribs=True)
        tolerance = 1e-5
    else:
        parts = model.predict(table.X, pred_contrib=True)
        assert_array_equal(parts, model.predict_proba(table.X, pred_contrib=True))
        tolerance = 1e-12
    assert parts.shape == (500, 6)
    assert_allclose(parts.sum(axis=1), z, atol=tolerance, rtol=0)
    # the expected score: its mean over the rows of the training set is in the bias
    assert parts[:, 5] == pytest.approx(z.mean(), abs=0.25)


def test_leaves(make, table, words):
    model = make().fit(table.X, words)
    if make is focal_xgb:
        leaves = model.apply(table.X)
    else:
        leaves = model.predict(table.X, pred_leaf=True)
        assert_array_equal(leaves, model.predict_proba(table.X, pred_leaf=True))
    assert leaves.shape == (500, 10)


def test_shap_package(make, table, words):
    shap = pytest.importorskip("shap", reason="the shap package is not installed")
    model = make(focal_alpha=0.3).fit(table.X, words)
    rows = table.X[:50]
    explained = model if make is focal_xgb else model.booster_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the shap package about its own future
        explainer = shap.TreeExplainer(explained)
        values = explainer(rows)
    total = values.values.reshape(50, 5).sum(axis=1) + np.ravel(values.base_values)
    assert_allclose(total, model.decision_function(rows), atol=1e-5, rtol=0)


class _SumsUp(FocalLGBMClassifier):
    """A subclass whose signature does not repeat ours, as LightGBM's own example has it."""

    def __init__(self, extra=1, **params):
        super().__init__(**params)
        self.extra = extra


def test_parameters_that_a_subclass_sums_up_are_seen():
    model = _SumsUp(boosting_type="rf", extra=3)
    assert model.get_params()["extra"] == 3
    with pytest.raises(ValueError, match="boosting_type must not be 'rf'"):
        model.fit(np.eye(4), [0, 1, 0, 1])
