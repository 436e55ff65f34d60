"""Properties of the public interface on random tables: shapes, types, layouts, labels, weights, γ, α."""

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from estimators import focal_lgb, focal_xgb
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from focal_gbm import BinaryFocalLoss, MulticlassFocalLoss

MAKE = {"xgboost": focal_xgb, "lightgbm": focal_lgb}
GAMMAS = st.sampled_from([0.0, 0.3, 1.0, 2.0, 5.0])
ALPHAS = st.sampled_from([None, "balanced", "effective", [1.0, 3.0]])
LABELS = st.sampled_from([(0, 1), (-1, 7), ("no", "yes"), (False, True), (1.0, 2.0)])
ROWS = st.integers(30, 200)
SEEDS = st.integers(0, 10**6)


def layout(X, how):
    """The same numbers, laid out otherwise."""
    if how == "F":
        return np.asfortranarray(X)
    if how == "strided":
        return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    if how == "reversed":
        return X[::-1, ::-1].copy()[::-1, ::-1]
    if how == "read-only":
        X = X.copy()
        X.flags.writeable = False
    return X


def table_of(seed, n_rows, labels, n_features=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features))
    codes = (X[:, 0] + rng.normal(size=n_rows) > 0.5).astype(int)
    codes[:2] = 0, 1
    return X, np.array(labels)[codes], rng.uniform(0.1, 3.0, n_rows)


def small(host, **params):
    of_host = {"min_child_weight": 0.0} if host == "xgboost" else {"min_child_samples": 2}
    return MAKE[host](n_estimators=3, **of_host, **params)


@pytest.mark.parametrize("host", MAKE)
@settings(max_examples=15)
@given(
    seed=SEEDS, n_rows=ROWS, labels=LABELS, gamma=GAMMAS, alpha=ALPHAS,
    how=st.sampled_from(["F", "strided", "reversed", "read-only"]),
    dtype=st.sampled_from([np.float32, np.float64, np.int32, np.uint8]),
)  # fmt: skip
def test_layout_does_not_matter(host, seed, n_rows, labels, gamma, alpha, how, dtype):
    X, y, weight = table_of(seed, n_rows, labels)
    X = np.clip(X * 30 + 100, 0, 250).astype(dtype)
    plain = small(host, focal_gamma=gamma, focal_alpha=alpha).fit(X, y, sample_weight=weight)
    other = small(host, focal_gamma=gamma, focal_alpha=alpha)
    other.fit(layout(X, how), layout(y, how) if how == "read-only" else y, sample_weight=weight[::-1][::-1])
    assert_array_equal(other.predict_proba(layout(X, how)), plain.predict_proba(X))
    assert set(plain.predict(X)) <= set(plain.classes_)
    assert plain.classes_.dtype == np.array(labels).dtype


@pytest.mark.parametrize("host", MAKE)
@settings(max_examples=15)
@given(seed=SEEDS, n_rows=ROWS, labels=LABELS, gamma=GAMMAS)
def test_odd_indices_of_pandas_do_not_matter(host, seed, n_rows, labels, gamma):
    X, y, weight = table_of(seed, n_rows, labels)
    index = np.random.default_rng(seed).permutation(n_rows) // 2 - 5  # unsorted, twice each, negative
    frame = pd.DataFrame(X, index=index, columns=list("abc"))
    model = small(host, focal_gamma=gamma)
    model.fit(frame, pd.Series(y, index=index[::-1]), sample_weight=pd.Series(weight))
    plain = small(host, focal_gamma=gamma).fit(X, y, sample_weight=weight)
    assert_array_equal(model.predict_proba(frame), plain.predict_proba(X))


