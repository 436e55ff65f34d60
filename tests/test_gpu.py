"""On a CUDA device, for real: gradients of the device, rows of the device, whole fits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import focal_lgb, focal_xgb, make_table
from lightgbm import LGBMClassifier
from numpy.testing import assert_allclose, assert_array_equal
from xgboost import XGBClassifier

from focal_gbm import BinaryFocalLoss, FocalXGBObjective, MulticlassFocalLoss, MultilabelFocalLoss
from focal_gbm.kernels.cpu import loss_sums
from focal_gbm.kernels.cuda import cuda_loss_sums, find_cuda
from focal_gbm.kernels.threads import Threads
from focal_gbm.lightgbm import device as lightgbm_device
from focal_gbm.training.metrics import mean_focal_loss
from focal_gbm.xgboost import fitting

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
    "gamma 0": {"focal_gamma": 0.0},
    "sampling": {"subsample": 0.5, "colsample_bynode": 0.6},
    "gradient-based sampling": {"subsample": 0.5, "sampling_method": "gradient_based"},
    "forests": {"num_parallel_tree": 3, "subsample": 0.7},
    "logit link": {"focal_link": "logit"},
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

    @pytest.mark.parametrize("link", ["focal", "logit"])
    @pytest.mark.parametrize("n_classes", [2, 5, 20])
    def test_losses_are_the_cpus(self, n_classes, link):
        rng = np.random.default_rng(0)
        loss = BinaryFocalLoss(2.0, focal_link=link)
        if n_classes > 2:
            loss = MulticlassFocalLoss(n_classes, 2.0, focal_link=link)
        labels, weight = rng.integers(0, n_classes, N), rng.uniform(0.1, 3.0, N)
        z = rng.normal(size=loss.raw_shape(N)).astype(np.float32)
        cuda = find_cuda("cuda")
        on_device = cuda_loss_sums(cuda, loss, labels, weight)
        on_cpu = loss_sums(loss, loss.smallest_labels(labels), weight, Threads())
        for name in ("mean_focal_loss", "mean_log_loss"):
            found, expected = getattr(on_device, name)(cuda.upload(z)), getattr(on_cpu, name)(z)
            assert_allclose(found, expected, rtol=2e-6)

    @pytest.mark.parametrize("kind", KINDS)
    def test_predictions_that_are_kept_are_xgboosts(self, kind, monkeypatch):
        """A whole fit with them, and with every prediction through main memory: the same model."""
        import cupy

        table, other = make_table(0, N), make_table(1, 5_000)
        y, y_other = (KINDS[kind].get("labels", lambda t: t.y)(t) for t in (table, other))
        params = {k: v for k, v in KINDS[kind].items() if k != "labels"}
        X, X_other = (cupy.asarray(t.X.astype(np.float32)) for t in (table, other))
        keep, models, kept = fitting.kept_margins, [], []
        for way in (keep, lambda *_: []):
            monkeypatch.setattr(fitting, "kept_margins", lambda *a, way=way: kept.append(way(*a)) or kept[-1])
            model = focal_xgb(device="cuda", n_estimators=50, early_stopping_rounds=50, **params)
            model.fit(
                X, y, sample_weight=table.weight, eval_set=[(X_other, y_other)],
                sample_weight_eval_set=[other.weight], verbose=False,
            )  # fmt: skip
            models.append(model)
        assert len(kept[0]) == 1
        for model in models:  # text of the loss, summed in another order
            model.get_booster().set_attr(best_score=None)
        assert models[0].get_booster().save_raw() == models[1].get_booster().save_raw()
        losses = [model.evals_result_["validation_0"]["focal_loss"] for model in models]
        assert_allclose(*losses, rtol=2e-6)
        at_the_end = models[0].get_booster().predict(xgboost.DMatrix(X_other), output_margin=True)
        loss = models[0]._focal_state.loss
        expected = mean_focal_loss(loss, loss.check_labels(y_other), at_the_end, other.weight)
        assert_allclose(losses[0][-1], expected, rtol=2e-6)

    @pytest.mark.parametrize("kind", ["cupy", "cudf", "numpy", "float64", "pandas"])
    def test_gamma_0_is_the_librarys_own_on_rows_of_the_device(self, kind):
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
        plain = XGBClassifier(**params).fit(on_device, table.y)
        ours = focal_xgb(focal_gamma=0.0, **params).fit(make(table.X), table.y)
        expected = plain.predict_proba(on_device)
        assert_allclose(ours.predict_proba(make(table.X)), expected, atol=1e-4)
        assert type(ours.predict_proba(on_device)) is type(expected)

    @pytest.mark.parametrize("kind", ["cupy", "cudf"])
    def test_labels_and_weights_of_the_device_are_those_of_the_cpu(self, kind):
        module = pytest.importorskip(kind)
        table = make_table(0, N)
        make = module.asarray if kind == "cupy" else module.Series
        model, plain = (
            focal_xgb(device="cuda").fit(table.X, as_labels(table.y), sample_weight=as_labels(table.weight))
            for as_labels in (make, np.asarray)
        )
        assert_array_equal(model.predict_proba(table.X), plain.predict_proba(table.X))

    def test_a_fit_agrees_with_the_cpu_as_the_librarys_own_does(self):
        import cupy

        table = make_table(0, N)
        differences = []
        rows = {"cuda": cupy.asarray(table.X.astype(np.float32)), "cpu": table.X}  # binned on either
        for make in (XGBClassifier, lambda **p: focal_xgb(focal_gamma=0.0, **p), focal_xgb):
            params = {"n_estimators": 30, "max_depth": 4}
            on = [make(**params, device=d).fit(X, table.y).predict_proba(table.X) for d, X in rows.items()]
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
