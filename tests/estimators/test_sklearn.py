"""The estimators inside scikit-learn: its checks, parameters, searches, wrappers, workers."""

import copy
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xgboost
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from problems import OURS, OWN, booster, fit, ours, own, rows
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier, Poly1Focal

FOCAL = {"focal_gamma": 1.25, "focal_alpha": {"no": 1.0, "yes": 3.0}, "margin_loss": None}


@pytest.fixture
def words(table):
    return np.array(["no", "yes"])[table.y]


# They say so when they convert a sparse format that they do not read; the checks are about the result.
@pytest.mark.filterwarnings("ignore:Unknown data type:UserWarning")
@pytest.mark.filterwarnings("ignore:Converting data to scipy sparse matrix:UserWarning")
@pytest.mark.filterwarnings("ignore:.*grew no split:UserWarning")  # rightly: some have few rows
@pytest.mark.filterwarnings("ignore:class_weight=.*moves the decisions:UserWarning")
@parametrize_with_checks([FocalXGBClassifier(), FocalLGBMClassifier()])
def test_scikit_learns_checks(estimator, check):
    with threadpool_limits(limits=1, user_api="openmp"):  # many times as quick on twenty rows
        check(estimator)


# Parameters


def test_parameters_are_the_librarys_and_ours(library):
    params = OURS[library]().get_params()
    added = {name: params.pop(name) for name in ("focal_gamma", "focal_alpha", "margin_loss")}
    assert added == {"focal_gamma": 1.0, "focal_alpha": None, "margin_loss": None}
    assert repr(params) == repr(OWN[library]().get_params())
    assert is_classifier(OURS[library]())
    with pytest.raises(TypeError, match="positional argument"):
        OURS[library](2.0)


def test_set_get_and_clone(library, table, words):
    model = ours(library)
    assert model.set_params(**FOCAL, n_estimators=7, subsample=0.5) is model
    params = model.get_params()
    assert {name: params[name] for name in FOCAL} == FOCAL
    assert (params["n_estimators"], params["subsample"]) == (7, 0.5)
    assert repr(clone(model).get_params()) == repr(params)
    model.focal_gamma = 0.5  # what fit uses, get_params says and clone copies: in LightGBM what was set before
    assert_array_equal(
        clone(model).fit(table.X, words).predict_proba(table.X),
        model.fit(table.X, words).predict_proba(table.X),
    )


@pytest.mark.parametrize("name", ["focal_gama", "focal_loss", "focal_link", "focal_"])
def test_an_unknown_focal_parameter_is_named(library, table, name):
    for model in (ours(library, **{name: 1.0}), ours(library).set_params(**{name: 1.0})):
        with pytest.raises(TypeError, match=f"Focal...?.?Classifier has no parameter {name}: those of focal loss are"):
            fit(model, table)


def test_gamma_of_lightgbm_is_not_silently_ignored(table):
    with pytest.raises(ValueError, match=r"gamma is no parameter of LightGBM.*focal_gamma"):
        fit(ours("lightgbm", gamma=2.0), table)


@pytest.mark.filterwarnings("ignore:.*moves the decisions:UserWarning")
def test_fit_changes_no_parameter(library, table, words):
    alpha = {"no": 1.0, "yes": 3.0}
    for given in ({}, FOCAL, {"focal_alpha": alpha}, {"scale_pos_weight": 2.0}, {"focal_gamma": 0.0}):
        model = ours(library, **given)
        before = copy.deepcopy(model.get_params())
        model.fit(table.X, words, sample_weight=table.weight)
        assert repr(model.get_params()) == repr(before)
        assert repr(vars(clone(model))) == repr(vars(ours(library, **given)))
    assert alpha == {"no": 1.0, "yes": 3.0}


