"""What the common layers need to know of a library that grows the trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from focal_gbm._validation import FloatArray


@dataclass(frozen=True)
class Library:
    """A description of XGBoost or LightGBM; each package has its own, in `xgboost/` and `lightgbm/`.

    Parameters
    ----------
    name : str
        As messages say it.
    order : {"C", "F"}
        Memory order in which it takes gradients of many scores a row without a copy: row after row, or score
        after score.
    hessian_of_softmax : callable
        From the number of classes to the factor of its own Hessian of the softmax, ``factor * p (1-p)``.
    exact_rows : int
        Number of rows up to which it sums gradients exactly, so that a weight of k can be k copies of the row
        to the last bit of the model; 0 where it never does.
    cuda_major : int or None
        Version of the CUDA with which it takes gradients that are on a device, None where it takes none.
    shared_object : str or None
        Path of its compiled library, on whose threads gradients are computed.
    least_share : float
        Share of the rows that it takes a class for whose rows have no weight, in its start.
    start_of_softmax : callable
        From the shares of the classes to the scores at which it starts its own softmax.
    """

    name: str
    order: Literal["C", "F"]
    hessian_of_softmax: Callable[[int], float]
    exact_rows: int
    cuda_major: int | None
    shared_object: str | None
    least_share: float
    start_of_softmax: Callable[[FloatArray], FloatArray]

    def empty(self, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Return room for gradients: float32 is all that either library keeps."""
        return np.empty(shape, np.float32, order=self.order)
