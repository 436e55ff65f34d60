"""Objectives and metrics of many classes and many labels, at every entry of the libraries."""

import copy
import pickle

import lightgbm
import numpy as np
import pytest
import xgboost
from many import make_classes, make_labels
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.metrics import log_loss

from focal_gbm import (
    BinaryFocalLoss,
    FocalLGBMMetric,
    FocalLGBMObjective,
    FocalXGBMetric,
    FocalXGBObjective,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
    focal_loss,
)

ROUNDS = 8
N_CLASSES = 4
XGB = {"max_depth": 3, "learning_rate": 0.3, "random_state": 0}
LGB = {"num_leaves": 7, "learning_rate": 0.3, "num_threads": 1, "verbosity": -1, "seed": 0}
OBJECTIVES = {"xgboost": FocalXGBObjective, "lightgbm": FocalLGBMObjective}
METRICS = {"xgboost": FocalXGBMetric, "lightgbm": FocalLGBMMetric}
FACTOR = {"xgboost": 2.0, "lightgbm": N_CLASSES / (N_CLASSES - 1)}
ALPHA = (0.5, 1.0, 2.0, 3.0)

weighted = pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
strategies = pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])


@pytest.fixture(scope="module")
def data():
    return make_classes(0, n_classes=N_CLASSES)


@pytest.fixture(scope="module")
def labels():
    return make_labels(0)


def xgb_native(objective, X, y, weight=None, start=None, **params):
    train = xgboost.DMatrix(X, y, weight=weight, base_margin=start, nthread=1)
    params = {**XGB, "num_class": N_CLASSES, "base_score": [0.0] * N_CLASSES, "nthread": 1, **params}
    own = objective if isinstance(objective, str) else None
    booster = xgboost.train(
        {**params, "objective": own or "multi:softprob"}, train, ROUNDS, obj=None if own else objective
    )
    return booster.predict(train, output_margin=True)


def xgb_sklearn(objective, X, y, weight=None, start=None, **params):
    params = {**XGB, "n_estimators": ROUNDS, "base_score": 0.0, "n_jobs": 1, **params}
    model = xgboost.XGBClassifier(objective=objective, **params)
    model.fit(X, y, sample_weight=weight, base_margin=start)
    return model.predict(X, output_margin=True, base_margin=start)


def lgb_native(objective, X, y, weight=None, start=None):
    train = lightgbm.Dataset(X, y, weight=weight, init_score=start)
    params = {**LGB, "objective": objective, "num_class": N_CLASSES, "boost_from_average": False}
    booster = lightgbm.train(params, train, ROUNDS)
    return booster.predict(X, raw_score=True) + (0 if start is None else start)


def lgb_sklearn(objective, X, y, weight=None, start=None):
    params = {**LGB, "n_estimators": ROUNDS, "boost_from_average": False}
    model = lightgbm.LGBMClassifier(objective=objective, **params)
    model.fit(X, y, sample_weight=weight, init_score=start)
    return model.booster_.predict(X, raw_score=True) + (0 if start is None else start)


# (entry point, the library's native one, the library)
ENTRY_POINTS = [
    pytest.param(xgb_native, xgb_native, "xgboost", id="xgboost.train"),
    pytest.param(xgb_sklearn, xgb_native, "xgboost", id="XGBClassifier"),
    pytest.param(lgb_native, lgb_native, "lightgbm", id="lightgbm.train"),
    pytest.param(lgb_sklearn, lgb_native, "lightgbm", id="LGBMClassifier"),
]


class NaiveObjective:
    """What the objective has to come to, by way of the loss's public methods, without any cache."""

    def __init__(self, loss, hessian, y, weight, library):
        self.arguments = loss, hessian, y, weight, library

    def __call__(self, raw_prediction, data):
        loss, hessian, y, weight, library = self.arguments
        derivatives = loss.gradient_hessian(y, raw_prediction, weight, hessian=hessian, hessian_factor=FACTOR[library])
        order = "C" if library == "xgboost" else "F"
        return tuple(np.asarray(a, dtype=np.float32, order=order) for a in derivatives)


# γ=0 is the library's own softmax loss, its factor of the Hessian included


