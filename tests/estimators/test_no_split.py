"""A model that has learned nothing says so once, and which parameters keep it from learning."""

import warnings

import lightgbm
import numpy as np
import pytest
import xgboost
from problems import fit, own, rows

import focal_gbm.lightgbm
import focal_gbm.xgboost
from focal_gbm.xgboost import FocalBoosting

SAYS = {
    "xgboost": r"no split in any tree: .* Lower min_child_weight or gamma \(the minimum split loss\)",
    "lightgbm": r"no split in any tree: .* Lower min_child_samples, min_child_weight or min_split_gain",
}
STUMPS = {
    "xgboost": [
        {"min_child_weight": 1e6}, {"gamma": 1e6}, {"multi_strategy": "multi_output_tree", "gamma": 1e6},
    ],
    "lightgbm": [
        {"min_child_samples": 200}, {"min_child_weight": 1e6}, {"min_split_gain": 1e6},
        {"linear_tree": True, "min_child_samples": 200},
    ],
}  # fmt: skip


def test_estimators(problem):
    for params in STUMPS[problem.library]:
        if problem.kind == "two" and "multi_strategy" in params:
            continue
        with pytest.warns(UserWarning, match=SAYS[problem.library]) as told:
            fit(problem.ours(**params), problem.train, problem.valid)
        assert len(told) == 1
        assert told[0].filename.endswith("problems.py")  # the line that called `fit`


def test_native(table):
    with pytest.warns(UserWarning, match=SAYS["xgboost"]):
        focal_gbm.xgboost.train({"min_child_weight": 1e6}, xgboost.DMatrix(table.X, table.y), 2)
    with pytest.warns(UserWarning, match=SAYS["xgboost"]):
        fit(own("xgboost", min_child_weight=1e6, callbacks=[FocalBoosting()]), table)
    with pytest.warns(UserWarning, match=SAYS["lightgbm"]):
        focal_gbm.lightgbm.train({"min_data_in_leaf": 200, "verbose": -1}, lightgbm.Dataset(table.X, table.y), 2)


def test_silence(problem):
    """Of the library's own loss, of one class, of no rounds, of linear boosters, of a model that goes on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*`booster=gblinear` is deprecated")  # XGBoost from 3.3 on
        stump = STUMPS[problem.library][0]
        fit(problem.ours(**stump, focal_gamma=0.0), problem.train)
        first = fit(problem.ours(), problem.train)
        name = "xgb_model" if problem.library == "xgboost" else "init_model"
        fit(problem.ours(**stump), problem.train, **{name: first})
        if problem.kind == "two":
            problem.ours().fit(problem.train.X, np.zeros(300, int))
        if problem.library == "xgboost":
            focal_gbm.xgboost.train(problem.native, xgboost.DMatrix(problem.train.X, problem.train.y), 0)
            linear = {"booster": "gblinear", "max_depth": None, "updater": "coord_descent"}
            fit(problem.ours(**linear), problem.train)


def test_the_defaults_learn_from_few_rare_rows(library):
    """Two hundred rows, five positive, γ=1."""
    data = rows("two", 4, 200)
    y = np.zeros(200, int)
    y[np.argsort(data.X[:, 0])[-5:]] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from problems import OURS

        model = OURS[library](n_estimators=20, n_jobs=1, **({"verbose": -1} if library == "lightgbm" else {})).fit(
            data.X, y
        )
    p = model.predict_proba(data.X)[:, 1]
    assert p[y == 1].min() > np.median(p)
