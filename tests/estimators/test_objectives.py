"""The bare custom objectives: gradient and Hessian of a loss, as both libraries call for them."""

import copy
import inspect
import pickle
import tracemalloc
from dataclasses import FrozenInstanceError

import lightgbm
import numpy as np
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from problems import rows
from sklearn.base import clone

from focal_gbm import (
    BinaryFocalLoss,
    FocalLGBMObjective,
    FocalXGBObjective,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
    Poly1Focal,
)

LOSSES = {"two": BinaryFocalLoss, "many": lambda *a, **k: MulticlassFocalLoss(3, *a, **k),
          "labels": lambda *a, **k: MultilabelFocalLoss(3, *a, **k)}  # fmt: skip
OBJECTIVES = {"xgboost": FocalXGBObjective, "lightgbm": FocalLGBMObjective}
CASES = [
    ("xgboost", "two"),
    ("xgboost", "many"),
    ("xgboost", "labels"),
    ("lightgbm", "two"),
    ("lightgbm", "many"),
]
cases = pytest.mark.parametrize(("library", "kind"), CASES)


def raw_of(kind, n, seed=0):
    return np.random.default_rng(seed).normal(size=n if kind == "two" else (n, 3))


def xgb_train(objective, kind, X, y, weight):
    params = {"max_depth": 3, "nthread": 1, "base_score": 0.5}
    params |= {"objective": "multi:softprob", "num_class": 3} if kind == "many" else {"objective": "binary:logistic"}
    data = xgboost.DMatrix(X, y, weight=weight)
    return xgboost.train(params, data, 8, obj=objective).predict(xgboost.DMatrix(X), output_margin=True)


def xgb_classifier(objective, kind, X, y, weight):
    model = xgboost.XGBClassifier(
        objective=objective or ("multi:softprob" if kind == "many" else "binary:logistic"), n_estimators=8,
        max_depth=3, n_jobs=1, base_score=0.5,
    )  # fmt: skip
    return model.fit(X, y, sample_weight=weight).predict(X, output_margin=True)


def lgb_train(objective, kind, X, y, weight):
    params = {"num_leaves": 7, "num_threads": 1, "verbose": -1, "boost_from_average": False}
    params |= {"num_class": 3} if kind == "many" else {}
    params["objective"] = objective or ("multiclass" if kind == "many" else "binary")
    return lightgbm.train(params, lightgbm.Dataset(X, y, weight=weight), 8).predict(X, raw_score=True)


def lgb_classifier(objective, kind, X, y, weight):
    model = lightgbm.LGBMClassifier(
        objective=objective, n_estimators=8, num_leaves=7, n_jobs=1, verbose=-1, boost_from_average=False
    )
    return model.fit(X, y, sample_weight=weight).booster_.predict(X, raw_score=True)


ENTRY_POINTS = {
    "xgboost.train": ("xgboost", xgb_train), "XGBClassifier": ("xgboost", xgb_classifier),
    "lightgbm.train": ("lightgbm", lgb_train), "LGBMClassifier": ("lightgbm", lgb_classifier),
}  # fmt: skip
entry_points = pytest.mark.parametrize("entry", ENTRY_POINTS)


class Naive:
    """What an objective has to come to, by the loss's public methods, without anything kept."""

    def __init__(self, loss, factor):
        self.loss, self.factor = loss, factor

    def __call__(self, raw_prediction, data):
        weight = data.get_weight()
        y = data.get_label()
        y = y.reshape(-1, 3) if self.loss.kind == "multilabel" else y
        found = self.loss.gradient_hessian(
            y, raw_prediction.astype(np.float64), weight if weight is not None and weight.size else None,
            hessian_factor=self.factor,
        )  # fmt: skip
        return tuple(array.astype(np.float32) for array in found)


def factor_of(library, kind):
    return {"xgboost": 2.0, "lightgbm": 1.5}[library] if kind == "many" else 1.0


@entry_points
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_an_object_serves_every_entry_point(entry, kind, weighted):
    library, train = ENTRY_POINTS[entry]
    if (library, kind) not in CASES:
        pytest.skip("LightGBM has no model of many labels")
    data = rows(kind)
    weight = data.weight if weighted else None
    loss = LOSSES[kind](2.0, (1.0, 2.0, 3.0) if kind == "many" else 0.25)
    found = train(OBJECTIVES[library](loss), kind, data.X, data.y, weight)
    native = xgb_train if library == "xgboost" else lgb_train
    expected = native(Naive(loss, factor_of(library, kind)), kind, data.X, data.y, weight)
    assert np.ptp(found) > 1
    assert_allclose(found, expected, atol=2e-5)


