"""A label that is missing, of every type: one message with y or the evaluation set, and the first row."""

import numpy as np
import pandas as pd
import pytest
from estimators import BOTH, make_table

from focal_gbm import ClassCounts, FocalSearchCV, focal_loss

TABLE = make_table(0, 200)
WORDS = np.where(TABLE.y == 1, "p", "n")
ROW = 7


def spoiled(labels, missing):
    """Return a list of labels, that of row 7 and a later one missing."""
    values = labels.tolist()
    values[ROW] = values[50] = missing
    return values


def masked():
    mask = np.zeros(len(TABLE.y), dtype=bool)
    mask[[ROW, 50]] = True
    return np.ma.masked_array(TABLE.y, mask)


def arrow(labels):
    return pytest.importorskip("pyarrow").array(spoiled(labels, None))


def polars(labels):
    return pytest.importorskip("polars").Series(spoiled(labels, None))


BOOLS = TABLE.y == 1
LABELS = {
    "floats": lambda: np.array(spoiled(TABLE.y.astype(float), np.nan)),
    "list of numbers": lambda: spoiled(TABLE.y, None),
    "list of text": lambda: spoiled(WORDS, None),
    "list of text with NaN": lambda: spoiled(WORDS, np.nan),
    "list with NA": lambda: spoiled(BOOLS, pd.NA),
    "objects": lambda: np.array(spoiled(WORDS, None), dtype=object),
    "objects with NaT": lambda: np.array(spoiled(WORDS, pd.NaT), dtype=object),
    "masked": masked,
    "column": lambda: np.array(spoiled(TABLE.y.astype(float), np.nan))[:, None],
    "Int64": lambda: pd.Series(spoiled(TABLE.y, None), dtype="Int64"),
    "boolean": lambda: pd.Series(spoiled(BOOLS, None), dtype="boolean"),
    "string": lambda: pd.Series(spoiled(WORDS, None), dtype="string"),
    "str": lambda: pd.Series(spoiled(WORDS, None)),
    "category": lambda: pd.Series(spoiled(WORDS, None), dtype="category"),
    "one column of a frame": lambda: pd.DataFrame({"y": spoiled(WORDS, None)}),
    "Arrow numbers": lambda: arrow(TABLE.y),
    "Arrow booleans": lambda: arrow(BOOLS),
    "Arrow text": lambda: arrow(WORDS),
    "pandas' Arrow": lambda: arrow(BOOLS) and pd.Series(spoiled(BOOLS, None), dtype="bool[pyarrow]"),
    "polars numbers": lambda: polars(TABLE.y),
    "polars booleans": lambda: polars(BOOLS),
    "polars text": lambda: polars(WORDS),
}


def says(name):
    return rf"^{name} must hold a label in every row, got \S+ at row {ROW}\.$"


@pytest.mark.parametrize("kind", LABELS)
def test_everywhere(kind):
    y = LABELS[kind]()
    with pytest.raises(ValueError, match=says("y")):
        ClassCounts.of(y)
    with pytest.raises(ValueError, match=says("y_true")):
        focal_loss(y, np.full(len(TABLE.y), 0.5))
    for make in BOTH.values():
        with pytest.raises(ValueError, match=says("y")):
            make().fit(TABLE.X, y)
        with pytest.raises(ValueError, match=says(r"the labels of eval_set\[0\]")):
            make().fit(TABLE.X, TABLE.y, eval_set=[(TABLE.X, y)])
        with pytest.raises(ValueError, match=says("y")):
            FocalSearchCV(make(), {"focal_gamma": [0.0]}, cv=2).fit(TABLE.X, y)


def test_many_labels():
    y = np.column_stack([TABLE.y, TABLE.y]).astype(float)
    y[ROW, 1] = np.nan
    for labels in (y, pd.DataFrame(y), pd.DataFrame(y).astype("Int64")):
        with pytest.raises(ValueError, match=says("y")):
            BOTH["xgboost"]().fit(TABLE.X, labels)


@pytest.mark.parametrize("make", BOTH.values(), ids=BOTH)
def test_labels_that_are_not_missing(make):
    """Of every type, they are the same model."""
    expected = make().fit(TABLE.X, TABLE.y)
    frame = pd.DataFrame({"y": TABLE.y})
    for y in (
        TABLE.y.astype(object), TABLE.y.tolist(), BOOLS.astype(object), frame["y"].astype("Int64"),
        frame["y"].astype(object), np.ma.masked_array(TABLE.y),
    ):  # fmt: skip
        model = make().fit(TABLE.X, y)
        assert model.classes_.tolist() == [0, 1]
        assert model.classes_.dtype.kind in "bi"
        np.testing.assert_array_equal(model.predict_proba(TABLE.X), expected.predict_proba(TABLE.X))
