"""The kernel is built without a warning by the compilers that users have, and computes the same."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from loss_cases import ALPHA, KINDS, made_rows, make
from needs import missing
from numpy.testing import assert_allclose

import focal_gbm.kernels
from focal_gbm.kernels import cpu, kernel_of
from focal_gbm.losses import Focal

FOLDER = Path(focal_gbm.kernels.__file__).parent
#: Those of CMakeLists.txt; every warning is an error.
OPTIONS = ("-O3", "-std=c11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fPIC")
WARNINGS = ("-Wall", "-Wextra", "-Werror")


def build(compiler, target, *options):
    """Build the library with the instructions that every processor has."""
    sources = [str(FOLDER / name) for name in ("run.c", "kernel.c")]
    command = [compiler, *OPTIONS, *WARNINGS, "-DENTRY=entry_baseline", *options, *sources, "-o", str(target)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.fixture(params=["gcc", "clang"], scope="module")
def library(request, tmp_path_factory):
    if shutil.which(request.param) is None:
        missing(request.param, f"no {request.param}")
    path = tmp_path_factory.mktemp(request.param) / "kernel.so"
    build(request.param, path, "-shared")
    loaded = ctypes.CDLL(str(path))
    loaded.focal_run.restype = None
    loaded.focal_run.argtypes = (ctypes.c_void_p, *[ctypes.c_int] * 2, *[ctypes.c_void_p] * 3)
    return loaded


@pytest.mark.parametrize("kind", KINDS)
def test_gcc_and_clang_build_the_same_kernel(library, kind, monkeypatch):
    monkeypatch.setattr(cpu, "library", lambda: library)
    for margin_loss in (Focal(0.0), Focal(2.0)):
        loss = make(kind, margin_loss, ALPHA[kind])
        labels, raw = made_rows(loss, 2000, 4.0, dtype=np.float32)
        kernel = kernel_of(loss, labels, None)
        assert kernel.level == "baseline"
        exact = loss.gradient_hessian(labels, raw.astype(float))
        for found, expected in zip(kernel(raw), exact, strict=True):
            size = np.abs(exact[0]) + np.abs(expected)
            assert (np.abs(found - expected) <= 2e-6 * size).all()
        assert_allclose(kernel(raw.astype(float))[0], kernel(raw)[0])


@pytest.mark.parametrize("compiler", ["aarch64-linux-gnu-gcc"])
def test_it_compiles_for_arm(compiler, tmp_path):
    if shutil.which(compiler) is None:
        missing(compiler, f"no {compiler}")
    build(compiler, tmp_path / "kernel.so", "-shared")


@pytest.mark.parametrize(("level", "flags"), [
    ("avx2", ("-mavx2", "-mfma")),
    ("avx512", ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512")),
])  # fmt: skip
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_level_compiles(compiler, level, flags, tmp_path):
    if shutil.which(compiler) is None:
        missing(compiler, f"no {compiler}")
    if cpu.level() is None or len(cpu.LEVELS) < 3:
        missing("kernel", "installed without a C compiler")
    files = "-c", str(FOLDER / "kernel.c"), "-o", str(tmp_path / "kernel.o")
    command = [compiler, *OPTIONS, *WARNINGS, f"-DENTRY=entry_{level}", *flags, *files]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
