"""Labels of any kind and tables of any kind: what the libraries take, and the same predictions from all."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from estimators import focal_xgb, make_table
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning

from focal_gbm.training.labels import classes_and_codes, encode_labels

TABLE = make_table(0, n_samples=300)
CODES = TABLE.y
WORDS = np.array(["no", "yes"])[CODES]


# Labels

LABELS = {
    "int": (CODES, np.dtype(np.int64)),
    "uint8": (CODES.astype(np.uint8), np.dtype(np.uint8)),
    "minus and plus one": (2 * CODES - 1, np.dtype(np.int64)),
    "float": (CODES + 0.0, np.dtype(np.float64)),
    "float32": (CODES.astype(np.float32), np.dtype(np.float32)),
    "bool": (CODES.astype(bool), np.dtype(bool)),
    "str": (WORDS, np.dtype("<U3")),
    "object": (WORDS.astype(object), np.dtype(object)),
    "list of str": (WORDS.tolist(), np.dtype("<U3")),
    "list of bool": (CODES.astype(bool).tolist(), np.dtype(bool)),
    "dates": (np.where(CODES, np.datetime64("2020-02-29"), np.datetime64("1969-07-20")), np.dtype("<M8[D]")),
    "pandas": (pd.Series(WORDS, index=np.arange(300)[::-1]), np.dtype(object)),
    "pandas categorical": (pd.Series(pd.Categorical(WORDS, ["yes", "no", "never"])), np.dtype(object)),
    "pandas Categorical": (pd.Categorical(WORDS), np.dtype(object)),
    "pandas Int64": (pd.Series(CODES, dtype="Int64"), np.dtype(np.int64)),
    "pandas boolean": (pd.Series(CODES.astype(bool), dtype="boolean"), np.dtype(bool)),
    "pandas string": (pd.Series(WORDS, dtype="string"), np.dtype(object)),
    "pandas int64[pyarrow]": (pd.Series(CODES, dtype="int64[pyarrow]"), np.dtype(np.int64)),
    "polars": (pl.Series(CODES), np.dtype(np.int64)),
    "polars str": (pl.Series(WORDS), None),
    "polars bool": (pl.Series(CODES.astype(bool)), np.dtype(bool)),
    "polars enum": (pl.Series(WORDS).cast(pl.Enum(["yes", "no"])), np.dtype(object)),
    "arrow": (pa.chunked_array([CODES[:100], CODES[100:]]), np.dtype(np.int64)),
    "arrow str": (pa.chunked_array([WORDS[:100], WORDS[100:]]), np.dtype(object)),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back_as_they_went_in(make, kind):
    y, dtype = LABELS[kind]
    model = make().fit(TABLE.X, y)
    reference = make().fit(TABLE.X, CODES)
    assert_array_equal(model.predict_proba(TABLE.X), reference.predict_proba(TABLE.X))
    expected = np.asarray(y)
    lower, upper = expected[CODES == 0][0], expected[CODES == 1][0]
    assert model.classes_.tolist() == [lower, upper]
    predicted = model.predict(TABLE.X)
    assert predicted.shape == (300,)
    assert_array_equal(predicted == upper, reference.predict(TABLE.X) == 1)
    assert set(predicted) == {lower, upper}
    if dtype is not None:
        assert predicted.dtype == dtype
        assert model.classes_.dtype == dtype
    assert model.score(TABLE.X, expected) > 0.7


def test_order_of_the_labels_decides_which_class_is_which(make):
    """Mirrored labels give mirrored probabilities."""
    model = make(focal_alpha="balanced").fit(TABLE.X, CODES)
    mirrored = make(focal_alpha="balanced").fit(TABLE.X, np.where(CODES, "a", "b"))
    assert_allclose(
        mirrored.predict_proba(TABLE.X)[:, ::-1], model.predict_proba(TABLE.X), rtol=1e-4, atol=1e-6
    )
    assert_allclose(
        mirrored.decision_function(TABLE.X), -model.decision_function(TABLE.X), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "column",
    [CODES[:, np.newaxis], pd.DataFrame({"y": WORDS}), pl.DataFrame({"y": WORDS})],
    ids=["numpy", "pandas", "polars"],
)
def test_a_column_of_labels_is_taken_with_a_warning(make, column):
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        model = make().fit(TABLE.X, column)
    assert_array_equal(model.predict_proba(TABLE.X), make().fit(TABLE.X, CODES).predict_proba(TABLE.X))
    assert model.predict(TABLE.X).ndim == 1


def test_labels_that_cannot_be_saved_still_train(make, tmp_path):
    y = np.where(CODES, np.datetime64("2020-02-29"), np.datetime64("1969-07-20"))
    model = make().fit(TABLE.X, y)
    assert model.predict(TABLE.X)[0].item() == datetime.date(1969, 7, 20)
    with pytest.raises(TypeError, match="class labels must be strings, numbers or booleans to be saved"):
        model.save_model(tmp_path / "model.json")


# Tables

NAMES = ["alpha", "β", "gamma delta", "d_4", "E"]


def read_only(X):
    X = X.copy()
    X.setflags(write=False)
    return X


def frame(dtype="float64"):
    return pd.DataFrame(TABLE.X, columns=NAMES, index=np.arange(300)[::-1] * 7).astype(dtype)


TABLES = {
    "Fortran order": np.asfortranarray(TABLE.X),
    "strided": np.repeat(TABLE.X, 2, axis=1)[:, ::2],
    "read only": read_only(TABLE.X),
    "list": TABLE.X.tolist(),
    "object": TABLE.X.astype(object),
    "csr_matrix": sp.csr_matrix(TABLE.X),
    "csc_matrix": sp.csc_matrix(TABLE.X),
    "csr_array": sp.csr_array(TABLE.X),
    "csc_array": sp.csc_array(TABLE.X),
    "pandas": frame(),
    "pandas Float64": frame("Float64"),
    "polars": pl.DataFrame(TABLE.X, schema=NAMES),
    "arrow": pa.table(dict(zip(NAMES, TABLE.X.T, strict=True))),
}


# LightGBM says so for sparse arrays, not for sparse matrices; the values are those of the matrix
@pytest.mark.filterwarnings("ignore:Converting data to scipy sparse matrix:UserWarning")
@pytest.mark.parametrize("kind", TABLES)
def test_predictions_agree_across_containers(make, kind):
    X = TABLES[kind]
    model = make().fit(X, WORDS)
    reference = make().fit(TABLE.X, WORDS)
    expected = reference.predict_proba(TABLE.X)
    assert_array_equal(model.predict_proba(X), expected)
    assert_array_equal(model.decision_function(X), reference.decision_function(TABLE.X))
    assert_array_equal(model.predict(X), reference.predict(TABLE.X))
    assert model.n_features_in_ == 5
    if kind in ("pandas", "pandas Float64", "polars", "arrow"):
        # LightGBM has underscores for blanks
        blank = " " if make is focal_xgb else "_"
        assert list(model.feature_names_in_) == [name.replace(" ", blank) for name in NAMES]
    else:
        assert not hasattr(model, "feature_names_in_")


def test_float32_table(make):
    X = TABLE.X.astype(np.float32)
    expected = make().fit(X.astype(np.float64), WORDS).predict_proba(X.astype(np.float64))
    assert_array_equal(make().fit(X, WORDS).predict_proba(X), expected)


def test_a_model_of_one_container_predicts_from_another(make):
    model = make().fit(frame(), WORDS)
    expected = model.predict_proba(frame())
    for kind in ("polars", "arrow", "pandas Float64"):
        assert_array_equal(model.predict_proba(TABLES[kind]), expected)


def test_missing_values(make):
    rng = np.random.default_rng(0)
    holes = rng.random(TABLE.X.shape) < 0.2
    X = np.where(holes, np.nan, TABLE.X)
    expected = make().fit(X, WORDS).predict_proba(X)
    assert np.isfinite(expected).all()
    nullable = frame("Float64").mask(holes)
    assert nullable.isna().to_numpy().any()
    assert_array_equal(make().fit(nullable, WORDS).predict_proba(nullable), expected)
    nulls = pl.DataFrame(X, schema=NAMES).fill_nan(None)
    assert_array_equal(make().fit(nulls, WORDS).predict_proba(nulls), expected)
    nulls = nulls.to_arrow()
    assert_array_equal(make().fit(nulls, WORDS).predict_proba(nulls), expected)


def categories(index=None):
    rng = np.random.default_rng(3)
    c = rng.choice(list("abcdef"), 300)
    X = pd.DataFrame(TABLE.X[:, :2], columns=["x0", "x1"], index=index)
    X["c"] = pd.Categorical(c)
    y = np.where(np.isin(c, ["b", "e"]) ^ (TABLE.X[:, 0] > 0.5), "yes", "no")
    return X, y


def test_categories(make):
    X, y = categories(index=np.arange(300) % 17)
    model = make(**({"enable_categorical": True} if make is focal_xgb else {})).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.feature_importances_[2] > 0
    # the same values with the categories in another order
    other = X.assign(c=X["c"].cat.reorder_categories(list("fedcba")))
    assert_array_equal(model.predict_proba(other), model.predict_proba(X))
    # a few rows know a few of the categories
    few = X[X["c"] == "e"].assign(c=lambda rows: rows["c"].cat.remove_unused_categories())
    assert_array_equal(model.predict_proba(few), model.predict_proba(X)[(X["c"] == "e").to_numpy()])


def test_categories_in_an_evaluation_set(make):
    X, y = categories()
    kwargs = {"enable_categorical": True} if make is focal_xgb else {}
    rows = slice(0, 200)
    if make is focal_xgb:
        model = make(**kwargs).fit(X[rows], y[rows], eval_set=[(X[200:], y[200:])], verbose=False)
        log = model.evals_result()["validation_0"]["focal_loss"]
    else:
        model = make().fit(X[rows], y[rows], eval_X=X[200:], eval_y=y[200:])
        log = model.evals_result_["valid_0"]["focal_loss"]
    rest = make(**kwargs, n_estimators=5).fit(X[rows], y[rows])
    assert log[4] == pytest.approx(mean_focal_loss(rest, X[200:], y[200:]), rel=1e-5)


def mean_focal_loss(model, X, y):
    z = model.decision_function(X).astype(np.float64)
    m = np.where(y == model.classes_[1], z, -z)
    p = 1 / (1 + np.exp(-m))
    return np.mean(-((1 - p) ** model.focal_gamma) * np.log(p))


@given(
    labels=st.one_of(
        st.lists(st.integers(-5, 5), min_size=1),
        st.lists(st.integers(-(2**62), 2**62), min_size=1),
        st.lists(st.booleans(), min_size=1),
        st.lists(st.sampled_from(["no", "yes", "perhaps"]), min_size=1),
        st.lists(st.integers(-3, 3).map(float), min_size=1),
    ),
    dtype=st.sampled_from([None, np.int8, np.uint16, np.uint64, object]),
)
def test_classes_and_codes_are_those_of_numpy(labels, dtype):
    array = np.array(labels)
    if dtype is not None and (dtype is object or array.dtype.kind in "bi"):
        array = array.astype(dtype)  # of whole numbers also by wrapping around
    classes, codes = classes_and_codes(array)
    expected, inverse = np.unique(array, return_inverse=True)
    assert classes.dtype == expected.dtype
    assert classes.tolist() == expected.tolist()
    assert codes.tolist() == inverse.tolist()
    assert encode_labels(array, classes, "y").tolist() == inverse.tolist()


@pytest.mark.parametrize(
    ("labels", "unseen"),
    [([0, 1, 3], "3"), ([7, 0], "7"), ([-1, 1], "-1"), (["a"], "a"), ([0.5, 1.0], "0.5")],
)
@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2]])
def test_labels_that_were_not_seen_are_named(labels, unseen, classes):
    with pytest.raises(ValueError, match=rf"labels seen in y, .*, got {unseen}\.$|^Unknown label"):
        encode_labels(np.array(labels), np.array(classes), "the labels")
