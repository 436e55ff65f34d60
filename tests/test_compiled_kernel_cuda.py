"""The CUDA source: it compiles for a device, and as functions of a C compiler it is the CPU's kernel."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest
from needs import missing
from numpy.testing import assert_allclose
from nvrtc import nvrtc_library, ptx_by_nvrtc

from focal_gbm.kernels.compiled import Kernel, library
from focal_gbm.kernels.cuda import class_parameters, source
from focal_gbm.kernels.formula import HESSIANS, HESSIANS_OF_LINK, LINKS, Formula

KERNELS = {"focal_sigmoid": 12, "focal_sigmoid_loss": 10, "focal_softmax": 14, "focal_softmax_loss": 11}
CASES = [(link, hessian) for link, hessians in HESSIANS_OF_LINK.items() for hessian in hessians]
COMPILER = shutil.which("cc") or shutil.which("gcc")


def check(ptx):
    entries = dict(re.findall(r"\.entry (\w+)\((.*?)\)", ptx, re.DOTALL))
    assert {name: text.count(".param") for name, text in entries.items()} == KERNELS
    assert not re.search(r"\.f64\b", ptx)  # which is many times as slow


def test_nvrtc_compiles_the_source():
    nvrtc = nvrtc_library()
    if nvrtc is None:
        missing("nvrtc", "no libnvrtc: pip install nvidia-cuda-nvrtc-cu12")
    ptx, log = ptx_by_nvrtc(nvrtc, source())
    check(ptx)
    assert "warning" not in log


def test_nvcc_compiles_the_source(tmp_path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc")
    path = tmp_path / "kernel.cu"
    path.write_text(source())
    options = ["-ptx", "-arch=compute_80", "-Werror", "all-warnings"]
    subprocess.run([nvcc, *options, str(path), "-o", str(tmp_path / "kernel.ptx")], check=True)
    check((tmp_path / "kernel.ptx").read_text())


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """The source as C."""
    if COMPILER is None or library() is None:
        missing("compiler", "no C compiler to make functions of the CUDA source with, or none at the install")
    folder = tmp_path_factory.mktemp("cuda")
    (folder / "kernel.c").write_text(source())
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    target = folder / "kernel.so"
    subprocess.run([COMPILER, *options, str(folder / "kernel.c"), "-o", str(target), "-lm"], check=True)
    return ctypes.CDLL(str(target))


def address(array):
    return ctypes.c_void_p(array.ctypes.data)


class Device:
    """The arguments of one call, as CuPy would pass them."""

    def __init__(self, functions, formula, labels, raw, weight):
        self.functions, self.formula, self.raw = functions, formula, raw
        softmax = formula.loss == "softmax"
        self.name = f"focal_{formula.loss}"
        self.labels = np.ascontiguousarray(labels, np.int32 if softmax else np.uint8)
        self.weight = np.ones(1, np.float32) if weight is None else weight.astype(np.float32)
        self.n = ctypes.c_longlong(len(raw) if softmax else raw.size)
        self.classes = class_parameters(formula)
        self.link = LINKS.index("focal" if formula.is_log_loss else formula.link)
        self.common = [address(raw), address(self.labels), address(self.weight), int(len(self.weight) > 1),
                       address(self.classes), formula.n_columns]  # fmt: skip

    def derivatives(self):
        out, first_bad = np.empty((2, *self.raw.shape), np.float32), np.array([len(self.raw)])
        options = [self.link, HESSIANS.index(self.formula.hessian)]
        if self.formula.loss == "softmax":
            options.insert(1, int(self.formula.all_gamma_zero))
            options.append(ctypes.c_float(self.formula.hessian_factor))
        getattr(self.functions, self.name)(
            *self.common, *options, self.n, address(out[0]), address(out[1]), address(first_bad)
        )
        return out, int(first_bad[0])

    def loss(self, task):
        out, work = np.empty(self.n.value, np.float32), np.empty_like(self.raw)
        extra = [address(work)] if self.formula.loss == "softmax" else []
        options = [self.link, {"focal_loss": 1, "log_loss": 2}[task]]
        getattr(self.functions, f"{self.name}_loss")(*self.common, *options, self.n, *extra, address(out))
        return float(out.sum(dtype=np.float64))


def formulas(link, hessian):
    return [
        Formula("sigmoid", [[2.0, 1.5]], [[0.3, 0.9]], link, hessian),
        Formula("sigmoid", [[2.0, 2.0], [0.0, 0.5], [1.0, 1.0]], [[1.0, 3.0]] * 3, link, hessian),
        Formula("softmax", [2.0, 0.5, 2.0], [1.0, 2.0, 3.0], link, hessian, 2.0),
        Formula("softmax", [0.0] * 3, [1.0] * 3, link, hessian, 2.0),
        Formula("softmax", [0.0] * 3, [1.0, 2.0, 3.0], link, hessian, 1.5),
        Formula("softmax", [0.5] * 12, [1.0] * 12, link, hessian, 12 / 11),
    ]


def made_rows(formula, n=400, scale=3.0):
    rng = np.random.default_rng(1)
    shape = (n,) if formula.n_columns == 1 else (n, formula.n_columns)
    raw = (scale * rng.normal(size=shape)).astype(np.float32)
    softmax = formula.loss == "softmax"
    labels = rng.integers(0, formula.n_columns if softmax else 2, n if softmax else shape)
    return labels, raw, rng.uniform(0.1, 3.0, n)


@pytest.mark.parametrize(("link", "hessian"), CASES)
@pytest.mark.parametrize("index", range(6))
def test_agrees_with_the_cpu(functions, index, link, hessian):
    formula = formulas(link, hessian)[index]
    labels, raw, weight = made_rows(formula)
    device = Device(functions, formula, labels, raw, weight)
    (gradient, second), first_bad = device.derivatives()
    assert first_bad == len(raw)
    kernel = Kernel(formula, labels, weight)
    expected = np.empty((2, *raw.shape))
    assert kernel.gradient_hessian(raw.astype(np.float64), *expected) == -1
    assert_allclose(gradient, expected[0], rtol=2e-5, atol=1e-30)
    assert np.max(np.abs(second - expected[1]) / (np.abs(expected[1]) + np.abs(expected[0]) + 1e-30)) <= 2e-5
    for task in ("focal_loss", "log_loss"):
        assert_allclose(device.loss(task), getattr(kernel, task)(raw), rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("link", LINKS)
def test_the_first_bad_row_is_found(functions, link, index, bad):
    formula = formulas(link, None)[index]
    labels, raw, _ = made_rows(formula)
    raw[211] = raw[300] = bad
    assert Device(functions, formula, labels, raw, None).derivatives()[1] == 211


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 33.0, 1e15])
@pytest.mark.parametrize(("link", "hessian"), CASES)
def test_never_nan(functions, link, hessian, gamma):
    far = np.concatenate([np.linspace(-1e4, 1e4, 501), 10.0 ** np.arange(-30, 4)]).astype(np.float32)
    for t in (0, 1, 2):
        rows = np.zeros((len(far), 3), np.float32)
        rows[:, 1] = far
        for formula, raw, label in (
            (Formula("softmax", [gamma] * 3, [1.0, 2.0, 1.0], link, hessian), rows, t),
            (Formula("sigmoid", [[gamma] * 2], [[1.0, 2.0]], link, hessian), far, t % 2),
        ):
            out, first_bad = Device(functions, formula, np.full(len(raw), label), raw, None).derivatives()
            assert first_bad == len(raw)
            assert np.isfinite(out).all()
            if hessian != "exact":
                assert (out[1] >= 0).all()
