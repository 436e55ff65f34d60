"""On a CUDA device, for real: gradients of the device, rows of the device, whole fits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from lightgbm import LGBMClassifier
from numpy.testing import assert_allclose, assert_array_equal
from tables import make_table
from xgboost import XGBClassifier

from focal_gbm import (
    BinaryFocalLoss,
    FocalLGBMClassifier,
    FocalXGBClassifier,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
    Poly1Focal,
)
from focal_gbm.kernels import kernel_of
from focal_gbm.kernels.cuda import cuda_kernel
from focal_gbm.xgboost import FocalBoosting, boosting
from focal_gbm.xgboost.prediction import in_place

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "gpu.py"

N = 20_000


def n_devices():
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount()
    except Exception:
        return 0


HAS_GPU = n_devices() > 0
gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not HAS_GPU, reason="no CUDA device, or no CuPy to reach it with"),
    # of rows in main memory, for a model that was trained on the device
    pytest.mark.filterwarnings("ignore:.*mismatched devices"),
]

KINDS = {
    "two classes": {},
    "alpha": {"focal_alpha": "balanced"},
    "poly-1": {"margin_loss": Poly1Focal(1.0, 1.0)},
    "sampling": {"subsample": 0.5, "colsample_bynode": 0.6},
    "gradient-based sampling": {"subsample": 0.5, "sampling_method": "gradient_based"},
    "forests": {"num_parallel_tree": 3, "subsample": 0.7},
    "approx": {"tree_method": "approx"},
    "many classes": {"labels": lambda t: np.digitize(t.probability, [0.1, 0.4])},
    "vector leaves": {
        "labels": lambda t: np.digitize(t.probability, [0.1, 0.4]),
        "multi_strategy": "multi_output_tree",
    },
    "many labels": {"labels": lambda t: np.column_stack([t.y, t.X[:, 1] > 1]).astype(int)},
    "a value for missing": {"missing": 0.0},
}


@pytest.mark.skipif(HAS_GPU, reason="there is a CUDA device")
def test_without_a_device_the_benchmark_says_so():
    result = subprocess.run([sys.executable, str(BENCHMARK)], capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert result.stderr.startswith("no CUDA device, nothing was measured: ")
    assert result.stdout == ""


class TestOnTheDevice:
    pytestmark = gpu

    @pytest.mark.parametrize("gamma", [0.0, 1.0, 5.0])
    @pytest.mark.parametrize("kind", ["two classes", "many classes", "twenty classes", "many labels"])
    def test_gradients_are_the_cpus(self, kind, gamma):
        loss = {
            "two classes": lambda: BinaryFocalLoss(gamma, (0.3, 4.0)),
            "many classes": lambda: MulticlassFocalLoss(5, gamma),
            "twenty classes": lambda: MulticlassFocalLoss(20, gamma),
            "many labels": lambda: MultilabelFocalLoss(2, gamma, 0.9),
        }[kind]()
        rng = np.random.default_rng(0)
        shape = loss.raw_shape(N)
        many = loss.kind == "multiclass"
        labels = loss.check_labels(rng.integers(0, loss.n_classes, N if many else shape))
        weight = rng.uniform(0.1, 3.0, N)
        on_device = cuda_kernel("cuda", None, loss, labels, weight)
        on_cpu = kernel_of(loss, labels, weight)
        z = rng.normal(0, 4, shape).astype(np.float32)
        for ours, theirs in zip(on_device(z), on_cpu(z), strict=True):
            # an exact Hessian is a difference of the size of the gradient
            assert_allclose(ours.get(), theirs, rtol=4e-6, atol=4e-6 * np.abs(on_cpu(z)[0]).max())
        z.flat[77] = np.nan
        with pytest.raises(ValueError, match="must return finite numbers"):
            on_device(z)

    @pytest.mark.parametrize("kind", KINDS)
    def test_predictions_that_are_kept_are_xgboosts(self, kind, monkeypatch):
        """A whole fit with them, and with every prediction through main memory: the same model."""
        import cupy

        table, other = make_table(0, N), make_table(1, 5_000)
        y, y_other = (KINDS[kind].get("labels", lambda t: t.y)(t) for t in (table, other))
        params = {k: v for k, v in KINDS[kind].items() if k != "labels"}
        X, X_other = (cupy.asarray(t.X.astype(np.float32)) for t in (table, other))
        keep, models, kept = boosting.KeptPredictions, [], []
        for way in (lambda *a: kept.append(keep(*a)) or kept[-1], lambda *_: in_place):
            monkeypatch.setattr(boosting, "KeptPredictions", way)
            model = FocalXGBClassifier(device="cuda", n_estimators=50, early_stopping_rounds=50, **params)
            model.fit(
                X, y, sample_weight=table.weight, eval_set=[(X_other, y_other)],
                sample_weight_eval_set=[other.weight], verbose=False,
            )  # fmt: skip
            models.append(model)
        assert len(kept) == 1
        for model in models:  # text of the metric, which the device may sum in another order
            model.get_booster().set_attr(best_score=None, best_iteration=None)
        assert models[0].get_booster().save_raw() == models[1].get_booster().save_raw()

    @pytest.mark.parametrize("kind", ["cupy", "cudf", "numpy", "float64", "pandas"])
    def test_rows_of_any_kind_give_one_model(self, kind):
        import cupy

        if kind == "cudf":
            pytest.importorskip("cudf")
        table = make_table(0, N)
        on_device = cupy.asarray(table.X.astype(np.float32))
        make = {
            "cupy": lambda X: on_device,
            "cudf": lambda X: sys.modules["cudf"].DataFrame({str(j): X[:, j] for j in range(X.shape[1])}),
            "numpy": lambda X: X.astype(np.float32),
            "float64": lambda X: X,
            "pandas": lambda X: pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])]),
        }[kind]
        params = {"device": "cuda", "n_estimators": 30, "max_depth": 4}
        expected = FocalXGBClassifier(**params).fit(on_device, table.y).predict_proba(on_device)
        model = FocalXGBClassifier(**params).fit(make(table.X), table.y)
        assert_allclose(model.predict_proba(make(table.X)), expected, atol=1e-6)
        assert set(np.unique(model.predict(make(table.X)))) == {0, 1}

    def test_native_training_with_rows_on_the_device(self):
        import cupy

        table = make_table(0, N)
        rows = cupy.asarray(table.X.astype(np.float32))
        params = {"objective": "binary:logistic", "device": "cuda"}
        data = xgboost.QuantileDMatrix(rows, table.y)
        native = xgboost.train(params, data, 30, callbacks=[FocalBoosting(rows=rows)])
        model = FocalXGBClassifier(device="cuda", n_estimators=30).fit(rows, table.y)
        assert_array_equal(native.predict(data), model.get_booster().predict(data))

    @pytest.mark.parametrize("kind", ["cupy", "cudf"])
    def test_labels_and_weights_of_the_device_are_those_of_the_cpu(self, kind):
        module = pytest.importorskip(kind)
        table = make_table(0, N)
        make = module.asarray if kind == "cupy" else module.Series
        model, plain = (
            FocalXGBClassifier(device="cuda", n_estimators=10).fit(
                table.X, as_labels(table.y), sample_weight=as_labels(table.weight)
            )
            for as_labels in (make, np.asarray)
        )
        assert_array_equal(model.predict_proba(table.X), plain.predict_proba(table.X))

    def test_gamma_0_is_the_librarys_own(self):
        import cupy

        table = make_table(0, N)
        X = cupy.asarray(table.X.astype(np.float32))
        params = {"device": "cuda", "n_estimators": 30, "max_depth": 4}
        plain = XGBClassifier(**params).fit(X, table.y)
        ours = FocalXGBClassifier(focal_gamma=0.0, **params).fit(X, table.y)
        assert_array_equal(ours.predict_proba(X), plain.predict_proba(X))

    def test_a_fit_agrees_with_the_cpu_as_the_librarys_own_does(self):
        import cupy

        table = make_table(0, N)
        differences = []
        rows = {"cuda": cupy.asarray(table.X.astype(np.float32)), "cpu": table.X}  # binned on either
        for make in (XGBClassifier, FocalXGBClassifier):
            params = {"n_estimators": 30, "max_depth": 4}
            on = [make(**params, device=d).fit(X, table.y).predict_proba(table.X) for d, X in rows.items()]
            differences.append(np.abs(on[0] - on[1]).mean())
        assert differences[1] <= 2 * differences[0] + 1e-5

    def test_no_memory_of_the_device_is_lost(self):
        import cupy

        table = make_table(0, N)
        free = []
        for _ in range(4):
            FocalXGBClassifier(device="cuda", n_estimators=100).fit(table.X, table.y)
            free.append(cupy.cuda.runtime.memGetInfo()[0])
        assert free[1] - free[-1] < 4 * N  # not one array of the rows

    def test_lightgbm(self):
        table = make_table(0, N)
        params = {"device_type": "cuda", "verbose": -1, "n_estimators": 20, "num_leaves": 7}
        try:
            plain = LGBMClassifier(**params).fit(table.X, table.y)
        except Exception as error:
            pytest.skip(f"LightGBM was built without CUDA: {error}")
        ours = FocalLGBMClassifier(**params, focal_gamma=0.0).fit(table.X, table.y)
        # not equal: LightGBM sums on the device in any order
        assert_allclose(ours.predict_proba(table.X), plain.predict_proba(table.X), atol=1e-3)
        on, off = (FocalLGBMClassifier(**{**params, "device_type": d}).fit(table.X, table.y) for d in ("cuda", "cpu"))
        assert_allclose(on.predict_proba(table.X), off.predict_proba(table.X), atol=0.05)
