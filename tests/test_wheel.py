"""What an install holds; `.ci/run` runs it on a wheel, too, where there is no compiler on the PATH."""

import os
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import numpy as np
import pytest
from focal_gbm.kernels.formula import Formula

from focal_gbm.kernels import compiled
from focal_gbm.kernels.cuda import source

#: What `.ci/run` says that this install must have: "compiled" or "pure".
EXPECTED = os.environ.get("FOCAL_GBM_INSTALL")


def run(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return result.stdout.split()


def test_the_library_is_there_or_said_to_be_absent():
    formula = Formula("sigmoid", [[2.0, 2.0]], [[1.0, 1.0]])
    if EXPECTED is not None:
        assert (compiled.level() is not None) == (EXPECTED == "compiled")
    if compiled.level() is None:
        with pytest.raises(RuntimeError, match="installed without a C compiler"):
            compiled.Kernel(formula, np.array([0, 1]))
        return
    raw = np.array([-2.0, 2.0], np.float32)
    gradient, hessian = np.empty((2, 2), np.float32)
    assert compiled.Kernel(formula, np.array([0, 1])).gradient_hessian(raw, gradient, hessian) == -1
    p = 1 / (1 + np.exp(-2.0))
    g = (1 - p) ** 2 * (1 - p - 2 * p * np.log(p))
    assert gradient == pytest.approx([g, -g], rel=1e-5)


def test_the_library_is_loaded_when_it_is_used():
    mapped = "'focal_kernel' in open('/proc/self/maps').read()"
    if not Path("/proc/self/maps").exists():
        pytest.skip("no /proc")
    code = f"import focal_gbm, focal_gbm.kernels.cpu as c; print({mapped}); c.level(); print({mapped})"
    assert run(code) == ["False", str(compiled.level() is not None)]


def test_importing_the_package_imports_no_kernel():
    assert (
        run("import focal_gbm, sys; print('focal_gbm.kernels' in sys.modules, 'ctypes' in sys.modules)")[0] == "False"
    )


def test_the_cuda_source_is_whole():
    assert '#include "' not in source()
    assert "focal_softmax" in source()


@pytest.mark.skipif(EXPECTED is None, reason="an editable install has all sources")
def test_the_wheel_has_no_sources_of_c():
    names = [str(file) for file in files("focal-gbm") or ()]
    assert any(name.endswith("kernels/kernel.cu") for name in names)
    assert not any(name.endswith((".c", "CMakeLists.txt")) or name.startswith("tests") for name in names)
    assert any("focal_kernel" in name for name in names) == (EXPECTED == "compiled")
