"""Every argument of both libraries' `fit`: the library's model at γ=0, and a focal one at γ=1.

An argument that a later library adds makes `test_no_argument_is_new` fail until it is covered here.
"""

import inspect

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from problems import HAS_EVAL_X, OURS, OWN, Rows, booster, fit, log, n_best, ours, own, rows

TABLE, VALID = rows("two"), rows("two", 1, 200)
MARGIN, VALID_MARGIN = np.linspace(-1, 1, 300), np.linspace(-1, 1, 200)
FRAME = pd.DataFrame(TABLE.X, columns=list("abcde")).assign(e=np.arange(300) % 5)
VALID_FRAME = pd.DataFrame(VALID.X, columns=list("abcde")).assign(e=np.arange(200) % 5)


def model_of(library):
    return fit(own(library, n_estimators=4), TABLE)


def feval(y, p):
    return "mean", float(np.mean(p)), False


#: What to call `fit` with, by argument: with any table, and with what an evaluation set needs beside it.
COVERED = {
    "xgboost": {
        "sample_weight": lambda: (
            {"sample_weight": TABLE.weight},
            {"sample_weight_eval_set": [VALID.weight]},
        ),
        "sample_weight_eval_set": lambda: ({}, {"sample_weight_eval_set": [VALID.weight]}),
        "base_margin": lambda: ({"base_margin": MARGIN}, {"base_margin_eval_set": [VALID_MARGIN]}),
        "base_margin_eval_set": lambda: ({"base_margin": MARGIN}, {"base_margin_eval_set": [VALID_MARGIN]}),
        "verbose": lambda: ({"verbose": 3}, {}),
        "xgb_model": lambda: ({"xgb_model": model_of("xgboost").get_booster()}, {}),
        "feature_weights": lambda: ({"feature_weights": [4.0, 1.0, 1.0, 1.0, 0.1]}, {}),
        "eval_set": lambda: ({}, {}),
    },
    "lightgbm": {
        "sample_weight": lambda: ({"sample_weight": TABLE.weight}, {"eval_sample_weight": [VALID.weight]}),
        "eval_sample_weight": lambda: ({}, {"eval_sample_weight": [VALID.weight]}),
        "init_score": lambda: ({"init_score": MARGIN}, {"eval_init_score": [VALID_MARGIN]}),
        "eval_init_score": lambda: ({"init_score": MARGIN}, {"eval_init_score": [VALID_MARGIN]}),
        "eval_names": lambda: ({}, {"eval_names": ["mine"]}),
        "eval_class_weight": lambda: ({}, {"eval_class_weight": [{0: 1.0, 1: 3.0}]}),
        "eval_metric": lambda: ({}, {"eval_metric": ["auc", feval, "error"]}),
        "feature_name": lambda: ({"feature_name": ["v", "w", "x", "y", "z"]}, {}),
        "categorical_feature": lambda: ({"categorical_feature": [4]}, {}),
        "callbacks": lambda: ({"callbacks": [lightgbm.reset_parameter(learning_rate=[0.1] * 10)]}, {}),
        "init_model": lambda: ({"init_model": model_of("lightgbm").booster_}, {}),
        "eval_set": lambda: ({}, {}),
        "eval_X": lambda: ({}, {}),
        "eval_y": lambda: ({}, {}),
    },
}
CASES = [(library, name) for library in COVERED for name in COVERED[library]]


def test_no_argument_is_new():
    for library, own_class in OWN.items():
        known = [*inspect.signature(own_class.fit).parameters]
        assert set(known) - {"self", "X", "y"} <= set(COVERED[library]), "cover the new argument of fit in COVERED"
        mine = [*inspect.signature(OURS[library].fit).parameters]
        in_order = [name for name in mine if name in known]
        assert in_order == known, "FocalClassifier.fit must take the library's arguments in its order"


def fitted(make, library, name, with_set, stops):
    if name in ("eval_X", "eval_y") and not HAS_EVAL_X:
        pytest.skip("LightGBM has eval_X from 4.7 on")
    arguments, beside_a_set = COVERED[library][name]()
    frames = name in ("categorical_feature", "feature_name")
    train = Rows(FRAME.to_numpy(), TABLE.y, None) if frames else TABLE
    valid = Rows(VALID_FRAME.to_numpy(), VALID.y, None) if frames else VALID
    model = make(library)
    if name == "feature_weights":
        model.set_params(colsample_bytree=0.4, random_state=3)
    sets = [valid] if with_set else []
    return fit(model, train, *sets, stop=3 if stops else None, **arguments, **(beside_a_set if with_set else {}))


@pytest.mark.filterwarnings("ignore:.*feature_weights:UserWarning", "ignore:.*valid feature names:UserWarning")
@pytest.mark.parametrize("how", ["alone", "with a set", "stopped"])
@pytest.mark.parametrize(("library", "name"), CASES)
def test_each_argument(library, name, how, capsys):
    with_set, stops = how != "alone", how == "stopped"
    plain = fitted(own, library, name, with_set, stops)
    equal = fitted(lambda library: ours(library, focal_gamma=0.0), library, name, with_set, stops)
    focal = fitted(lambda library: ours(library, focal_gamma=1.0), library, name, with_set, stops)
    X = VALID_FRAME.to_numpy() if name in ("categorical_feature", "feature_name") else VALID.X
    assert_array_equal(equal.predict_proba(X), plain.predict_proba(X))
    assert np.abs(focal.predict_proba(X) - plain.predict_proba(X)).max() > 1e-4
    if with_set:
        assert log(equal) == log(plain)
        assert set(log(focal)) == set(log(plain))
    if stops:
        assert n_best(equal) == n_best(plain)
    if library == "lightgbm":
        assert booster(focal).feature_name() == booster(plain).feature_name()