@weighted
@pytest.mark.parametrize(("train", "_native", "library"), ENTRY_POINTS)
@pytest.mark.parametrize("hessian", ["exact", "floored", "majorizing"])
def test_gamma_zero_is_the_librarys_softmax(data, train, _native, library, hessian, weighted):
    own, bar = {"xgboost": ("multi:softprob", 5e-6), "lightgbm": ("multiclass", 1e-9)}[library]
    weight = data.weight if weighted else None
    start = np.tile(np.linspace(-1, 1, N_CLASSES), (len(data.y), 1))
    objective = OBJECTIVES[library](MulticlassFocalLoss(N_CLASSES, 0.0), hessian)
    expected = train(own, data.X, data.y, weight, start)
    assert np.ptp(expected) > 1
    assert_allclose(train(objective, data.X, data.y, weight, start), expected, atol=bar, rtol=0)


@weighted
@strategies
@pytest.mark.parametrize("train", [xgb_native, xgb_sklearn])
def test_gamma_zero_in_trees_of_all_classes(data, train, strategy, weighted):
    weight = data.weight if weighted else None
    objective = FocalXGBObjective(MulticlassFocalLoss(N_CLASSES, 0.0))
    expected = train("multi:softprob", data.X, data.y, weight, multi_strategy=strategy)
    margin = train(objective, data.X, data.y, weight, multi_strategy=strategy)
    assert_allclose(margin, expected, atol=5e-6, rtol=0)


# One object a library, both of its entry points


@weighted
@pytest.mark.parametrize(("train", "native", "library"), ENTRY_POINTS)
@pytest.mark.parametrize("hessian", ["exact", "floored", "majorizing"])
def test_an_object_serves_both_entry_points_of_its_library(data, train, native, library, hessian, weighted):
    weight = data.weight if weighted else None
    loss = MulticlassFocalLoss(N_CLASSES, 2.0, ALPHA)
    start = np.tile(loss.fit_intercept_only(data.y, weight), (len(data.y), 1))
    predicted = train(OBJECTIVES[library](loss, hessian), data.X, data.y, weight, start)
    assert np.ptp(predicted) > 1
    naive = NaiveObjective(loss, hessian, data.y, weight, library)
    assert_allclose(predicted, native(naive, data.X, data.y, weight, start), atol=1e-5, rtol=0)
    bound = OBJECTIVES[library](loss, hessian).bind(data.y, weight)
    assert_allclose(predicted, native(bound, data.X, data.y, weight, start), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("train", "_native", "library"), ENTRY_POINTS)
def test_the_same_object_after_another_training_set(data, train, _native, library):
    objective = OBJECTIVES[library](MulticlassFocalLoss(N_CLASSES))
    first = train(objective, data.X, data.y)
    other = train(objective, data.X[:300], (data.y[:300] + 1) % N_CLASSES, data.weight[:300])
    assert np.abs(other - first[:300]).max() > 0.1
    assert_array_equal(train(pickle.loads(pickle.dumps(objective)), data.X, data.y), first)
    assert_array_equal(train(copy.deepcopy(objective), data.X, data.y), first)
    assert_array_equal(train(objective, data.X, data.y), first)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("hessian", ["exact", "floored", "majorizing"])
def test_results_are_those_of_the_loss_in_the_librarys_form(data, library, hessian, kernel):
    dtype, order = {"xgboost": (np.float32, "C"), "lightgbm": (np.float64, "F")}[library]
    z = np.random.default_rng(0).uniform(-4, 4, (len(data.y), N_CLASSES)).astype(dtype)
    loss = MulticlassFocalLoss(N_CLASSES, 1.5, ALPHA)
    objective = OBJECTIVES[library](loss, hessian)
    weight = data.weight.astype(np.float32)
    expected = loss.gradient_hessian(
        data.y, z, weight, hessian=hessian, hessian_factor=FACTOR[library], out=objective(data.y, z, weight)
    )
    results = [
        objective(data.y, z, weight),
        objective(data.y, np.asfortranarray(z), weight),
        objective.bind(data.y, weight)(z),
    ]
    for result in results:
        for a, b in zip(result, expected, strict=True):
            assert a.dtype == np.float32
            assert a.flags[f"{order}_CONTIGUOUS"]
            # weights are multiplied in the precision of z; XGBoost's small tables have bits to spare, and
            # an exact Hessian that is rounded on another way is a difference of the size of the gradient
            assert_allclose(a, b, rtol=2e-6, atol=1e-7 if kernel == "numpy" else 5e-7)


