"""Labels: of every type, the same model; those of other shapes, missing or unseen are named."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from problems import Rows, fit, log, ours, own, rows
from sklearn.exceptions import DataConversionWarning
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier

from focal_gbm.fit.labels import encode, encode_as

TABLE = rows("two")
CODES = TABLE.y
WORDS = np.array(["no", "yes"])[CODES]
BOOLS = CODES == 1

LABELS = {
    "int": (CODES, np.int64),
    "uint8": (CODES.astype(np.uint8), np.uint8),
    "minus and plus one": (2 * CODES - 1, np.int64),
    "uint64 near 2^63": (CODES.astype(np.uint64) * np.uint64(5) + np.uint64(2**63 - 2), np.uint64),
    "uint64 above 2^63": (CODES.astype(np.uint64) + np.uint64(2**64 - 2), np.uint64),
    "float": (CODES + 0.0, np.float64),
    "float32": (CODES.astype(np.float32), np.float32),
    "bool": (BOOLS, bool),
    "str": (WORDS, "<U3"),
    "object": (WORDS.astype(object), object),
    "object of numbers": (CODES.astype(object), np.int64),
    "list of str": (WORDS.tolist(), "<U3"),
    "list of bool": (BOOLS.tolist(), bool),
    "dates": (np.where(BOOLS, np.datetime64("2020-02-29"), np.datetime64("1969-07-20")), "<M8[D]"),
    "masked": (np.ma.masked_array(CODES), np.int64),
    "pandas": (pd.Series(WORDS, index=np.arange(300)[::-1]), object),
    "pandas categorical": (pd.Series(pd.Categorical(WORDS, ["yes", "no", "never"])), object),
    "pandas Categorical": (pd.Categorical(WORDS), object),
    "pandas Int64": (pd.Series(CODES, dtype="Int64"), np.int64),
    "pandas boolean": (pd.Series(BOOLS, dtype="boolean"), bool),
    "pandas string": (pd.Series(WORDS, dtype="string"), object),
    "pandas int64[pyarrow]": (pd.Series(CODES, dtype="int64[pyarrow]"), np.int64),
    "polars": (pl.Series(CODES), np.int64),
    "polars str": (pl.Series(WORDS), None),
    "polars bool": (pl.Series(BOOLS), bool),
    "polars enum": (pl.Series(WORDS).cast(pl.Enum(["yes", "no"])), object),
    "arrow": (pa.chunked_array([CODES[:100], CODES[100:]]), np.int64),
    "arrow str": (pa.chunked_array([WORDS[:100], WORDS[100:]]), object),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back_as_they_went_in(library, kind):
    y, dtype = LABELS[kind]
    model, reference = ours(library).fit(TABLE.X, y), ours(library).fit(TABLE.X, CODES)
    assert_array_equal(model.predict_proba(TABLE.X), reference.predict_proba(TABLE.X))
    expected = np.asarray(y.tolist() if kind == "object of numbers" else y)
    assert model.classes_.tolist() == [expected[CODES == 0][0], expected[CODES == 1][0]]
    predicted = model.predict(TABLE.X)
    assert predicted.shape == (300,)
    assert_array_equal(predicted == model.classes_[1], reference.predict(TABLE.X) == 1)
    if dtype is not None:
        assert predicted.dtype == model.classes_.dtype == np.dtype(dtype)
    assert model.score(TABLE.X, expected) > 0.7


def test_labels_with_a_gap_and_in_another_order(library):
    data = rows("many")
    reference = ours(library, focal_alpha="balanced").fit(data.X, data.y)
    model = ours(library, focal_alpha="balanced").fit(data.X, np.array([7, 11, 90])[data.y])
    assert_array_equal(model.predict_proba(data.X), reference.predict_proba(data.X))
    assert_array_equal(model.predict(data.X), np.array([7, 11, 90])[reference.predict(data.X)])
    other = ours(library, focal_alpha="balanced").fit(data.X, np.array(["c", "a", "b"])[data.y])
    assert_allclose(other.predict_proba(data.X)[:, [2, 0, 1]], reference.predict_proba(data.X), atol=2e-5)


def test_mirrored_labels_are_mirrored_probabilities(library):
    model = ours(library, focal_alpha="balanced").fit(TABLE.X, CODES)
    mirrored = ours(library, focal_alpha="balanced").fit(TABLE.X, np.where(CODES, "a", "b"))
    assert_allclose(mirrored.predict_proba(TABLE.X)[:, ::-1], model.predict_proba(TABLE.X), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "column",
    [CODES[:, np.newaxis], pd.DataFrame({"y": WORDS}), pl.DataFrame({"y": WORDS})],
    ids=["numpy", "pandas", "polars"],
)
def test_a_column_of_labels_is_taken_with_a_warning(library, column):
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        model = ours(library).fit(TABLE.X, column)
    assert_array_equal(model.predict_proba(TABLE.X), ours(library).fit(TABLE.X, CODES).predict_proba(TABLE.X))
    assert model.predict(TABLE.X).ndim == 1


def test_one_class_is_what_the_library_makes_of_it(library):
    """A constant label of MultiOutputClassifier, an unstratified fold."""
    for y in (np.zeros(300, int), np.repeat("no", 300), np.ones(300, int)):
        models = []
        for make in (lambda: ours(library), lambda: ours(library, focal_gamma=0.0), lambda: own(library)):
            try:
                models.append(make().fit(TABLE.X, y).predict_proba(TABLE.X)[:, 0])
            except ValueError as error:  # XGBoost takes no labels but 0 and 1
                models.append(str(error))
        if isinstance(models[2], str):
            assert y[0] != 0
        else:
            assert_array_equal(models[1], models[2])
        assert np.ptp(models[0]) == 0
        assert models[0].max() > 0.99
    many = np.column_stack([CODES, np.zeros(300, int)])
    if library == "lightgbm":
        model = MultiOutputClassifier(ours(library)).fit(TABLE.X, many)
        assert np.asarray(model.predict_proba(TABLE.X)[1])[:, 0].min() > 0.99


# Missing

ROW = 7


def spoiled(labels, missing):
    """Return a list of labels, that of row 7 and a later one missing."""
    values = labels.tolist()
    values[ROW] = values[50] = missing
    return values


MISSING = {
    "floats": np.array(spoiled(CODES.astype(float), np.nan)),
    "list of numbers": spoiled(CODES, None),
    "list of text": spoiled(WORDS, None),
    "list of text with NaN": spoiled(WORDS, np.nan),
    "list with NA": spoiled(BOOLS, pd.NA),
    "objects": np.array(spoiled(WORDS, None), dtype=object),
    "objects with NaT": np.array(spoiled(WORDS, pd.NaT), dtype=object),
    "masked": np.ma.masked_array(CODES, np.isin(np.arange(300), [ROW, 50])),
    "column": np.array(spoiled(CODES.astype(float), np.nan))[:, None],
    "Int64": pd.Series(spoiled(CODES, None), dtype="Int64"),
    "boolean": pd.Series(spoiled(BOOLS, None), dtype="boolean"),
    "string": pd.Series(spoiled(WORDS, None), dtype="string"),
    "str": pd.Series(spoiled(WORDS, None)),
    "category": pd.Series(spoiled(WORDS, None), dtype="category"),
    "one column of a frame": pd.DataFrame({"y": spoiled(WORDS, None)}),
    "Arrow numbers": pa.array(spoiled(CODES, None)),
    "Arrow booleans": pa.array(spoiled(BOOLS, None)),
    "Arrow text": pa.array(spoiled(WORDS, None)),
    "pandas' Arrow": pd.Series(spoiled(BOOLS, None), dtype="bool[pyarrow]"),
    "polars numbers": pl.Series(spoiled(CODES, None)),
    "polars booleans": pl.Series(spoiled(BOOLS, None)),
    "polars text": pl.Series(spoiled(WORDS, None)),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("kind", MISSING)
def test_a_missing_label_is_named_with_its_row(library, kind):
    says = rf"(must hold a label in every row, got \S+ at row {ROW}\.|contains NaN)"
    with pytest.raises(ValueError, match=says):
        ours(library).fit(TABLE.X, MISSING[kind])
    with pytest.raises(ValueError, match=rf"the labels of eval_set\[0\].*{says}"):
        fit(ours(library), TABLE, Rows(TABLE.X, MISSING[kind], None))


WRONG = {
    "none": (None, "requires y to be passed"),
    "infinite": (np.where(np.arange(300) == ROW, np.inf, CODES), "contains infinity"),
    "real numbers": (np.linspace(0, 1, 300), "Unknown label type: continuous"),
    "too few": (CODES[:-1], r"inconsistent numbers of samples|Invalid size for `label`|Length of labels"),
    "three axes": (np.zeros((300, 1, 1)), r"y should be a 1d array|dim"),
    "a number": (1, r"y should be a 1d array|dim"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_labels_that_are_none(library, kind):
    y, message = WRONG[kind]
    with pytest.raises((ValueError, TypeError), match=message):
        ours(library).fit(TABLE.X, y)


# Many labels

MANY = rows("labels")
CONTAINERS = {
    "bool": MANY.y.astype(bool), "float": MANY.y.astype(float), "object": MANY.y.astype(object),
    "list": MANY.y.tolist(), "Fortran order": np.asfortranarray(MANY.y), "sparse": sp.csr_matrix(MANY.y),
    "sparse array": sp.csr_array(MANY.y),
    "pandas": pd.DataFrame(MANY.y, columns=list("abc")), "pandas Int8": pd.DataFrame(MANY.y).astype("Int8"),
    "pandas boolean": pd.DataFrame(MANY.y).astype("boolean"), "polars": pl.DataFrame(MANY.y),
}  # fmt: skip


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_of_many_labels(container):
    model = ours("xgboost", n_estimators=4).fit(MANY.X, CONTAINERS[container])
    reference = ours("xgboost", n_estimators=4).fit(MANY.X, MANY.y)
    assert_array_equal(model.predict_proba(MANY.X), reference.predict_proba(MANY.X))
    assert set(np.unique(model.predict(MANY.X))) == {0, 1}
    assert model.predict(MANY.X).shape == model.decision_function(MANY.X).shape == (300, 3)
    with_set = fit(ours("xgboost", n_estimators=4), MANY, Rows(MANY.X, CONTAINERS[container], None))
    assert log(with_set) == log(fit(ours("xgboost", n_estimators=4), MANY, MANY))


def test_each_label_is_a_model_of_its_own():
    """Trees of one label each: the model of the label alone, whatever the others."""
    together = ours("xgboost").fit(MANY.X, MANY.y).predict_proba(MANY.X)
    for j in range(3):
        alone = ours("xgboost").fit(MANY.X, MANY.y[:, j]).predict_proba(MANY.X)[:, 1]
        assert_allclose(together[:, j], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [2, -1, 0.5, None, np.nan, "a"])
def test_many_labels_are_zeros_and_ones(value):
    y = MANY.y.astype(object)
    y[ROW, 1] = value
    with pytest.raises((ValueError, TypeError), match=r"column 1 of y .*must (hold|be)|column 1 of y"):
        ours("xgboost").fit(MANY.X, y)
    with pytest.raises((ValueError, TypeError), match=r"column 1 of the labels of eval_set\[0\]"):
        fit(ours("xgboost"), MANY, Rows(MANY.X, y, None))


def test_many_labels_with_lightgbm():
    with pytest.raises(ValueError, match=r"wrap this estimator, MultiOutputClassifier\(FocalLGBMClassifier\(\)\)"):
        ours("lightgbm").fit(MANY.X, MANY.y)
    for wrapper in (MultiOutputClassifier, ClassifierChain):
        model = wrapper(ours("lightgbm")).fit(MANY.X, MANY.y)
        assert (model.predict(MANY.X) == MANY.y).mean() > 0.8
    p = MultiOutputClassifier(ours("lightgbm")).fit(MANY.X, MANY.y).predict_proba(MANY.X)
    for j in range(3):
        assert_array_equal(p[j], ours("lightgbm").fit(MANY.X, MANY.y[:, j]).predict_proba(MANY.X))


# Codes


@given(
    labels=st.one_of(
        st.lists(st.integers(-5, 5), min_size=1),
        st.lists(st.integers(-(2**62), 2**62), min_size=1),
        st.lists(st.integers(2**63 - 3, 2**63 + 3), min_size=1),
        st.lists(st.booleans(), min_size=1),
        st.lists(st.sampled_from(["no", "yes", "perhaps"]), min_size=1),
        st.lists(st.integers(-3, 3).map(float), min_size=1),
    ),
    dtype=st.sampled_from([None, np.int8, np.uint16, np.uint64, object]),
)
def test_codes_are_those_of_numpy(labels, dtype):
    array = np.array(labels)
    if array.dtype.kind == "f" and labels[0] > 100:  # what NumPy makes of whole numbers on both sides of 2^63
        for given in (labels, np.array(labels, dtype=object)):
            with pytest.raises(ValueError, match="y must hold labels that float64 can tell apart, got"):
                encode(given)
        array = np.array(labels, dtype=np.uint64)
    if dtype is not None and array.dtype.kind != "u" and (dtype is object or array.dtype.kind in "bi"):
        array = array.astype(dtype)  # of whole numbers also by wrapping around
    classes, codes = encode(array)
    expected, inverse = np.unique(array, return_inverse=True)
    assert classes.tolist() == expected.tolist()
    assert codes.tolist() == inverse.tolist()
    assert codes.dtype.itemsize == 1
    assert encode_as(array, classes, "y").tolist() == inverse.tolist()


@pytest.mark.parametrize("labels", [[0, 1, 3], [7, 0], [-1, 1], ["a"]], ids=str)
def test_labels_that_were_not_seen_are_named(labels):
    unseen = [label for label in labels if label not in (0, 1)]
    with pytest.raises(ValueError, match=r"y must hold only labels seen in y, \[0, 1\], got ") as error:
        encode_as(np.array(labels), np.arange(2), "y")
    assert str(error.value).endswith(f"got {sorted(unseen)}.")
