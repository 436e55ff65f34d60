"""Predictions kept on a device, by a stand-in for one, are those that XGBoost keeps, to the last bit."""

import sys

import numpy as np
import pandas as pd
import pytest
import xgboost
from cupy_stand_in import DeviceArray, make_cupy
from numpy.testing import assert_array_equal
from tables import make_table

from focal_gbm import FocalXGBClassifier
from focal_gbm.kernels.cuda import Cuda
from focal_gbm.xgboost import FocalBoosting, boosting, gpu
from focal_gbm.xgboost.gpu import KeptPredictions
from focal_gbm.xgboost.prediction import in_place

N = 1500  # more than the thousand rows that stay on the CPU

KINDS = {
    "two classes": {},
    "sampling": {"subsample": 0.5, "colsample_bynode": 0.5, "random_state": 3},
    "many classes": {"labels": "many"},
    "vector leaves": {"labels": "many", "multi_strategy": "multi_output_tree"},
    "many labels": {"labels": "labels"},
    "forests": {"num_parallel_tree": 3, "subsample": 0.7, "random_state": 1},
    "missing values": {"missing": -1.0},
    "exact": {"tree_method": "exact"},
    "approx": {"tree_method": "approx"},
    "alpha": {"focal_alpha": "balanced"},
}

pytestmark = pytest.mark.filterwarnings("ignore:.*(No visible GPU|couldn't find any available GPU)")


def labels_of(table, kind):
    if kind == "many":
        return np.digitize(table.probability, [0.1, 0.4])
    return np.column_stack([table.y, table.X[:, 1] > 1]).astype(int) if kind == "labels" else table.y


def cuda_of(cupy):
    return Cuda(cupy, cupy.cuda.Device())


CASES = [*((kind, "numpy") for kind in KINDS)]
CASES += [(kind, of) for kind in ("two classes", "many classes") for of in ("float64", "fortran", "pandas", "cupy")]


@pytest.mark.parametrize(("kind", "of"), CASES)
def test_a_fit_with_kept_predictions_is_the_one_without(cupy, monkeypatch, kind, of):
    make = {
        "numpy": lambda X: X.astype(np.float32),
        "float64": lambda X: X,
        "fortran": np.asfortranarray,
        "pandas": lambda X: pd.DataFrame(X, columns=list("abcde")).assign(f=np.arange(len(X)), g=True),
        "cupy": lambda X: cupy.asarray(X.astype(np.float32)),
    }[of]
    params = {"device": "cuda", "n_estimators": 25, "max_depth": 3, "n_jobs": 1, **KINDS[kind]}
    which = params.pop("labels", "two")
    table, other = make_table(0, N), make_table(1, 500)
    models, kept = [], []

    def keep(*arguments):
        kept.append(KeptPredictions(*arguments))
        return kept[-1]

    for way in (keep, lambda *_: in_place):
        monkeypatch.setattr(boosting, "KeptPredictions", way)
        model = FocalXGBClassifier(
            **params, early_stopping_rounds=25, eval_metric=["error"] if which == "labels" else None
        )
        models.append(
            model.fit(
                make(table.X), labels_of(table, which), sample_weight=table.weight, verbose=False,
                eval_set=[(make(other.X), labels_of(other, which))],
            )
        )  # fmt: skip
    assert len(kept) == 1
    assert len(cupy.made_matrices_of) == 4  # rows trained on and an evaluation set, twice
    assert models[0].get_booster().save_raw("json") == models[1].get_booster().save_raw("json")
    off = FocalXGBClassifier(**{**params, "device": "cpu", "focal_gamma": 0.0, "focal_alpha": None}).fit(
        make(table.X) if of == "pandas" else table.X, labels_of(table, which)
    )
    for name in ("feature_names", "feature_types"):
        assert getattr(models[0].get_booster(), name) == getattr(off.get_booster(), name)


@pytest.mark.parametrize("kind", ["two classes", "many classes", "many labels", "missing values"])
def test_every_round(cupy, kind):
    table = make_table(0, N)
    params = {"max_depth": 3, "nthread": 1, "objective": "binary:logistic", "base_score": 0.3}
    y = labels_of(table, KINDS[kind].get("labels"))
    if kind == "many classes":
        params = {**params, "objective": "multi:softprob", "num_class": 3, "base_score": None}
    X = np.where(np.random.default_rng(0).random(table.X.shape) < 0.2, -1.0, table.X).astype(np.float32)
    data = xgboost.DMatrix(
        X,
        y,
        missing=-1.0,
        base_margin=np.linspace(-1, 1, N) if y.ndim == 1 and kind != "many classes" else None,
    )
    booster = xgboost.Booster({k: v for k, v in params.items() if v is not None}, [data])
    keeps = KeptPredictions(cuda_of(cupy), cupy.asarray(X), -1.0)
    rng = np.random.default_rng(1)
    keeps(booster, data)
    for i in range(30):
        z = in_place(booster, data)
        booster.boost(data, iteration=i, grad=rng.normal(size=z.shape), hess=np.full(z.shape, 0.5))
        if i % 3:  # also where a round is left out
            kept = keeps(booster, data)
            assert isinstance(kept, DeviceArray)
            assert_array_equal(kept.cpu, in_place(booster, data))
    shorter = booster[:20]  # as a callback may cut trees off
    assert_array_equal(keeps(shorter, data).cpu, in_place(shorter, data))


