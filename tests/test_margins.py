"""Predictions kept on a device, by a stand-in for one, are those that XGBoost keeps, to the last bit."""

import numpy as np
import pandas as pd
import pytest
import xgboost
from cupy_stand_in import DeviceArray
from estimators import focal_xgb, make_table
from numpy.testing import assert_array_equal
from sklearn.model_selection import StratifiedKFold
from test_rounds import KINDS, raw, rows, squares

from focal_gbm import FocalSearchCV
from focal_gbm.kernels.cuda import Cuda
from focal_gbm.xgboost import device_rows, fitting
from focal_gbm.xgboost.margins import KeptMargins, Margins, in_place

N = 2000  # more than the thousand rows that stay on the CPU
TREES = [kind for kind in KINDS if kind not in ("dart", "linear")]


def on_device(cupy, X):
    """A table as it comes to the device: categories as their codes."""
    columns = [X[name].cat.codes if str(X[name].dtype) == "category" else X[name] for name in X]
    return cupy.asarray(np.column_stack(columns).astype(np.float32))


@pytest.mark.parametrize("kind", TREES)
def test_fifty_rounds(cupy, kind):
    params, data, y, X = rows(kind, with_table=True)
    if "num_class" not in params:
        params["base_score"] = 0.3  # left open, XGBoost's own first predictions are not its second
    booster = xgboost.Booster(params, [data])
    margins = Margins([KeptMargins(on_device(cupy, X), [(data, slice(0, len(X)))], np.nan, cuda_of(cupy))])
    objective = squares(y)
    for i in range(50):
        kept = margins.of(booster, data, training=True)
        assert isinstance(kept, DeviceArray)
        assert_array_equal(kept.cpu, in_place(booster, data, training=True))
        gradient, hessian = objective(kept.cpu)
        booster.boost(data, iteration=i, grad=gradient, hess=hessian)


def cuda_of(cupy):
    return Cuda(cupy, cupy.cuda.Device())


def test_sets_of_one_array_previous_trees_and_a_base_margin(cupy):
    params, data, y, X = rows("missing values", with_table=True)
    first = xgboost.train({**params, "base_score": 0.2}, data, 5, obj=squares(y))
    table = on_device(cupy, X)
    parts = [(0, 300), (300, 400)]
    base = np.linspace(-1, 1, 400)
    matrices = [xgboost.DMatrix(table.cpu[a:b], y[a:b], base_margin=base[a:b]) for a, b in parts]
    kept = KeptMargins(
        table, [(m, slice(*p)) for m, p in zip(matrices, parts, strict=True)], np.nan, cuda_of(cupy)
    )
    margins = Margins([kept])
    first.set_attr(best_iteration=None)
    first.feature_names = None
    booster = xgboost.Booster({**params, "disable_default_eval_metric": 1}, matrices, model_file=first)
    for i in range(6):
        for matrix in matrices[: 1 + i % 2]:  # also where a set is asked for every other round
            assert_array_equal(margins.of(booster, matrix).cpu, in_place(booster, matrix))
        booster.boost(matrices[0], iteration=i, grad=y[:300] * 0.1 - 0.01 * i, hess=np.ones(300))


def test_trees_that_a_callback_adds_or_cuts_off(cupy):
    params, data, _, X = rows("two classes", with_table=True)
    booster = xgboost.Booster({**params, "base_score": 0.3}, [data])
    margins = Margins([KeptMargins(on_device(cupy, X), [(data, slice(0, 400))], np.nan, cuda_of(cupy))])
    margins.of(booster, data)
    for i in range(4):
        booster.update(data, i)
    assert_array_equal(margins.of(booster, data).cpu, in_place(booster, data))
    shorter = booster[:2]
    assert_array_equal(margins.of(shorter, data).cpu, in_place(shorter, data))


# Whole fits: with predictions kept, and with the same gradients through main memory.

PARAMS = {
    "two classes": {},
    "no sampling of the library": {"subsample": 0.6, "colsample_bytree": 0.5},
    "forests": {"num_parallel_tree": 3, "subsample": 0.7},
    "logit link": {"focal_link": "logit"},
    "approx": {"tree_method": "approx"},
    "a value for missing": {"missing": -1.0},
}
METRICS = ["auc", "logloss", "focal_loss", "error", "rmse"]


def both_ways(monkeypatch, fit):
    """Two models, and what the first one kept."""
    kept = []
    keep = fitting.kept_margins
    models = []
    for way in (keep, lambda *_: []):
        monkeypatch.setattr(fitting, "kept_margins", lambda *a, way=way: kept.append(way(*a)) or kept[-1])
        models.append(fit())
    return *models, kept[0]


