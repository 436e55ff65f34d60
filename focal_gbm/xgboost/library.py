"""XGBoost as the common layers see it, and what it calls the kinds of problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xgboost
from scipy.special import expit
from xgboost.libpath import find_lib_path

from focal_gbm._validation import FloatArray
from focal_gbm._versions import warn_if_untested
from focal_gbm.training.library import Library

warn_if_untested("xgboost", xgboost.__version__)


def _twice(n_classes: int) -> float:
    return 2.0


#: XGBoost's `kRtEps`: the least probability that it takes the logarithm or the log-odds of.
_EPSILON = 1e-6


def _start_of_softmax(shares: FloatArray) -> FloatArray:
    # in float32, and the mean summed term by term: to the last bit, as the splits of the first round can tie
    logs = np.log((shares.astype(np.float32) + np.float32(_EPSILON)).astype(np.float64)).astype(np.float32)
    mean = np.cumsum(logs / np.float32(len(logs)), dtype=np.float32)[-1]
    return (logs - mean).astype(np.float64)


XGBOOST = Library(
    name="XGBoost",
    order="C",
    hessian_of_softmax=_twice,
    # gradients are kept as float32 and summed as float64
    exact_rows=1024,
    cuda_major=next(iter(xgboost.build_info().get("CUDA_VERSION", ())), None),
    shared_object=next(iter(find_lib_path()), None),
    least_share=_EPSILON,
    start_of_softmax=_start_of_softmax,
)


class Kind(NamedTuple):
    """What XGBoost calls a kind of problem."""

    names: tuple[str, ...]  #: of the objective, as a user may give them
    objective: str
    to_base_score: Callable[[FloatArray], FloatArray]  #: from scores to the scale of `base_score`


_SIGMOID = ("binary:logistic", "reg:logistic")

KINDS = {
    "binary": Kind(_SIGMOID, "binary:logistic", expit),
    # XGBClassifier has them for softmax with many classes
    "multiclass": Kind((*_SIGMOID, "multi:softprob", "multi:softmax"), "multi:softprob", np.asarray),
    "multilabel": Kind(_SIGMOID, "binary:logistic", expit),
}
