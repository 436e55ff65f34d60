"""The CUDA kernels, made into functions by a C compiler: they compute what the kernel of the CPU computes."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from cupy_stand_in import COMPILER, make_cupy
from loss_cases import ALPHA, KINDS, LOSSES, Users, made_rows, make
from needs import missing
from numpy.testing import assert_allclose, assert_array_equal
from nvrtc import nvrtc_library, ptx_by_nvrtc

from focal_gbm.kernels import kernel_of
from focal_gbm.kernels.cuda import cuda_kernel, find_cuda, source
from focal_gbm.losses import BinaryFocalLoss, Focal, MulticlassFocalLoss, MultilabelFocalLoss
from focal_gbm.xgboost.gpu import is_cuda

every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def cupy(monkeypatch):
    """CuPy and one device, so it seems."""
    if COMPILER is None:
        missing("compiler", "no C compiler to make functions of the CUDA kernels with")
    module = make_cupy()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def on_device(loss, labels, weight=None, **options):
    return cuda_kernel("cuda", 12, loss, labels, weight, **options)


def has_fma():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return " fma " in file.read()
    except OSError:
        return False


def check(loss, spread=(0.3, 3.0, 30.0), bar=2e-6):
    labels, raw = made_rows(loss, 300, np.repeat(spread, 100), dtype=np.float32)
    weight = np.random.default_rng(3).uniform(0.5, 2.0, 300).astype(np.float32)
    found = [x.get() for x in on_device(loss, labels, weight, scale=1.5, hessian_factor=2.0)(raw)]
    exact = loss.gradient_hessian(labels, raw.astype(float), 1.5 * weight, hessian_factor=2.0)
    size = np.abs(exact[0])
    normal = size > 1e-30
    assert (np.abs(found[0] - exact[0]) <= bar * size)[normal].all()
    assert (np.abs(found[1] - exact[1]) <= bar * (size + np.abs(exact[1])))[normal].all()
    assert (found[1] >= 0).all()


@every_kind
@pytest.mark.parametrize("margin_loss", LOSSES, ids=repr)
def test_is_the_loss(margin_loss, kind, cupy):
    users = kind == "many" and isinstance(margin_loss, Users)
    check(make(kind, margin_loss, ALPHA[kind]), bar=1e-5 if users else 2e-6)


@pytest.mark.parametrize("flags", [(), ("-mfma", "-ffp-contract=fast")], ids=["separate", "fused"])
@pytest.mark.parametrize("n_classes", [2, 16, 17, 40])  # above 16 a row does not stay with its thread
def test_any_number_of_classes_and_labels(n_classes, flags, monkeypatch):
    if COMPILER is None:
        missing("compiler", "no C compiler to make functions of the CUDA kernels with")
    if flags and not has_fma():
        pytest.skip("this processor has no fused multiply-add, which a CUDA device has")
    monkeypatch.setitem(sys.modules, "cupy", make_cupy(flags=flags))
    check(MulticlassFocalLoss(n_classes, 2.0, np.linspace(0.5, 2.0, n_classes)), (0.3, 3.0, 10.0))
    check(MultilabelFocalLoss(n_classes, 2.0))


@every_kind
def test_is_the_kernel_of_the_cpu(kind, cupy):
    loss = make(kind, Focal(2.0), ALPHA[kind])
    labels, raw = made_rows(loss, 500, 4.0, dtype=np.float32)
    for found, expected in zip(on_device(loss, labels)(raw), kernel_of(loss, labels, None)(raw), strict=True):
        assert_allclose(found.get(), expected, rtol=2e-6, atol=1e-7)


@every_kind
def test_predictions_on_the_device_are_not_copied(kind, cupy):
    loss = make(kind, Focal(2.0))
    labels, raw = made_rows(loss, 50, 4.0, dtype=np.float32)
    kernel = on_device(loss, labels)
    expected = [x.get() for x in kernel(raw)]
    there = cupy.asarray(raw)
    for found, same in zip(kernel(there), expected, strict=True):
        assert_array_equal(found.get(), same)
    assert kernel(there)[0] is kernel.gradient


@every_kind
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_and_forgotten(kind, bad, cupy):
    loss = make(kind, Focal(2.0))
    labels, raw = made_rows(loss, 300, 1.0, dtype=np.float32)
    kernel = on_device(loss, labels)
    broken = raw.copy()
    broken[211] = broken[250] = bad
    with pytest.raises(ValueError, match=f"at row 211, where the raw prediction is .*{bad}"):
        kernel(broken)
    kernel(raw)
    weight = np.ones(300)
    weight[7] = 1e300
    with pytest.raises(ValueError, match="at row 7: sample_weight or alpha is too large for float32"):
        on_device(loss, labels, weight)(raw)


@every_kind
@pytest.mark.parametrize("margin_loss", [Focal(0.0), Focal(0.5), Focal(5.0), Users(0.5)], ids=repr)
def test_nothing_overflows(margin_loss, kind, cupy):
    loss = make(kind, margin_loss, ALPHA[kind])
    info = np.finfo(np.float32)
    far = np.concatenate([np.linspace(0, 1e4, 201), 10.0 ** np.arange(-30, 38), [info.max, info.tiny]])
    raw = np.zeros(loss.raw_shape(2 * len(far)), np.float32)
    raw.reshape(len(raw), -1)[:, -1] = np.concatenate([far, -far])
    for label in range(loss.n_classes):
        labels = loss.check_labels(np.full(raw.shape if kind == "labels" else len(raw), label))
        gradient, hessian = (x.get() for x in on_device(loss, labels)(raw))
        assert (hessian >= 0).all()
        own = gradient[:, label] if kind == "many" else gradient * (-1) ** (label + 1)
        assert (own <= 0).all()


def test_where_the_cpu_has_to(monkeypatch):
    loss, labels = BinaryFocalLoss(2.0), np.ones(3, bool)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.warns(UserWarning, match=r"CuPy is missing .* pip install 'cupy-cuda12x\[ctk\]' keeps"):
        assert on_device(loss, labels) is None
    monkeypatch.setitem(sys.modules, "cupy", make_cupy(n_devices=0))  # for a later CUDA than the driver's
    with pytest.warns(UserWarning, match=r"CuPy failed \(cudaErrorInsufficientDriver\)\. pip install 'cupy-cuda12x"):
        assert on_device(loss, labels) is None
    monkeypatch.setitem(sys.modules, "cupy", make_cupy(n_devices=2))
    assert find_cuda("cuda:1").device.id == 1
    with pytest.warns(UserWarning, match=r"as Focal\(gamma=10000.0\) is too steep for tables"):
        assert on_device(BinaryFocalLoss(1e4), labels) is None
    with pytest.warns(UserWarning, match="CuPy is built for CUDA 12, the library that trains for CUDA 13"):
        assert cuda_kernel("cuda", 13, loss, labels, None) is not None
    monkeypatch.setitem(sys.modules, "cupy", make_cupy(flags=("--no-such-flag",)))
    with pytest.warns(UserWarning, match="CuPy failed"):
        assert on_device(loss, labels) is None


@pytest.mark.parametrize(
    ("device", "expected"), [("cuda", True), ("cuda:1", True), ("gpu", True), ("cpu", False), (None, False)]
)
def test_names_of_devices(device, expected):
    assert is_cuda(device) is expected


@pytest.mark.parametrize("definition", ["", "#define N_CLASSES 5\n", "#define N_CLASSES 16\n"])
def test_nvrtc_compiles_the_source(definition):
    nvrtc = nvrtc_library()
    if nvrtc is None:
        missing("nvrtc", "no libnvrtc: pip install nvidia-cuda-nvrtc-cu12")
    ptx, log = ptx_by_nvrtc(nvrtc, definition + source())
    assert "focal_two_classes" in ptx
    assert "focal_many_classes" in ptx
    assert ".f64" not in ptx  # double precision is slow on a device
    assert ".local" not in ptx  # and so is a row that does not stay in registers
    assert not log.strip("\0")


def test_nvcc_compiles_the_source(tmp_path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        missing("nvcc", "no nvcc")
    path = tmp_path / "kernel.cu"
    path.write_text(source())
    command = [
        nvcc,
        "-arch=sm_80",
        "--ptx",
        "-Werror=all-warnings",
        str(path),
        "-o",
        str(tmp_path / "kernel.ptx"),
    ]
    subprocess.run(command, check=True)