@pytest.mark.parametrize("library", OBJECTIVES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_library_counts_and_not_the_type_of_the_scores(data, library, dtype):
    z = np.random.default_rng(0).uniform(-4, 4, (len(data.y), N_CLASSES)).astype(dtype)
    objective = OBJECTIVES[library](MulticlassFocalLoss(N_CLASSES, 0.0))
    for result in (objective(data.y, z), objective.bind(data.y, None)(z)):
        assert all(a.flags[{"xgboost": "C_CONTIGUOUS", "lightgbm": "F_CONTIGUOUS"}[library]] for a in result)
        p = softmax(z.astype(np.float64), axis=1)
        assert_allclose(result[1], FACTOR[library] * p * (1 - p), rtol=1e-5)


@pytest.mark.parametrize("library", OBJECTIVES)
def test_hessian_factor_is_of_many_classes_alone(library):
    assert OBJECTIVES[library]().hessian_factor == 1.0
    assert OBJECTIVES[library](MultilabelFocalLoss((BinaryFocalLoss(),) * 3)).hessian_factor == 1.0
    three = OBJECTIVES[library](MulticlassFocalLoss(3))
    assert three.hessian_factor == {"xgboost": 2.0, "lightgbm": 1.5}[library]


def test_scale_multiplies_gradient_and_hessian(data):
    z = np.random.default_rng(0).uniform(-4, 4, (len(data.y), N_CLASSES))
    loss = MulticlassFocalLoss(N_CLASSES, 1.5, ALPHA)
    plain = FocalLGBMObjective(loss)(data.y, z)
    for a, b in zip(FocalLGBMObjective(loss, scale=0.25)(data.y, z), plain, strict=True):
        assert_allclose(a, 0.25 * b, rtol=1e-6)


# The metric


@weighted
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_metric_in_the_training_functions(data, weighted, gamma):
    weight = data.weight if weighted else None
    loss = MulticlassFocalLoss(N_CLASSES, gamma, None if gamma == 0 else ALPHA)

    log = {}
    train = xgboost.DMatrix(data.X, data.y, weight=weight, nthread=1)
    params = {**XGB, "objective": "multi:softprob", "num_class": N_CLASSES, "eval_metric": "mlogloss"}
    booster = xgboost.train(
        {**params, "nthread": 1}, train, ROUNDS, evals=[(train, "train")], evals_result=log,
        verbose_eval=False, obj=FocalXGBObjective(loss), custom_metric=FocalXGBMetric(loss),
    )  # fmt: skip
    value = float(loss.loss(data.y, booster.predict(train, output_margin=True), weight).sum())
    expected = value / (len(data.y) if weight is None else weight.sum())
    assert log["train"]["focal_loss"][-1] == pytest.approx(expected, abs=1e-6)  # as many digits as it keeps
    if gamma == 0:
        assert_allclose(log["train"]["focal_loss"], log["train"]["mlogloss"], atol=1e-6, rtol=0)

    log = {}
    train = lightgbm.Dataset(data.X, data.y, weight=weight)
    booster = lightgbm.train(
        {**LGB, "num_class": N_CLASSES, "objective": FocalLGBMObjective(loss)}, train, ROUNDS,
        valid_sets=[train], feval=FocalLGBMMetric(loss), callbacks=[lightgbm.record_evaluation(log)],
    )  # fmt: skip
    raw = booster.predict(data.X, raw_score=True)
    value = float(loss.loss(data.y, raw, weight).sum())
    expected = value / (len(data.y) if weight is None else weight.sum())
    assert log["training"]["focal_loss"][-1] == pytest.approx(expected, rel=1e-9)
    if gamma == 0:
        proba = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        assert expected == pytest.approx(log_loss(data.y, proba, sample_weight=weight), rel=1e-9)


@weighted
def test_metric_in_the_libraries_classes(data, weighted):
    weight = data.weight if weighted else None
    loss = MulticlassFocalLoss(N_CLASSES, 2.0, ALPHA)
    model = xgboost.XGBClassifier(
        **XGB,
        n_estimators=ROUNDS,
        n_jobs=1,
        objective=FocalXGBObjective(loss),
        eval_metric=FocalXGBMetric(loss),
    )
    weights = {"sample_weight_eval_set": [weight]} if weighted else {}
    model.fit(data.X, data.y, sample_weight=weight, eval_set=[(data.X, data.y)], verbose=False, **weights)
    margin = model.predict(data.X, output_margin=True)
    expected = np.average(loss.loss(data.y, margin), weights=weight)
    assert model.evals_result()["validation_0"]["focal_loss"][-1] == pytest.approx(expected, abs=1e-6)

    model = lightgbm.LGBMClassifier(**LGB, n_estimators=ROUNDS, objective=FocalLGBMObjective(loss), metric="None")
    weights = {"eval_sample_weight": [weight]} if weighted else {}
    model.fit(
        data.X, data.y, sample_weight=weight, eval_X=data.X.copy(), eval_y=data.y,
        eval_metric=FocalLGBMMetric(loss), **weights,
    )  # fmt: skip
    raw = model.booster_.predict(data.X, raw_score=True)
    expected = np.average(loss.loss(data.y, raw), weights=weight)
    assert model.evals_result_["valid_0"]["focal_loss"][-1] == pytest.approx(expected, rel=1e-9)


def test_metric_of_probabilities_beside_the_librarys_own_loss(data):
    of_xgb, of_lgb = (
        Metric(MulticlassFocalLoss(N_CLASSES, 0.0), prediction="probability") for Metric in METRICS.values()
    )
    log = {}
    train = xgboost.DMatrix(data.X, data.y, nthread=1)
    params = {**XGB, "objective": "multi:softprob", "num_class": N_CLASSES, "eval_metric": "mlogloss"}
    xgboost.train(
        {**params, "nthread": 1}, train, ROUNDS, evals=[(train, "train")], evals_result=log,
        verbose_eval=False, custom_metric=of_xgb,
    )  # fmt: skip
    assert_allclose(log["train"]["focal_loss"], log["train"]["mlogloss"], atol=1e-6, rtol=0)
    train = lightgbm.Dataset(data.X, data.y)
    lightgbm.train(
        {**LGB, "num_class": N_CLASSES, "objective": "multiclass", "metric": "multi_logloss"}, train, ROUNDS,
        valid_sets=[train], feval=of_lgb, callbacks=[lightgbm.record_evaluation(log := {})],
    )  # fmt: skip
    assert_allclose(log["training"]["focal_loss"], log["training"]["multi_logloss"], rtol=1e-9)


# A weight of k is k copies of the row


@pytest.fixture(scope="module")
def copies():
    return np.random.default_rng(5).integers(1, 5, 600)


LOSSES = {
    "two classes": BinaryFocalLoss(2.0, 0.3),
    "four classes": MulticlassFocalLoss(N_CLASSES, 2.0, ALPHA),
    "labels": MultilabelFocalLoss((BinaryFocalLoss(2.0), BinaryFocalLoss(1.0, 0.3), BinaryFocalLoss(0.0))),
}


def targets_of(kind, data, labels):
    return {"two classes": labels.y[:, 0], "four classes": data.y, "labels": labels.y}[kind]


@pytest.mark.parametrize("kind", LOSSES)
def test_start_and_metric_count_a_weight_as_copies(data, labels, copies, kind):
    loss, y = LOSSES[kind], targets_of(kind, data, labels)
    z = np.random.default_rng(0).normal(size=loss.raw_shape(len(y)))
    many_y, many_z = np.repeat(y, copies, axis=0), np.repeat(z, copies, axis=0)
    assert_allclose(loss.fit_intercept_only(y, copies), loss.fit_intercept_only(many_y), rtol=1e-13)
    assert loss.loss(y, z, copies).sum() == pytest.approx(loss.loss(many_y, many_z).sum(), rel=1e-13)
    metric = FocalXGBMetric(loss)
    assert metric(y, z, sample_weight=copies) == pytest.approx(metric(many_y, many_z), rel=1e-13)
    if kind != "labels":
        proba = loss.link.of_score.probabilities(z)
        values = [
            focal_loss(*arguments, gamma=2.0, alpha=loss.class_weights, sample_weight=weight)
            for arguments, weight in (
                ((y, proba), copies),
                ((many_y, np.repeat(proba, copies, axis=0)), None),
            )
        ]
        assert values[0] == pytest.approx(values[1], rel=1e-13)
        assert values[0] == pytest.approx(metric(y, z, sample_weight=copies), rel=1e-9)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("hessian", ["exact", "floored", "majorizing"])
def test_a_small_table_of_xgboost_is_weighted_to_the_last_bit(data, labels, copies, kind, hessian):
    """Its sums in float64 are then exact, and the model of k copies is that of the weight k."""
    loss, y = LOSSES[kind], targets_of(kind, data, labels)
    z = np.random.default_rng(0).normal(size=loss.raw_shape(len(y))).astype(np.float32)
    objective = FocalXGBObjective(loss, hessian, 0.37)
    weighted = objective.bind(y, copies.astype(np.float64))(z)
    single = objective.bind(y, None)(z)
    for one, many in zip(single, weighted, strict=True):
        times = copies.reshape(-1, *[1] * (one.ndim - 1))
        assert_array_equal(one.astype(np.float64) * times, many.astype(np.float64))


# A start at the base rates, where rows of rare classes have a negative Hessian


@pytest.fixture(scope="module")
def rare():
    rng = np.random.default_rng(0)
    y = rng.choice(3, p=[0.97, 0.02, 0.01], size=3000)
    X = rng.normal(size=(3000, 4))
    X[np.arange(3000), y] += 2 * (y > 0)
    return X, y


@pytest.mark.parametrize("gamma", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_majorizing_trains_from_a_wrong_start_where_exact_does_not(rare, library, gamma):
    X, y = rare
    shares = np.bincount(y) / len(y)
    loss, start = MulticlassFocalLoss(3, gamma), np.tile(np.log(shares), (len(y), 1))
    constant = -(shares * np.log(shares)).sum()

    def log_loss_of(hessian):
        objective = OBJECTIVES[library](loss, hessian)
        if library == "xgboost":
            train = xgboost.DMatrix(X, y, base_margin=start, nthread=1)
            params = {**XGB, "objective": "multi:softprob", "num_class": 3, "nthread": 1}
            raw = xgboost.train(params, train, 20, obj=objective).predict(train, output_margin=True)
        else:
            params = {**LGB, "num_class": 3, "objective": objective}
            booster = lightgbm.train(params, lightgbm.Dataset(X, y, init_score=start), 20)
            raw = booster.predict(X, raw_score=True) + start
        proba = loss.link.inverse(raw.astype(np.float64))
        return log_loss(y, proba / proba.sum(axis=1, keepdims=True))

    assert log_loss_of("majorizing") < 0.7 * constant
    assert log_loss_of("exact") > constant


# Many labels, which are XGBoost's alone


def multilabel_loss(gamma):
    return MultilabelFocalLoss((BinaryFocalLoss(gamma),) * 3)


@weighted
@strategies
def test_gamma_zero_of_many_labels_is_the_librarys(labels, strategy, weighted):
    weight = labels.weight if weighted else None
    train = xgboost.DMatrix(labels.X, labels.y, weight=weight, nthread=1)
    params = {
        **XGB, "objective": "binary:logistic", "base_score": [0.5, 0.3, 0.1], "nthread": 1,
        "multi_strategy": strategy, "eval_metric": "logloss",
    }  # fmt: skip
    loss = multilabel_loss(0.0)
    expected = xgboost.train(params, train, ROUNDS).predict(train, output_margin=True)
    log = {}
    booster = xgboost.train(
        params, train, ROUNDS, evals=[(train, "train")], evals_result=log, verbose_eval=False,
        obj=FocalXGBObjective(loss), custom_metric=FocalXGBMetric(loss),
    )  # fmt: skip
    assert_allclose(booster.predict(train, output_margin=True), expected, atol=5e-6, rtol=0)
    assert_allclose(log["train"]["focal_loss"], log["train"]["logloss"], atol=1e-6, rtol=0)

    model = xgboost.XGBClassifier(
        **XGB, n_estimators=ROUNDS, n_jobs=1, objective=FocalXGBObjective(loss), base_score=[0.5, 0.3, 0.1],
        multi_strategy=strategy, eval_metric=FocalXGBMetric(loss),
    )  # fmt: skip
    model.fit(labels.X, labels.y, sample_weight=weight, eval_set=[(labels.X, labels.y)], verbose=False)
    assert_allclose(model.predict(labels.X, output_margin=True), expected, atol=5e-6, rtol=0)
    probability = FocalXGBMetric(loss, "probability")(labels.y, model.predict_proba(labels.X))
    assert model.evals_result()["validation_0"]["focal_loss"][-1] == pytest.approx(probability, abs=2e-6)


def test_each_label_has_its_own_loss_and_scale(labels):
    z = np.random.default_rng(0).normal(size=labels.y.shape).astype(np.float32)
    columns = BinaryFocalLoss(2.0), BinaryFocalLoss(1.0, 0.3), BinaryFocalLoss(0.0, (1.0, 5.0))
    objective = FocalXGBObjective(MultilabelFocalLoss(columns), "floored", (0.5, 1.0, 2.0))
    result = objective(labels.y, z, labels.weight)
    for j, column in enumerate(columns):
        single = FocalXGBObjective(column, "floored", objective.scale[j])(labels.y[:, j], z[:, j], labels.weight)
        for a, b in zip(result, single, strict=True):
            assert_array_equal(a[:, j], b)


# Errors


def test_the_librarys_number_of_classes_must_be_that_of_the_loss(data):
    loss = MulticlassFocalLoss(N_CLASSES)
    train = xgboost.DMatrix(data.X, data.y)
    for params, shape in (({"num_class": 5}, r"\(600, 5\)"), ({}, r"\(600,\)")):
        own = {"objective": "multi:softprob"} if params else {}
        with pytest.raises(ValueError, match=rf"^raw_prediction must have shape \(600, 4\), got {shape}\.$"):
            xgboost.train({**params, **own}, train, 1, obj=FocalXGBObjective(loss))
    for params, shape in (({"num_class": 5}, r"\(600, 5\)"), ({}, r"\(600,\)")):
        with pytest.raises(ValueError, match=rf"^raw_prediction must have shape \(600, 4\), got {shape}\.$"):
            lightgbm.train(
                {"verbosity": -1, "objective": FocalLGBMObjective(loss), **params},
                lightgbm.Dataset(data.X, data.y),
                1,
            )


@pytest.mark.parametrize(("train", "_native", "library"), ENTRY_POINTS)
def test_labels_must_be_those_of_the_loss(data, train, _native, library):
    y = data.y.copy()
    y[7] = 4
    with pytest.raises(ValueError, match=r"^y_true must hold whole numbers from 0 to 3, got 4(\.0)? at row 7\.$"):
        train(OBJECTIVES[library](MulticlassFocalLoss(N_CLASSES)), data.X, y)


def test_many_labels_in_lightgbm(labels):
    train = lightgbm.Dataset(labels.X, labels.y[:, 0])
    with pytest.raises(ValueError, match=r"^y_true must have shape \(n_samples, 3\), got shape \(600,\)\.$"):
        lightgbm.train({**LGB, "objective": FocalLGBMObjective(multilabel_loss(2.0))}, train, 1)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_raises_and_names_the_row(data, labels, kind, bad):
    loss, y = LOSSES[kind], targets_of(kind, data, labels)
    z = np.zeros(loss.raw_shape(len(y)), dtype=np.float32)
    z[11] = bad
    for Objective in OBJECTIVES.values():
        with pytest.raises(ValueError, match=r"must return finite numbers, .* at row 11, "):
            Objective(loss)(y, z)
        with pytest.raises(ValueError, match=r"must return finite numbers, .* at row 11, "):
            Objective(loss).bind(y, None)(z)
