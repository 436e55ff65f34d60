"""Tables in every form that the libraries read; rows at the edge of what there is."""

import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import xgboost
from lightgbm.basic import LightGBMError
from numpy.testing import assert_allclose, assert_array_equal
from problems import Problem, Rows, fit, log, ours, own, rows

import focal_gbm.xgboost
from focal_gbm.xgboost import FocalBoosting

TABLE, VALID = rows("two"), rows("two", 1, 200)
NAMES = ["alpha", "β", "gamma_delta", "d_4", "E"]


def read_only(X):
    X = X.copy()
    X.setflags(write=False)
    return X


CONTAINERS = {
    "array": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "Fortran order": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "read only": read_only,
    "list": lambda X: X.tolist(),
    "object": lambda X: X.astype(object),
    "csr_matrix": sp.csr_matrix,
    "csc_array": sp.csc_array,
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES, index=np.arange(len(X))[::-1] * 7),
    "pandas Float64": lambda X: pd.DataFrame(X, columns=NAMES).astype("Float64"),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "arrow": lambda X: pa.table(dict(zip(NAMES, X.T, strict=True))),
}


def outcome(make, library, train, valid):
    """Return the evaluation log, or the kind of error."""
    try:
        return log(fit(make(library, n_estimators=3), Rows(train, TABLE.y, None), Rows(valid, VALID.y, None)))
    except (ValueError, TypeError, LightGBMError, xgboost.core.XGBoostError, AttributeError) as error:
        return type(error).__name__


@pytest.mark.filterwarnings("ignore:Converting data to scipy sparse matrix:UserWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:.*feature names:UserWarning")
@pytest.mark.parametrize("train", CONTAINERS)
def test_training_rows_by_evaluation_rows(library, train):
    """What the library says of every pair, ours says; where it takes them, the log at γ=0 is its own."""
    for valid in CONTAINERS:
        X, V = CONTAINERS[train](TABLE.X), CONTAINERS[valid](VALID.X)
        expected = outcome(own, library, X, V)
        assert outcome(lambda *a, **k: ours(*a, focal_gamma=0.0, **k), library, X, V) == expected, valid
        focal = outcome(ours, library, X, V)
        assert focal == expected if isinstance(expected, str) else isinstance(focal, dict), (
            valid,
            focal,
            expected,
        )


@pytest.mark.filterwarnings("ignore:Converting data to scipy sparse matrix:UserWarning")
@pytest.mark.parametrize("kind", CONTAINERS)
def test_predictions_agree_across_containers(library, kind):
    X = CONTAINERS[kind](TABLE.X)
    base = TABLE.X.astype(np.float32).astype(float) if kind == "float32" else TABLE.X
    model, reference = ours(library).fit(X, TABLE.y), ours(library).fit(base, TABLE.y)
    assert_array_equal(model.predict_proba(X), reference.predict_proba(base))
    assert_array_equal(model.predict(X), reference.predict(base))
    assert model.n_features_in_ == 5
    assert hasattr(model, "feature_names_in_") == (kind in ("pandas", "pandas Float64", "polars", "arrow"))


@pytest.mark.parametrize("change", ["reordered", "renamed", "no names"])
def test_columns_of_evaluation_sets(change):
    """XGBoost issues 2334, 2857: what XGBClassifier says."""
    train = pd.DataFrame(TABLE.X, columns=NAMES)
    valid = pd.DataFrame(VALID.X, columns=NAMES)
    valid = {
        "reordered": valid[NAMES[::-1]],
        "renamed": valid.set_axis(list("uvwxy"), axis=1),
        "no names": VALID.X,
    }[change]
    messages = []
    for make in (own, ours):
        with pytest.raises(ValueError, match=r"feature_names mismatch|did not contain feature names") as found:
            fit(make("xgboost"), Rows(train, TABLE.y, None), Rows(valid, VALID.y, None))
        messages.append(str(found.value))
    assert messages[0] == messages[1]


def test_missing_values(library):
    holes = np.random.default_rng(0).random(TABLE.X.shape) < 0.2
    X = np.where(holes, np.nan, TABLE.X)
    expected = ours(library).fit(X, TABLE.y).predict_proba(X)
    nullable = pd.DataFrame(X, columns=NAMES).astype("Float64").mask(holes)
    for table in (
        nullable,
        pl.DataFrame(X, schema=NAMES).fill_nan(None),
        pl.DataFrame(X, schema=NAMES).fill_nan(None).to_arrow(),
    ):
        assert_array_equal(ours(library).fit(table, TABLE.y).predict_proba(table), expected)
    if library == "xgboost":
        other = np.where(holes, -999.0, TABLE.X)
        model = ours(library, missing=-999.0).fit(other, TABLE.y)
        assert_array_equal(model.predict_proba(other), expected)


