"""The evaluation metrics of a fit with XGBoost: which are XGBoost's, which are ours, and their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray
from focal_gbm.training.evaluation import FOCAL_LOSS, Evaluation

#: XGBoost's metrics that are right on σ(z) or softmax(z): they see only the order of predictions, or the
#: decision of `predict`. By kind of problem.
_OWN_METRICS = {
    "binary": ("auc", "aucpr", "pre", "ndcg", "map", "error"),
    "multiclass": ("merror",),
    "multilabel": (),
}

_OF_PROBABILITY = {
    "focal_loss": FOCAL_LOSS, "logloss": "log_loss", "error": "error", "mae": "absolute", "rmse": "root",
}  # fmt: skip

#: Metrics that judge a probability, by XGBoost's name. With many classes the posteriors of one class have
#: another order over the rows than its scores.
_SCALED_METRICS = {
    "binary": _OF_PROBABILITY,
    "multiclass": {
        "focal_loss": FOCAL_LOSS,
        "mlogloss": "log_loss",
        "auc": "auc",
        "aucpr": "aucpr",
        "merror": "error",
    },
    "multilabel": _OF_PROBABILITY,
}

#: Metrics of real numbers: XGBoost would compute them of a probability, of which they say nothing that the
#: others do not.
_OF_REGRESSION = ("gamma-deviance", "gamma-nloglik", "mape", "mphe", "poisson-nloglik", "quantile", "rmsle")

#: matrix, name, codes of the labels, weights
EvalData = tuple[xgboost.DMatrix, str, NDArray[Any], FloatArray | None]


class EvalMetrics(xgboost.callback.TrainingCallback):
    """The evaluation metrics of one fit, some XGBoost's, some ours.

    XGBoost computes ours after its own and hands them on with six decimals, of which a focal loss
    may need more. As the first of the callbacks, this one restores the user's order, whose last metric
    stops early, and the full precision.
    """

    def __init__(
        self,
        eval_metric: Any,
        evaluation: Evaluation,
        evals: list[EvalData],
        params: dict[str, Any],
    ) -> None:
        super().__init__()
        self._evaluation = evaluation
        loss = evaluation.state.loss
        self._data = {id(data): (loss.smallest_labels(codes), weight) for data, _, codes, weight in evals}
        for labels, weight in self._data.values():
            evaluation.keep(labels, weight)
        own, scaled = _OWN_METRICS[loss.kind], _SCALED_METRICS[loss.kind]
        if loss.focal_link == "logit":  # α can move the decision off the middle, where XGBoost has it
            own = tuple(name for name in own if name not in ("error", "merror"))
        self._names = {name: id(data) for data, name, _, _ in evals}
        self._values: dict[int, list[tuple[str, float]]] = {}
        #: (name, kind or callable, threshold)
        self.ours: list[tuple[str, str | Callable[..., Any], float | None]] = []
        of_library: list[str] = []
        asked = eval_metric
        if asked is None:
            asked = [] if params.get("disable_default_eval_metric") else [FOCAL_LOSS]
        elif isinstance(asked, str) or callable(asked):
            asked = [asked]
        elif not isinstance(asked, Sequence):
            raise TypeError(f"eval_metric must be a string, a callable or a list of them, got {type(asked)}.")
        self._order: list[str] = []
        for metric in asked:
            name = metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
            self._order.append(name)
            if callable(metric):
                self.ours.append((name, metric, None))
                continue
            if not isinstance(metric, str):
                raise TypeError(f"eval_metric must hold strings and callables, got {metric!r}.")
            base, at, parameter = metric.partition("@")
            if base in own and not (base == "error" and at):
                of_library.append(metric)
            elif base in scaled and (base == "error" or not at):
                threshold = _threshold(metric, parameter) if at else None
                self.ours.append((metric, scaled[base], threshold))
            else:
                known = {*own, *scaled, *(["error@t"] if "error" in scaled else [])}
                why = " It is a metric of real numbers, not of classes." if base in _OF_REGRESSION else ""
                raise ValueError(
                    f"eval_metric must be a callable or among {', '.join(sorted(known))} for this kind of "
                    f"labels, got {metric!r}.{why}"
                )
        params["disable_default_eval_metric"] = 1
        params.pop("eval_metric", None)
        if of_library:
            params["eval_metric"] = of_library

    def __call__(self, raw_prediction: FloatArray, data: xgboost.DMatrix) -> list[tuple[str, float]]:
        """Return (name, value) of our metrics, as `xgboost.train` takes them."""
        labels, weight = self._data[id(data)]
        values = [
            (name, self._value(kind, threshold, labels, raw_prediction, weight))
            for name, kind, threshold in self.ours
        ]
        self._values[id(data)] = values
        return values

    def callable_that_decides(self, name: str | None) -> Callable[..., Any] | None:
        """Return the metric of this name, or the last, which stops early, where it is a callable."""
        decides = name or (self._order[-1] if self._order else None)
        callables = {name: kind for name, kind, _ in self.ours if callable(kind)}
        return None if decides is None else callables.get(decides)

    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: Any) -> bool:
        """Correct the log of the evaluation in place; XGBoost calls it after the evaluation."""
        if self.ours:
            for data_name, log in evals_log.items():
                for name, value in self._values[self._names[data_name]]:
                    log[name][-1] = value
                for name in self._order:
                    if name in log:
                        log.move_to_end(name)
        return False

    def _value(
        self,
        kind: str | Callable[..., Any],
        threshold: float | None,
        labels: NDArray[Any],
        raw_prediction: FloatArray,
        weight: FloatArray | None,
    ) -> float:
        if not callable(kind):
            return self._evaluation.value(kind, labels, raw_prediction, weight, threshold)
        y_true = labels.astype(np.float32)
        prediction = self._evaluation.prediction_for(kind, raw_prediction)
        if weight is None:
            return float(kind(y_true, prediction))
        return float(kind(y_true, prediction, sample_weight=weight))


def _threshold(metric: str, parameter: str) -> float:
    try:
        return float(parameter)
    except ValueError:
        raise ValueError(f"eval_metric: error@t needs a number t, got {metric!r}.") from None
