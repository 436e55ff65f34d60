import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError
from itertools import pairwise

import lightgbm
import numpy as np
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict

from focal_gbm import BinaryFocalLoss, FocalLGBMObjective, FocalXGBObjective, MulticlassFocalLoss

ROUNDS = 8
XGB = {"max_depth": 3, "learning_rate": 0.3, "nthread": 1, "seed": 0}
LGB = {"num_leaves": 7, "learning_rate": 0.3, "num_threads": 1, "verbosity": -1, "seed": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    y = (X[:, 0] + 0.5 * rng.normal(size=600) > 1.0).astype(np.int64)
    return X, y, rng.uniform(0.2, 5.0, 600)


def xgb_native(objective, X, y, weight=None, start=None):
    train = xgboost.DMatrix(X, y, weight=weight, base_margin=start)
    params = {**XGB, "objective": "binary:logistic", "base_score": 0.5}
    booster = xgboost.train(params, train, num_boost_round=ROUNDS, obj=objective)
    return booster.predict(xgboost.DMatrix(X, base_margin=start), output_margin=True)


def xgb_sklearn(objective, X, y, weight=None, start=None):
    model = xgboost.XGBClassifier(
        objective=objective, n_estimators=ROUNDS, max_depth=3, learning_rate=0.3, n_jobs=1, random_state=0
    )
    model.fit(X, y, sample_weight=weight, base_margin=start)
    return model.predict(X, output_margin=True, base_margin=start)


def lgb_native(objective, X, y, weight=None, start=None):
    train = lightgbm.Dataset(X, y, weight=weight, init_score=start)
    booster = lightgbm.train({**LGB, "objective": objective}, train, num_boost_round=ROUNDS)
    return booster.predict(X, raw_score=True) + (0 if start is None else start)


def lgb_sklearn(objective, X, y, weight=None, start=None):
    model = lightgbm.LGBMClassifier(
        objective=objective,
        n_estimators=ROUNDS,
        num_leaves=7,
        learning_rate=0.3,
        n_jobs=1,
        random_state=0,
        verbosity=-1,
    )
    model.fit(X, y, sample_weight=weight, init_score=start)
    return model.booster_.predict(X, raw_score=True) + (0 if start is None else start)


# (entry point, the library's native one, the library's objective)
ENTRY_POINTS = [
    pytest.param(xgb_native, xgb_native, FocalXGBObjective, id="xgboost.train"),
    pytest.param(xgb_sklearn, xgb_native, FocalXGBObjective, id="XGBClassifier"),
    pytest.param(lgb_native, lgb_native, FocalLGBMObjective, id="lightgbm.train"),
    pytest.param(lgb_sklearn, lgb_native, FocalLGBMObjective, id="LGBMClassifier"),
]
OBJECTIVES = {"xgboost": FocalXGBObjective, "lightgbm": FocalLGBMObjective}

entry_points = pytest.mark.parametrize(("train", "native", "Objective"), ENTRY_POINTS)


@pytest.fixture(name="Objective", params=OBJECTIVES.values(), ids=OBJECTIVES.keys())
def each_library(request):
    return request.param


def bind(loss, y, weight=None, hessian="floored"):
    """The objective of one fit; LightGBM's, as XGBoost's rounds the gradients of so few rows."""
    return FocalLGBMObjective(loss, hessian).bind(y == 1, weight)


class NaiveObjective:
    """What the objective has to come to, by way of the loss's public methods, without any cache."""

    def __init__(self, loss, hessian, y, weight):
        self.arguments = loss, hessian, y, weight

    def __call__(self, raw_prediction, data):
        loss, hessian, y, weight = self.arguments
        derivatives = loss.gradient_hessian(y, raw_prediction, weight, hessian=hessian)
        return tuple(a.astype(np.float32) for a in derivatives)


@entry_points
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("started", [False, True])
def test_an_object_serves_both_entry_points_of_its_library(data, train, native, Objective, weighted, started):
    X, y, weight = data
    weight = weight.astype(np.float32).astype(np.float64) if weighted else None  # as the libraries keep them
    loss = BinaryFocalLoss(2.0, 0.25)
    objective = Objective(loss)
    start = np.full(len(y), loss.fit_intercept_only(y, weight)) if started else None
    predicted = train(objective, X, y, weight, start)
    assert np.ptp(predicted) > 1

    bound = native(bind(loss, y, weight), X, y, weight, start)
    assert_allclose(predicted, bound, rtol=1e-6, atol=1e-6)
    naive = native(NaiveObjective(loss, "floored", y, weight), X, y, weight, start)
    assert_allclose(predicted, naive, rtol=1e-5, atol=1e-5)


@entry_points
def test_the_same_object_after_another_training_set(data, train, native, Objective):
    X, y, weight = data
    objective = Objective()
    first = train(objective, X, y, weight)
    train(objective, X, 1 - y)
    train(objective, X[:300], y[:300], weight[:300])
    assert_array_equal(train(objective, X, y, weight), first)


@entry_points
def test_weights_change_the_model(data, train, native, Objective):
    X, y, weight = data
    objective = Objective()
    plain = train(objective, X, y)
    assert np.abs(train(objective, X, y, weight) - plain).max() > 0.1
    assert_allclose(train(objective, X, y, np.ones(len(y))), plain, rtol=1e-6, atol=1e-6)


@entry_points
@pytest.mark.parametrize("hessian", ["exact", "floored", "majorizing"])
def test_the_hessian_reaches_the_library(data, train, native, Objective, hessian):
    X, y, _ = data
    loss = BinaryFocalLoss(2.0)
    predicted = train(Objective(loss, hessian), X, y)
    naive = native(NaiveObjective(loss, hessian, y, None), X, y)
    assert_allclose(predicted, naive, rtol=1e-5, atol=1e-5)
    other = "floored" if hessian == "majorizing" else "majorizing"
    assert np.abs(train(Objective(loss, other), X, y) - predicted).max() > 1e-3


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("base_score", [0.5, 0.1])
def test_gamma_zero_is_xgboosts_logistic_loss(data, weighted, base_score):
    X, y, weight = data
    train = xgboost.DMatrix(X, y, weight=weight if weighted else None)
    params = {**XGB, "objective": "binary:logistic", "base_score": base_score}
    objective = FocalXGBObjective(BinaryFocalLoss(0.0), "exact")
    own = xgboost.train(params, train, num_boost_round=ROUNDS).predict(train, output_margin=True)
    ours = xgboost.train(params, train, num_boost_round=ROUNDS, obj=objective).predict(train, output_margin=True)
    assert np.abs(ours - own).max() <= 1e-5


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("started", [False, True])
def test_gamma_zero_is_lightgbms_logistic_loss(data, weighted, started):
    X, y, weight = data
    weight = weight if weighted else None
    start = np.full(len(y), -1.5) if started else None
    results = []
    for objective in ("binary", FocalLGBMObjective(BinaryFocalLoss(0.0), "exact")):
        params = {**LGB, "objective": objective, "boost_from_average": False}
        train = lightgbm.Dataset(X, y, weight=weight, init_score=start)
        results.append(lightgbm.train(params, train, num_boost_round=ROUNDS).predict(X, raw_score=True))
    own, ours = results
    assert np.abs(ours - own).max() <= 1e-6


def test_gamma_zero_is_the_libraries_default_in_their_classes(data):
    X, y, weight = data
    for train, own, Objective, bar in (
        (xgb_sklearn, "binary:logistic", FocalXGBObjective, 1e-5),
        (lgb_sklearn, "binary", FocalLGBMObjective, 1e-6),
    ):
        objective, start = Objective(BinaryFocalLoss(0.0), "exact"), np.full(len(y), -1.0)
        assert np.abs(train(objective, X, y, weight, start) - train(own, X, y, weight, start)).max() <= bar


# Called by hand


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", [0.0, 0.7, 2.0])
def test_gradients_are_those_of_the_loss_in_float32(Objective, kernel, dtype, gamma):
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 2, 200), rng.uniform(-5, 5, 200).astype(dtype)
    weight = rng.uniform(0.5, 2.0, 200).astype(np.float32)
    loss = BinaryFocalLoss(gamma, (0.5, 2.0))
    objective = Objective(loss, "exact")
    expected = loss.gradient_hessian(y, z, weight)
    for result in (objective(y, z, weight), bind(loss, y, weight, "exact")(z)):
        for a, b in zip(result, expected, strict=True):
            assert a.dtype == np.float32
            assert a.flags.c_contiguous
            if kernel == "numpy" or dtype == np.float64:
                assert_array_equal(a, b.astype(np.float32))
            else:  # rounded on another way; an exact Hessian is a difference of the size of the gradient
                assert np.max(np.abs(a - b) / np.abs(expected[0])) <= 2e-6


