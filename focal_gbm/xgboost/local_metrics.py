"""The evaluation metrics of a fit on one machine with XGBoost."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import xgboost
from numpy.typing import NDArray

from focal_gbm._arrays import on_cpu
from focal_gbm._validation import FloatArray
from focal_gbm.training.evaluation import Evaluation
from focal_gbm.xgboost.margins import Margins
from focal_gbm.xgboost.metrics import EvalMetrics

#: matrix, name, codes of the labels, weights
EvalData = tuple[xgboost.DMatrix, str, NDArray[Any], FloatArray | None]


class LocalEvalMetrics(EvalMetrics):
    """`EvalMetrics` of raw predictions seen where they lie, those of a CUDA device included.

    Parameters
    ----------
    eval_metric, evaluation, params
        As for `EvalMetrics`.
    evals : list of EvalData
    margins : Margins
        Where the raw predictions are.
    """

    def __init__(
        self,
        eval_metric: Any,
        evaluation: Evaluation,
        evals: list[EvalData],
        params: dict[str, Any],
        margins: Margins,
    ) -> None:
        super().__init__(eval_metric, evaluation, params)
        self._margins = margins
        self._sets: list[EvalData] = []
        for data, name, codes, weight in evals:
            labels = evaluation.state.loss.smallest_labels(codes)
            if self.ours:
                evaluation.keep(labels, weight, margins.cuda_of(data))
            self._sets.append((data, name, labels, weight))

    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: Any) -> bool:
        """Add ours to the log of the evaluation, which XGBoost fills before it calls this."""
        for data, name, labels, weight in self._sets if self.ours else []:
            raw_prediction = self._margins.of(model, data)
            log = evals_log.setdefault(name, OrderedDict())
            for metric, kind, threshold in self.ours:
                if not self._evaluation.is_summed(kind, labels):
                    raw_prediction = on_cpu(raw_prediction)
                value = self._value(kind, threshold, labels, raw_prediction, weight)
                log.setdefault(metric, []).append(value)
            self._restore_order(log)
        return False
