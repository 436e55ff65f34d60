"""EarlyStoppingClassifier is what a careful user writes by hand, wherever scikit-learn takes a classifier."""

import io

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn import model_selection
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, get_scorer, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier
from focal_gbm.early_stopping import EarlyStoppingClassifier

ROUNDS = 5
XGB = {"n_estimators": 200, "max_depth": 3, "n_jobs": 1}
LGB = {"n_estimators": 200, "num_leaves": 7, "n_jobs": 1, "verbose": -1}
FOCAL = {
    "focal xgboost": FocalXGBClassifier(**XGB, focal_gamma=2.0),
    "focal lightgbm": FocalLGBMClassifier(**LGB, focal_gamma=2.0),
}
MODELS = {"xgboost": xgboost.XGBClassifier(**XGB), "lightgbm": lightgbm.LGBMClassifier(**LGB), **FOCAL}

each = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
each_focal = pytest.mark.parametrize("model", FOCAL.values(), ids=FOCAL)


def early(model, **params):
    return EarlyStoppingClassifier(model, **{"rounds": ROUNDS, "random_state": 0, **params})


def is_xgboost(model):
    return isinstance(model, xgboost.XGBClassifier)


def make_data(n_rows=1200):
    """Numbers, labels of two and of three classes, weights and groups."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n_rows, 4))
    y = (rng.random(n_rows) < expit(1.5 * X[:, 0] - np.abs(X[:, 1]) - 1)).astype(int)
    return X, y, y + (X[:, 2] > 1), rng.uniform(0.2, 3, n_rows), rng.integers(0, 60, n_rows)


X, Y, Y3, WEIGHT, GROUPS = make_data()


def make_bank(n_rows=1200):
    """Return calls of a bank, the oldest first, what the customers said, and who they are."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 90, n_rows),
            "balance": rng.lognormal(7, 1, n_rows).round(),
            "job": rng.choice(["services", "student", "retired", "manager"], n_rows, p=[0.4, 0.1, 0.2, 0.3]),
            "contact": rng.choice(["cellular", "telephone"], n_rows),
        }
    )
    score = 1.5 * (frame["job"] == "student") + np.log(frame["balance"]) / 2 - (frame["age"] - 50) ** 2 / 400 - 4
    return frame, (rng.random(n_rows) < expit(score)).astype(int).to_numpy(), rng.integers(0, 100, n_rows)


def stop_by_hand(model, X, y, X_stop, y_stop, weight=None, weight_stop=None):
    """Return the rounds that the library finds with the evaluation set that a caller hands to it."""
    weights = None if weight_stop is None else [weight_stop]
    many = len(np.unique(y)) > 2
    if is_xgboost(model):
        params = {"early_stopping_rounds": ROUNDS, "eval_metric": "mlogloss" if many else "logloss"}
        stopped = clone(model).set_params(**params)
        how = {"eval_set": [(X_stop, y_stop)], "sample_weight_eval_set": weights, "verbose": False}
        return stopped.fit(X, y, sample_weight=weight, **how).best_iteration + 1
    stopping = lightgbm.early_stopping(ROUNDS, first_metric_only=True, verbose=False)
    how = {"eval_X": X_stop, "eval_y": y_stop, "eval_sample_weight": weights, "callbacks": [stopping]}
    metric = "multi_logloss" if many else "binary_logloss"
    return clone(model).fit(X, y, sample_weight=weight, eval_metric=metric, **how).best_iteration_


def fit_by_hand(model, X, y, fit, stop, weight=None):
    parts = [None if weight is None else weight[rows] for rows in (fit, stop)]
    n_rounds = stop_by_hand(model, X[fit], y[fit], X[stop], y[stop], *parts)
    return clone(model).set_params(n_estimators=n_rounds).fit(X, y, sample_weight=weight), n_rounds


def positive(model, X):
    return model.predict_proba(X)[:, 1].astype(np.float64)


def shares(n_rows, y, groups):
    return model_selection.train_test_split(np.arange(n_rows), test_size=0.2, stratify=y, random_state=0)


def by_group(n_rows, y, groups):
    return next(GroupShuffleSplit(1, test_size=0.2, random_state=0).split(y, groups=groups))