def test_float64_is_not_rounded_before_it_is_used(Objective):
    # near the zero of the Hessian float32 margins lose the digits that float64 ones keep
    z = np.array([-2.7918, -2.7917, -2.79165])
    loss = BinaryFocalLoss(2.0)
    expected = loss.gradient_hessian([1, 1, 1], z)[1]
    result = Objective(loss, "exact")(np.ones(3), z)[1]
    assert_allclose(result, expected, rtol=1e-7)
    rounded = Objective(loss, "exact")(np.ones(3), z.astype(np.float32))[1]
    assert np.abs(rounded / expected - 1).max() > 1e-6


def test_weight_two_equals_two_copies(Objective):
    rng = np.random.default_rng(0)
    y, z, weight = rng.integers(0, 2, 100), rng.normal(size=100), rng.integers(0, 4, 100)
    objective = Objective(BinaryFocalLoss(2.0, 0.25))
    weighted = objective(y, z, weight)
    copies = objective(np.repeat(y, weight), np.repeat(z, weight))
    for one, many in zip(weighted, copies, strict=True):
        assert one.sum(dtype=np.float64) == pytest.approx(many.sum(dtype=np.float64), rel=1e-6)
        assert_allclose(np.repeat(one, weight) / np.repeat(weight, weight), many, rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
@pytest.mark.parametrize("loss", [BinaryFocalLoss, lambda gamma: MulticlassFocalLoss(2, gamma)])
def test_scale_multiplies_gradient_and_hessian(Objective, loss, gamma, scale):
    loss = loss(gamma)
    y, z = np.array([0, 1, 1]), np.array([0.3, -1.0, 2.0])
    z = z if isinstance(loss, BinaryFocalLoss) else np.stack([-z, z], axis=1)
    for scaled, one in zip(Objective(loss, scale=scale)(y, z), Objective(loss)(y, z), strict=True):
        assert_allclose(scaled, scale * one, rtol=1e-6)


@pytest.mark.parametrize("library", OBJECTIVES)
def test_called_with_a_data_set(library, data):
    X, y, weight = data
    z = np.linspace(-3, 3, len(y)).astype(np.float32)
    objective = OBJECTIVES[library]()
    for w in (None, weight.astype(np.float32)):
        if library == "xgboost":
            train = xgboost.DMatrix(X, y, weight=w)
        else:
            train = lightgbm.Dataset(X, y, weight=w, params={"verbosity": -1}).construct()
        assert_array_equal(objective(z, train), objective(y, z, w))


def test_no_weights_are_an_empty_array_or_none(Objective):
    y, z = np.array([0, 1]), np.zeros(2)
    objective = Objective()
    assert_array_equal(objective(y, z, np.empty(0, np.float32)), objective(y, z))
    assert_array_equal(objective(y, z, None), objective(y, z))


def test_parameters_are_what_the_libraries_look_for(Objective):
    parameters = list(inspect.signature(Objective()).parameters)
    assert len(parameters) == 3  # LightGBM counts
    assert parameters[2] == "sample_weight"  # XGBoost reads


def test_results_are_not_overwritten_by_the_next_call(Objective):
    objective = Objective()
    y = np.array([0, 1])
    first = objective(y, np.zeros(2))
    kept = [a.copy() for a in first]
    objective(y, np.ones(2))
    assert_array_equal(first, kept)


# The cache of prepared labels


def test_changed_labels_and_weights_are_noticed(Objective):
    z = np.zeros(3, dtype=np.float32)
    objective = Objective()
    y, weight = np.array([0.0, 1.0, 0.0], dtype=np.float32), np.ones(3, dtype=np.float32)

    def check():
        assert_array_equal(objective(y, z, weight), Objective()(y.copy(), z, weight.copy()))

    check()
    y[0] = 1.0  # the same array, written to
    check()
    weight[1] = 3.0
    check()
    y = y.copy()
    check()
    y = np.array([0, 0, 1])
    check()
    assert_array_equal(objective(y, z), Objective()(y, z))
    check()
    labels = [0, 1, 1]
    first = objective(labels, z)
    labels[0] = 1
    assert not np.array_equal(objective(labels, z)[0], first[0])


def test_equal_labels_and_weights_are_prepared_once(Objective):
    objective, z = Objective(), np.zeros(3)
    y, weight = np.array([0.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])
    for w in (None, weight):
        objective(y, z, w)
        kept = objective._last
        assert kept is not None
        objective(y.copy(), z, None if w is None else w.copy())
        assert objective._last is kept


def test_changed_labels_of_a_dmatrix_are_noticed(data):
    X, y, weight = data
    objective = FocalXGBObjective()
    params = {**XGB, "objective": "binary:logistic", "base_score": 0.5}
    train = xgboost.DMatrix(X, y)
    models = []
    for label, w in ((y, None), (1 - y, None), (1 - y, weight), (1 - y, weight[::-1])):
        train.set_label(label)
        if w is not None:
            train.set_weight(w)
        pair = [
            xgboost.train(params, train, num_boost_round=ROUNDS, obj=obj).predict(train, output_margin=True)
            for obj in (objective, FocalXGBObjective())
        ]
        assert_array_equal(*pair)
        models.append(pair[0])
    for a, b in pairwise(models):
        assert np.abs(a - b).max() > 0.1


def test_changed_labels_of_a_lightgbm_dataset_are_noticed(data):
    X, y, _ = data
    objective = FocalLGBMObjective()
    labels = y.astype(np.float32)  # float32 is taken over without a copy
    lgb_native(objective, X, labels)
    labels[:] = 1 - labels
    assert_array_equal(lgb_native(objective, X, labels), lgb_native(FocalLGBMObjective(), X, 1 - y))


# Pickle, copy, clone


def test_pickle_copy_equality(Objective, data):
    _, y, weight = data
    z = np.zeros(len(y))
    objective = Objective(BinaryFocalLoss(1.5, 0.25), "majorizing")
    objective([0, 1], np.zeros(2))  # the loss keeps what follows from its γ
    before = pickle.dumps(objective)
    expected = objective(y, z, weight)
    assert len(pickle.dumps(objective)) == len(before)  # labels do not travel
    for twin in (pickle.loads(pickle.dumps(objective)), copy.deepcopy(objective), copy.copy(objective)):
        assert twin == objective
        assert hash(twin) == hash(objective)
        assert_array_equal(twin(y, z, weight), expected)
        assert_array_equal(twin(1 - y, z, weight), objective(1 - y, z, weight))
    assert objective != Objective(BinaryFocalLoss(1.5, 0.25))
    assert objective != Objective(BinaryFocalLoss(1.5), "majorizing")
    assert Objective() == Objective(BinaryFocalLoss(2.0), "floored")
    # neither labels nor weights: the libraries print it among their parameters
    assert repr(objective) == repr(Objective(BinaryFocalLoss(1.5, 0.25), "majorizing"))
    of_loss = "BinaryFocalLoss(gamma=1.5, alpha=0.25, margin_loss=None, focal_link='focal')"
    assert f"{of_loss}, hessian='majorizing'" in repr(objective)
    with pytest.raises(FrozenInstanceError):
        objective.hessian = "exact"


def test_bound_objective_pickles():
    y, z = np.array([0, 1, 1]), np.array([0.3, -1.0, 2.0])
    bound = bind(BinaryFocalLoss(), y, np.array([1.0, 2.0, 3.0]))
    expected = [a.copy() for a in bound(z)]
    assert_array_equal(pickle.loads(pickle.dumps(bound))(z), expected)
    assert copy.deepcopy(bound) is bound  # lightgbm.train copies its parameters: not the training set with them
    assert_array_equal(bound(z, object()), expected)


@pytest.mark.parametrize(
    ("library_class", "Objective"),
    [(xgboost.XGBClassifier, FocalXGBObjective), (lightgbm.LGBMClassifier, FocalLGBMObjective)],
)
def test_the_libraries_classes_clone_and_pickle_with_it(library_class, Objective, data):
    X, y, _ = data
    objective = Objective(BinaryFocalLoss(1.0), "exact")
    model = clone(library_class(n_estimators=3, n_jobs=1, verbosity=0, objective=objective))
    assert model.objective == objective
    assert clone(model.fit(X, y)).objective == objective
    restored = pickle.loads(pickle.dumps(model))
    assert restored.objective == objective
    raw = {"output_margin": True} if library_class is xgboost.XGBClassifier else {"raw_score": True}
    assert_array_equal(restored.predict(X, **raw), model.predict(X, **raw))
    assert copy.deepcopy(model).objective == objective


def test_cross_validation_in_processes(data):
    X, y, _ = data
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1, objective=FocalXGBObjective())
    proba = cross_val_predict(model, X, y, cv=2, method="predict_proba", n_jobs=2)
    assert proba.shape == (len(y), 2)
    assert proba[y == 1, 1].mean() > proba[y == 0, 1].mean() + 0.1


