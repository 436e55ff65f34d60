"""The evaluation metrics of a fit with LightGBM: which are LightGBM's, which are ours, and their order."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import lightgbm

from focal_gbm._validation import FloatArray
from focal_gbm.training.evaluation import FOCAL_LOSS, Evaluation

#: LightGBM's metrics that are right on raw scores: they see only the order of predictions.
_OWN_METRICS = {"binary": ("auc", "average_precision"), "multiclass": ("auc_mu",)}

_LOG_LOSS_NAMES = ("logloss", "binary_logloss", "multi_logloss")
_ERROR_NAMES = ("error", "binary_error", "multi_error")

#: Metrics that judge a probability or a decision: by LightGBM's names, (the name it reports, our kind).
#: As in LightGBM, the two-class and the many-class name of a metric stand for each other.
_SCALED_METRICS = {
    "binary": {
        "focal_loss": ("focal_loss", FOCAL_LOSS),
        **dict.fromkeys((*_LOG_LOSS_NAMES, "binary"), ("binary_logloss", "log_loss")),
        **dict.fromkeys(("cross_entropy", "xentropy"), ("cross_entropy", "log_loss")),
        # less the entropy of the labels, which is 0
        **dict.fromkeys(("kullback_leibler", "kldiv"), ("kullback_leibler", "log_loss")),
        **dict.fromkeys(_ERROR_NAMES, ("binary_error", "error")),
        **dict.fromkeys(("l1", "mean_absolute_error", "mae", "regression_l1"), ("l1", "absolute")),
        **dict.fromkeys(
            ("l2", "mean_squared_error", "mse", "regression_l2", "regression"), ("l2", "squared")
        ),
        **dict.fromkeys(("rmse", "root_mean_squared_error", "l2_root"), ("rmse", "root")),
        # relative to max(1, |y|), which is 1
        **dict.fromkeys(("mape", "mean_absolute_percentage_error"), ("mape", "absolute")),
    },
    "multiclass": {
        "focal_loss": ("focal_loss", FOCAL_LOSS),
        **dict.fromkeys((*_LOG_LOSS_NAMES, "multiclass", "softmax"), ("multi_logloss", "log_loss")),
        **dict.fromkeys(_ERROR_NAMES, ("multi_error", "error")),
    },
}

#: Metrics of real numbers: LightGBM would compute them of a probability, of which they say nothing that the
#: others do not.
_OF_REGRESSION = ("fair", "gamma", "gamma_deviance", "huber", "poisson", "quantile", "r2", "tweedie")

#: How a user says that no metric is wanted.
_NO_METRIC = ("", "None", "none", "null", "custom", "na")


class EvalMetrics:
    """The evaluation metrics of one fit, LightGBM's and ours, and the callback that orders them.

    LightGBM reports its own metrics first, and `first_metric_only` looks at the first: this callback
    puts ours first where the user named one of ours first.
    """

    before_iteration = False
    order = 0  # before logging (10), recording (20) and early stopping (30)

    def __init__(self, eval_metric: Any, metric: Any, evaluation: Evaluation) -> None:
        asked = [*_as_list(eval_metric)]
        asked += [FOCAL_LOSS] if metric is None else _as_list(metric)
        asked = [one for one in asked if one is not None]
        self.of_library: list[str] = []
        self.ours: list[EvalMetric] = []
        seen: set[str] = set()
        problem = evaluation.state.loss.kind
        own, scaled = _OWN_METRICS[problem], _SCALED_METRICS[problem]
        for metric in asked:
            if callable(metric):
                self.ours.append(EvalMetric(metric, evaluation))
                continue
            if not isinstance(metric, str):
                raise TypeError(f"eval_metric must hold strings and callables, got {metric!r}.")
            name, kind = scaled.get(metric, (metric, None))
            if metric in _NO_METRIC or name in seen:
                continue
            seen.add(name)
            if kind is not None:
                self.ours.append(EvalMetric((name, kind), evaluation))
            elif metric in own:
                self.of_library.append(metric)
            else:
                known = ", ".join(sorted({*own, *scaled}))
                why = " It is a metric of real numbers, not of classes." if metric in _OF_REGRESSION else ""
                raise ValueError(
                    f"eval_metric and metric must be callables or among {known} for these labels, "
                    f"got {metric!r}.{why}"
                )
        self._ours_first = bool(asked) and asked[0] not in own

    def __call__(self, env: Any) -> None:
        """Put our results before LightGBM's; LightGBM calls it after every round."""
        if self._ours_first and self.of_library and self.ours:
            results = env.evaluation_result_list
            datasets = list(dict.fromkeys(result[0] for result in results))
            results.sort(key=lambda result: (datasets.index(result[0]), result[1] in self.of_library))


class EvalMetric:
    """One metric in the form that LGBMClassifier calls: (y_true, raw_prediction, weight)."""

    def __init__(self, metric: tuple[str, str] | Callable[..., Any], evaluation: Evaluation) -> None:
        self._metric = metric
        self._evaluation = evaluation
        self._rows: dict[int, tuple[lightgbm.Dataset, Any, FloatArray | None]] = {}

    def __call__(self, y_true: FloatArray, raw_prediction: FloatArray, weight: FloatArray | None) -> Any:
        """Return (name, value, whether greater is better)."""
        if not callable(self._metric):
            name, kind = self._metric
            labels = self._evaluation.state.loss.check_labels(y_true)
            return name, self._evaluation.value(kind, labels, raw_prediction, weight), False
        prediction = self._evaluation.prediction_for(self._metric, raw_prediction)
        # As LGBMClassifier, which counts parameters; groups are for ranking alone.
        arguments = (y_true, prediction, weight, None)
        return self._metric(*arguments[: len(inspect.signature(self._metric).parameters)])

    def native(self, raw_prediction: FloatArray, data: lightgbm.Dataset) -> Any:
        """Return the same in the form that `lightgbm.train` calls."""
        if callable(self._metric):
            return self(data.get_label(), raw_prediction, data.get_weight())
        name, kind = self._metric
        labels, weight = self._rows_of(data)
        return name, self._evaluation.value(kind, labels, raw_prediction, weight), False

    def _rows_of(self, data: lightgbm.Dataset) -> tuple[Any, FloatArray | None]:
        """Return labels and weights of a data set, which stay as they are during a fit."""
        if id(data) not in self._rows:
            loss = self._evaluation.state.loss
            labels, weight = loss.smallest_labels(loss.check_labels(data.get_label())), data.get_weight()
            self._evaluation.keep(labels, weight)
            self._rows[id(data)] = data, labels, weight  # with the data, so that nothing else has its id
        return self._rows[id(data)][1:]


def _as_list(metrics: Any) -> list[Any]:
    if metrics is None:
        return []
    if isinstance(metrics, str):
        return [name.strip() for name in metrics.split(",")]
    return list(metrics) if isinstance(metrics, (list, tuple, set)) else [metrics]
