"""What to put into a report of a fault: versions, and what computes gradients here."""

from __future__ import annotations

import os
import platform
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from focal_gbm.kernels.cpu import is_compiled, level

_PACKAGES = (
    "focal-gbm", "numpy", "scipy", "scikit-learn", "xgboost", "lightgbm", "pandas", "dask", "matplotlib",
)  # fmt: skip


def show_versions() -> None:
    """Print the versions of the package and its dependencies, and which kernel computes gradients.

    Examples
    --------
    >>> import focal_gbm
    >>> focal_gbm.show_versions()  # doctest: +ELLIPSIS
    Python...
    """
    rows = [("Python", platform.python_version()), ("platform", platform.platform())]
    rows += [(package, _version_of(package)) for package in _PACKAGES]
    rows += [
        ("kernel", f"C, {level()}" if is_compiled() else "NumPy: there is no compiled kernel, or it is off"),
        ("cores", str(os.cpu_count())),
        ("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "not set")),
        ("XGBoost with CUDA", _xgboost_has_cuda()),
        ("CuPy", _cupy()),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _xgboost_has_cuda() -> str:
    try:
        info = import_module("xgboost").build_info()
    except ImportError:
        return "not installed"
    cuda = info.get("CUDA_VERSION")
    return f"yes, {'.'.join(map(str, cuda))}" if info.get("USE_CUDA") and cuda else str(info.get("USE_CUDA"))


def _cupy() -> str:
    try:
        cupy = import_module("cupy")
    except ImportError:
        return "not installed"
    try:
        return f"{cupy.__version__}, {cupy.cuda.runtime.getDeviceCount()} devices"
    except Exception as error:  # no driver, no device: that is what is asked
        return f"{cupy.__version__}, no device ({error})"
