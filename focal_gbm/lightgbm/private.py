"""What LightGBM does not document, and has no public way for. Each with its reason."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

import lightgbm
import numpy as np

#: LightGBM's own words where it was built without a device; other errors are the device's.
_NOT_BUILT = "not enabled in this build"

#: How LightGBM is built with CUDA: its wheels have none. See docs.
BUILD_COMMAND = (
    "pip install lightgbm --no-binary lightgbm --no-cache-dir --config-settings=cmake.define.USE_CUDA=ON"
)


def shared_object() -> str | None:
    """Return the path of LightGBM's compiled library, which only the object that loaded it knows for sure."""
    loaded = getattr(lightgbm.basic, "_LIB", None)
    return getattr(loaded, "_name", None)


def begin(booster: lightgbm.Booster, is_dart: bool, params: dict[str, Any]) -> None:
    """Work around two bugs of LightGBM that a custom objective triggers in the first round.

    `lightgbm.train` has already told the booster that there is no objective. Its second reset of all
    parameters at the first update would shift the sampling of features (LightGBM issue 6053) and fail
    where no feature can be split (issue 5667).

    Dart draws its trees by a value that is only set in the first update, so that models would differ from fit
    to fit. A prediction sets the value, and a reset starts the draws anew.

    Where LightGBM's attributes are gone, nothing changes.

    Parameters
    ----------
    booster : lightgbm.Booster
        Before its first update.
    is_dart : bool
    params : dict
        Of the fit.
    """
    booster._Booster__set_objective_to_none = True
    if is_dart and hasattr(booster, "_Booster__inner_predict"):
        booster._Booster__inner_predict(data_idx=0)
        with suppress(lightgbm.basic.LightGBMError):  # no feature can be split: nothing to draw
            booster.reset_parameter({"learning_rate": params.get("learning_rate", 0.1)})


def end(booster: lightgbm.Booster) -> None:
    """Undo what `begin` told a booster that is done and has an objective, without which `refit` refuses."""
    booster._Booster__set_objective_to_none = False


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