def by_time(n_rows, y, groups):
    return np.split(np.arange(n_rows), [n_rows - n_rows // 5])


# Equal to what is made by hand


@each
@pytest.mark.parametrize("y", [Y, Y3], ids=["two", "three"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
def test_equals_the_model_made_by_hand(model, y, weight):
    hand, n_rounds = fit_by_hand(model, X, y, *shares(len(X), y, None), weight)
    found = early(model).fit(X, y, sample_weight=weight)
    assert 1 < found.n_rounds_ == n_rounds < 200
    assert found.estimator_.n_estimators == n_rounds
    assert_array_equal(found.predict_proba(X), hand.predict_proba(X))
    assert_array_equal(found.predict(X), hand.predict(X))


SPLITS = {
    "shares": (shares, StratifiedKFold(3), 0.2),
    "groups": (by_group, GroupKFold(3), GroupShuffleSplit(1, test_size=0.2, random_state=0)),
    "time": (by_time, TimeSeriesSplit(3), TimeSeriesSplit(4)),
}


@each_focal
@pytest.mark.parametrize(("split", "cv", "validation"), SPLITS.values(), ids=SPLITS)
def test_grid_over_gamma_and_depth_in_a_pipeline_equals_the_one_made_by_hand(model, split, cv, validation):
    frame, y, groups = make_bank()
    words = ("words", OneHotEncoder(sparse_output=False), ["job", "contact"])
    table = ColumnTransformer([words], remainder="passthrough")
    grid = {"model__estimator__focal_gamma": [0.0, 2.0], "model__estimator__max_depth": [1, 3]}
    pipeline = Pipeline([("table", table), ("model", early(model, validation=validation))])
    given = {"groups": groups} if split is by_group else {}
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=cv).fit(frame, y, **given)

    def made_by_hand(params, rows):
        fitted = clone(table).fit(frame.iloc[rows])
        trained = clone(model).set_params(**{name.split("__")[-1]: value for name, value in params.items()})
        sides = split(len(rows), y[rows], groups[rows])
        return fitted, *fit_by_hand(trained, fitted.transform(frame.iloc[rows]), y[rows], *sides)

    scores = []
    for params in model_selection.ParameterGrid(grid):
        of_folds = []
        for train, test in cv.split(frame, y, **given):
            fitted, last, _ = made_by_hand(params, train)
            of_folds.append(-log_loss(y[test], positive(last, fitted.transform(frame.iloc[test]))))
        scores.append(np.mean(of_folds))
    assert_allclose(search.cv_results_["mean_test_score"], scores, rtol=1e-7)
    best = model_selection.ParameterGrid(grid)[int(np.argmax(scores))]
    assert search.best_params_ == best
    fitted, last, n_rounds = made_by_hand(best, np.arange(len(y)))
    assert search.best_estimator_["model"].n_rounds_ == n_rounds
    assert_array_equal(search.predict_proba(frame), last.predict_proba(fitted.transform(frame)))


@each
def test_without_refit_the_model_that_stopped_is_kept_and_cut(model):
    found = early(model, refit=False).fit(X, Y)
    booster = found.estimator_.get_booster() if is_xgboost(model) else found.estimator_.booster_
    kept = booster.num_boosted_rounds() if is_xgboost(model) else booster.current_iteration()
    assert kept == found.n_rounds_ == early(model).fit(X, Y).n_rounds_
    fit, _ = shares(len(X), Y, None)
    part = clone(model).set_params(n_estimators=kept).fit(X[fit], Y[fit])
    assert_allclose(found.predict_proba(X), part.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize(("plain", "focal"), [("xgboost", "focal xgboost"), ("lightgbm", "focal lightgbm")])
def test_log_loss_and_focal_loss_stop_on_the_same_metric(plain, focal):
    plain, focal = early(MODELS[plain], refit=False), early(clone(MODELS[focal]), refit=False)

    def stopped_on(found):
        model = found.estimator_
        curves = model.evals_result() if is_xgboost(model) else model.evals_result_
        return next(iter(curves.values()))["logloss" if is_xgboost(model) else "binary_logloss"]

    at_zero = clone(focal).set_params(estimator__focal_gamma=0.0).fit(X, Y)
    assert at_zero.n_rounds_ == plain.fit(X, Y).n_rounds_
    assert_allclose(stopped_on(at_zero), stopped_on(plain), rtol=1e-5)
    curve = stopped_on(focal.fit(X, Y))
    assert np.argmin(curve) + 1 == focal.n_rounds_
    _, stop = shares(len(X), Y, None)
    assert_allclose(min(curve), log_loss(Y[stop], positive(focal, X[stop])), rtol=1e-5)


@each
def test_other_metrics(model):
    def negated(y_true, probability):
        return -average_precision_score(y_true, probability)

    def rising(y_true, probability):
        return "ap", average_precision_score(y_true, probability), True

    negated.greater_is_better = False
    by_callable = early(model, eval_metric=negated if is_xgboost(model) else rising).fit(X, Y)
    name = "aucpr" if is_xgboost(model) else "average_precision"
    named = early(model, eval_metric=name).fit(X, Y)
    assert named.n_rounds_ != early(model).fit(X, Y).n_rounds_
    if not is_xgboost(model):  # whose aucpr interpolates
        assert by_callable.n_rounds_ == named.n_rounds_


# Rows set aside


@pytest.mark.parametrize("rows", [100, 0.5])
def test_a_number_or_a_share_of_rows(rows):
    sides = model_selection.train_test_split(np.arange(len(X)), test_size=rows, stratify=Y, random_state=7)
    _, n_rounds = fit_by_hand(MODELS["lightgbm"], X, Y, *sides)
    assert early(MODELS["lightgbm"], validation=rows, random_state=7).fit(X, Y).n_rounds_ == n_rounds


class FirstAndLatest(GroupShuffleSplit):
    """Two splits, as by_group and as by_time: only the last one counts. Keeps what it is given."""

    def split(self, X, y=None, groups=None):
        self.seen = X, y, groups
        yield by_group(len(X), y, groups)
        yield by_time(len(X), y, groups)


def test_a_splitter_gets_the_rows_in_order_and_its_last_split_counts():
    splitter = FirstAndLatest()
    found = early(MODELS["xgboost"], validation=splitter).fit(X, Y, groups=GROUPS)
    for given, seen in zip((X, Y, GROUPS), splitter.seen, strict=True):
        assert_array_equal(given, seen)
    _, n_rounds = fit_by_hand(MODELS["xgboost"], X, Y, *by_time(len(X), Y, None))
    assert found.n_rounds_ == n_rounds


@pytest.mark.parametrize(("sides", "missing"), [
    ((slice(100, None), slice(100)), "1100 rows to train on"),
    ((slice(1100), slice(1100, None)), "100 rows set aside to stop on"),
])  # fmt: skip
def test_class_missing_from_a_side(sides, missing):
    y = np.where(np.arange(len(X)) < 100, "rare", np.where(Y == 1, "yes", "no"))
    splitter = model_selection.PredefinedSplit(np.where(np.isin(np.arange(len(X)), np.arange(len(X))[sides[1]]), 0, -1))
    with pytest.raises(ValueError, match=rf"no row of \['rare'\] among the {missing}"):
        early(MODELS["lightgbm"], validation=splitter).fit(X, y)
    y[0] = "once"
    with pytest.raises(ValueError, match=r"two or more rows of every class.* a single row of \['once'\]"):
        early(MODELS["lightgbm"]).fit(X, y)


# Inside scikit-learn and Optuna


@each
def test_searches_and_wrappers(model):
    found = early(model)
    scores = model_selection.cross_val_score(found, X, Y, scoring="neg_log_loss", cv=3)
    search = GridSearchCV(found, {"rounds": [ROUNDS]}, scoring="neg_log_loss", cv=3).fit(X, Y)
    assert search.best_score_ == pytest.approx(scores.mean(), rel=1e-9)
    calibrated = CalibratedClassifierCV(found, cv=3).fit(X, Y, sample_weight=WEIGHT)
    assert np.isfinite(calibrated.predict_proba(X)).all()
    members = [member.estimator for member in calibrated.calibrated_classifiers_]
    assert all(1 < member.n_rounds_ < 200 for member in members)
    train, _ = next(StratifiedKFold(3).split(X, Y))
    weighted = clone(found).fit(X[train], Y[train], sample_weight=WEIGHT[train])
    assert_array_equal(members[0].predict_proba(X), weighted.predict_proba(X))
    tuned = model_selection.TunedThresholdClassifierCV(found, scoring="f1", cv=3).fit(X, Y)
    assert 0 < tuned.best_threshold_ < 1
    assert tuned.estimator_.n_rounds_ == clone(found).fit(X, Y).n_rounds_


@each_focal
def test_randomized_search_in_processes(model):
    space = {"estimator__focal_gamma": [0.0, 0.5, 1.0, 2.0], "rounds": [3, 10]}
    how = {"n_iter": 3, "cv": 2, "scoring": "average_precision", "random_state": 0}
    one, two = (
        model_selection.RandomizedSearchCV(early(model), space, n_jobs=n_jobs, **how).fit(X, Y).cv_results_
        for n_jobs in (1, 2)
    )
    assert_array_equal(one["mean_test_score"], two["mean_test_score"])
    assert len(set(one["mean_test_score"])) > 1


@each_focal
def test_optuna(model):
    optuna = pytest.importorskip("optuna", reason="optuna is not installed")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial):
        gamma = trial.suggest_float("estimator__focal_gamma", 0.0, 3.0)
        tried = early(model).set_params(estimator__focal_gamma=gamma)
        return model_selection.cross_val_score(tried, X, Y, scoring="neg_log_loss", cv=2).mean()

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=3)
    last = early(model).set_params(**study.best_params).fit(X, Y)
    assert last.estimator_.focal_gamma == study.best_params["estimator__focal_gamma"]
    assert len({trial.value for trial in study.trials}) == 3


@each
def test_metadata_is_routed_to_those_that_ask(model):
    splitter = GroupShuffleSplit(1, test_size=0.2, random_state=0)
    direct = early(model, validation=splitter).fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
    hand, n_rounds = fit_by_hand(model, X, Y, *by_group(len(X), Y, GROUPS), WEIGHT)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = early(clone(model).set_fit_request(sample_weight=True), validation=splitter)
        routed = clone(asking).fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
        scorer = get_scorer("neg_log_loss").set_score_request(sample_weight=True)
        search = GridSearchCV(asking, {"rounds": [ROUNDS]}, scoring=scorer, cv=GroupKFold(3))
        search.fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
        assert not hasattr(asking, "set_fit_request")
        with pytest.raises(TypeError, match=r"unexpected argument.*groups"):
            early(model).fit(X, Y, groups=GROUPS)
        with pytest.raises(ValueError, match=r"sample_weight.* not explicitly set"):
            early(model).fit(X, Y, sample_weight=WEIGHT)
    for found in (direct, routed, search.best_estimator_):
        assert found.n_rounds_ == n_rounds
        assert_array_equal(found.predict_proba(X), hand.predict_proba(X))


# The fitted model


@each_focal
def test_words_as_labels(model):
    words = np.array(["no", "yes", "perhaps"])[Y3]
    found = early(model).fit(X, words)
    assert_array_equal(found.classes_, ["no", "perhaps", "yes"])
    assert set(found.predict(X)) == set(words)
    plain = early(MODELS["lightgbm"]).fit(X, words)  # LightGBM alone misreads words in eval_y
    order = [0, 2, 1]
    codes = early(MODELS["lightgbm"]).fit(X, np.array(order)[Y3])
    assert plain.n_rounds_ == codes.n_rounds_
    assert_array_equal(plain.predict_proba(X), codes.predict_proba(X))


@each
def test_is_the_fitted_model(model):
    found = early(model)
    assert is_classifier(found)
    with pytest.raises(NotFittedError):
        found.predict_proba(X)
    assert not hasattr(found, "classes_")
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    found.fit(frame, pd.Series(Y))
    assert_array_equal(found.feature_names_in_, ["a", "b", "c", "d"])
    assert_array_equal(found.classes_, [0, 1])
    assert found.n_features_in_ == 4
    assert_array_equal(found.feature_importances_, found.estimator_.feature_importances_)
    assert found.score(frame, Y) == np.mean(found.predict(frame) == Y) > Y.mean()
    of_lists = clone(found).fit(X.tolist(), Y.tolist())
    assert not hasattr(of_lists, "feature_names_in_")
    assert_array_equal(of_lists.predict_proba(X), found.predict_proba(frame))
    file = io.BytesIO()
    joblib.dump(found, file)
    file.seek(0)
    assert_array_equal(joblib.load(file).predict_proba(frame), found.predict_proba(frame))
    assert str(model.get_params()) == str(found.estimator.get_params())


@each
def test_progress_is_shown_as_the_library_shows_it(model, capfd):
    early(model).fit(X, Y)
    assert capfd.readouterr() == ("", "")
    if is_xgboost(model):
        early(model).fit(X, Y, verbose=True)
        assert "validation_0-logloss" in capfd.readouterr().out
    else:
        early(clone(model).set_params(verbose=1)).fit(X, Y)
        assert "Early stopping, best iteration is" in capfd.readouterr().out


def test_callbacks_of_the_estimator_stay():
    class Counting(xgboost.callback.TrainingCallback):
        rounds = 0

        def after_iteration(self, model, epoch, evals_log):
            Counting.rounds += 1
            return False

    counted = clone(MODELS["xgboost"]).set_params(callbacks=[Counting()])
    found = early(counted).fit(X, Y)
    assert Counting.rounds == 2 * found.n_rounds_ + ROUNDS
    assert len(counted.callbacks) == 1


# Errors


WRONG = [
    (LogisticRegression(), {}, TypeError, "estimator must be a classifier of XGBoost.*LogisticRegression"),
    (xgboost.XGBRegressor(), {}, TypeError, "estimator must be a classifier of XGBoost.*XGBRegressor"),
    (xgboost.XGBClassifier(early_stopping_rounds=3), {}, ValueError, "early_stopping_rounds: set rounds"),
    (xgboost.XGBClassifier(eval_metric="auc"), {}, ValueError, "not set eval_metric: set eval_metric"),
    (lightgbm.LGBMClassifier(num_trees=30), {}, ValueError, "not set num_trees: set n_estimators"),
    (lightgbm.LGBMClassifier(n_iter_no_change=3), {}, ValueError, "not set n_iter_no_change: set rounds"),
    (lightgbm.LGBMClassifier(metric="auc"), {}, ValueError, "not set metric: set eval_metric"),
    (MODELS["xgboost"], {"rounds": 0}, ValueError, "rounds must be a positive integer, got 0"),
    (MODELS["xgboost"], {"rounds": 2.5}, ValueError, r"rounds must be a positive integer, got 2\.5"),
    (MODELS["xgboost"], {"eval_metric": ["auc"]}, TypeError, r"eval_metric must be one metric.*\['auc'\]"),
    (MODELS["xgboost"], {"validation": 1.5}, ValueError, r"validation must be a share.* got 1\.5"),
    (MODELS["xgboost"], {"validation": "a"}, ValueError, "validation must be a share.* got 'a'"),
]


@pytest.mark.parametrize(("model", "params", "error", "match"), WRONG)
def test_wrong_parameters(model, params, error, match):
    with pytest.raises(error, match=match):
        early(model, **params).fit(X, Y)


@pytest.mark.parametrize(("model", "given", "error", "match"), [
    ("xgboost", {"eval_set": [(X, Y)]}, TypeError, "does not take eval_set"),
    ("xgboost", {"base_margin": WEIGHT}, TypeError, "does not take base_margin"),
    ("lightgbm", {"init_score": WEIGHT}, TypeError, "does not take init_score"),
    ("lightgbm", {"groups": GROUPS}, ValueError, r"groups needs a splitter.* got validation=0\.2"),
    ("lightgbm", {"callbacks": [lightgbm.early_stopping(3)]}, ValueError, "callbacks must not stop early"),
])  # fmt: skip
def test_wrong_arguments_of_fit(model, given, error, match):
    with pytest.raises(error, match=match):
        early(MODELS[model]).fit(X, Y, **given)


@pytest.mark.filterwarnings("ignore:Early stopping is not available in dart mode:UserWarning")
def test_what_cannot_stop_early():
    stopping = xgboost.XGBClassifier(callbacks=[xgboost.callback.EarlyStopping(rounds=3)])
    with pytest.raises(ValueError, match="callbacks must not stop early"):
        early(stopping).fit(X, Y)
    with pytest.raises(ValueError, match="able to stop early: boosting_type='dart'"):
        early(clone(MODELS["lightgbm"]).set_params(boosting_type="dart")).fit(X, Y)


# scikit-learn's own checks

#: Rows are drawn to stop on, and one given twice is not one of weight 2: any split inside `fit` fails these.
DRAWN = dict.fromkeys(
    [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")], "rows are drawn"
)


# Of 15 rows LightGBM makes no leaf, so that any two models of them are the same.
@pytest.mark.filterwarnings("ignore:Unknown data type:UserWarning")
@pytest.mark.filterwarnings("ignore:Converting data to scipy sparse matrix:UserWarning")
@pytest.mark.filterwarnings("ignore:The model grew no split:UserWarning")
@parametrize_with_checks(
    [EarlyStoppingClassifier(FocalXGBClassifier()), EarlyStoppingClassifier(FocalLGBMClassifier(verbose=-1))],
    expected_failed_checks=lambda found: DRAWN if is_xgboost(found.estimator) else {},
)
def test_sklearn_compatible(estimator, check):
    with threadpool_limits(limits=1, user_api="openmp"):
        check(estimator)