@pytest.mark.parametrize("host", MAKE)
@settings(max_examples=15)
@given(
    seed=SEEDS, n_rows=ROWS, labels=LABELS, gamma=GAMMAS, alpha=ALPHAS,
    hessian=st.sampled_from(["floored", "exact", "majorizing"]),
    probability=st.sampled_from(["posterior", "score"]), scale=st.sampled_from(["host", 1.0, 0.25]),
)  # fmt: skip
def test_round_trips(host, seed, n_rows, labels, gamma, alpha, hessian, probability, scale):
    params = {
        "focal_gamma": gamma, "focal_alpha": alpha, "hessian": hessian, "probability": probability,
        "focal_scale": scale,
    }  # fmt: skip
    X, y, weight = table_of(seed, n_rows, labels)
    model = small(host, **params).fit(X, y, sample_weight=weight)
    p = model.predict_proba(X)
    assert np.isfinite(p).all()
    assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), p)
    copy = clone(model)
    assert {name: copy.get_params()[name] for name in params} == params
    assert_array_equal(copy.fit(X, y, sample_weight=weight).predict_proba(X), p)
    other = small(host).set_params(**params)
    assert_array_equal(other.fit(X, y, sample_weight=weight).predict_proba(X), p)
    with TemporaryDirectory() as folder:
        path = Path(folder) / ("model.ubj" if host == "xgboost" else "model.txt")
        model.save_model(path)
        restored = MAKE[host]()
        restored.load_model(path)
    assert_array_equal(restored.predict_proba(X), p)
    assert_array_equal(restored.predict(X), model.predict(X))
    assert {name: restored.get_params()[name] for name in params} == params


# Of the losses


MARGINS = st.lists(st.floats(-700, 700), min_size=1, max_size=20)


@given(margins=MARGINS, gamma=st.floats(0, 60), data=st.data())
def test_swapping_classes_mirrors_the_loss(margins, gamma, data):
    z = np.array(margins)
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(z), max_size=len(z))))
    alpha = data.draw(st.sampled_from([(1.0, 1.0), (0.2, 3.0)]))
    loss, mirrored = BinaryFocalLoss(gamma, alpha), BinaryFocalLoss(gamma, alpha[::-1])
    g, h = loss.gradient_hessian(y, z)
    g2, h2 = mirrored.gradient_hessian(1 - y, -z)
    assert_array_equal(g, -g2)
    assert_array_equal(h, h2)
    assert_array_equal(loss.loss(y, z), mirrored.loss(1 - y, -z))
    assert np.isfinite([g, h]).all()
    assert (g * (2 * y - 1) <= 0).all()


@given(margins=MARGINS, gamma=st.floats(0, 60))
def test_two_classes_of_softmax_are_the_sigmoid(margins, gamma):
    z, y = np.array(margins), np.arange(len(margins)) % 2
    g, _ = BinaryFocalLoss(gamma).gradient_hessian(y, z)
    both, _ = MulticlassFocalLoss(2, gamma).gradient_hessian(y, np.column_stack([np.zeros_like(z), z]))
    assert_allclose(both[:, 1], g, rtol=1e-11)
    assert_allclose(both.sum(axis=1), 0.0, atol=1e-12)


@given(margins=MARGINS, gamma=st.floats(0, 60), weight=st.floats(1e-6, 1e6))
def test_a_weight_multiplies(margins, gamma, weight):
    z, y = np.array(margins), np.arange(len(margins)) % 2
    loss = BinaryFocalLoss(gamma)
    once = loss.gradient_hessian(y, z)
    for one, other in zip(once, loss.gradient_hessian(y, z, np.full(len(z), weight)), strict=True):
        assert_allclose(other, one * weight, rtol=1e-12, atol=1e-300)


@given(z=st.floats(-700, 700), gamma=st.floats(0, 60), alpha=st.sampled_from([(1.0, 1.0), (0.2, 3.0)]))
def test_the_link_undoes_itself_where_a_probability_has_digits(z, gamma, alpha):
    link = BinaryFocalLoss(gamma, alpha).link
    p = float(link.inverse(z))
    assert 0.0 <= p <= 1.0
    if 1e-300 < p < 1 - 1e-6:
        assert float(link.link(p)) == pytest.approx(z, rel=1e-6, abs=1e-6)
