"""The evaluation metrics of a distributed fit with XGBoost: of all rows, the same on every worker."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from xgboost import collective

from focal_gbm._validation import FloatArray
from focal_gbm.training.evaluation import Evaluation
from focal_gbm.xgboost.metrics import EvalMetrics


class DistributedEvalMetrics(EvalMetrics):
    """`EvalMetrics` of rows that are spread over workers.

    Beside a custom metric XGBoost averages the workers' values whatever number of rows they have. Here
    each value is weighted by the weight of its rows, which makes the metrics that are means over rows
    what they are on one machine; one small sum a set and round. A user's callable is averaged likewise.
    """

    def __init__(self, eval_metric: Any, evaluation: Evaluation, params: dict[str, Any]) -> None:
        super().__init__(eval_metric, evaluation, params)
        areas = [kind for _, kind, _ in self.ours if kind in ("auc", "aucpr")]
        if areas:
            raise ValueError(
                f"eval_metric={areas[0]!r} of many classes is not for data on several workers: it is no "
                "mean over rows. Use 'focal_loss' or 'mlogloss'."
            )
        self._round: list[list[tuple[str, float]]] = []
        self._rows: dict[int, tuple[xgboost.DMatrix, Any]] = {}  # by id, which holds while the matrix is kept

    def __call__(self, raw_prediction: FloatArray, data: xgboost.DMatrix) -> list[tuple[str, float]]:
        """Return (name, value) of our metrics over the rows of all workers."""
        labels, weight, total = self._rows_of(data)
        sums = np.zeros((len(self.ours), 2))
        if total > 0:  # a worker may have no row of the set
            for i, (_, kind, threshold) in enumerate(self.ours):
                value = self._value(kind, threshold, labels, raw_prediction, weight)
                sums[i] = (value**2 if kind == "root" else value) * total, total
        sums = collective.allreduce(sums, collective.Op.SUM).reshape(sums.shape)
        values = []
        for (name, kind, _), (value, weight_of_all) in zip(self.ours, sums.tolist(), strict=True):
            mean = value / weight_of_all
            values.append((name, mean**0.5 if kind == "root" else mean))
        self._round.append(values)
        return values

    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: Any) -> bool:
        """Correct the log of the evaluation in place; XGBoost evaluates the sets in the log's order."""
        for log, values in zip(evals_log.values(), self._round, strict=bool(self.ours)):
            for name, value in values:
                log[name][-1] = value
            self._restore_order(log)
        self._round = []
        return False

    def _rows_of(self, data: xgboost.DMatrix) -> tuple[NDArray[Any], FloatArray | None, float]:
        """Return codes, weights and sum of weights of a worker's rows; they stay as they are during a fit."""
        if id(data) not in self._rows:
            codes = self._evaluation.state.loss.check_labels(data.get_label())
            weight = data.get_weight()
            rows = (
                codes,
                weight if weight.size else None,
                float(weight.sum(dtype=np.float64)) if weight.size else float(len(codes)),
            )
            self._rows[id(data)] = data, rows
        return self._rows[id(data)][1]
