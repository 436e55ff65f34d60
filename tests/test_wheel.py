"""What an install holds; `.ci/run` runs it on a wheel, too, where there is no compiler on the PATH."""

import os
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import numpy as np
import pytest

from focal_gbm import BinaryFocalLoss
from focal_gbm.kernels import cpu, kernel_of
from focal_gbm.kernels.cuda import source

#: What `.ci/run` says that this install must have: "compiled" or "pure".
EXPECTED = os.environ.get("FOCAL_GBM_INSTALL")


def run(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return result.stdout.split()


def test_the_library_is_there_or_numpy_computes():
    if EXPECTED is not None:
        assert (cpu.level() is not None) == (EXPECTED == "compiled")
    kernel = kernel_of(BinaryFocalLoss(0.0), np.array([False, True]), None)
    assert type(kernel).__name__ == ("NumpyKernel" if cpu.level() is None else "CompiledKernel")
    gradient, hessian = kernel(np.array([-2.0, 2.0], np.float32))
    p = 1 / (1 + np.exp(-2.0))
    assert gradient == pytest.approx([1 - p, p - 1], rel=1e-5)
    assert hessian == pytest.approx([p * (1 - p)] * 2, rel=1e-5)


def test_the_library_is_loaded_when_it_is_used():
    mapped = "'focal_kernel' in open('/proc/self/maps').read()"
    if not Path("/proc/self/maps").exists():
        pytest.skip("no /proc")
    code = f"import focal_gbm, focal_gbm.kernels.cpu as c; print({mapped}); c.level(); print({mapped})"
    assert run(code) == ["False", str(cpu.level() is not None)]


def test_importing_the_package_imports_no_kernel():
    assert (
        run("import focal_gbm, sys; print('focal_gbm.kernels' in sys.modules, 'ctypes' in sys.modules)")[0] == "False"
    )


def test_the_cuda_source_is_whole():
    assert '#include "' not in source()
    assert "focal_many_classes" in source()


@pytest.mark.skipif(EXPECTED is None, reason="an editable install has all sources")
def test_the_wheel_has_no_sources_of_c():
    names = [str(file) for file in files("focal-gbm") or ()]
    assert any(name.endswith("kernels/kernel.cu") for name in names)
    assert not any(name.endswith((".c", "CMakeLists.txt")) or name.startswith("tests") for name in names)
    assert any("focal_kernel" in name for name in names) == (EXPECTED == "compiled")
