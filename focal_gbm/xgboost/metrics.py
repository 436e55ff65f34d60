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


class EvalMetrics(xgboost.callback.TrainingCallback):
    """The evaluation metrics of one fit, some XGBoost's, some ours.

    Ours are for a subclass to compute, as the first of the callbacks: XGBoost would compute them after its
    own, whereas the last in the user's order stops early, and hand them on with six decimals, of which a
    focal loss may need more.

    Parameters
    ----------
    eval_metric : str, callable, list of them or None
        The user's.
    evaluation : Evaluation
    params : dict
        The booster's, which are told what XGBoost itself is to compute.
    """

    def __init__(
        self,
        eval_metric: Any,
        evaluation: Evaluation,
        params: dict[str, Any],
    ) -> None:
        super().__init__()
        self._evaluation = evaluation
        loss = evaluation.state.loss
        own, scaled = _OWN_METRICS[loss.kind], _SCALED_METRICS[loss.kind]
        if loss.focal_link == "logit":  # α can move the decision off the middle, where XGBoost has it
            own = tuple(name for name in own if name not in ("error", "merror"))
        #: (name, kind or callable, threshold)
        self.ours: list[tuple[str, str | Callable[..., Any], float | None]] = []
        #: XGBoost's names
        self.of_library: list[str] = []
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
                self.of_library.append(metric)
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
        if self.of_library:
            params["eval_metric"] = self.of_library

    def callable_that_decides(self, name: str | None) -> Callable[..., Any] | None:
        """Return the metric of this name, or the last, which stops early, where it is a callable."""
        decides = name or (self._order[-1] if self._order else None)
        callables = {name: kind for name, kind, _ in self.ours if callable(kind)}
        return None if decides is None else callables.get(decides)

    def _restore_order(self, log: Any) -> None:
        """Put the metrics of one evaluation set into the user's order."""
        for name in self._order:
            if name in log:
                log.move_to_end(name)

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