def test_categories(problem):
    rng = np.random.default_rng(3)
    c = rng.choice(list("abcdef"), 300)
    frame = pd.DataFrame(problem.train.X[:, :2], columns=["x0", "x1"], index=np.arange(300) % 17).assign(
        c=pd.Categorical(c)
    )
    shift = np.isin(c, ["b", "e"])
    y = problem.train.y.copy()
    y[shift] = y[shift][::-1]
    y = np.where(shift[:, None] if y.ndim == 2 else shift, y.max() - y, y)
    params = {"enable_categorical": True} if problem.library == "xgboost" else {}
    model = problem.ours(**params).fit(frame, y)
    assert model.feature_importances_[2] > 0
    p = model.predict_proba(frame)
    other = frame.assign(c=frame["c"].cat.reorder_categories(list("fedcba")))
    assert_array_equal(model.predict_proba(other), p)
    few = frame[c == "e"].assign(c=lambda rows: rows["c"].cat.remove_unused_categories())
    assert_array_equal(model.predict_proba(few), p[c == "e"])
    with_set = fit(problem.ours(**params), Rows(frame, y, None), Rows(other, y, None))
    (values,) = log(with_set).values()
    assert np.isfinite(values).all()


# External memory


class Batches(xgboost.DataIter):
    """Rows in three batches."""

    def __init__(self, data, cache):
        super().__init__(cache_prefix=cache)
        self._data, self._at = data, 0

    def next(self, input_data):
        if self._at == 3:
            return 0
        part = slice(self._at * 100, (self._at + 1) * 100)
        input_data(data=self._data.X[part], label=self._data.y[part], weight=self._data.weight[part])
        self._at += 1
        return 1

    def reset(self):
        self._at = 0


@pytest.mark.parametrize("matrix", ["DMatrix", "QuantileDMatrix", "ExtMemQuantileDMatrix"])
@pytest.mark.parametrize("kind", ["two", "many", "labels"])
def test_rows_in_batches(kind, matrix, tmp_path):
    problem = Problem("xgboost", kind)
    params = {**problem.native, "objective": "multi:softprob" if kind == "many" else "binary:logistic"}
    cache = None if matrix == "QuantileDMatrix" else str(tmp_path / "cache")
    batches = getattr(xgboost, matrix)(Batches(problem.train, cache))
    found = focal_gbm.xgboost.train(problem.native, batches, 10, gamma=2.0)
    model = fit(problem.ours(), problem.train, weighted=True)
    p = found.predict(xgboost.DMatrix(problem.valid.X))
    expected = model.predict_proba(problem.valid.X)
    assert_allclose(p, expected[:, 1] if kind == "two" else expected, rtol=0, atol=1e-6)
    # with the callback alone
    again = xgboost.train(params, batches, 10, callbacks=[FocalBoosting(2.0)])
    assert_array_equal(again.predict(xgboost.DMatrix(problem.valid.X)), p)


# Rows at the edge


def checked(model, X, K=2):
    """Return probabilities, finite, in [0, 1] and summing to 1."""
    p = model.predict_proba(X)
    assert p.shape == (X.shape[0], K)
    assert np.isfinite(p).all()
    assert ((p >= 0) & (p <= 1)).all()
    assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    return p