# Errors


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", [0.0, 2.0, 2.5])
def test_raw_predictions_that_are_not_finite(Objective, bad, dtype, gamma):
    y, z = np.array([0, 1, 0, 1]), np.zeros(4, dtype=dtype)
    z[2] = bad
    loss = BinaryFocalLoss(gamma)
    message = rf"must return finite numbers, which it cannot at row 2, where .* is {bad}\. .*base_margin"
    with pytest.raises(ValueError, match=message):
        Objective(loss)(y, z)
    with pytest.raises(ValueError, match=message):
        bind(loss, y)(z)


def test_huge_finite_raw_predictions_are_no_error(Objective):
    z = np.array([1e308, -1e308, 1e308, -1e308])
    gradient, hessian = Objective()(np.array([0, 0, 1, 1]), np.repeat(z[:1], 4))
    assert np.isfinite(gradient).all()
    assert np.isfinite(hessian).all()
    assert np.isfinite(Objective()(np.array([0, 1, 1, 0]), z)).all()
    assert np.isfinite(Objective()(np.array([0, 1]), np.array([3e38, -3e38], np.float32))).all()


@pytest.mark.parametrize("z", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_beyond_float32(Objective, z, dtype):
    y, z = np.array([0, 1, 1]), np.full(3, z, dtype=dtype)
    message = r"finite numbers, got gradient .* at row 1: sample_weight or alpha is too large for float32\.$"
    weight = np.array([1.0, 1e300, 1.0])
    with pytest.raises(ValueError, match=message):
        Objective()(y, z, weight)
    with pytest.raises(ValueError, match=message):
        bind(BinaryFocalLoss(), y, weight)(z)
    with pytest.raises(ValueError, match=message):
        Objective(BinaryFocalLoss(2.0, (1.0, 1e300)))(y, z)


def test_sums_of_large_finite_gradients_are_no_error(Objective):
    y, z, weight = np.zeros(1000), np.zeros(1000), np.full(1000, 1e37)
    assert np.isfinite(Objective()(y, z, weight)).all()


def test_labels_that_are_not_0_and_1(Objective, data):
    X, y, _ = data
    with pytest.raises(ValueError, match=r"^y_true must hold only 0 and 1, got 2\.0 at row 0\.$"):
        xgb_native(FocalXGBObjective(), X, y + 2)
    with pytest.raises(ValueError, match=r"^y_true must hold only 0 and 1, got -1\.0 at row \d+\.$"):
        lgb_native(FocalLGBMObjective(), X, 2 * y - 1)
    with pytest.raises(ValueError, match=r"^y_true must hold only 0 and 1, got 0\.5 at row 1\.$"):
        Objective()([0, 0.5], np.zeros(2))


@entry_points
def test_an_error_inside_training_reaches_the_caller(data, train, native, Objective):
    X, y, _ = data
    row = int(np.argmax(y == 1))
    with pytest.raises(ValueError, match=rf"at row {row}: sample_weight or alpha is too large"):
        train(Objective(BinaryFocalLoss(2.0, (1.0, 1e300))), X, y)


def test_an_infinite_base_margin_is_named(data):
    X, y, _ = data
    start = np.zeros(len(y))
    start[5] = np.inf
    with pytest.raises(ValueError, match=r"at row 5, where the raw prediction is inf\. .*base_margin"):
        xgb_native(FocalXGBObjective(), X, y, start=start)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((2.0,), TypeError, r"^loss must be a .+, got 2\.0 \(float\)\.$"),
        ((BinaryFocalLoss,), TypeError, r"^loss must be a .+, got <class .*> \(ABCMeta\)\.$"),
        ((BinaryFocalLoss(), "fisher"), ValueError, r"^hessian must be one of .*, got 'fisher'\.$"),
        ((BinaryFocalLoss(), "expected"), ValueError, r"^hessian must be one of .*, got 'expected'\.$"),
        (
            (BinaryFocalLoss(focal_link="logit"), "majorizing"),
            ValueError,
            r"^hessian must be one of 'floored', 'exact', 'exp",
        ),
    ],
)
def test_construction_errors(Objective, arguments, error, message):
    with pytest.raises(error, match=message):
        Objective(*arguments)


