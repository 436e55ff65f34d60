"""LightGBM as the common layers see it, and what it calls the kinds of problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import lightgbm
import numpy as np
from scipy.special import logsumexp

from focal_gbm._validation import FloatArray
from focal_gbm._versions import warn_if_untested
from focal_gbm.lightgbm.private import shared_object
from focal_gbm.training.library import Library

warn_if_untested("lightgbm", lightgbm.__version__)


def _of_softmax(n_classes: int) -> float:
    return n_classes / (n_classes - 1.0)


#: LightGBM's `kEpsilon`: the least probability that it starts from.
_EPSILON = 1e-15


LIGHTGBM = Library(
    name="LightGBM",
    order="F",
    hessian_of_softmax=_of_softmax,
    exact_rows=0,
    # its CUDA tree method fetches gradients from the CPU
    cuda_major=None,
    shared_object=shared_object(),
    least_share=_EPSILON,
    start_of_softmax=np.log,
)


class Kind(NamedTuple):
    """What LightGBM calls a kind of problem."""

    names: tuple[str, ...]  #: of the objective, as a user may give them
    objective: str  #: as a model file says it, with the number of classes to fill in
    own_start: Callable[[FloatArray], FloatArray]  #: from a start to that with the constant of LightGBM's own


def _log_probabilities(start: FloatArray) -> FloatArray:
    # any constant will do; for γ=0 this is LightGBM's own start
    return start - float(logsumexp(start))


KINDS = {
    "binary": Kind(("binary",), "binary sigmoid:1", np.asarray),
    "multiclass": Kind(("multiclass", "softmax"), "multiclass num_class:{}", _log_probabilities),
}
