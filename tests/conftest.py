import os
import sys

# Workers side by side: LightGBM asks for all cores whatever OMP_NUM_THREADS says, and threads that wait for
# each other in a spin make small fits many times as slow. Before a library loads OpenMP.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")

import pytest
from estimators import BOTH
from hypothesis import settings
from needs import missing
from tables import make_table

from focal_gbm.kernels.cpu import SWITCH, library

settings.register_profile("focal", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("focal")


@pytest.fixture(scope="session")
def table():
    return make_table(0)


@pytest.fixture(scope="session")
def validation():
    return make_table(1, n_samples=300)


@pytest.fixture(params=BOTH.values(), ids=BOTH.keys())
def make(request):
    """Build a small estimator; the test runs once for each library."""
    return request.param


@pytest.fixture(params=["compiled", "numpy"])
def kernel(request, monkeypatch):
    """Compute gradients in C, and by NumPy; the name of what does."""
    if request.param == "compiled" and library() is None:
        missing("kernel", "focal_gbm was installed without a C compiler")
    monkeypatch.setenv(SWITCH, request.param)
    return request.param


@pytest.fixture
def cupy(monkeypatch):
    """CuPy and one device, so it seems, and an XGBoost that takes its arrays."""
    from cupy_stand_in import COMPILER, let_xgboost_take_stand_ins, make_cupy

    if COMPILER is None:
        missing("compiler", "no C compiler to make functions of the CUDA kernels with")
    module = make_cupy()
    monkeypatch.setitem(sys.modules, "cupy", module)
    module.made_matrices_of = let_xgboost_take_stand_ins(monkeypatch)
    return module
