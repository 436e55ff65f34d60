"""Data at the edge of what there is: no NaN, and models that are sane."""

import warnings

import lightgbm
import numpy as np
import pytest
from estimators import focal_lgb, focal_xgb
from scipy import sparse
from scipy.special import expit


def checked(model, X, K=2):
    """Probabilities of the model, finite, in [0, 1] and summing to 1."""
    p = model.predict_proba(X)
    assert p.shape == (X.shape[0], K)
    assert np.isfinite(p).all()
    assert ((p >= 0) & (p <= 1)).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert np.isfinite(model.decision_function(X)).all()
    return p


def quietly(model, *args, **kwargs):
    """Fit; a model without any split may say so."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*grew no split in any tree", category=UserWarning)
        return model.fit(*args, **kwargs)


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_one_positive_in_a_million(make, gamma):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_000_000, 2)).astype(np.float32)
    y = np.zeros(1_000_000, dtype=int)
    y[17] = 1
    model = quietly(make(focal_gamma=gamma, n_estimators=5), X, y)
    p = checked(model, X)[:, 1]
    if make is focal_lgb and gamma == 0:
        # Sane as the library is: one leaf of few rows and a Hessian of min_child_weight takes a step of 100s
        plain = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=7, n_jobs=1, verbose=-1).fit(X, y)
        np.testing.assert_array_max_ulp(p, plain.predict_proba(X)[:, 1], maxulp=2)  # of the sigmoid
    else:
        assert p.mean() == pytest.approx(1e-6, rel=0.5)


@pytest.mark.parametrize("gamma", [0.0, 2.0, 5.0])
def test_ten_rows(make, gamma):
    X, y = np.arange(10.0).reshape(-1, 1), np.array([0] * 7 + [1] * 3)
    checked(quietly(make(focal_gamma=gamma), X, y), X)
    params = {"min_child_weight": 0.0}
    if make is focal_lgb:
        params["min_child_samples"] = 1
    model = make(focal_gamma=gamma, n_estimators=50, **params).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), y)
    checked(model, X)


def test_constant_features_predict_the_base_rate(make):
    y = np.arange(1000) % 10 == 0
    model = quietly(make(focal_alpha="balanced"), np.ones((1000, 3)), y)
    np.testing.assert_allclose(checked(model, np.ones((5, 3)))[:, 1], 0.1, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_weights_over_twelve_orders_of_magnitude(make, table, gamma):
    weight = np.logspace(-6, 6, len(table.y))[np.random.default_rng(0).permutation(len(table.y))]
    model = quietly(make(focal_gamma=gamma), table.X, table.y, sample_weight=weight)
    p = checked(model, table.X)[:, 1]
    assert np.average(p, weights=weight) == pytest.approx(np.average(table.y, weights=weight), abs=0.1)


def test_gamma_of_fifty(make, table):
    p = checked(quietly(make(focal_gamma=50.0), table.X, table.y), table.X)[:, 1]
    assert p.mean() == pytest.approx(table.y.mean(), abs=0.1)
    assert np.corrcoef(p, table.probability)[0, 1] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("hessian", ["floored", "exact", "majorizing"])
def test_two_thousand_rounds_at_a_rate_of_one(make, table, hessian):
    model = make(n_estimators=2000, learning_rate=1.0, hessian=hessian)
    p = checked(quietly(model, table.X, table.y), table.X)[:, 1]
    assert ((p > 0.5) == table.y).mean() > 0.9


@pytest.mark.parametrize("margin", [-1e4, -300.0, 300.0, 1e4])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_margins_pushed_far_out(make, table, margin, gamma):
    name = "base_margin" if make is focal_xgb else "init_score"
    start = np.full(len(table.y), margin)
    model = quietly(make(focal_gamma=gamma), table.X, table.y, **{name: start})
    checked(model, table.X)
    if make is focal_xgb:
        p = model.predict_proba(table.X, base_margin=start)
        assert np.isfinite(p).all()


def test_ten_thousand_sparse_features(make):
    rng = np.random.default_rng(0)
    X = sparse.random(300, 10_000, density=0.01, random_state=0, format="csr")
    y = (rng.random(300) < expit(X[:, :50].sum(axis=1).A1 if hasattr(X, "A1") else -1.0)).astype(int)
    model = quietly(make(n_estimators=3), X, y)
    p = checked(model, X)
    if make is focal_xgb:  # zero and missing differ in XGBoost, so that a dense table is another one
        np.testing.assert_array_equal(model.predict_proba(X.tocsc()), p)


def test_two_hundred_classes(make):
    rng = np.random.default_rng(0)
    y = np.arange(4000) % 200
    X = np.column_stack([y + rng.normal(0, 0.3, 4000), rng.normal(size=4000)])
    params = {"max_depth": 4} if make is focal_xgb else {"num_leaves": 15}
    p = checked(make(n_estimators=3, learning_rate=0.5, **params).fit(X, y), X, K=200)
    assert (p.argmax(axis=1) == y).mean() > 0.3
