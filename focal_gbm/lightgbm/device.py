"""Whether the installed LightGBM can train on the device that a user names."""

from __future__ import annotations

from functools import cache

import lightgbm
import numpy as np

#: LightGBM's own words where it was built without a device; other errors are the device's.
_NOT_BUILT = "not enabled in this build"

#: How LightGBM is built with CUDA: its wheels have none. See docs.
BUILD_COMMAND = (
    "pip install lightgbm --no-binary lightgbm --no-cache-dir --config-settings=cmake.define.USE_CUDA=ON"
)


def check_device(name: str, device: object) -> None:
    """Refuse LightGBM's CUDA tree method where the installed LightGBM was built without it.

    LightGBM finds out itself, but only after it has binned the whole table.

    Parameters
    ----------
    name : str
        The parameter that named the device: "device_type" or "device".
    device : object
        Its value.

    Raises
    ------
    RuntimeError
        With the command that builds LightGBM with CUDA.
    """
    if device == "cuda" and not _has_cuda():
        raise RuntimeError(
            f"{name}='cuda' needs a LightGBM built with CUDA, which version {lightgbm.__version__} installed "
            f"here was not. Build it on a machine with the CUDA toolkit, CMake and NCCL's headers: "
            f"{BUILD_COMMAND}"
        )


@cache
def _has_cuda() -> bool:
    """Say whether LightGBM was built with CUDA: it has no other way to tell than to make a model."""
    data = lightgbm.Dataset(np.zeros((2, 1)), np.zeros(2), params={"verbose": -1})
    try:
        lightgbm.Booster({"device_type": "cuda", "objective": "none", "verbose": -1}, data)
    except lightgbm.basic.LightGBMError as error:
        return _NOT_BUILT not in str(error)
    return True
