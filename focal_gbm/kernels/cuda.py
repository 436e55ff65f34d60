"""The CUDA source of the kernel, for CuPy to compile, and what its functions take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focal_gbm.kernels.formula import Formula

_FOLDER = Path(__file__).parent


def source() -> str:
    """Return kernel.cu with its headers in it: a compiler at run time has no folders."""
    text = (_FOLDER / "kernel.cu").read_text(encoding="utf-8")
    for header in ("kernel.h", "elementary.h"):
        text = text.replace(f'#include "{header}"', (_FOLDER / header).read_text(encoding="utf-8"))
    return text


def class_parameters(formula: Formula) -> NDArray[np.float32]:
    """Return the ``Class`` of kernel.h for every class, for "sigmoid" of class 0 and 1 of every column.

    Returns
    -------
    ndarray of float32 of shape (n_classes, 4)
        γ, weight, log(weight), and the floor times min(γ, 1).
    """
    classes = formula.classes.reshape(-1, 3)
    floor = formula.floor * np.minimum(classes[:, :1], 1.0)
    with np.errstate(over="ignore"):  # the kernel reports what became infinite
        return np.concatenate([classes, floor], axis=1).astype(np.float32)