@pytest.mark.parametrize("names", [["e"], [4], [], "auto"], ids=str)
def test_categories_by_name_and_position(names):
    """LightGBM issues 138, 2349, 4451: together with an evaluation set."""
    train, valid = Rows(FRAME, TABLE.y ^ (FRAME.e == 2), None), Rows(VALID_FRAME, VALID.y, None)
    models = [
        fit(
            make("lightgbm", min_child_samples=5, cat_smooth=0),
            train,
            valid,
            stop=3,
            categorical_feature=names,
        )
        for make in (own, lambda library, **params: ours(library, focal_gamma=0.0, **params), ours)
    ]
    assert_array_equal(models[1].predict_proba(VALID_FRAME), models[0].predict_proba(VALID_FRAME))
    used = [booster(model).dump_model()["tree_info"] for model in models]
    assert ("'decision_type': '=='" in str(used[2])) == ("'decision_type': '=='" in str(used[0])) == bool(
        names not in ([], "auto"))  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*valid feature names:UserWarning")
def test_names_of_the_user_for_an_array():
    arguments = {"feature_name": list("uvwxy"), "categorical_feature": ["y"]}
    train, valid = Rows(FRAME.to_numpy(), TABLE.y, None), Rows(VALID_FRAME.to_numpy(), VALID.y, None)
    plain = fit(own("lightgbm"), train, valid, **arguments)
    equal = fit(ours("lightgbm", focal_gamma=0.0), train, valid, **arguments)
    assert_array_equal(equal.predict_proba(valid.X), plain.predict_proba(valid.X))
    assert booster(fit(ours("lightgbm"), train, valid, **arguments)).feature_name() == list("uvwxy")


def test_feature_weights_of_xgboost_by_parameter():
    params = {"feature_weights": [4.0, 1.0, 1.0, 1.0, 0.0], "colsample_bytree": 0.4, "random_state": 3}
    plain, equal = (
        fit(own("xgboost", **params), TABLE),
        fit(ours("xgboost", focal_gamma=0.0, **params), TABLE),
    )
    assert_array_equal(equal.predict_proba(VALID.X), plain.predict_proba(VALID.X))


def test_the_objective_may_be_named(library):
    for objective in {"xgboost": ["binary:logistic", "reg:logistic"], "lightgbm": ["binary", None]}[library]:
        model = fit(ours(library, objective=objective), TABLE)
        assert_array_equal(model.predict_proba(VALID.X), fit(ours(library), TABLE).predict_proba(VALID.X))
    many = rows("many")
    for objective in {
        "xgboost": ["multi:softprob", "binary:logistic"],
        "lightgbm": ["multiclass", "softmax"],
    }[library]:
        model = fit(ours(library, objective=objective), many)
        assert_array_equal(model.predict_proba(VALID.X), fit(ours(library), many).predict_proba(VALID.X))
    if library == "xgboost":
        model = fit(ours(library, objective="multi:softmax"), many)
        reference = fit(ours(library), many)
        assert_allclose(model.predict_proba(VALID.X), reference.predict_proba(VALID.X), rtol=0, atol=1e-6)
        assert_array_equal(model.predict(VALID.X), reference.predict(VALID.X))


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:hinge", "regression", "cross_entropy", len])
def test_another_objective_is_refused(library, objective):
    with pytest.raises((ValueError, TypeError, xgboost.core.XGBoostError)) as found:
        fit(ours(library, objective=objective), TABLE)
    assert "objective" in str(found.value)
    if library == "lightgbm":
        for name in ("objective_type", "app", "application", "loss"):
            with pytest.raises(ValueError, match=f"{name} must be 'binary' or left alone"):
                fit(ours(library, **{name: objective}), TABLE)


LIGHTGBM_ALONE = {
    "boosting_type": "rf", "boosting": "random_forest", "pos_bagging_fraction": 0.5,
    "neg_bagging_fraction": "0.5",
    "sigmoid": 2.0, "multi_error_top_k": 2, "num_class": 4,
}  # fmt: skip


@pytest.mark.parametrize("name", LIGHTGBM_ALONE)
def test_parameters_that_lightgbm_ignores_with_an_objective_of_ours(name):
    with pytest.raises(ValueError, match=rf"^{name} (must|is the number)"):
        fit(ours("lightgbm", **{name: LIGHTGBM_ALONE[name]}), TABLE)
    neutral = {"boosting_type": "gbdt", "boosting": "gbdt", "num_class": 1, "multi_error_top_k": 1}.get(name, 1.0)
    fit(ours("lightgbm", **{name: neutral}), TABLE)


def test_text_is_read_as_lightgbm_reads_it():
    reference = fit(ours("lightgbm"), TABLE).predict_proba(VALID.X)
    for params in (
        {"boost_from_average": "true"},
        {"boost_from_average": "+"},
        {"pos_bagging_fraction": "1.0"},
    ):
        assert_array_equal(fit(ours("lightgbm", **params), TABLE).predict_proba(VALID.X), reference)
    off = [fit(ours("lightgbm", boost_from_average=no), TABLE).predict_proba(VALID.X) for no in (False, "false", "-")]
    assert_array_equal(off[0], off[1])
    assert_array_equal(off[0], off[2])
    assert np.abs(off[0] - reference).max() > 0.01
    with pytest.raises(ValueError, match="boost_from_average must be a boolean"):
        fit(ours("lightgbm", boost_from_average="maybe"), TABLE)
    with pytest.raises(ValueError, match="scale_pos_weight must be a number, got 'x'"):
        fit(ours("lightgbm", scale_pos_weight="x"), TABLE)