def test_parameters_set_after_a_fit_wait_for_the_next(problem):
    """XGBoost hands parameters to a fitted booster; ours are not among them."""
    model = fit(problem.ours(), problem.train)
    before, decided = model.predict_proba(problem.valid.X), model.predict(problem.valid.X)
    model.set_params(focal_gamma=0.5, focal_alpha=[1, 9, 2] if problem.kind == "many" else [1, 9])
    assert_array_equal(model.predict_proba(problem.valid.X), before)
    assert_array_equal(model.predict(problem.valid.X), decided)
    alpha = [1, 9, 2] if problem.kind == "many" else [1, 9]
    fresh = fit(problem.ours(focal_gamma=0.5, focal_alpha=alpha), problem.train)
    assert_array_equal(fit(model, problem.train).predict_proba(problem.valid.X), fresh.predict_proba(problem.valid.X))


BAD = {
    "negative": (-0.1, ValueError, "focal_gamma must be a finite number >= 0"),
    "nan": (np.nan, ValueError, "focal_gamma must be a finite number >= 0 .*got nan"),
    "infinite": (np.inf, ValueError, "focal_gamma must be a finite number >= 0 .*got inf"),
    "text": ("2", TypeError, "focal_gamma must be a real number >= 0, got '2'"),
    "bool": (True, TypeError, "focal_gamma must be a real number >= 0, got True"),
    "none": (None, TypeError, "focal_gamma must be a real number >= 0, got None"),
    "a tuple": ((1.0, 2.0), TypeError, "focal_gamma must be a real number >= 0"),
    "large": (1e3, ValueError, "focal_gamma must be a finite number >= 0 and at most 100, got 1000"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_gamma_that_no_fit_can_use(problem, case):
    gamma, error, message = BAD[case]
    model = problem.ours(focal_gamma=gamma)  # a constructor never complains
    with pytest.raises(error, match=message):
        fit(model, problem.train)
    with pytest.raises(NotFittedError):
        model.predict(problem.train.X)
    fitted = fit(problem.ours(), problem.train)  # nor is a fitted model changed by a fit that failed
    before = fitted.predict_proba(problem.train.X)
    with pytest.raises(error, match=message):
        fit(fitted.set_params(focal_gamma=gamma), problem.train)
    assert_array_equal(fitted.predict_proba(problem.train.X), before)


def test_a_loss_that_is_none(library, table):
    with pytest.raises(TypeError, match="margin_loss must be None or a MarginLoss, got 'poly'"):
        fit(ours(library, margin_loss="poly"), table)
    with pytest.raises(ValueError, match=r"focal_gamma belongs to the focal loss: with margin_loss=Poly1Focal\("):
        fit(ours(library, margin_loss=Poly1Focal(1.0, 0.5), focal_gamma=2.0), table)


# Fitting again, and errors in the middle of it


def test_two_fits_are_identical(problem):
    sampled = {"subsample": 0.7, "colsample_bytree": 0.7, "random_state": 1}
    sampled |= {"subsample_freq": 1} if problem.library == "lightgbm" else {}
    dart = {"booster": "dart", "rate_drop": 0.3} if problem.library == "xgboost" else {"boosting_type": "dart"}
    for params in ({}, sampled, {**dart, "random_state": 1, "n_estimators": 25}):
        model = fit(problem.ours(**params), problem.train)
        first = model.predict_proba(problem.train.X)
        fit(model, problem.valid)  # what lies in memory that was used before decides LightGBM's first draw of dart
        assert_array_equal(fit(model, problem.train).predict_proba(problem.train.X), first)
        assert_array_equal(fit(problem.ours(**params), problem.train).predict_proba(problem.train.X), first)
    other = fit(problem.ours(**{**sampled, "random_state": 2}), problem.train)
    one = fit(problem.ours(**sampled), problem.train)
    assert not np.array_equal(other.predict_proba(problem.train.X), one.predict_proba(problem.train.X))


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_fitting_again_forgets_the_first_fit(library, gamma):
    many, two = rows("many"), rows("two")
    model = ours(library, n_estimators=60, learning_rate=0.5, focal_alpha="balanced", focal_gamma=gamma)
    model.fit(many.X, np.array(["a", "b", "c"])[many.y])
    model.set_params(n_estimators=6, focal_alpha=None).fit(two.X[:, :3], two.y)
    fresh = ours(library, n_estimators=6, learning_rate=0.5, focal_gamma=gamma).fit(two.X[:, :3], two.y)
    assert_array_equal(model.predict_proba(two.X[:, :3]), fresh.predict_proba(two.X[:, :3]))
    assert_array_equal(model.predict(two.X[:, :3]), fresh.predict(two.X[:, :3]))
    assert_array_equal(model.classes_, [0, 1])
    assert model.n_features_in_ == 3


class ExpectedError(Exception):
    pass


class Raise(xgboost.callback.TrainingCallback):
    def after_iteration(self, model, epoch, evals_log):
        if epoch == 2:
            raise ExpectedError
        return False


def raise_in_the_third_round(env):
    if env.iteration == 2:
        raise ExpectedError


def test_an_error_in_training_reaches_the_caller_and_leaves_the_parameters(library, table, words):
    params = {"focal_alpha": "balanced", **({"callbacks": [Raise()]} if library == "xgboost" else {})}
    arguments = {} if library == "xgboost" else {"callbacks": [raise_in_the_third_round]}
    model = ours(library, **params)
    before = repr(model.get_params())
    with pytest.raises(ExpectedError):
        model.fit(table.X, words, **arguments)
    assert repr(model.get_params()) == before
    model.set_params(**({"callbacks": None} if library == "xgboost" else {})).fit(table.X, words)
    fresh = ours(library, focal_alpha="balanced").fit(table.X, words)
    assert_array_equal(model.predict_proba(table.X), fresh.predict_proba(table.X))
    assert_array_equal(model.predict(table.X), fresh.predict(table.X))


def test_a_failed_fit_leaves_predictions(library, table, words):
    model = ours(library).fit(table.X, words)
    for bad in (
        {"X": table.X, "y": np.linspace(0, 1, 300)},
        {"X": table.X, "y": words, "sample_weight": np.zeros(300)},
    ):
        with pytest.raises(ValueError, match=r"Unknown label type|at least one positive weight"):
            model.fit(**bad)
        if "sample_weight" not in bad:
            assert set(model.predict(table.X)) == {"no", "yes"}


def test_unfitted(library, table):
    model = ours(library)
    for name in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(model, name)(table.X)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    for name in ("classes_", "feature_importances_", "n_features_in_"):
        assert not hasattr(model, name)


# What a fitted model tells


def test_predictions_belong_together(problem):
    model = fit(problem.ours(), problem.train)
    X, p = problem.valid.X, model.predict_proba(problem.valid.X)
    f = model.decision_function(X)
    assert p.shape == (200, {"two": 2, "many": 3, "labels": 3}[problem.kind])
    assert f.shape == ((200,) if problem.kind == "two" else (200, 3))
    assert p.dtype == f.dtype == (np.float32 if problem.library == "xgboost" else np.float64)
    raw = {"output_margin": True} if problem.library == "xgboost" else {"raw_score": True}
    assert_array_equal(model.predict(X, **raw), f)
    if problem.kind == "labels":
        expected = 1 / (1 + np.exp(-f))
    else:
        scores = np.column_stack([0 * f, f]) if problem.kind == "two" else f
        expected = np.exp(scores - scores.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(p, expected, atol=1e-6)
    assert model.score(X, problem.valid.y) > (0.4 if problem.kind == "labels" else 0.5)


def test_feature_importances(library, table):
    model = fit(ours(library, n_estimators=30), table)
    importances = model.feature_importances_
    assert importances.shape == (5,)
    assert importances[0] > importances[3:].max()
    found = permutation_importance(model, table.X, table.y, scoring="neg_log_loss", n_repeats=2, random_state=0)
    assert found.importances_mean.argmax() == 0


def test_leaves_and_contributions(problem):
    model, X = fit(problem.ours(), problem.train), problem.valid.X
    n = {"two": 10, "many": 30, "labels": 30}[problem.kind]
    if problem.library == "xgboost":
        assert model.apply(X).reshape(200, -1).shape[1] == n
    else:
        assert model.predict(X, pred_leaf=True).shape == (200, n)
        total = model.predict(X, pred_contrib=True).reshape(200, -1, 6).sum(axis=-1)
        assert_allclose(total, model.decision_function(X).reshape(200, -1), atol=1e-9)


# Wrappers


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_searches(library, table, words, n_jobs):
    grid = {"focal_gamma": [0.0, 2.0], "focal_alpha": [None, "balanced"]}
    search = GridSearchCV(ours(library), grid, scoring="neg_log_loss", cv=3, n_jobs=n_jobs).fit(table.X, words)
    assert set(search.best_params_) == set(grid)
    assert search.best_score_ > -log_loss(table.y, np.full(300, table.y.mean()))
    chosen = ours(library, **search.best_params_).fit(table.X, words)
    assert_array_equal(search.predict_proba(table.X), chosen.predict_proba(table.X))
    losses = [Poly1Focal(1.0, 0.5), Poly1Focal(2.0, 1.0)]
    RandomizedSearchCV(ours(library, focal_gamma=1.0), {"margin_loss": losses}, n_iter=2, cv=2).fit(table.X, words)


def test_pipeline_and_cross_validation(library, table, words):
    model = make_pipeline(StandardScaler(), ours(library)).fit(table.X, words)
    assert set(model.classes_) == {"no", "yes"}
    scores = cross_val_score(model, table.X, words, cv=3, scoring="neg_log_loss")
    assert scores.mean() > -log_loss(table.y, np.full(300, table.y.mean()))
    p = cross_val_predict(model, table.X, words, cv=3, method="decision_function")
    assert np.corrcoef(p, table.y)[0, 1] > 0.3


@pytest.mark.filterwarnings("ignore:.*grew no split:UserWarning")  # rightly: two positives
def test_other_wrappers(library, table, words):
    X, y = table.X, words
    tuned = TunedThresholdClassifierCV(ours(library), scoring="balanced_accuracy", cv=3).fit(X, y)
    assert 0 < tuned.best_threshold_ < 1
    many = rows("many")
    one = OneVsRestClassifier(ours(library)).fit(many.X, many.y)
    assert (one.predict(many.X) == many.y).mean() > 0.6
    bag = BaggingClassifier(ours(library, n_estimators=3), n_estimators=4, random_state=0).fit(X, y)
    assert np.isfinite(bag.predict_proba(X)).all()
    stack = StackingClassifier([("gbm", ours(library))], LogisticRegression(), cv=2).fit(X, y)
    assert stack.predict(X).shape == (300,)
    few = np.zeros(300, int)
    few[:2] = 1  # a sample may lack the class
    bag = BaggingClassifier(ours(library, n_estimators=3), n_estimators=8, random_state=0).fit(X, few)
    assert np.isfinite(bag.predict_proba(X)).all()


def test_sample_weights_through_routing(library, table, words):
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        model = ours(library).set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        search = GridSearchCV(model, {"focal_gamma": [2.0]}, cv=2)
        search.fit(table.X, words, sample_weight=table.weight)
    direct = ours(library).fit(table.X, words, sample_weight=table.weight)
    assert_array_equal(search.predict_proba(table.X), direct.predict_proba(table.X))


METHODS = ["sigmoid", "isotonic", "temperature"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("params", [{}, {"focal_alpha": "balanced"}, {"focal_alpha": [1.0, 20.0]}], ids=str)
def test_calibration_is_not_worse_than_none(library, method, params):
    """Calibrators read `decision_function`, which has to be log-odds."""
    train, held_out, test = rows("two", 0, 1500), rows("two", 1, 3000), rows("two", 2, 3000)
    model = fit(ours(library, n_estimators=20, **params), train)
    score = brier_score_loss if method == "isotonic" else log_loss  # isotonic regression has zeros, which cost log loss
    before = score(test.y, model.predict_proba(test.X)[:, 1].astype(np.float64))
    try:
        calibrated = CalibratedClassifierCV(FrozenEstimator(model), method=method).fit(held_out.X, held_out.y)
    except ValueError:
        pytest.skip("scikit-learn has temperature scaling from 1.8 on")
    assert score(test.y, calibrated.predict_proba(test.X)[:, 1].astype(np.float64)) < 1.01 * before


# Threads and processes


@pytest.mark.parametrize("kind", ["two", "many"])
def test_one_thread_and_two_give_the_same_model(library, kind):
    """LightGBM promises it with `deterministic`, XGBoost's hist on a CPU as it is."""
    data = rows(kind, 3, 4000)
    params = {} if library == "xgboost" else {"deterministic": True, "force_row_wise": True}
    one, two = (fit(ours(library, n_jobs=n, **params), data).predict_proba(data.X) for n in (1, 2))
    assert_array_equal(one, two)


@pytest.mark.parametrize("n", ["1", "2"])
def test_number_of_threads_as_text(table, n):
    """What LightGBM makes of it: a right result, or an error that names what the user wrote."""
    for name in ("num_threads", "nthread", "n_jobs"):
        results = []
        for make in (own, ours):
            params = {"n_jobs": None, name: n}
            try:
                results.append(fit(make("lightgbm", **params), table).predict(table.X).shape)
            except (TypeError, ValueError) as error:
                results.append(str(error))
        assert results[0] == results[1]


def fit_and_predict(library, X, y, gamma):
    return ours(library, focal_gamma=gamma).fit(X, y).predict_proba(X)


def test_fits_in_threads(library, table):
    """Side by side, of different γ, on tables of one size: no fit sees another's labels or buffers."""
    tasks = [(gamma, flip) for gamma in (0.0, 1.0, 2.0) for flip in (0, 1)] * 2
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda task: fit_and_predict(library, table.X, table.y ^ task[1], task[0]), tasks))
    for (gamma, flip), p in zip(tasks, found, strict=True):
        assert_array_equal(p, fit_and_predict(library, table.X, table.y ^ flip, gamma))


def test_fits_and_predictions_in_processes(library, table):
    found = Parallel(n_jobs=2)(delayed(fit_and_predict)(library, table.X, table.y, gamma) for gamma in (0.0, 2.0))
    for gamma, p in zip((0.0, 2.0), found, strict=True):
        assert_array_equal(p, fit_and_predict(library, table.X, table.y, gamma))
    model = fit(ours(library, focal_alpha="balanced"), table)
    (found,) = Parallel(n_jobs=2)([delayed(model.predict_proba)(table.X)])
    assert_array_equal(found, model.predict_proba(table.X))


def fit_in_fork(library, X, y, model, queue):
    queue.put((fit_and_predict(library, X, y, 2.0), model.predict_proba(X)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_after_a_fit_fits_and_predicts(library, table):
    """With one thread: the GNU OpenMP runtime, in any program, hangs in a fork after a parallel region."""
    model = fit(ours(library), table)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=fit_in_fork, args=(library, table.X, table.y, model, queue))
    process.start()
    fitted, predicted = queue.get(timeout=60)
    process.join(60)
    assert process.exitcode == 0
    assert_array_equal(fitted, fit_and_predict(library, table.X, table.y, 2.0))
    assert_array_equal(predicted, model.predict_proba(table.X))


MANY_FITS = """
import gc, sys
sys.path.insert(0, sys.argv[1])
from problems import ours, rows
def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
data, sizes = rows("two", 0, 4000), []
for i in range(130):
    ours(sys.argv[2], n_estimators=2).fit(data.X, data.y)
    if i in (29, 129):
        sizes.append(resident())
print(sizes[1] - sizes[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
def test_many_fits_do_not_grow(library):
    """In a process of its own, where no other test counts."""
    command = [sys.executable, "-c", MANY_FITS, str(Path(__file__).parent), library]
    grown = float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=170).stdout)
    # labels, gradients and Hessians of one fit are 0.05 MB: 100 fits that kept them would show 5 MB
    assert grown < 3


def test_a_booster_is_not_shared(library, table):
    model = fit(ours(library), table)
    before = model.predict_proba(table.X)
    other = copy.deepcopy(model)
    fit(model, rows("two", 9))
    assert_array_equal(other.predict_proba(table.X), before)
    assert booster(other) is not booster(model)