def test_the_device_of_the_rows_is_the_current_one_for_xgboost(cupy):
    table, two = make_table(0, N), make_cupy(n_devices=2)
    cuda, data = Cuda(two, two.cuda.Device(1)), xgboost.DMatrix(table.X, table.y)
    booster = xgboost.Booster({"objective": "binary:logistic", "nthread": 1}, [data])
    keeps = KeptPredictions(cuda, cuda.upload(table.X), np.nan)
    keeps(booster, data)
    booster.boost(data, iteration=0, grad=0.5 - table.y, hess=np.full(N, 0.25))
    assert keeps(booster, data).device.id == 1
    assert gpu.c_api().asked_on == 1


@pytest.mark.parametrize(("missing", "same"), [(None, np.nan), (np.float32(-1), -1.0), (np.int64(-1), -1.0)])
def test_the_value_for_missing_is_read_as_xgboost_reads_it(cupy, missing, same):
    table = make_table(0, N)
    X = np.where(table.X > 1, same, table.X)
    one, other = (
        FocalXGBClassifier(device="cuda", n_estimators=3, n_jobs=1, missing=value).fit(X, table.y)
        for value in (missing, same)
    )
    assert one.get_booster().save_raw("json") == other.get_booster().save_raw("json")


def test_a_frame_that_begins_with_an_infinity_for_missing(cupy):
    table = make_table(0, N)
    X = pd.DataFrame(table.X, columns=list("abcde"))
    X.iloc[0, 0] = np.inf
    model = FocalXGBClassifier(device="cuda", n_estimators=3, n_jobs=1, missing=np.inf).fit(X, table.y)
    assert model.get_booster().feature_names == list("abcde")


def test_an_xgboost_without_cuda_gets_no_rows_of_the_device(cupy, monkeypatch):
    table = make_table(0, N)
    monkeypatch.setattr(xgboost, "build_info", lambda: {"USE_CUDA": False})
    with pytest.warns(UserWarning, match="main memory"):  # here alone: of such an XGBoost the device is the CPU
        FocalXGBClassifier(device="cuda", n_estimators=3, n_jobs=1).fit(table.X, table.y)
    assert cupy.made_matrices_of == []


def test_rows_of_ones_own_in_native_training(cupy):
    table = make_table(0, N)
    rows = cupy.asarray(table.X.astype(np.float32))
    data = xgboost.DMatrix(table.X.astype(np.float32), table.y)
    params = {"objective": "binary:logistic", "device": "cuda", "nthread": 1}
    kept = xgboost.train(params, data, 10, callbacks=[FocalBoosting(2.0, rows=rows)])
    with pytest.warns(UserWarning, match="predictions go through main memory.*rows="):
        plain = xgboost.train(params, data, 10, callbacks=[FocalBoosting(2.0)])
    assert kept.save_raw("json") == plain.save_raw("json")
    with pytest.raises(ValueError, match="rows must be those of the matrix trained on, 1500, got 10"):
        xgboost.train(params, data, 2, callbacks=[FocalBoosting(2.0, rows=rows[:10])])
    elsewhere = cupy.asarray(table.X)
    elsewhere.device.id = 1
    for wrong in (table.X, table.X.tolist(), pd.DataFrame(table.X), rows[:, 0], elsewhere):
        with pytest.raises(TypeError, match="rows must be a CuPy array of numbers, with two axes and on device 0, got"):
            xgboost.train(params, data, 1, callbacks=[FocalBoosting(2.0, rows=wrong)])


@pytest.mark.filterwarnings("ignore:.*`booster=(gblinear|dart)` is deprecated")
@pytest.mark.parametrize(
    "params", [{"booster": "dart"}, {"booster": "gblinear", "max_depth": None}], ids=["dart", "linear"]
)
def test_trees_that_change_go_through_main_memory_with_a_warning(cupy, params):
    table = make_table(0, N)
    with pytest.warns(UserWarning, match="predictions go through main memory"):
        FocalXGBClassifier(device="cuda", n_estimators=3, n_jobs=1, **params).fit(table.X, table.y)
    assert cupy.made_matrices_of == []


def test_gamma_0_is_xgboosts_own_matter(cupy):
    table = make_table(0, N)
    FocalXGBClassifier(device="cuda", n_estimators=3, n_jobs=1, focal_gamma=0.0).fit(table.X, table.y)
    assert cupy.made_matrices_of == []