def quietly(model, *arguments, **more):
    """Fit; a model without any split may say so, and NumPy that it is slow where there is no kernel."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gradients are computed by NumPy", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*grew no split", category=UserWarning)
        return model.fit(*arguments, **more)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_ten_rows(library, gamma):
    X, y = np.arange(10.0).reshape(-1, 1), np.array([0] * 7 + [1] * 3)
    checked(quietly(ours(library, focal_gamma=gamma), X, y), X)
    params = {"min_child_weight": 0.0, **({"min_child_samples": 1} if library == "lightgbm" else {})}
    model = ours(library, focal_gamma=gamma, n_estimators=50, **params).fit(X, y)
    assert_array_equal(model.predict(X), y)
    checked(model, X)


def test_constant_tables_predict_the_base_rate(problem):
    X = np.ones((300, 3))
    for params in ({}, {"focal_alpha": "balanced"}, {"focal_gamma": 5.0}):
        model = quietly(problem.ours(**params), X, problem.train.y)
        y = problem.train.y
        rates = y.mean(axis=0) if problem.kind == "labels" else np.bincount(y) / 300
        assert_allclose(model.predict_proba(X[:5]), np.tile(rates, (5, 1)), rtol=1e-5)


@pytest.mark.slow
def test_one_positive_in_half_a_million(library):
    X = np.random.default_rng(0).normal(size=(500_000, 2)).astype(np.float32)
    y = np.zeros(500_000, dtype=int)
    y[17] = 1
    p = checked(quietly(ours(library, n_estimators=5), X, y), X)[:, 1]
    assert p.mean() == pytest.approx(2e-6, rel=0.5)


@pytest.mark.parametrize("gamma", [20.0, 100.0])
def test_the_largest_gammas(library, gamma):
    """Their Hessians are so small that nothing is learned beside min_child_weight and the penalties."""
    p = checked(quietly(ours(library, focal_gamma=gamma), TABLE.X, TABLE.y), TABLE.X)[:, 1]
    assert_allclose(p, TABLE.y.mean(), atol=1e-4)
    model = ours(library, focal_gamma=20.0, min_child_weight=0.0, reg_lambda=0.0).fit(TABLE.X, TABLE.y)
    p = checked(model, TABLE.X)[:, 1]
    assert np.corrcoef(p, TABLE.y)[0, 1] > 0.3
    assert p.mean() == pytest.approx(TABLE.y.mean(), abs=0.1)


def test_many_rounds_at_a_rate_of_one(library):
    model = quietly(ours(library, n_estimators=500, learning_rate=1.0), TABLE.X, TABLE.y)
    assert ((checked(model, TABLE.X)[:, 1] > 0.5) == TABLE.y).mean() > 0.9


@pytest.mark.parametrize("margin", [-1e4, -300.0, 300.0, 1e4])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_starts_far_out(library, margin, gamma):
    name = "base_margin" if library == "xgboost" else "init_score"
    model = quietly(ours(library, focal_gamma=gamma), TABLE.X, TABLE.y, **{name: np.full(300, margin)})
    checked(model, TABLE.X)
    if library == "xgboost":
        assert np.isfinite(model.predict_proba(TABLE.X, base_margin=np.full(300, margin))).all()


def test_starts_that_are_not_finite():
    """LightGBM itself replaces them by finite numbers."""
    for value in (np.nan, np.inf):
        start = np.where(np.arange(300) == 7, value, 0.0)
        with pytest.raises(ValueError, match=r"finite.*row 7"):
            ours("xgboost").fit(TABLE.X, TABLE.y, base_margin=start)


def test_sparse_features_and_many_classes(library):
    rng = np.random.default_rng(0)
    X = sp.random(300, 5000, density=0.01, random_state=0, format="csr")
    checked(quietly(ours(library, n_estimators=3), X, (rng.random(300) < 0.3).astype(int)), X)
    y = np.arange(4000) % 200
    X = np.column_stack([y + rng.normal(0, 0.3, 4000), rng.normal(size=4000)])
    params = {"max_depth": 4} if library == "xgboost" else {"num_leaves": 15}
    p = checked(ours(library, n_estimators=3, learning_rate=0.5, **params).fit(X, y), X, K=200)
    assert (p.argmax(axis=1) == y).mean() > 0.3


def test_more_classes_than_a_byte_counts(library):
    y = np.repeat(np.arange(300), 3)
    X = np.column_stack([y, y % 7]).astype(float)
    params = {"min_child_samples": 1} if library == "lightgbm" else {"min_child_weight": 0}
    p = ours(library, n_estimators=1, **params).fit(X, y).predict_proba(X)
    assert p.shape == (900, 300)
    assert all(a <= b for a, b in pairwise(ours(library, n_estimators=1, **params).fit(X, y).classes_))


def test_predictions_of_other_columns_are_refused(library):
    model = fit(ours(library), TABLE)
    with pytest.raises((ValueError, LightGBMError), match=r"[Ff]eature|number of features"):
        model.predict_proba(TABLE.X[:, :3])


def test_a_table_is_not_written_to(problem):
    X, y, weight = read_only(problem.train.X), read_only(problem.train.y), read_only(problem.train.weight)
    problem.ours().fit(X, y, sample_weight=weight)
