"""On a CUDA device, for real: gradients of the device, rows of the device, whole fits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from estimators import focal_lgb, focal_xgb, make_table
from lightgbm import LGBMClassifier
from numpy.testing import assert_allclose, assert_array_equal
from xgboost import XGBClassifier

from focal_gbm import BinaryFocalLoss, FocalXGBObjective, MulticlassFocalLoss, MultilabelFocalLoss
from focal_gbm.lightgbm import device as lightgbm_device

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "gpu.py"

N = 20_000


def n_devices():
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount()
    except Exception:
        return 0


HAS_GPU = n_devices() > 0
gpu = [pytest.mark.gpu, pytest.mark.skipif(not HAS_GPU, reason="no CUDA device, or no CuPy to reach it with")]


@pytest.mark.skipif(HAS_GPU, reason="there is a CUDA device")
def test_without_a_device_the_benchmark_says_so():
    result = subprocess.run([sys.executable, str(BENCHMARK)], capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert result.stderr.startswith("no CUDA device, nothing was measured: ")
    assert result.stdout == ""


class TestOnTheDevice:
    pytestmark = gpu

    @pytest.mark.parametrize("hessian", ["exact", "floored", "majorizing"])
    @pytest.mark.parametrize(
        "loss",
        [
            BinaryFocalLoss(0.0),
            BinaryFocalLoss((0.5, 2.0), (0.3, 4.0)),
            MulticlassFocalLoss(5, 2.0),
            MultilabelFocalLoss((BinaryFocalLoss(2.0), BinaryFocalLoss(2.3, 0.9))),
        ],
        ids=["log loss", "two classes", "many classes", "many labels"],
    )
    def test_gradients_are_the_cpus(self, loss, hessian):
        rng = np.random.default_rng(0)
        shape = loss.raw_shape(N)
        n_classes = loss.n_classes if isinstance(loss, MulticlassFocalLoss) else 2
        labels = rng.integers(0, n_classes, N if n_classes > 2 else shape)
        weight = rng.uniform(0.1, 3.0, N)
        objective = FocalXGBObjective(loss, hessian)
        on_device, on_cpu = (objective.bind(labels, weight, device) for device in ("cuda", "cpu"))
        assert on_device.on_device is not None
        z = rng.normal(size=shape).astype(np.float32)
        for k, (ours, theirs) in enumerate(zip(on_device(z), on_cpu(z), strict=True)):
            # an exact Hessian is a difference of the size of the gradient
            atol = 2e-6 * np.abs(on_cpu(z)[0]).max() if k else 0
            assert_allclose(ours.get(), theirs, rtol=2e-6, atol=atol)
        z.flat[77] = np.nan
        with pytest.raises(ValueError, match="must return finite numbers"):
            on_device(z)

    @pytest.mark.parametrize("kind", ["cupy", "cudf"])
    def test_rows_labels_and_weights_of_the_device(self, kind):
        module = pytest.importorskip(kind)
        table = make_table(0, N)
        if kind == "cupy":
            X, y, weight = (module.asarray(array) for array in (table.X, table.y, table.weight))
        else:
            X = module.DataFrame({str(j): table.X[:, j] for j in range(table.X.shape[1])})
            y, weight = module.Series(table.y), module.Series(table.weight)
        model = focal_xgb(device="cuda").fit(X, y, sample_weight=weight)
        plain = focal_xgb(device="cuda").fit(table.X, table.y, sample_weight=table.weight)
        proba = model.predict_proba(X)
        assert type(proba) is type(XGBClassifier(n_estimators=2, device="cuda").fit(X, y).predict_proba(X))
        assert_allclose(proba, plain.predict_proba(table.X), atol=1e-6)

    def test_a_fit_agrees_with_the_cpu_as_the_librarys_own_does(self):
        table = make_table(0, N)
        differences = []
        for make in (XGBClassifier, lambda **p: focal_xgb(focal_gamma=0.0, **p), focal_xgb):
            params = {"n_estimators": 30, "max_depth": 4}
            on = [
                make(**params, device=d).fit(table.X, table.y).predict_proba(table.X) for d in ("cuda", "cpu")
            ]
            differences.append(np.abs(on[0] - on[1]).mean())
        assert max(differences[1:]) <= 2 * differences[0] + 1e-5

    def test_no_memory_of_the_device_is_lost(self):
        import cupy

        table = make_table(0, N)
        free = []
        for _ in range(4):
            focal_xgb(device="cuda", n_estimators=100).fit(table.X, table.y)
            free.append(cupy.cuda.runtime.memGetInfo()[0])
        assert free[1] - free[-1] < 4 * N  # not one array of the rows

    def test_lightgbm(self):
        if not lightgbm_device._has_cuda():
            pytest.skip("LightGBM was built without CUDA")
        table = make_table(0, N)
        params = {"device_type": "cuda", "verbose": -1, "n_estimators": 20, "num_leaves": 7}
        ours = focal_lgb(**params, focal_gamma=0.0).fit(table.X, table.y)
        plain = LGBMClassifier(**params).fit(table.X, table.y)
        assert_allclose(ours.predict_proba(table.X), plain.predict_proba(table.X), atol=1e-3)
        model = focal_lgb(**params).fit(table.X, table.y)
        assert_array_equal(model.classes_, [0, 1])