@pytest.mark.filterwarnings("ignore:.*(No visible GPU|couldn't find any available GPU)")
@pytest.mark.parametrize("of", ["numpy", "float64", "fortran", "pandas", "cupy"])
@pytest.mark.parametrize("kind", PARAMS)
def test_a_fit_with_kept_predictions_is_the_one_without(cupy, monkeypatch, kind, of):
    make = {
        "numpy": lambda X: X.astype(np.float32),
        "float64": lambda X: X,
        "fortran": np.asfortranarray,
        "pandas": lambda X: pd.DataFrame(X, columns=list("abcde")[: X.shape[1]]).assign(f=np.arange(len(X))),
        "cupy": lambda X: cupy.asarray(X.astype(np.float32)),
    }[of]
    table, other = make_table(0, N), make_table(1, 1500)
    X, X_other = make(table.X), make(other.X)

    def fit():
        model = focal_xgb(
            device="cuda", n_estimators=12, early_stopping_rounds=12, eval_metric=METRICS, **PARAMS[kind]
        )
        return model.fit(
            X, table.y, sample_weight=table.weight, eval_set=[(X_other, other.y), (X, table.y)],
            sample_weight_eval_set=[other.weight, None], verbose=False,
        )  # fmt: skip

    ours, through_main_memory, kept = both_ways(monkeypatch, fit)
    assert raw(ours.get_booster()) == raw(through_main_memory.get_booster())
    assert len(cupy.made_matrices_of) == 6  # rows trained on and two sets, twice
    assert sum(len(one.matrices) for one in kept) == 3
    names = ours.evals_result_["validation_0"]
    assert list(names) == METRICS
    for name in names:  # floats summed by the device's kernel, or in C
        for part in ("validation_0", "validation_1"):
            found, expected = (m.evals_result_[part][name] for m in (ours, through_main_memory))
            np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.filterwarnings("ignore:.*(No visible GPU|couldn't find any available GPU)")
@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("link", ["focal", "logit"])
@pytest.mark.parametrize("kind", ["many classes", "vector leaves", "many labels"])
def test_fits_of_many_scores(cupy, monkeypatch, kind, link, gamma):
    table, other = make_table(0, N), make_table(1, 1500)
    make = {
        "many classes": lambda t: np.digitize(t.probability, [0.1, 0.4]),
        "vector leaves": lambda t: np.digitize(t.probability, [0.1, 0.4]),
        "many labels": lambda t: np.column_stack([t.y, t.X[:, 1] > 1]),
    }[kind]
    params = {"multi_strategy": "multi_output_tree"} if kind == "vector leaves" else {}
    metric = "logloss" if kind == "many labels" else "mlogloss"

    def fit():
        model = focal_xgb(
            device="cuda", n_estimators=8, focal_link=link, focal_gamma=gamma,
            eval_metric=["focal_loss", metric], **params,
        )  # fmt: skip
        return model.fit(
            table.X, make(table), sample_weight=table.weight, eval_set=[(other.X, make(other))],
            sample_weight_eval_set=[other.weight], verbose=False,
        )  # fmt: skip

    ours, through_main_memory, kept = both_ways(monkeypatch, fit)
    assert raw(ours.get_booster()) == raw(through_main_memory.get_booster())
    assert sum(len(one.matrices) for one in kept) == 2
    for name in ("focal_loss", metric):
        found, expected = (m.evals_result_["validation_0"][name] for m in (ours, through_main_memory))
        np.testing.assert_allclose(found, expected, rtol=3e-6)


@pytest.mark.filterwarnings("ignore:.*(No visible GPU|couldn't find any available GPU)")
def test_a_search_keeps_predictions(cupy, monkeypatch):
    table = make_table(0, 4000)

    def fit():
        return FocalSearchCV(
            focal_xgb(device="cuda", n_estimators=10), {"focal_gamma": [0.5, 2.0]},
            cv=StratifiedKFold(2), early_stopping_rounds=5, random_state=0,
        ).fit(table.X, table.y)  # fmt: skip

    ours, through_main_memory, kept = both_ways(monkeypatch, fit)
    assert kept
    assert raw(ours.best_estimator_.get_booster()) == raw(through_main_memory.best_estimator_.get_booster())
    assert_array_equal(*(s.cv_results_["mean_test_score"] for s in (ours, through_main_memory)))


@pytest.mark.filterwarnings(
    "ignore:.*(No visible GPU|couldn't find any available GPU|`booster=(gblinear|dart)` is deprecated)"
)
@pytest.mark.parametrize(
    "params", [{"booster": "dart"}, {"booster": "gblinear", "max_depth": None}], ids=["dart", "linear"]
)
def test_trees_that_change_go_through_main_memory(cupy, monkeypatch, params):
    table = make_table(0, N)
    _, _, kept = both_ways(monkeypatch, lambda: focal_xgb(device="cuda", **params).fit(table.X, table.y))
    assert kept == []
    assert cupy.made_matrices_of == []


