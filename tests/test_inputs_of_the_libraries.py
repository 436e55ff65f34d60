"""Tables, labels and weights in the forms that the libraries take."""

import warnings

import numpy as np
import pandas as pd
import pytest
from estimators import BOTH, focal_lgb, focal_xgb, make_table
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import BaggingClassifier

from focal_gbm import ClassCounts, FocalSearchCV

TABLE = make_table(0, 300)
both = pytest.mark.parametrize("make", BOTH.values(), ids=BOTH)


@pytest.fixture(scope="module")
def polars_frame():
    return pytest.importorskip("polars").DataFrame(TABLE.X, schema=[*"abcde"])


def search(make, X):
    grid = {"focal_gamma": [0.0, 2.0]}
    return FocalSearchCV(make(), grid, cv=2, random_state=0).fit(X, TABLE.y)


def test_lazy_frame_with_xgboost(polars_frame):
    expected = focal_xgb().fit(polars_frame, TABLE.y).predict_proba(polars_frame)
    lazy = polars_frame.lazy()
    model = focal_xgb().fit(lazy, TABLE.y, eval_set=[(lazy, TABLE.y)], verbose=False)
    assert_array_equal(model.predict_proba(lazy), expected)
    expected = search(focal_xgb, polars_frame).predict_proba(polars_frame)
    assert_array_equal(search(focal_xgb, lazy).predict_proba(lazy), expected)


@both
def test_record_batch_in_the_search(polars_frame, make):
    pytest.importorskip("pyarrow")
    (batch,) = polars_frame.to_arrow().to_batches()
    expected = search(make, TABLE.X).predict_proba(TABLE.X)
    assert_allclose(search(make, batch).predict_proba(batch), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["Categorical", "String", "Date"])
def test_columns_at_which_lightgbm_ends_the_process(polars_frame, kind):
    polars = pytest.importorskip("polars")
    values = {
        "Categorical": polars.Series(["x", "y"] * 150).cast(polars.Categorical),
        "String": polars.Series(["x", "y"] * 150),
        "Date": polars.Series([0, 1] * 150).cast(polars.Date),
    }
    spoiled = polars_frame.with_columns(c=values[kind])
    model = focal_lgb().fit(polars_frame, TABLE.y)
    for X in (spoiled, *([spoiled.to_arrow()] if kind != "Date" else [])):
        says = (
            r"^X must hold numbers and booleans, got the type .* in column 'c', at which LightGBM would end"
        )
        with pytest.raises(TypeError, match=says):
            focal_lgb().fit(X, TABLE.y)
        with pytest.raises(TypeError, match=says):
            focal_lgb().fit(polars_frame, TABLE.y, eval_X=X, eval_y=TABLE.y)
        for predict in (model.predict, model.predict_proba, lambda X: model.predict(X, pred_leaf=True)):
            with pytest.raises(TypeError, match=says):
                predict(X)


def test_columns_that_lightgbm_reads(polars_frame):
    polars = pytest.importorskip("polars")
    kinds = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt32", "Float32", "Float64", "Boolean"]
    columns = {kind: polars.Series([0, 1] * 150).cast(getattr(polars, kind)) for kind in kinds}
    X = polars_frame.with_columns(**columns)
    assert focal_lgb().fit(X, TABLE.y).predict_proba(X).shape == (300, 2)
    assert focal_lgb().fit(X.to_arrow(), TABLE.y).predict_proba(X.to_arrow()).shape == (300, 2)


@both
def test_weights_in_one_column(make):
    expected = make().fit(TABLE.X, TABLE.y, sample_weight=TABLE.weight).predict_proba(TABLE.X)
    weights = [
        TABLE.weight[:, None],
        pd.DataFrame({"w": TABLE.weight}),
        pd.Series(TABLE.weight),
        [*TABLE.weight],
    ]
    for weight in weights:
        model = make().fit(TABLE.X, TABLE.y, sample_weight=weight)
        assert_array_equal(model.predict_proba(TABLE.X), expected)
        grid = FocalSearchCV(make(), {"focal_gamma": [2.0]}, cv=2, early_stopping_rounds=None)
        found = grid.fit(TABLE.X, TABLE.y, sample_weight=weight)
        assert_array_equal(found.predict_proba(TABLE.X), expected)
        counts = ClassCounts.of(TABLE.y, weight).counts
        assert_array_equal(counts, ClassCounts.of(TABLE.y, TABLE.weight).counts)
    with pytest.raises(ValueError, match=r"^sample_weight must have shape \(300,\), got shape \(300, 2\)"):
        make().fit(TABLE.X, TABLE.y, sample_weight=np.ones((300, 2)))


@both
def test_bagging_with_two_positives(make):
    """Some bags have no positive at all, or give it no weight."""
    y = np.zeros(300, dtype=int)
    y[[3, 200]] = 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Focal\w+ grew no split", UserWarning)
        bag = BaggingClassifier(make(n_estimators=3), n_estimators=8, random_state=0).fit(TABLE.X, y)
    assert np.isfinite(bag.predict_proba(TABLE.X)).all()
