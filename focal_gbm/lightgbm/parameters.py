"""LightGBM's parameters: their aliases, those that cannot be honoured, those that weight the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray
from focal_gbm.lightgbm.device import check_device
from focal_gbm.training.plan import Alpha
from focal_gbm.training.state import FOCAL_PARAMETERS

# LightGBM's names for one parameter, from its table of aliases. As there, the first that is given counts:
# its own name, then the shorter alias.
OBJECTIVE = ("objective", "objective_type", "app", "application", "loss")
METRIC = ("metric", "metrics", "metric_types")
BOOSTING = ("boosting", "boost", "boosting_type")
UNBALANCE = ("is_unbalance", "unbalance", "unbalanced_sets")
MIN_ROWS = ("min_data_in_leaf", "min_data", "min_samples_leaf", "min_child_samples", "min_data_per_leaf")
MIN_HESSIAN = (
    "min_sum_hessian_in_leaf",
    "min_hessian",
    "min_sum_hessian",
    "min_child_weight",
    "min_sum_hessian_per_leaf",
)
THREADS = ("num_threads", "num_thread", "nthread", "nthreads", "n_jobs")
DEVICE = ("device_type", "device")
NUM_CLASS = ("num_class", "num_classes")
POSITIVE_BAGGING = ("pos_bagging_fraction", "pos_sub_row", "pos_subsample", "pos_bagging")
NEGATIVE_BAGGING = ("neg_bagging_fraction", "neg_sub_row", "neg_subsample", "neg_bagging")

#: Aliases win over the estimator's own parameter, as in LightGBM.
ROUNDS = (
    "num_iterations", "n_iter", "nrounds", "max_iter", "num_tree", "num_round", "num_trees", "num_rounds",
    "num_iteration", "num_boost_round", "n_estimators",
)  # fmt: skip
EARLY_STOPPING = ("early_stopping_round", "early_stopping", "n_iter_no_change", "early_stopping_rounds")

#: The parameters that a fit gives to the booster in a form of its own, or not at all.
DERIVED = frozenset(
    {*FOCAL_PARAMETERS, *OBJECTIVE, *METRIC, *NUM_CLASS, *UNBALANCE, "scale_pos_weight", "class_weight"}
)

#: What a Dataset has no use for. Not random_state, which LightGBM draws the rows from that it finds bins
#: by, and not min_child_samples, below which a Dataset leaves features out.
FREE_OF_BINNING = frozenset(
    {
        *FOCAL_PARAMETERS, *UNBALANCE, *MIN_HESSIAN, "boosting_type", "class_weight", "colsample_bytree",
        "extra_trees", "importance_type", "learning_rate", "max_delta_step", "max_depth", "min_split_gain",
        "n_estimators", "num_leaves", "path_smooth", "reg_alpha", "reg_lambda", "scale_pos_weight",
        "subsample", "subsample_freq",
    }
)  # fmt: skip


def given(model: Any, names: Sequence[str], default: Any = None) -> tuple[str, Any]:
    """Return (name, value) of the alias that the user set, or the first name and `default`."""
    params = model.get_params(deep=False)
    for name in names:
        if params.get(name) is not None:
            return name, params[name]
    return names[0], default


def given_number(model: Any, names: Sequence[str], default: float | None = None) -> tuple[str, Any]:
    """Return what `given` does, with a text read as the number that it is, as LightGBM reads it."""
    name, value = given(model, names, default)
    if isinstance(value, str):
        try:
            return name, float(value)
        except ValueError:
            raise ValueError(f"{name} must be a number, got {value!r}.") from None
    return name, value


def given_flag(model: Any, names: Sequence[str], default: bool) -> tuple[str, bool]:
    """Return what `given` does, with a text read as LightGBM reads one: "true", "+", "false", "-"."""
    name, value = given(model, names, default)
    if isinstance(value, str):
        known = {"true": True, "+": True, "false": False, "-": False}
        if value.strip().lower() not in known:
            raise ValueError(f"{name} must be a boolean, 'true' or 'false', got {value!r}.")
        return name, known[value.strip().lower()]
    return name, bool(value)


def booster_params(model: Any, objective: Any, metric: Any, n_scores: int) -> dict[str, Any]:
    """Return the booster's parameters: the user's, with objective, metric and classes of a fit.

    Parameters
    ----------
    model : FocalLGBMClassifier
    objective : callable or str
    metric : str or list of str
    n_scores : int
        Trees of a round.
    """
    of_estimator = {*DERIVED, *THREADS, "importance_type", "n_estimators"}
    params = {name: value for name, value in model.get_params().items() if name not in of_estimator}
    params.update(objective=objective, metric=metric, num_threads=_n_threads(model))
    if n_scores > 1:
        params["num_class"] = n_scores
    seed = params.get("random_state")
    if isinstance(seed, np.random.RandomState):
        params["random_state"] = seed.randint(np.iinfo(np.int32).max)
    elif isinstance(seed, np.random.Generator):
        params["random_state"] = int(seed.integers(np.iinfo(np.int32).max))
    return params


def _n_threads(model: Any) -> int:
    """Return the number of threads by joblib's conventions, as LGBMClassifier; 0 is LightGBM's choice."""
    n_jobs = given_number(model, THREADS)[1]
    if n_jobs is None:
        return int(joblib.cpu_count(only_physical_cores=True))
    return int(n_jobs) if n_jobs >= 0 else max(joblib.cpu_count() + 1 + int(n_jobs), 1)


def is_dart(model: Any) -> bool:
    """Say whether trees are dropped from round to round."""
    return bool(given(model, BOOSTING)[1] == "dart")


def starts_from_average(model: Any) -> bool:
    """Say whether training starts at the base rate."""
    return given_flag(model, ["boost_from_average"], True)[1]


def refuse_parameters(model: Any, objectives: Sequence[str]) -> None:
    """Raise on a parameter that cannot be honoured; `objectives` are LightGBM's names of the same task."""
    for name in OBJECTIVE:
        name, objective = given(model, [name])
        if objective is None or objective in objectives:
            continue
        raise ValueError(
            f"{name} must be left alone: {type(model).__name__} trains the focal loss, got "
            f"{objective!r}. Use lightgbm.LGBMClassifier(objective=FocalLGBMObjective(...)) for LightGBM's "
            "own estimator with a focal objective."
        )
    name, boosting = given(model, BOOSTING)
    if boosting in ("rf", "random_forest"):
        raise ValueError(
            f"{name} must not be {boosting!r}: LightGBM's random forests take no custom objective. "
            "Use 'gbdt', 'dart' or data_sample_strategy='goss'."
        )
    for names in (POSITIVE_BAGGING, NEGATIVE_BAGGING):
        name, fraction = given_number(model, names, 1.0)
        if fraction != 1:
            raise ValueError(
                f"{name} must be 1, got {fraction!r}: LightGBM ignores it beside a custom objective. "
                "Use subsample (bagging_fraction)."
            )
    check_device(*given(model, DEVICE))
    name, sigmoid = given_number(model, ["sigmoid"], 1.0)
    if sigmoid != 1:
        raise ValueError(f"sigmoid must be 1, got {sigmoid!r}: the focal link has no other slope.")
    if given_number(model, ["multi_error_top_k"], 1)[1] != 1:
        raise ValueError("multi_error_top_k must be 1: multi_error is computed on what `predict` returns.")


