"""Labels and tables that are on a CUDA device: CuPy's and cuDF's, by stand-ins."""

import numpy as np
import pandas as pd
import pytest
import xgboost
from cupy_stand_in import DeviceArray
from numpy.testing import assert_array_equal
from tables import make_table

from focal_gbm import FocalXGBClassifier
from focal_gbm._validation import on_cpu


class CuPyArray(DeviceArray):
    __module__ = "cupy"


class CuDFSeries:
    """Refuses NumPy as cuDF does."""

    __module__ = "cudf.core.series"

    def __init__(self, values):
        self._values = pd.Series(values)

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a host NumPy array via __array__ is not allowed")

    def to_pandas(self):
        return self._values


class NumbaArray(DeviceArray):
    __module__ = "numba.cuda.cudadrv.devicearray"

    get = None

    def copy_to_host(self):
        return self.cpu


TYPES = {"cupy": CuPyArray, "cudf": CuDFSeries, "numba": NumbaArray}


@pytest.mark.parametrize("make", TYPES.values(), ids=TYPES.keys())
@pytest.mark.parametrize("labels", ["numbers", "many"])
def test_labels_of_a_device_train_as_the_cpus(make, labels):
    table, other = make_table(0), make_table(1)
    y, y_other = table.y, other.y
    if labels == "many":
        y, y_other = (np.column_stack([t.y, t.X[:, 1] > 1]).astype(int) for t in (table, other))
        make_labels = make if make is not CuDFSeries else CuPyArray  # a series has one column
    else:
        make_labels = make
    models = []
    for of_labels in (make_labels, np.asarray):
        models.append(
            FocalXGBClassifier(n_estimators=5, n_jobs=1, focal_alpha="balanced" if labels == "numbers" else None).fit(
                table.X,
                of_labels(y),
                sample_weight=table.weight,
                eval_set=[(other.X, of_labels(y_other))],
                sample_weight_eval_set=[other.weight],
                verbose=False,
            )
        )
    assert_array_equal(*(model.predict_proba(other.X) for model in models))
    assert models[0].evals_result_ == models[1].evals_result_


@pytest.mark.parametrize("labels", [["no", "yes"], [True, False], pd.array([3, 5], "Int64")])
def test_columns_of_cudf_keep_their_types(labels):
    table = make_table(0)
    y = pd.Series(labels)[table.y].reset_index(drop=True)
    model = FocalXGBClassifier(n_estimators=5, n_jobs=1).fit(table.X, CuDFSeries(y))
    expected = FocalXGBClassifier(n_estimators=5, n_jobs=1).fit(table.X, y)
    assert_array_equal(model.classes_, expected.classes_)
    assert model.classes_.dtype == expected.classes_.dtype


@pytest.mark.parametrize("array", [np.arange(3), pd.Series([1, 2]), [1, 2], None, "text"])
def test_what_is_on_the_cpu_stays_what_it_is(array):
    assert on_cpu(array) is array


def test_predictions_for_a_table_of_a_device_are_numpy_as_the_librarys(monkeypatch):
    # XGBoost predicts in place for CuPy, in CuPy; its estimators bring that to the CPU
    table = make_table(0)
    ours, plain = (
        FocalXGBClassifier(n_estimators=5, n_jobs=1).fit(table.X, table.y),
        xgboost.XGBClassifier(n_estimators=5).fit(table.X, table.y),
    )
    expected = {model: (model.predict(table.X), model.predict_proba(table.X)) for model in (ours, plain)}
    predict = xgboost.Booster.inplace_predict
    asked = []

    def inplace_predict(self, data, **kwargs):
        asked.append(data)
        return CuPyArray(predict(self, data.cpu, **kwargs))

    def import_cupy():
        return type("cupy", (), {"asnumpy": staticmethod(CuPyArray.get)})

    monkeypatch.setattr(xgboost.Booster, "inplace_predict", inplace_predict)
    monkeypatch.setattr(xgboost.sklearn, "import_cupy", import_cupy)
    X = CuPyArray(table.X)
    for model, (label, probability) in expected.items():
        for of_device, of_cpu in ((model.predict(X), label), (model.predict_proba(X), probability)):
            assert type(of_device) is np.ndarray
            assert_array_equal(of_device, of_cpu)
    assert len(asked) == 4
    assert all(data is X for data in asked)
