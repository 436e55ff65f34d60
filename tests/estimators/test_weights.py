"""Sample weights: a weight of k is k copies of the row, in the loss, the start, α and the metrics."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import Rows, fit, log, ours, rows

from focal_gbm.xgboost.boosting import _with_spare_bits


def copies(data, k):
    return Rows(np.repeat(data.X, k, axis=0), np.repeat(data.y, k, axis=0), None)


@pytest.mark.parametrize("alpha", [None, "balanced"])
def test_a_weight_of_k_is_k_copies(problem, alpha):
    """In LightGBM in few large leaves: it counts rows, whatever their weight, in bins and in leaves."""
    data = rows(problem.kind, 1, 60)
    X, k = data.X, np.random.default_rng(1).integers(problem.library == "lightgbm", 4, 60)
    params = {"focal_alpha": alpha}
    if problem.library == "lightgbm":
        params |= {"min_child_samples": 0, "min_child_weight": 5.0, "min_data_in_bin": 1, "num_leaves": 4}
    weighted = problem.ours(**params).fit(X, data.y, sample_weight=k.astype(float))
    copied = problem.ours(**params).fit(np.repeat(X, k, axis=0), np.repeat(data.y, k, axis=0))
    assert_allclose(weighted.predict_proba(X), copied.predict_proba(X), rtol=0, atol=1e-6)
    assert_array_equal(weighted.predict(X), copied.predict(X))


def test_spare_bits_of_gradients_are_rounded_to_the_nearest():
    """Few rows get them, so that sums and products with small whole weights are exact."""
    gradient = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    rounded = _with_spare_bits(gradient)
    assert (np.abs(rounded - gradient) <= 2.0**-21 * np.abs(gradient)).all()
    assert_array_equal(rounded * np.float32(7), rounded.astype(float) * 7)


def test_metrics_count_weights(problem):
    k = np.random.default_rng(1).integers(1, 4, 200)
    weighted = Rows(problem.valid.X, problem.valid.y, k.astype(float))
    train = Rows(problem.train.X, problem.train.y, np.ones(300))
    once = fit(problem.ours(), train, weighted, weighted=True)
    repeated = fit(problem.ours(), problem.train, copies(problem.valid, k))
    for name, values in log(once).items():
        assert_allclose(values, log(repeated)[name], rtol=1e-5)


def test_weights_change_the_model(problem):
    weighted, plain = (fit(problem.ours(), problem.train, weighted=w) for w in (True, False))
    assert np.abs(weighted.predict_proba(problem.valid.X) - plain.predict_proba(problem.valid.X)).max() > 0.01


def test_a_class_without_weight(problem):
    """It has the least probability that the library starts from, and no part in the rest."""
    if problem.kind == "labels":
        weight = 1.0 - (problem.train.y[:, 2] == 1)
    else:
        weight = 1.0 - (problem.train.y == problem.train.y.max())
    model = problem.ours(n_estimators=3).fit(problem.train.X, problem.train.y, sample_weight=weight)
    p = model.predict_proba(problem.valid.X)
    assert np.isfinite(p).all()
    assert p[:, -1].max() < (1e-5 if problem.library == "xgboost" else 1e-14)


CONTAINERS = {
    "list": list, "float32": np.float32, "Series": pd.Series, "int": lambda w: (w * 4).astype(int),
    "strided": lambda w: np.repeat(w, 2)[::2],
}  # fmt: skip


@pytest.mark.parametrize("kind", CONTAINERS)
def test_containers_of_weights(problem, kind):
    weight = np.random.default_rng(0).integers(1, 9, 300) / 4
    same = problem.ours().fit(problem.train.X, problem.train.y, sample_weight=weight * (4 if kind == "int" else 1))
    model = problem.ours().fit(problem.train.X, problem.train.y, sample_weight=CONTAINERS[kind](weight))
    assert_array_equal(model.predict_proba(problem.valid.X), same.predict_proba(problem.valid.X))


def spoiled(value):
    weight = np.ones(300)
    weight[7] = value
    return weight


WRONG = {
    "nan": (spoiled(np.nan), r"Weights must be positive|sample_weight.*NaN|sample_weight must be finite"),
    "infinite": (
        spoiled(np.inf),
        r"Weights must be positive|sample_weight.*infinity|sample_weight must be finite",
    ),
    "negative": (
        spoiled(-0.5),
        r"Weights must be positive|sample_weight must be >= 0|[Nn]egative.*sample_weight",
    ),
    "all zero": (np.zeros(300), r"at least one positive weight|all.* zero"),
    "too few": (np.ones(299), r"weight"),
    "text": (np.repeat("a", 300), r"could not convert|is not supported"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_weights_that_are_none(problem, kind):
    weight, message = WRONG[kind]
    with pytest.raises(Exception, match=message) as found:
        problem.ours().fit(problem.train.X, problem.train.y, sample_weight=weight)
    assert type(found.value).__name__ in ("ValueError", "XGBoostError", "LightGBMError", "TypeError")


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_weights_over_twelve_orders_of_magnitude(library, gamma):
    table = rows("two")
    weight = np.logspace(-6, 6, 300)[np.random.default_rng(0).permutation(300)]
    p = ours(library, focal_gamma=gamma).fit(table.X, table.y, sample_weight=weight).predict_proba(table.X)[:, 1]
    assert np.isfinite(p).all()
    assert np.average(p, weights=weight) == pytest.approx(np.average(table.y, weights=weight), abs=0.1)


def test_small_weights_and_large(problem):
    """A common factor of weights acts as in the library: on min_child_weight and the penalties alone."""
    params = {"reg_lambda": 0.0}
    params |= (
        {"min_child_weight": 0.0} if problem.library == "xgboost" else {"min_child_weight": 0.0, "min_child_samples": 0}
    )
    models = [
        problem.ours(**params).fit(problem.train.X, problem.train.y, sample_weight=np.full(300, factor))
        for factor in (1.0, 0.25, 4.0)
    ]
    for model in models[1:]:
        assert_allclose(
            model.predict_proba(problem.valid.X), models[0].predict_proba(problem.valid.X), rtol=0, atol=1e-5
        )