@pytest.mark.parametrize("scale", [0.0, -0.5, np.inf, np.nan, (1.0, 0.0), (1.0, np.inf), (-1.0, 1.0)])
def test_scale_errors(Objective, scale):
    with pytest.raises(ValueError, match=r"^scale must be finite and > 0, got"):
        Objective(scale=scale)


def test_call_errors(Objective):
    objective, y = Objective(), np.array([0, 1])
    with pytest.raises(ValueError, match=r"^raw_prediction must have shape \(2,\), got \(3,\)\.$"):
        objective(y, np.zeros(3))
    with pytest.raises(TypeError, match=r"^raw_prediction must be float32 or float64, got float16\.$"):
        objective(y, np.zeros(2, np.float16))
    with pytest.raises(ValueError, match=r"^sample_weight must be >= 0, got the negative weight -1\.0 at row 0\.$"):
        objective(y, np.zeros(2), [-1.0, 1.0])
    with pytest.raises(ValueError, match=r"^sample_weight must have shape \(2,\), got shape \(3,\)\.$"):
        objective(y, np.zeros(2), np.ones(3))
    with pytest.raises(ValueError, match=r"^raw_prediction must have shape \(2,\), got \(3,\)\.$"):
        bind(objective.loss, y)(np.zeros(3))
