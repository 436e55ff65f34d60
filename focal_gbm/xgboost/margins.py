"""Raw predictions during training: seen in XGBoost's own memory, or kept on the device that has the rows.

XGBoost hands predictions over through main memory, also those of a CUDA device, where that takes longer than
the round itself. For rows that lie on the device, XGBoost evaluates the newest trees alone and adds them to
the predictions so far: bit by bit what it keeps itself, as long as no tree changes once it is grown.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import xgboost
from xgboost.libpath import find_lib_path

from focal_gbm._validation import FloatArray
from focal_gbm.kernels.cuda import Cuda


class Margins:
    """The raw predictions of the matrices of one fit.

    Parameters
    ----------
    kept : sequence of KeptMargins, default=()
        For the matrices whose rows lie on a device.
    """

    def __init__(self, kept: Sequence[KeptMargins] = ()) -> None:
        self._kept = {id(data): one for one in kept for data in one.matrices}

    def cuda_of(self, data: xgboost.DMatrix) -> Cuda | None:
        """Return the device on which the predictions of a matrix are kept, if they are."""
        kept = self._kept.get(id(data))
        return None if kept is None else kept.cuda

    def of(self, booster: xgboost.Booster, data: xgboost.DMatrix, *, training: bool = False) -> Any:
        """Return the raw predictions of all trees so far, not to be written to, and gone with the next call.

        Parameters
        ----------
        booster : Booster
        data : DMatrix
        training : bool, default=False
            Of the rows trained on, for the objective: without the trees that dart drops in this round.

        Returns
        -------
        ndarray of float32 of shape (n_samples,) or (n_samples, n_scores), CuPy's where they are kept there
        """
        kept = self._kept.get(id(data))
        return in_place(booster, data, training) if kept is None else kept.of(booster, data)


class KeptMargins:
    """The raw predictions of matrices whose rows are parts of one array, where that array is.

    Parameters
    ----------
    rows : array of shape (n_samples, n_features)
        CuPy's.
    parts : list of (DMatrix, slice)
        Which rows each matrix was made of.
    missing : float
        The value that stands for a missing one.
    cuda : Cuda
    """

    def __init__(
        self, rows: Any, parts: list[tuple[xgboost.DMatrix, slice]], missing: float, cuda: Cuda
    ) -> None:
        self.cuda = cuda
        self.matrices = [data for data, _ in parts]
        self._parts = {id(data): part for data, part in parts}
        self._rows, self._missing = rows, missing
        self._margin: Any = None
        self._n_rounds = 0
        self._proxy: ctypes.c_void_p | None = None

    def __del__(self) -> None:
        if self._proxy is not None:
            _c_api().XGDMatrixFree(self._proxy)

    def of(self, booster: xgboost.Booster, data: xgboost.DMatrix) -> Any:
        """Return the raw predictions of all trees so far: a part of the array that the next rounds add to."""
        n_rounds = booster.num_boosted_rounds()
        if self._margin is None or n_rounds < self._n_rounds:  # a callback may cut trees off
            self._begin(booster)
        elif n_rounds > self._n_rounds:
            self._add(booster, n_rounds)
        self._n_rounds = n_rounds
        return self._margin[self._parts[id(data)]]

    def _begin(self, booster: xgboost.Booster) -> None:
        """Take XGBoost's predictions, with base_margin and all trees that there are, through main memory."""
        for data in self.matrices:
            so_far = in_place(booster, data)
            if self._margin is None:
                self._margin = self.cuda.empty((len(self._rows), *so_far.shape[1:]))
            self._margin[self._parts[id(data)]].set(np.ascontiguousarray(so_far))

    def _add(self, booster: xgboost.Booster, n_rounds: int) -> None:
        """Add the trees of the rounds since."""
        library = _c_api()
        if self._proxy is None:  # holds what belongs to the rows beside their values
            self._proxy = ctypes.c_void_p()
            _check(library.XGProxyDMatrixCreate(ctypes.byref(self._proxy)))
        _check(
            library.XGDMatrixSetInfoFromInterface(self._proxy, b"base_margin", _array_interface(self._margin))
        )
        options = _options(
            iteration_begin=self._n_rounds, iteration_end=n_rounds, missing=self._missing, cache_id=0
        )
        shape, n_axes, values = _outputs()
        _check(
            library.XGBoosterPredictFromCudaArray(
                booster.handle, _array_interface(self._rows), options, self._proxy,
                ctypes.byref(shape), ctypes.byref(n_axes), ctypes.byref(values),
            )
        )  # fmt: skip
        with self.cuda.device:
            memory = self.cuda.cupy.cuda.UnownedMemory(
                ctypes.cast(values, ctypes.c_void_p).value, self._margin.nbytes, None
            )
            start = self.cuda.cupy.cuda.MemoryPointer(memory, 0)
            self._margin.data.copy_from_device(start, self._margin.nbytes)


def in_place(booster: xgboost.Booster, data: xgboost.DMatrix, training: bool = False) -> FloatArray:
    """Return raw predictions in XGBoost's own memory, by its documented C functions; see `Margins.of`.

    `Booster.predict` copies them twice: of a round of a million rows on 16 threads a tenth.
    """
    shape, n_axes, values = _outputs()
    options = _options(training=training, iteration_begin=0, iteration_end=0)
    _check(
        _c_api().XGBoosterPredictFromDMatrix(
            booster.handle, data.handle, options,
            ctypes.byref(shape), ctypes.byref(n_axes), ctypes.byref(values),
        )
    )  # fmt: skip
    predictions = np.ctypeslib.as_array(values, tuple(shape[i] for i in range(n_axes.value)))
    predictions.flags.writeable = False
    return predictions


@cache
def _c_api() -> ctypes.CDLL:
    library = ctypes.CDLL(find_lib_path()[0])
    library.XGBGetLastError.restype = ctypes.c_char_p
    return library


def _check(failed: int) -> None:
    if failed:
        raise xgboost.core.XGBoostError(_c_api().XGBGetLastError().decode())


@lru_cache(maxsize=8)  # those of all rows are the same in every round
def _options(**options: Any) -> bytes:
    """Return the options of a prediction: type 1 is the raw one."""
    return json.dumps({"type": 1, "training": False, "strict_shape": False, **options}).encode()


def _outputs() -> tuple[Any, Any, Any]:
    return ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64(), ctypes.POINTER(ctypes.c_float)()


def _array_interface(array: Any) -> bytes:
    """Return where an array lies, as XGBoost reads it."""
    return json.dumps(array.__cuda_array_interface__).encode()