@pytest.mark.parametrize(
    ("device", "params", "stays"),
    [
        ("cuda", {}, True),
        ("cuda:0", {"booster": "gbtree", "process_type": "default"}, True),
        ("cuda", {"process_type": "update"}, False),
        ("cuda", {"booster": "dart"}, False),
        ("cpu", {}, False),
        (None, {}, False),
    ],
)
def test_where_predictions_can_stay(cupy, device, params, stays):
    assert (device_rows.cuda_for(focal_xgb(device=device, **params)) is not None) == stays


class TestPlaces:
    def place(self, cupy, *tables, **patched):
        return device_rows.place(cuda_of(cupy), tables)

    def test_tables_of_main_memory_are_joined(self, cupy):
        a, b = np.arange(6.0).reshape(3, 2), pd.DataFrame({"x": [True, False], "y": [1, 2]})
        first, second = self.place(cupy, a, b)
        assert first.array is second.array
        assert_array_equal(first.array.cpu, np.array([[0, 1], [2, 3], [4, 5], [1, 1], [0, 2]], np.float32))
        assert (first.part, second.part) == (slice(0, 3), slice(3, 5))
        assert first.array.dtype == np.float32

    def test_a_table_of_the_device_is_not_copied(self, cupy):
        table = cupy.asarray(np.ones((3, 2), np.float32))
        (placed,) = self.place(cupy, table)
        assert placed.table is placed.array is table

    def test_few_rows_of_the_device_are_joined_and_many_are_not(self, cupy, monkeypatch):
        a, b = (cupy.asarray(np.full((3, 2), k, np.float32)) for k in (1, 2))
        first, second = self.place(cupy, a, b)
        assert first.array is second.array
        assert_array_equal(second.table.cpu, b.cpu)
        monkeypatch.setattr(device_rows, "_MOST_COPIED", 10)
        first, second = self.place(cupy, a, b)
        assert (first.array is a, second.array is b) == (True, True)

    def test_a_frame_of_the_device_is_copied_there(self, cupy):
        class DataFrame(pd.DataFrame):
            __module__ = "cudf.core.dataframe"

            def to_cupy(self, dtype, na_value):
                return cupy.asarray(self.to_numpy().astype(dtype))

        frame = DataFrame({"a": [1.0, np.nan], "b": [2, 3]})
        (placed,) = self.place(cupy, frame)
        assert_array_equal(placed.table.cpu, np.array([[1, 2], [np.nan, 3]], np.float32))
        assert self.place(cupy, DataFrame({"a": pd.Categorical(["x"])})) == [None]

    def test_blocks_of_an_upload(self, cupy, monkeypatch):
        monkeypatch.setattr(device_rows, "_UPLOADED_AT_ONCE", 50)
        table = np.arange(70.0).reshape(10, 7)
        assert_array_equal(self.place(cupy, table)[0].array.cpu, table)

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
        assert self.place(cupy, table) == [None]
        number = np.ones((2, 1))
        assert self.place(cupy, number, table)[1] is None
        assert self.place(cupy, table, number) == [None, None]

    def test_what_has_no_room_stays(self, cupy, monkeypatch):
        table = np.ones((100, 10), np.float32)
        monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", lambda: (9_999, 10**6))
        assert self.place(cupy, table) == [None]
        monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", lambda: (10_000, 10**6))
        assert self.place(cupy, table)[0] is not None

        def fail(*_):
            raise cupy.cuda.memory.OutOfMemoryError

        monkeypatch.setattr(cupy, "empty", fail)
        assert self.place(cupy, table) == [None]

    def test_a_table_of_another_device_stays(self, cupy, monkeypatch):
        table = cupy.asarray(np.ones((3, 2), np.float32))
        table.device.id = 1
        assert self.place(cupy, table) == [None]


@pytest.mark.filterwarnings("ignore:.*(No visible GPU|couldn't find any available GPU)")
def test_names_and_types_of_columns_stay(cupy):
    table = make_table(0, N)
    X = pd.DataFrame(table.X, columns=[f"c{j}" for j in range(table.X.shape[1])]).assign(
        n=np.arange(N), b=True
    )
    on, off = (focal_xgb(device=d).fit(X, table.y) for d in ("cuda", "cpu"))
    assert cupy.made_matrices_of
    for name in ("feature_names", "feature_types"):
        assert getattr(on.get_booster(), name) == getattr(off.get_booster(), name)
    assert_array_equal(on.feature_names_in_, off.feature_names_in_)
    with pytest.raises(ValueError, match="feature_names mismatch"):
        on.predict(X[X.columns[::-1]])
