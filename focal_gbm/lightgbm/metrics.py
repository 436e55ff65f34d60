"""Metrics of a fit with LightGBM, whose own see raw scores for probabilities beside a custom objective.

Metrics of the order of predictions stay LightGBM's. Those of probabilities are computed here, under
LightGBM's names, and a user's callables are given probabilities.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp, softmax

from focal_gbm._validation import FloatArray

#: LightGBM's metrics that are right on raw scores: they see only the order of predictions.
_OF_ORDER = {"binary": ("auc", "average_precision"), "multiclass": ("auc_mu",)}


def _log_loss(y: NDArray[Any], f: FloatArray) -> FloatArray:
    if f.ndim == 1:
        minus_m = np.where(y > 0, -f, f)
        # softplus of it, as every round takes it: np.logaddexp is slower
        return np.log1p(np.exp(-np.abs(f))) + np.maximum(minus_m, 0.0)
    return logsumexp(f, axis=1) - f[np.arange(len(y)), y.astype(np.intp)]


def _error(y: NDArray[Any], f: FloatArray) -> NDArray[Any]:
    return (f > 0) != (y > 0) if f.ndim == 1 else f.argmax(axis=1) != y


def _absolute(y: NDArray[Any], f: FloatArray) -> FloatArray:
    return np.abs(expit(f) - y)


def _squared(y: NDArray[Any], f: FloatArray) -> FloatArray:
    return (expit(f) - y) ** 2


_LOG_LOSS = ("logloss", "binary_logloss", "multi_logloss")
_ERROR = ("error", "binary_error", "multi_error")

#: By LightGBM's names: the name that it reports, and the loss of a row whose mean it is. As in LightGBM, the
#: names for two and for many classes stand for each other.
_OF_PROBABILITY: dict[str, dict[str, tuple[str, Callable[..., Any]]]] = {
    "binary": {
        **dict.fromkeys((*_LOG_LOSS, "binary"), ("binary_logloss", _log_loss)),
        **dict.fromkeys(("cross_entropy", "xentropy"), ("cross_entropy", _log_loss)),
        # less the entropy of the labels, which is 0
        **dict.fromkeys(("kullback_leibler", "kldiv"), ("kullback_leibler", _log_loss)),
        **dict.fromkeys(_ERROR, ("binary_error", _error)),
        **dict.fromkeys(("l1", "mean_absolute_error", "mae", "regression_l1"), ("l1", _absolute)),
        **dict.fromkeys(("l2", "mean_squared_error", "mse", "regression_l2", "regression"), ("l2", _squared)),
        **dict.fromkeys(("rmse", "root_mean_squared_error", "l2_root"), ("rmse", _squared)),
        # relative to max(1, |y|), which is 1
        **dict.fromkeys(("mape", "mean_absolute_percentage_error"), ("mape", _absolute)),
    },
    "multiclass": {
        **dict.fromkeys((*_LOG_LOSS, "multiclass", "softmax"), ("multi_logloss", _log_loss)),
        **dict.fromkeys(_ERROR, ("multi_error", _error)),
    },
}

#: LightGBM's default.
DEFAULT_METRIC = "logloss"

#: How a user says that no metric is wanted.
_NONE = ("", "None", "none", "null", "custom", "na")


def as_list(metric: Any) -> list[Any]:
    """Return the metrics that a user gave in any of the forms that LightGBM takes."""
    if metric is None:
        return []
    if isinstance(metric, str):
        return metric.split(",")  # LightGBM's own form of several in a text
    return list(metric) if isinstance(metric, list | tuple | set) else [metric]


class Metric:
    """A metric of probabilities, given raw scores without the start.

    Parameters
    ----------
    metric : (str, callable) or callable
        Name and loss of a row; or a user's metric.
    boosting : Boosting
        Which knows the start.
    """

    def __init__(self, metric: Any, boosting: Any) -> None:
        self._metric = metric
        self._boosting = boosting

    def __call__(self, y_true: NDArray[Any], raw_prediction: FloatArray, weight: Any) -> Any:
        """Return (name, value, whether greater is better), in the form that LGBMClassifier calls."""
        log_odds = raw_prediction + self._boosting.start
        if not callable(self._metric):
            name, loss = self._metric
            value = float(np.average(loss(y_true, log_odds), weights=weight))
            return name, value**0.5 if name == "rmse" else value, False
        probability = expit(log_odds) if log_odds.ndim == 1 else softmax(log_odds, axis=1)
        n_arguments = len(inspect.signature(self._metric).parameters)
        if n_arguments not in (2, 3, 4):
            raise TypeError(f"Self-defined eval function should have 2, 3 or 4 arguments, got {n_arguments}")
        return self._metric(*(y_true, probability, weight, None)[:n_arguments])  # groups are for ranking


class NativeMetric(Metric):
    """The same in the form that `lightgbm.train` calls."""

    def __call__(self, raw_prediction: FloatArray, data: Any, weight: Any = None) -> Any:  # type: ignore[override]
        """Return (name, value, whether greater is better)."""
        if not callable(self._metric):
            return super().__call__(data.get_label(), raw_prediction, data.get_weight())
        log_odds = raw_prediction + self._boosting.start
        return self._metric(expit(log_odds) if log_odds.ndim == 1 else softmax(log_odds, axis=1), data)


def metrics_of(asked: Sequence[Any], boosting: Any, kind: type[Metric] = Metric) -> tuple[list[str], list[Metric]]:
    """Return LightGBM's own metrics and ours.

    Parameters
    ----------
    asked : sequence of str and callable
    boosting : Boosting
    kind : type
        `Metric` or `NativeMetric`.

    Raises
    ------
    ValueError
        For a metric that LightGBM has not for classes.
    """
    problem = "binary" if boosting.n_classes <= 2 else "multiclass"
    of_order, of_probability = _OF_ORDER[problem], _OF_PROBABILITY[problem]
    names: list[str] = []
    ours: dict[Any, Metric] = {}
    for metric in asked:
        if callable(metric):
            ours[id(metric)] = kind(metric, boosting)
        elif metric in of_probability:
            ours.setdefault(of_probability[metric][0], kind(of_probability[metric], boosting))
        elif metric in of_order:
            names.append(metric)
        elif metric not in _NONE and metric is not None:
            known = ", ".join(sorted({*of_order, *of_probability}))
            raise ValueError(
                f"eval_metric and metric must be callables or among {known} for these labels, got {metric!r}."
            )
    return list(dict.fromkeys(names)), list(ours.values())


class InOrder:
    """Put results in the order in which LightGBM has them: metrics by name as asked for, then callables.

    It computes its own first, which would decide for others with `first_metric_only` of early stopping.

    Parameters
    ----------
    asked : sequence
        As for `metrics_of`.
    n_classes : int
    """

    before_iteration = False
    order = 0  # before logging (10), recording (20) and early stopping (30)

    def __init__(self, asked: Sequence[Any], n_classes: int) -> None:
        of_probability = _OF_PROBABILITY["binary" if n_classes <= 2 else "multiclass"]
        names = [of_probability.get(metric, (metric,))[0] for metric in asked if isinstance(metric, str)]
        self._rank = {name: i for i, name in enumerate(dict.fromkeys(names))}

    def __call__(self, env: Any) -> None:
        """Do so after every round."""
        results = env.evaluation_result_list
        data_sets = list(dict.fromkeys(result[0] for result in results))
        results.sort(key=lambda result: (data_sets.index(result[0]), self._rank.get(result[1], len(self._rank))))


def apart(eval_set: Any, y: Any) -> Any:
    """Return evaluation sets none of which is the training set for LightGBM, which tells it by the same `y`.

    LightGBM drops trees of a dart model when a custom metric asks for its predictions of the training set,
    after the last round for good.
    """
    if eval_set is None:
        return None
    pairs = [eval_set] if isinstance(eval_set, tuple) else eval_set
    return [(rows, copy.copy(labels) if labels is y else labels) for rows, labels in pairs]
