"""Properties of the public interface on random tables: shapes, types, layouts, labels, weights, γ, α.

Of two classes, of several, and of many labels, which XGBoost alone takes without a wrapper.
"""

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import BOTH, focal_lgb, focal_xgb
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

GAMMAS = st.sampled_from([0.0, 0.3, 1.0, 2.0, 5.0])
ALPHAS = st.sampled_from([None, "balanced", "effective", "by class"])
#: By the kind of target; for many labels, their number.
LABELS = {
    "binary": st.sampled_from([(0, 1), (-1, 7), ("no", "yes"), (False, True), (1.0, 2.0)]),
    "multiclass": st.sampled_from(
        [(0, 1, 2), (-3, 0, 5, 700), ("ant", "bee", "cow", "dog"), ("10", "9", "1", "é", ""), (0.0, 2.0, 4.0)]
    ),
    "multilabel": st.sampled_from([2, 3]),
}
pytestmark = pytest.mark.filterwarnings("ignore:The model grew no split")  # of so few rows

ROWS = st.integers(30, 200)
SEEDS = st.integers(0, 10**6)

each_kind = pytest.mark.parametrize(
    ("library", "kind"),
    [(library, kind) for library in BOTH for kind in LABELS if (library, kind) != ("lightgbm", "multilabel")],
)


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
    """Every class is there, and every label in some row."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features))
    if isinstance(labels, int):
        y = (X[:, :1] + rng.normal(size=(n_rows, labels)) > 0.5).astype(int)
        y[:2] = [[0], [1]]
    else:
        n_classes = len(labels)
        # the first class is the most frequent one
        codes = np.floor((X[:, 0] + rng.normal(size=n_rows) + 0.5) * n_classes / 3).clip(0, n_classes - 1)
        codes[:n_classes] = np.arange(n_classes)
        y = np.array(labels)[codes.astype(int)]
    return X, y, rng.uniform(0.1, 3.0, n_rows)


def alpha_of(alpha, labels):
    if alpha != "by class":
        return alpha
    if isinstance(labels, int):
        return {0: 1.0, 1: 3.0}
    return np.linspace(1.0, 3.0, len(labels)).tolist()


def small(library, **params):
    of_library = {"min_child_weight": 0.0} if library == "xgboost" else {"min_child_samples": 2}
    return BOTH[library](**{"n_estimators": 3, **of_library, **params})


@each_kind
@settings(max_examples=15)
@given(
    data=st.data(), seed=SEEDS, n_rows=ROWS, gamma=GAMMAS, alpha=ALPHAS,
    how=st.sampled_from(["F", "strided", "reversed", "read-only"]),
    dtype=st.sampled_from([np.float32, np.float64, np.int32, np.uint8]),
)  # fmt: skip
def test_layout_does_not_matter(library, kind, data, seed, n_rows, gamma, alpha, how, dtype):
    labels = data.draw(LABELS[kind])
    X, y, weight = table_of(seed, n_rows, labels)
    X = np.clip(X * 30 + 100, 0, 250).astype(dtype)
    params = {"focal_gamma": gamma, "focal_alpha": alpha_of(alpha, labels)}
    plain = small(library, **params).fit(X, y, sample_weight=weight)
    other = small(library, **params)
    other_y = layout(y, how) if how == "read-only" or y.ndim == 2 else y
    other.fit(layout(X, how), other_y, sample_weight=weight[::-1][::-1])
    assert_array_equal(other.predict_proba(layout(X, how)), plain.predict_proba(X))
    assert np.isin(plain.predict(X), plain.classes_).all()
    if kind != "multilabel":
        assert plain.classes_.dtype == np.array(labels).dtype


@each_kind
@settings(max_examples=15)
@given(data=st.data(), seed=SEEDS, n_rows=ROWS, gamma=GAMMAS)
def test_odd_indices_of_pandas_do_not_matter(library, kind, data, seed, n_rows, gamma):
    X, y, weight = table_of(seed, n_rows, data.draw(LABELS[kind]))
    index = np.random.default_rng(seed).permutation(n_rows) // 2 - 5  # unsorted, twice each, negative
    frame = pd.DataFrame(X, index=index, columns=list("abc"))
    target = (pd.Series if y.ndim == 1 else pd.DataFrame)(y, index=index[::-1])
    model = small(library, focal_gamma=gamma)
    model.fit(frame, target, sample_weight=pd.Series(weight))
    plain = small(library, focal_gamma=gamma).fit(X, y, sample_weight=weight)
    assert_array_equal(model.predict_proba(frame), plain.predict_proba(X))
    assert_array_equal(model.predict(frame), plain.predict(X))


@each_kind
@settings(max_examples=15)
@given(data=st.data(), seed=SEEDS, n_rows=ROWS, gamma=GAMMAS, alpha=ALPHAS)
def test_round_trips(library, kind, data, seed, n_rows, gamma, alpha):
    labels = data.draw(LABELS[kind])
    params = {"focal_gamma": gamma, "focal_alpha": alpha_of(alpha, labels)}
    X, y, weight = table_of(seed, n_rows, labels)
    model = small(library, **params).fit(X, y, sample_weight=weight)
    p = model.predict_proba(X)
    assert np.isfinite(p).all()
    if kind != "multilabel":
        assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    copy = clone(model)
    assert {name: copy.get_params()[name] for name in params} == params
    assert_array_equal(copy.fit(X, y, sample_weight=weight).predict_proba(X), p)
    other = small(library).set_params(**params)
    assert_array_equal(other.fit(X, y, sample_weight=weight).predict_proba(X), p)
    if library == "lightgbm":
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.ubj"
        model.save_model(path)
        restored = BOTH[library]()
        restored.load_model(path)
    assert_array_equal(restored.predict_proba(X), p)
    assert_array_equal(restored.predict(X), model.predict(X))
    assert_array_equal(restored.classes_, model.classes_)


@each_kind
@settings(max_examples=15)
@given(data=st.data(), seed=SEEDS, n_rows=ROWS, weighted=st.booleans())
def test_gamma_zero_is_the_library(library, kind, data, seed, n_rows, weighted):
    X, y, weight = table_of(seed, n_rows, data.draw(LABELS[kind]))
    codes = y if kind == "multilabel" else np.unique(y, return_inverse=True)[1]
    fit = {"sample_weight": weight} if weighted else {}
    params = {"n_estimators": 3, "n_jobs": 1}
    if library == "xgboost":
        ours, own = focal_xgb(focal_gamma=0.0, **params), xgboost.XGBClassifier(**{**params, "max_depth": 3})
    else:
        params |= {"num_leaves": 7, "min_child_samples": 2, "verbose": -1}
        ours, own = focal_lgb(focal_gamma=0.0, **params), lightgbm.LGBMClassifier(**params)
    assert_array_equal(ours.fit(X, y, **fit).predict_proba(X), own.fit(X, codes, **fit).predict_proba(X))


@each_kind
@settings(max_examples=15)
@given(data=st.data(), seed=SEEDS, n_rows=st.integers(30, 120), gamma=GAMMAS, alpha=ALPHAS)
def test_whole_weights_are_copies(library, kind, data, seed, n_rows, gamma, alpha):
    """To the last bit of an XGBoost model, whose sums of so few gradients are exact, but for γ=0.

    There the model is the library's own, which is not so exact.

    LightGBM counts rows for its bins and leaves: of its models the start, and with it α.
    """
    labels = data.draw(LABELS[kind])
    X, y, _ = table_of(seed, n_rows, labels)
    weight = np.random.default_rng(seed + 1).integers(1, 9, n_rows)
    many = np.repeat(np.arange(n_rows), weight)
    start_only = {"learning_rate": 1e-12} if library == "lightgbm" else {}
    model = small(library, focal_gamma=gamma, focal_alpha=alpha_of(alpha, labels), **start_only)
    weighted = clone(model).fit(X, y, sample_weight=weight).predict_proba(X)
    repeated = clone(model).fit(X[many], y[many]).predict_proba(X)
    exact = library == "xgboost" and gamma != 0
    tolerance = 0 if exact else 1e-6 if library == "xgboost" else 1e-9
    assert_allclose(weighted, repeated, atol=tolerance, rtol=0)