@entry_points
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_gamma_zero_is_the_librarys_loss(entry, kind, weighted):
    """To rounding: the estimators hand γ=0 to the library itself."""
    library, train = ENTRY_POINTS[entry]
    if (library, kind) not in CASES:
        pytest.skip("LightGBM has no model of many labels")
    data = rows(kind, 5, 1500)
    weight = data.weight if weighted else None
    found = train(OBJECTIVES[library](LOSSES[kind](0.0)), kind, data.X, data.y, weight)
    assert_allclose(found, train(None, kind, data.X, data.y, weight), atol=2e-5)


@cases
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", [{"gamma": 0.0}, {"gamma": 0.7}, {"margin_loss": Poly1Focal(2.0, 1.0)}], ids=str)
@pytest.mark.parametrize("link", ["logit", "focal"])
def test_results_are_those_of_the_loss(library, kind, dtype, params, link):
    data = rows(kind)
    loss, raw = LOSSES[kind](link=link, **params), raw_of(kind, 300).astype(dtype)
    found = OBJECTIVES[library](loss, scale=0.5)(data.y, raw, data.weight)
    expected = loss.gradient_hessian(data.y, raw.astype(float), data.weight, hessian_factor=factor_of(library, kind))
    for array, exact in zip(found, expected, strict=True):
        assert array.dtype == np.float32
        assert array.shape == raw.shape
        assert array.flags["C_CONTIGUOUS" if library == "xgboost" else "F_CONTIGUOUS"]
        assert_allclose(array, 0.5 * exact, rtol=3e-5, atol=1e-6)


@cases
def test_a_weight_of_two_is_two_copies(library, kind):
    data, raw = rows(kind), raw_of(kind, 300)
    objective = OBJECTIVES[library](LOSSES[kind](2.0))
    once = objective(data.y, raw)
    for array, one in zip(objective(data.y, raw, np.full(300, 2.0)), once, strict=True):
        assert_allclose(array, 2 * one, rtol=1e-6)
    for none in (None, np.empty(0)):
        for array, one in zip(objective(data.y, raw, none), once, strict=True):
            assert_array_equal(array, one)


@cases
def test_called_with_a_data_set(library, kind):
    data, raw = rows(kind), raw_of(kind, 300).astype(np.float32)
    objective = OBJECTIVES[library](LOSSES[kind](2.0))
    if library == "xgboost":
        matrix = xgboost.DMatrix(data.X, data.y, weight=data.weight)
    else:
        matrix = lightgbm.Dataset(data.X, data.y, weight=data.weight, params={"verbose": -1}).construct()
    found, expected = objective(raw, matrix), objective(data.y, raw, data.weight)
    for array, exact in zip(found, expected, strict=True):
        assert_array_equal(array, exact)


def test_parameters_are_what_the_libraries_look_for(library):
    """XGBoost looks for the name sample_weight, LightGBM counts."""
    parameters = inspect.signature(OBJECTIVES[library](BinaryFocalLoss(1.0))).parameters
    assert [*parameters] == ["y_true", "raw_prediction", "sample_weight"]


@cases
def test_changes_are_noticed(library, kind):
    """Of labels and weights, also in place; and results are not overwritten by the next call."""
    data, raw = rows(kind), raw_of(kind, 300)
    objective = OBJECTIVES[library](LOSSES[kind](2.0))
    y, weight = data.y.copy(), data.weight.copy()
    first = objective(y, raw, weight)
    kept = [array.copy() for array in first]
    y[:5] = 0
    weight[5:9] = 7.0
    second = objective(y, raw, weight)
    fresh = OBJECTIVES[library](LOSSES[kind](2.0))(y, raw, weight)
    for a, b, c, d in zip(first, kept, second, fresh, strict=True):
        assert_array_equal(a, b)
        assert_array_equal(c, d)
        assert not np.array_equal(a, c)


def test_equal_labels_are_prepared_once(library, monkeypatch):
    calls = []
    import focal_gbm.fit.objective as module

    made = module.kernel_of
    monkeypatch.setattr(module, "kernel_of", lambda *args, **options: calls.append(1) or made(*args, **options))
    data, objective = rows("two"), OBJECTIVES[library](BinaryFocalLoss(1.0))
    for seed in range(4):
        objective(data.y.copy(), raw_of("two", 300, seed), data.weight.copy())
    assert len(calls) == 1


