"""γ=0 without α is the library's own loss, and its own objective trains it: the model is its own to the last
bit."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from problems import Rows, booster, fit, log, n_best, ours, own, rows

BOTH = {
    "defaults": {},
    "sampled": {"subsample": 0.5, "colsample_bytree": 0.6, "random_state": 3},
    "penalised": {"reg_alpha": 0.5, "reg_lambda": 3.0, "min_child_weight": 3},
}
XGBOOST = {
    **BOTH,
    "exact": {"tree_method": "exact"},
    "approx": {"tree_method": "approx"},
    "by loss": {"grow_policy": "lossguide", "max_leaves": 12, "max_depth": 0},
    "dart": {"booster": "dart", "rate_drop": 0.3, "skip_drop": 0.2, "random_state": 3},
    "forest": {"num_parallel_tree": 4, "subsample": 0.5, "colsample_bynode": 0.5, "learning_rate": 1},
    "linear": {"booster": "gblinear", "max_depth": None, "updater": "coord_descent"},
    "steps": {"max_delta_step": 0.5, "learning_rate": 0.7},
    "start": {"base_score": 0.3},
}
TREES = {
    "monotone": {"monotone_constraints": (1, 0, -1, 0, 0)},
    "vector leaves": {"multi_strategy": "multi_output_tree"},
}
LIGHTGBM = {
    **BOTH,
    "bagged": {"subsample": 0.5, "subsample_freq": 1, "random_state": 3},
    "dart": {"boosting_type": "dart", "random_state": 3},
    "forest": {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1, "random_state": 3},
    "goss": {"data_sample_strategy": "goss", "random_state": 3},
    "linear trees": {"linear_tree": True},
    "extra trees": {"extra_trees": True},
    "monotone": {"monotone_constraints": [1, 0, -1, 0, 0]},
    "no start": {"boost_from_average": False},
}


def settings_of(problem):
    if problem.library == "lightgbm":
        return LIGHTGBM
    return {
        **XGBOOST,
        **({} if problem.kind == "two" else {"vector leaves": TREES["vector leaves"]}),
        **({"monotone": TREES["monotone"]} if problem.kind == "two" else {}),
    }


def assert_same(a, b, X):
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert_array_equal(a.predict(X), b.predict(X))


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_every_booster(problem, weighted):
    for name, params in settings_of(problem).items():
        models = [
            fit(make(**params, **extra), problem.train, problem.valid, weighted=weighted)
            for make, extra in ((problem.ours, {"focal_gamma": 0.0}), (problem.own, {}))
        ]
        assert_same(*models, problem.valid.X)
        assert log(models[0]) == log(models[1]), name
        if name not in ("linear", "forest"):
            focal = fit(problem.ours(**{**params, "focal_gamma": 2.0}), problem.train, weighted=weighted)
            difference = np.abs(focal.predict_proba(problem.valid.X) - models[1].predict_proba(problem.valid.X))
            assert difference.max() > 1e-3, name


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_early_stopping(problem, weighted):
    metrics = {"two": ["auc", "logloss"], "many": ["merror", "mlogloss"], "labels": ["error", "logloss"]}[problem.kind]
    params = {"n_estimators": 200, "learning_rate": 0.5}
    if problem.library == "xgboost":
        params["eval_metric"] = metrics
    models = [
        fit(make(**params, **extra), problem.train, problem.train, problem.valid, stop=5, weighted=weighted)
        for make, extra in ((problem.ours, {"focal_gamma": 0.0}), (problem.own, {}))
    ]
    assert n_best(models[0]) == n_best(models[1]) < 100
    for i in (0, 1):
        assert log(models[0], i) == log(models[1], i)
    assert_same(*models, problem.valid.X)


def test_seeds(problem):
    """Also those from which the libraries draw, the first two draws of which they use up."""
    params = {"subsample": 0.5, **({"subsample_freq": 1} if problem.library == "lightgbm" else {})}
    for seed in (np.random.RandomState, np.random.default_rng):
        models = [
            fit(make(**params, random_state=seed(7), **extra), problem.train)
            for make, extra in ((problem.ours, {"focal_gamma": 0.0}), (problem.own, {}))
        ]
        assert_same(*models, problem.valid.X)


def test_categories_and_missing_values(problem):
    frame = pd.DataFrame(problem.train.X, columns=list("abcde"))
    rng = np.random.default_rng(2)
    frame["c"] = pd.Categorical(rng.choice(list("uvwxyz"), len(frame)))
    frame = frame.assign(
        a=frame["a"].mask(rng.random(len(frame)) < 0.3), c=frame["c"].mask(rng.random(len(frame)) < 0.1)
    )
    train = Rows(frame, problem.train.y, problem.train.weight)
    params = {"enable_categorical": True} if problem.library == "xgboost" else {}
    models = [fit(make(**params), train) for make in (lambda **p: problem.ours(focal_gamma=0.0, **p), problem.own)]
    assert_same(*models, frame)


def test_going_on_from_the_librarys_model(problem):
    name = "xgb_model" if problem.library == "xgboost" else "init_model"
    first = fit(problem.own(), problem.train)
    models = [
        fit(make(**extra), problem.train, **{name: booster(first)})
        for make, extra in ((problem.ours, {"focal_gamma": 0.0}), (problem.own, {}))
    ]
    assert_same(*models, problem.valid.X)


def test_a_start_of_each_row(problem):
    shape = (300,) if problem.kind == "two" else (300, 3)
    start = np.random.default_rng(0).normal(size=shape)
    name = "base_margin" if problem.library == "xgboost" else "init_score"
    models = [
        fit(make(**extra), problem.train, **{name: start})
        for make, extra in ((problem.ours, {"focal_gamma": 0.0}), (problem.own, {}))
    ]
    assert_same(*models, problem.valid.X)


def test_refit_is_lightgbms():
    train = rows("two")
    models = [
        booster(fit(make, train)).refit(train.X, train.y)
        for make in (ours("lightgbm", focal_gamma=0.0), own("lightgbm"))
    ]
    assert_array_equal(*(model.predict(train.X) for model in models))
