"""A callable metric that grows is maximised, or refused where nobody can know and stopping depends on it."""

import functools

import numpy as np
import pytest
import sklearn.metrics
import xgboost
from estimators import focal_xgb, make_table
from sklearn.metrics import average_precision_score, fbeta_score, log_loss

from focal_gbm import BinaryFocalLoss, FocalSearchCV, FocalXGBMetric
from focal_gbm.training.direction import greater_is_better


@pytest.fixture(scope="module")
def tables():
    return make_table(0, 1500), make_table(1, 800)


def area(y_true, y_pred):
    return average_precision_score(y_true, y_pred)


def grows(y_true, y_pred):
    return average_precision_score(y_true, y_pred)


grows.greater_is_better = True


def falls(y_true, y_pred):
    return -average_precision_score(y_true, y_pred)


falls.maximize = False


def test_known_directions():
    assert greater_is_better(functools.partial(fbeta_score, beta=2)) is True
    assert greater_is_better(sklearn.metrics.matthews_corrcoef) is True
    assert greater_is_better(sklearn.metrics.brier_score_loss) is False
    assert greater_is_better(sklearn.metrics.mean_absolute_error) is False
    assert greater_is_better(FocalXGBMetric(BinaryFocalLoss())) is False
    assert greater_is_better(area) is None


def test_every_scorer_of_scikit_learn_agrees():
    """Its scorers know the direction of the functions that they are made of."""
    known = 0
    for name in sklearn.metrics.get_scorer_names():
        scorer = sklearn.metrics.get_scorer(name)
        function = getattr(scorer, "_score_func", None)
        direction = None if function is None else greater_is_better(function)
        if direction is not None:
            known += 1
            assert direction == (scorer._sign > 0), name
    assert known > 40


PARAMS = {"n_estimators": 60, "max_depth": 3, "learning_rate": 0.1}


@pytest.mark.parametrize("metric", [average_precision_score, grows, falls])
def test_fit_stops_where_it_is_best(tables, metric):
    train, test = tables
    model = focal_xgb(**PARAMS, eval_metric=metric, early_stopping_rounds=10)
    model.fit(train.X, train.y, eval_set=[(test.X, test.y)], verbose=False)
    (log,) = model.evals_result()["validation_0"].values()
    assert model.best_iteration == (np.argmin(log) if metric is falls else np.argmax(log)) > 0


def test_search_stops_where_it_is_best(tables):
    X, y = tables[0].X, tables[0].y
    rounds = {}
    for metric in (average_precision_score, grows, falls):
        search = FocalSearchCV(
            focal_xgb(**PARAMS, eval_metric=metric),
            {"focal_gamma": [0.0, 1.0]},
            scoring="average_precision",
            cv=3,
            random_state=0,
            early_stopping_rounds=10,
        ).fit(X, y)
        rounds[metric] = search.best_n_rounds_
    assert rounds[average_precision_score] == rounds[grows] == rounds[falls] > 5


def test_callback_in_the_search(tables):
    X, y = tables[0].X, tables[0].y
    results = []
    for extra in ({}, {"callbacks": [xgboost.callback.EarlyStopping(rounds=10, maximize=True)]}):
        metric = grows if not extra else area
        search = FocalSearchCV(
            focal_xgb(**PARAMS, eval_metric=metric, **extra),
            {"focal_gamma": [0.0, 1.0]},
            cv=3,
            random_state=0,
            early_stopping_rounds=10,
        ).fit(X, y)
        results.append((search.best_n_rounds_, search.best_score_, search.best_params_))
        assert search.best_estimator_.callbacks is None
    assert results[0] == results[1]
    # without rows to stop on
    search.set_params(early_stopping_rounds=None).fit(X, y)
    assert search.best_n_rounds_ == PARAMS["n_estimators"]


def test_unknown_direction(tables):
    train, test = tables
    sets = {"eval_set": [(test.X, test.y)], "verbose": False}
    says = r"^eval_metric=<function area at \S+ decides when to stop, and must say which way it is better"
    model = focal_xgb(eval_metric=area, early_stopping_rounds=3)
    with pytest.raises(ValueError, match=says):
        model.fit(train.X, train.y, **sets)
    with pytest.raises(ValueError, match=says.removeprefix("^")):
        FocalSearchCV(focal_xgb(eval_metric=area), {"focal_gamma": [0.0]}, cv=2, error_score="raise").fit(
            train.X, train.y
        )
    callback = xgboost.callback.EarlyStopping(rounds=3)
    with pytest.raises(ValueError, match=says):
        focal_xgb(eval_metric=area, callbacks=[callback]).fit(train.X, train.y, **sets)
    # where it does not decide, it may be anything
    focal_xgb(eval_metric=area).fit(train.X, train.y, **sets)
    focal_xgb(eval_metric=[area, "logloss"], early_stopping_rounds=3).fit(train.X, train.y, **sets)
    focal_xgb(eval_metric=log_loss, early_stopping_rounds=3).fit(train.X, train.y, **sets)