@cases
def test_copies(library, kind):
    data, raw = rows(kind), raw_of(kind, 300)
    objective = OBJECTIVES[library](LOSSES[kind](2.0, 0.5 if kind != "many" else None), scale=3.0, n_jobs=1)
    objective(data.y, raw)
    for other in (pickle.loads(pickle.dumps(objective)), copy.deepcopy(objective), copy.copy(objective)):
        assert other == objective
        assert hash(other) == hash(objective)
        for a, b in zip(other(data.y, raw), objective(data.y, raw), strict=True):
            assert_array_equal(a, b)
    assert objective != OBJECTIVES[library](LOSSES[kind](1.0))
    assert len(pickle.dumps(objective)) < 2000
    with pytest.raises(FrozenInstanceError):
        objective.scale = 1.0


def test_the_libraries_classes_take_it_along(library, table):
    own_class = {"xgboost": xgboost.XGBClassifier, "lightgbm": lightgbm.LGBMClassifier}[library]
    quiet = {"verbose": -1} if library == "lightgbm" else {}
    model = own_class(objective=OBJECTIVES[library](BinaryFocalLoss(2.0)), n_estimators=4, n_jobs=1, **quiet)
    assert clone(model).objective == model.objective
    model.fit(table.X, table.y)
    again = pickle.loads(pickle.dumps(model))
    if library == "xgboost":
        assert_array_equal(again.predict(table.X, output_margin=True), model.predict(table.X, output_margin=True))
    else:
        assert_array_equal(again.booster_.predict(table.X), model.booster_.predict(table.X))


@cases
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_with_its_row(library, kind, bad):
    data, raw = rows(kind), raw_of(kind, 300)
    objective = OBJECTIVES[library](LOSSES[kind](2.0))
    spoiled = raw.copy()
    spoiled[7] = bad
    with pytest.raises(ValueError, match=r"finite.*row 7"):
        objective(data.y, spoiled)
    weight = data.weight.copy()
    weight[7] = abs(bad)
    with pytest.raises(ValueError, match=r"sample_weight must be finite, got (nan|inf) at row 7"):
        objective(data.y, raw, weight)
    objective(data.y, np.clip(raw * 1e30, -1e30, 1e30))  # finite, however large


@entry_points
def test_an_error_inside_training_reaches_the_caller(entry):
    library, train = ENTRY_POINTS[entry]
    data = rows("two")
    objective = OBJECTIVES[library](MulticlassFocalLoss(4, 1.0))
    with pytest.raises(ValueError, match=r"shape|num_class"):
        train(objective, "two", data.X, data.y, None)


def test_labels_are_those_of_the_loss(library):
    raw = np.zeros(4)
    with pytest.raises(ValueError, match=r"y_true must"):
        OBJECTIVES[library](BinaryFocalLoss(1.0))(np.array([0, 1, 2, 1]), raw)
    with pytest.raises(ValueError, match=r"y_true must"):
        OBJECTIVES[library](MulticlassFocalLoss(3, 1.0))(np.array([0, 1, 3, 1]), np.zeros((4, 3)))


WRONG = {
    "loss": ({"loss": 2.0}, TypeError, "loss must be a BinaryFocalLoss, .*got 2.0"),
    "scale 0": ({"scale": 0.0}, ValueError, "scale must be a finite number > 0, got 0.0"),
    "scale nan": ({"scale": np.nan}, ValueError, "scale must be a finite number > 0, got nan"),
    "scale inf": ({"scale": np.inf}, ValueError, "scale must be a finite number > 0, got inf"),
    "scale tuple": ({"scale": (1.0, 2.0)}, ValueError, "scale must be a finite number > 0"),
    "n_jobs": ({"n_jobs": 1.5}, TypeError, "n_jobs must be None or an integer, got 1.5"),
    "n_jobs text": ({"n_jobs": "2"}, TypeError, "n_jobs must be None or an integer, got '2'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(library, case):
    arguments, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        OBJECTIVES[library](**{"loss": BinaryFocalLoss(1.0), **arguments})


@cases
def test_the_result_does_not_depend_on_the_number_of_threads(library, kind):
    data, raw = rows(kind, 0, 40_000), raw_of(kind, 40_000)
    found = [OBJECTIVES[library](LOSSES[kind](2.0), n_jobs=n)(data.y, raw) for n in (1, 2)]
    for a, b in zip(*found, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize(("library", "dtype"), [("xgboost", np.float32), ("lightgbm", np.float64)])
def test_a_round_allocates_its_results_alone(library, dtype):
    n = 500_000
    raw = raw_of("two", n).astype(dtype)
    objective, y = OBJECTIVES[library](BinaryFocalLoss(2.0), n_jobs=1), (raw > 1).astype(np.float32)
    objective(y, raw)  # what is allocated once
    tracemalloc.start()
    objective(y, raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * n + 8 * 2**16 * 8  # the copies of gradient and Hessian, and a block
