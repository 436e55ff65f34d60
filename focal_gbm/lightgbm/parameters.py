"""LightGBM's parameters: their aliases, and those that cannot be honoured with a custom objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from focal_gbm.fit.plan import by_label

#: LightGBM's own words where it was built without a device; other errors are the device's.
_NOT_BUILT = "not enabled in this build"

#: How LightGBM is built with CUDA: its wheels have none. See docs.
BUILD_COMMAND = "pip install lightgbm --no-binary lightgbm --no-cache-dir --config-settings=cmake.define.USE_CUDA=ON"


# LightGBM's names for one parameter, from its table of aliases. As there, the first that is given counts.
OBJECTIVE = ("objective", "objective_type", "app", "application", "loss")
METRIC = ("metric", "metrics", "metric_types")
BOOSTING = ("boosting", "boost", "boosting_type")
UNBALANCE = ("is_unbalance", "unbalance", "unbalanced_sets")
THREADS = ("num_threads", "num_thread", "nthread", "nthreads", "n_jobs")
DEVICE = ("device_type", "device")
NUM_CLASS = ("num_class", "num_classes")
N_ROUNDS = (
    "num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees", "num_round", "num_rounds", "nrounds",
    "num_boost_round", "max_iter",
)  # fmt: skip
EARLY_STOPPING = ("early_stopping_round", "early_stopping", "n_iter_no_change", "early_stopping_rounds")
POSITIVE_BAGGING = ("pos_bagging_fraction", "pos_sub_row", "pos_subsample", "pos_bagging")
NEGATIVE_BAGGING = ("neg_bagging_fraction", "neg_sub_row", "neg_subsample", "neg_bagging")

_FLAGS = {"true": True, "+": True, "false": False, "-": False}

#: The parameters that weight the classes, which the fit turns into α.
WEIGHTS = (*UNBALANCE, "scale_pos_weight", "class_weight")

#: LightGBM's objectives whose raw predictions are log-odds.
OBJECTIVES = {"binary": ("binary",), "multiclass": ("multiclass", "softmax")}


def given(
    params: Mapping[str, Any], names: Sequence[str], default: Any = None, kind: type | None = None
) -> tuple[str, Any]:
    """Return (name, value) of the alias that the user set, or the first name and `default`.

    Parameters
    ----------
    params : dict
    names : sequence of str
    default : object
    kind : {float, bool} or None, default=None
        As what a text is read, as LightGBM reads it.

    Raises
    ------
    ValueError
        For a text that is none.
    """
    name, value = next(((name, params[name]) for name in names if params.get(name) is not None), (names[0], default))
    if not isinstance(value, str) or kind is None:
        return name, value
    try:
        return name, float(value) if kind is float else _FLAGS[value.strip().lower()]
    except (ValueError, KeyError):
        expected = "a number" if kind is float else "a boolean, 'true' or 'false'"
        raise ValueError(f"{name} must be {expected}, got {value!r}.") from None


def refuse_parameters(params: Mapping[str, Any], n_classes: int) -> None:
    """Raise on a parameter that LightGBM does not honour with a custom objective.

    Raises
    ------
    ValueError
        Naming the parameter, what was expected and what came.
    """
    if "gamma" in params:
        raise ValueError(
            "gamma is no parameter of LightGBM, which ignores it: the focusing parameter is focal_gamma of "
            "FocalLGBMClassifier and gamma= of train, the minimum gain of a split min_split_gain."
        )
    kind = "binary" if n_classes <= 2 else "multiclass"
    for name in OBJECTIVE:
        objective = params.get(name)
        if objective is not None and objective not in OBJECTIVES[kind]:
            raise ValueError(
                f"{name} must be {' or '.join(map(repr, OBJECTIVES[kind]))} or left alone: the focal loss is "
                f"the objective, got {objective!r}. LGBMClassifier(objective=FocalLGBMObjective(...)) takes "
                "a focal objective into LightGBM's own estimator."
            )
    name, boosting = given(params, BOOSTING)
    if boosting in ("rf", "random_forest"):
        raise ValueError(
            f"{name} must not be {boosting!r}: LightGBM's random forests take no custom objective. "
            "Use 'gbdt', 'dart' or data_sample_strategy='goss'."
        )
    for names in (POSITIVE_BAGGING, NEGATIVE_BAGGING):
        name, fraction = given(params, names, 1.0, float)
        if fraction != 1:
            raise ValueError(
                f"{name} must be 1, got {fraction!r}: LightGBM ignores it with a custom objective. "
                "Use subsample (bagging_fraction)."
            )
    name, sigmoid = given(params, ["sigmoid"], 1.0, float)
    if sigmoid != 1:
        raise ValueError(f"sigmoid must be 1, got {sigmoid!r}: raw predictions are log-odds.")
    if given(params, ["multi_error_top_k"], 1, float)[1] != 1:
        raise ValueError("multi_error_top_k must be 1: multi_error is of the most probable class.")
    name, num_class = given(params, NUM_CLASS, None, float)
    if num_class not in (None, max(n_classes, 1)) and (num_class, kind) != (1, "binary"):
        raise ValueError(f"{name} is the number of classes in y, {n_classes}, got {num_class!r}.")
    name, device = given(params, DEVICE)
    if device == "cuda":
        check_cuda(name)


def library_weights(params: Mapping[str, Any], classes: NDArray[Any]) -> dict[str, Any]:
    """Return LightGBM's own parameters that weight the classes, as values of α; None where not given.

    Parameters
    ----------
    params : dict
    classes : ndarray of shape (n_classes,)
    """
    weights: dict[str, Any] = {}
    by_class = params.get("class_weight")
    by_class = by_class if by_class is None else by_label(by_class)
    if isinstance(by_class, Mapping):  # in scikit-learn a class that is not named has weight 1
        by_class = {**{label: 1.0 for label in classes.tolist() if label not in by_class}, **by_class}
    weights["class_weight"] = by_class
    name, is_unbalance = given(params, UNBALANCE, False, bool)
    # LightGBM weights the rarer class up by the quotient of the counts, which is "balanced" up to a factor
    weights[name] = "balanced" if is_unbalance else None
    name, weight = given(params, ["scale_pos_weight"], 1.0, float)
    if weight != 1 and len(classes) != 2:
        raise ValueError(f"scale_pos_weight is for two classes, got {len(classes)}: use focal_alpha.")
    weights[name] = (1.0, weight) if weight != 1 else None
    return weights


def check_cuda(name: str) -> None:
    """Refuse LightGBM's CUDA tree method where the installed LightGBM was built without it.

    LightGBM finds out itself, but only after it has binned the whole table.

    Parameters
    ----------
    name : str
        The parameter that named the device: "device_type" or "device".

    Raises
    ------
    RuntimeError
        With the command that builds LightGBM with CUDA.
    """
    if not _has_cuda():
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
