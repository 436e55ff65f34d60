"""What happens around the CUDA kernels: who computes, what is uploaded, what is said. CuPy is a stand-in."""

import sys
import warnings

import numpy as np
import pytest
from cupy_stand_in import Device, DeviceArray, make_cupy
from estimators import focal_lgb, focal_xgb, make_table
from focal_gbm.training.objective import BoundObjective
from numpy.testing import assert_allclose, assert_array_equal

from focal_gbm import (
    BinaryFocalLoss,
    FocalLGBMObjective,
    FocalXGBObjective,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
    Poly1Focal,
)
from focal_gbm.xgboost.gpu import is_cuda

N = 2000  # more than the thousand rows that stay on the CPU


@pytest.fixture
def without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)


@pytest.fixture
def handed_over(monkeypatch):
    """The types of the gradients that a fit hands over; XGBoost itself gets them from the CPU."""
    types, compute = [], BoundObjective.__call__

    def call(self, *arguments):
        pair = compute(self, *arguments)
        types.extend(map(type, pair))
        return tuple(array.cpu if isinstance(array, DeviceArray) else array for array in pair)

    monkeypatch.setattr(BoundObjective, "__call__", call)
    return types


@pytest.fixture
def no_gpu_is_no_matter():
    """XGBoost says that it found no GPU, and goes on with the CPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(No visible GPU|couldn't find any available GPU)")
        yield


PROBLEMS = {
    "two classes": (BinaryFocalLoss((1.0, 2.0), (0.5, 3.0)), "floored", 0.4),
    "many classes": (MulticlassFocalLoss(4, 2.0), "majorizing", 0.4),
    "many labels": (MultilabelFocalLoss((BinaryFocalLoss(2.0), BinaryFocalLoss(0.5))), "exact", (0.4, 3.0)),
}


def bound_pair(problem, weighted=True):
    """The objective bound to the device and to the CPU, and scores."""
    rng = np.random.default_rng(0)
    loss, hessian, scale = PROBLEMS[problem]
    shape = loss.raw_shape(N)
    labels = {1: rng.random(N) < 0.1, 2: rng.random(shape) < 0.3}[len(shape)]
    if isinstance(loss, MulticlassFocalLoss):
        labels = rng.integers(0, 4, N)
    weight = rng.uniform(0.1, 5.0, N) if weighted else None
    objective = FocalXGBObjective(loss, hessian, scale)
    on_device, on_cpu = (objective.bind(labels, weight, device) for device in ("cuda", "cpu"))
    return on_device, on_cpu, rng.normal(scale=2.0, size=shape).astype(np.float32)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_device_returns_what_the_cpu_returns(cupy, problem, weighted):
    on_device, on_cpu, z = bound_pair(problem, weighted)
    for scores in (z, -z, z.astype(np.float64)):  # a second round overwrites the first
        for ours, theirs in zip(on_device(scores), on_cpu(scores), strict=True):
            assert isinstance(ours, DeviceArray)
            assert ours.dtype == np.float32
            assert_allclose(ours.cpu, theirs, rtol=5e-6, atol=1e-7)


def test_labels_and_weights_stay_and_scores_go_up_once_a_round(cupy, monkeypatch):
    on_device, _, z = bound_pair("many classes")
    on_device(z)  # makes room for the scores
    uploads = []
    set_values = DeviceArray.set
    monkeypatch.setattr(DeviceArray, "set", lambda self, array: uploads.append(array) or set_values(self, array))
    monkeypatch.setattr(cupy, "asarray", None)
    monkeypatch.setattr(cupy, "empty", None)
    first = on_device(z)
    second = on_device(z)
    assert [array.nbytes for array in uploads] == [z.nbytes] * 2
    assert all(a is b for a, b in zip(first, second, strict=True))


def test_one_value_for_all_rows_is_uploaded_whole(cupy):
    on_device, on_cpu, z = bound_pair("many classes")
    start = np.broadcast_to(np.array([0.5, -0.5, 0.0, 1.0]), z.shape)
    for ours, theirs in zip(on_device(start), on_cpu(start), strict=True):
        assert_allclose(ours.cpu, theirs, rtol=5e-6)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_is_not_finite_is_an_error_on_the_device_too(cupy, problem):
    on_device, on_cpu, z = bound_pair(problem)
    bad = z.copy()
    bad[1234] = np.nan
    for bound in (on_device, on_cpu):
        with pytest.raises(ValueError, match=r"must return finite numbers, .* at row 1234, where .* is \[?nan"):
            bound(bad)
    assert_allclose(on_device(z)[0].cpu, on_cpu(z)[0], rtol=5e-6, atol=1e-7)  # and is forgotten


def test_a_wrong_shape_is_refused(cupy):
    on_device, _, z = bound_pair("two classes")
    with pytest.raises(ValueError, match=r"^raw_prediction must have shape \(2000,\), got \(1999,\)\.$"):
        on_device(z[1:])


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "gpu", "gpu:1"])
def test_names_of_cuda_devices(device):
    assert is_cuda(device)


@pytest.mark.parametrize("device", [None, "cpu", "sycl", "sycl:gpu:0", 0, "cudas"])
def test_names_of_other_devices(cupy, device):
    assert not is_cuda(device)
    labels = np.arange(N) % 2
    assert FocalXGBObjective().bind(labels, None, device).on_device is None


def test_few_rows_and_lightgbm_stay_on_the_cpu(cupy):
    labels = np.arange(N) % 2
    objective = FocalXGBObjective()
    assert objective.bind(labels, None, "cuda").on_device is not None
    assert objective.bind(labels[:1000], None, "cuda").on_device is None
    assert FocalLGBMObjective().bind(labels, None, "cuda").on_device is None
    assert objective.bind(labels, None).on_device is None


@pytest.mark.parametrize(("device", "ordinal"), [("cuda:1", 1), ("gpu:2", 2), ("cuda", 0)])
def test_the_named_device_is_used(cupy, monkeypatch, device, ordinal):
    monkeypatch.setitem(sys.modules, "cupy", make_cupy(n_devices=3))
    on_device = FocalXGBObjective().bind(np.arange(N) % 2, None, device)
    gradient, _ = on_device(np.zeros(N, np.float32))
    assert gradient.device.id == ordinal
    assert Device.stack == (0,)


# Where the device cannot: XGBoost trains all the same.


def test_without_cupy_the_fit_warns_at_the_users_line(without_cupy, handed_over, no_gpu_is_no_matter):
    table = make_table(0, N)
    with pytest.warns(UserWarning, match=r"^device='cuda': gradients .* on the CPU .* CuPy is missing") as caught:
        model = focal_xgb(device="cuda").fit(table.X, table.y)
    ours = [one for one in caught if "pip install 'cupy-cuda" in str(one.message)]
    assert [one.filename for one in ours] == [__file__]
    assert set(handed_over) == {np.ndarray}
    assert_array_equal(model.predict_proba(table.X), focal_xgb().fit(table.X, table.y).predict_proba(table.X))


def test_without_a_device_xgboost_says_so(monkeypatch, handed_over, no_gpu_is_no_matter):
    monkeypatch.setitem(sys.modules, "cupy", make_cupy(n_devices=0))
    table = make_table(0, N)
    focal_xgb(device="cuda").fit(table.X, table.y)
    assert set(handed_over) == {np.ndarray}
    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "getDeviceCount", lambda: 0)
    assert FocalXGBObjective().bind(table.y, None, "cuda").on_device is None


@pytest.mark.parametrize("where", ["compile", "empty"])
def test_a_cupy_that_fails_is_an_advice_too(cupy, monkeypatch, where):
    def fail(*_):
        raise RuntimeError("no libnvrtc.so")

    if where == "compile":
        monkeypatch.setattr(cupy.RawKernel.func, "compile", fail)
    else:
        monkeypatch.setattr(cupy, "empty", fail)
    labels = np.arange(N) % 2
    with pytest.warns(UserWarning, match=r"CuPy failed \(no libnvrtc\.so\)\. pip install 'cupy-cuda\d\dx\[ctk\]'"):
        bound = FocalXGBObjective().bind(labels, None, "cuda:0")
    gradient, _ = bound(np.zeros(N, np.float32))
    assert isinstance(gradient, np.ndarray)


def test_a_cupy_for_another_cuda_is_said(cupy, monkeypatch):
    monkeypatch.setattr(cupy.cuda.runtime, "runtimeGetVersion", lambda: 99_010)
    with pytest.warns(UserWarning, match=r"^CuPy is built for CUDA 99, .* for CUDA (\d\d): .* pip uninstall "
                      r"cupy-cuda99x, then pip install 'cupy-cuda\1x\[ctk\]'\.$"):  # fmt: skip
        bound = FocalXGBObjective().bind(np.arange(N) % 2, None, "cuda")
    assert bound.on_device is not None


def test_a_loss_without_a_cuda_source_is_the_cpus_with_one_warning(cupy, handed_over, no_gpu_is_no_matter):
    table = make_table(0, N)
    loss = Poly1Focal(gamma=1.5, epsilon=0.5)
    with pytest.warns(UserWarning, match=r"^device='cuda': gradients .* on the CPU .* has no CUDA source") as caught:
        model = focal_xgb(margin_loss=loss, device="cuda").fit(table.X, table.y)
    assert [one.filename for one in caught if "CUDA source" in str(one.message)] == [__file__]
    assert set(handed_over) == {np.ndarray}
    plain = focal_xgb(margin_loss=loss).fit(table.X, table.y)
    assert_array_equal(model.predict_proba(table.X), plain.predict_proba(table.X))


def test_nothing_is_said_where_nothing_is_lost(without_cupy, no_gpu_is_no_matter):
    table = make_table(0)
    focal_xgb(device="cuda").fit(table.X, table.y)  # too few rows for a device
    focal_xgb(device="cpu").fit(table.X, table.y)
    big = make_table(0, N)
    focal_xgb().fit(big.X, big.y)
    focal_lgb().fit(big.X, big.y)


# Whole fits.


def target(kind, table):
    if kind == "many classes":
        return np.digitize(table.probability, [0.1, 0.4])
    if kind == "many labels":
        return np.column_stack([table.y, table.X[:, 1] > 1])
    return table.y


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("kind", ["two classes", "many classes", "many labels"])
def test_a_fit_with_gradients_of_the_device_is_that_of_the_cpu(cupy, handed_over, no_gpu_is_no_matter, kind, gamma):
    table, other = make_table(0, N), make_table(1, 600)
    params = {"focal_gamma": gamma, "early_stopping_rounds": 5, "n_estimators": 15, "subsample": 0.7}
    fitted = []
    for device in ("cuda", "cpu"):
        model = focal_xgb(**params, device=device)
        y, y_other = target(kind, table), target(kind, other)
        model.fit(table.X, y, sample_weight=table.weight, eval_set=[(other.X, y_other)], verbose=False)
        fitted.append(model)
        assert set(handed_over) == {DeviceArray if device == "cuda" else np.ndarray}
        handed_over.clear()
    on_device, on_cpu = fitted
    assert_allclose(on_device.predict_proba(other.X), on_cpu.predict_proba(other.X), atol=2e-5)
    assert on_device.best_iteration == on_cpu.best_iteration
    assert_allclose(*(m.evals_result_["validation_0"]["focal_loss"] for m in fitted), rtol=1e-5)


def test_dart_and_a_grown_model(cupy, handed_over, no_gpu_is_no_matter):
    table = make_table(0, N)
    models = []
    for device in ("cuda", "cpu"):
        params = {"booster": "dart", "rate_drop": 0.3, "random_state": 3, "device": device}
        first = focal_xgb(**params).fit(table.X, table.y)
        models.append(focal_xgb(**params).fit(table.X, table.y, xgb_model=first))
    assert_allclose(*(model.predict_proba(table.X) for model in models), atol=2e-5)
    assert DeviceArray in handed_over


@pytest.mark.parametrize("kind", ["two classes", "many classes", "many labels"])
def test_the_hessian_at_the_start_is_the_sum_of_the_device(cupy, kind):
    table = make_table(0, N)
    plan, of_rows = focal_xgb(device="cuda")._plan_fit(table.X, target(kind, table), table.weight)
    bound = plan.objective.bind(of_rows.codes, of_rows.sample_weight, "cuda")
    assert bound.on_device is not None
    shape = plan.state.loss.raw_shape(N)
    start = np.broadcast_to(plan.start if len(shape) > 1 else plan.start[0], shape)
    total = bound(start)[1].cpu.sum(axis=0, dtype=np.float64).max()
    assert_allclose(plan.hessian_at_start(), total, rtol=1e-6)