def check_num_class(model: Any, n_scores: int) -> None:
    """Raise on a number of classes that is not that of y."""
    name, n_classes = given_number(model, NUM_CLASS)
    if n_classes not in (None, n_scores):
        raise ValueError(f"{name} is taken from y, got {n_classes!r}.")


def library_alphas(model: Any, classes: NDArray[Any], class_counts: FloatArray) -> list[Alpha]:
    """Return each of LightGBM's own parameters that weights the classes."""
    alphas: list[Alpha] = []
    if model.class_weight is not None:
        weights: Any = model.class_weight
        if isinstance(weights, dict):  # in scikit-learn a class that is not named has weight 1
            weights = {**{label: 1.0 for label in classes.tolist() if label not in weights}, **weights}
        alphas.append(Alpha("class_weight", model.class_weight, weights))
    name, is_unbalance = given_flag(model, UNBALANCE, False)
    if is_unbalance:
        if not class_counts.all():
            raise ValueError(f"{name}={is_unbalance} needs rows with a positive weight in every class.")
        # As LightGBM: the rarer class is weighted up by the quotient of the counts.
        alphas.append(Alpha(name, True, class_counts.max() / class_counts))
    name, weight = given_number(model, ["scale_pos_weight"], 1.0)
    if weight != 1:
        alphas.append(Alpha(name, weight, (1.0, weight)))
    return alphas