class TestUpload:
    def test_a_table_of_the_device_is_taken_as_it_is(self, cupy):
        table = cupy.asarray(np.ones((3, 2), np.float32))
        assert gpu.upload(cuda_of(cupy), table) is table
        table.device.id = 1
        assert gpu.upload(cuda_of(cupy), table) is None

    def test_a_frame_of_the_device_is_copied_there(self, cupy):
        class DataFrame(pd.DataFrame):
            __module__ = "cudf.core.dataframe"

            def to_cupy(self, dtype, na_value):
                return cupy.asarray(self.to_numpy().astype(dtype))

        frame = DataFrame({"a": [1.0, np.nan], "b": [2, 3]})
        assert_array_equal(gpu.upload(cuda_of(cupy), frame).cpu, np.array([[1, 2], [np.nan, 3]], np.float32))
        assert gpu.upload(cuda_of(cupy), DataFrame({"a": pd.Categorical(["x"])})) is None

    def test_blocks(self, cupy, monkeypatch):
        monkeypatch.setattr(gpu, "_UPLOADED_AT_ONCE", 50)
        table = np.arange(70.0).reshape(10, 7)
        assert_array_equal(gpu.upload(cuda_of(cupy), table).cpu, table)

    @pytest.mark.parametrize(
        "table",
        [
            pd.DataFrame({"a": pd.Categorical(["x", "y"])}),
            pd.DataFrame({"a": pd.array([1, None], "Int64")}),
            np.array([["a"], ["b"]], object),
            [[1.0], [2.0]],
            pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0])}),
        ],
        ids=["categories", "nullable", "objects", "list", "sparse"],
    )
    def test_what_cannot_go_stays(self, cupy, table):
        assert gpu.upload(cuda_of(cupy), table) is None

    def test_what_has_no_room_stays(self, cupy, monkeypatch):
        table = np.ones((100, 10), np.float32)
        monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", lambda: (9_999, 10**6))
        assert gpu.upload(cuda_of(cupy), table) is None
        monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", lambda: (10_000, 10**6))
        assert gpu.upload(cuda_of(cupy), table) is not None

        def fail(*_):
            raise cupy.cuda.memory.OutOfMemoryError

        monkeypatch.setattr(cupy, "empty", fail)
        assert gpu.upload(cuda_of(cupy), table) is None


class TestWithoutKeptPredictions:
    """Where gradients cannot stay on the device, XGBoost trains all the same, and a warning says what to do."""

    @pytest.fixture
    def handed_over(self, monkeypatch):
        """The types of the gradients that XGBoost is given."""
        types, boost = [], xgboost.Booster.boost

        def record(self, dtrain, **options):
            types.append(type(options["grad"]))
            return boost(self, dtrain, **options)

        monkeypatch.setattr(xgboost.Booster, "boost", record)
        return types

    def fit(self, table, **params):
        return FocalXGBClassifier(n_estimators=3, n_jobs=1, **params).fit(table.X, table.y).predict_proba(table.X)

    def test_without_cupy_the_fit_warns_at_the_users_line(self, cupy, handed_over, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        table = make_table(0, N)
        with pytest.warns(UserWarning, match=r"gradients .* on the CPU .* CuPy is missing") as caught:
            p = self.fit(table, device="cuda")
        ours = [one for one in caught if "pip install 'cupy-cuda" in str(one.message)]
        assert [one.filename for one in ours] == [__file__]
        assert set(handed_over) == {np.ndarray}
        monkeypatch.undo()
        assert_array_equal(p, self.fit(table))

    def test_without_a_device_xgboost_says_so(self, handed_over):
        self.fit(make_table(0, N), device="cuda")
        assert set(handed_over) == {np.ndarray}

    @pytest.mark.parametrize("where", ["compile", "empty"])
    def test_a_cupy_that_fails_is_an_advice_too(self, cupy, handed_over, monkeypatch, where):
        def fail(*_):
            raise RuntimeError("no libnvrtc.so")

        if where == "compile":
            monkeypatch.setattr(cupy.RawKernel.func, "compile", fail)
        else:
            monkeypatch.setattr(cupy, "empty", fail)
            monkeypatch.setattr(gpu, "upload", lambda *_: None)
        with pytest.warns(UserWarning, match=r"CuPy failed \(no libnvrtc\.so\)\. pip install 'cupy-cuda\d\dx\[ctk\]'"):
            self.fit(make_table(0, N), device="cuda")
        assert set(handed_over) == {np.ndarray}

    def test_few_rows_stay_on_the_cpu(self, cupy, handed_over):
        table = make_table(0, 500)
        p = self.fit(table, device="cuda")
        assert set(handed_over) == {np.ndarray}
        assert_array_equal(p, self.fit(table))
