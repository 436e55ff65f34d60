"""Evaluation metrics during training, each computed on the scale it is meant for.

Beside a custom objective the hosts show their metrics raw predictions (LightGBM) or σ(z)
(XGBoost). Metrics that depend on the order alone are right on either and stay the host's. Those
that judge a probability are computed here, on what `predict_proba` would return.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_gbm._classifier import FocalState
from focal_gbm._validation import FloatArray
from focal_gbm.metrics import FocalMetric, mean_focal_loss

FOCAL_LOSS = "focal_loss"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics of raw predictions, on the scale that each is meant for.

    Parameters
    ----------
    state : FocalState
    probability : {"posterior", "score"}
        What `predict_proba` returns.
    """

    state: FocalState
    probability: str

    def prediction_for(self, metric: Callable[..., Any], raw_prediction: FloatArray) -> FloatArray:
        """Return what a user's metric is to see: the probability of class 1.

        A `FocalMetric` sees the scale that it was made for.
        """
        if isinstance(metric, FocalMetric):
            if metric.prediction == "raw":
                return raw_prediction
            return self.state.probabilities(raw_prediction, "score")[:, 1]
        return self.state.probabilities(raw_prediction, self.probability)[:, 1]

    def value(
        self,
        kind: str,
        positive: NDArray[np.bool_],
        raw_prediction: FloatArray,
        weight: FloatArray | None,
        threshold: float | None = None,
    ) -> float:
        """Return a metric's weighted mean over rows.

        Parameters
        ----------
        kind : {"focal_loss", "log_loss", "error", "absolute", "squared", "root"}
        positive : ndarray of bool of shape (n_samples,)
        raw_prediction : ndarray of shape (n_samples,)
        weight : ndarray of shape (n_samples,) or None
        threshold : float or None
            For "error": the probability above which class 1 is predicted, None for what `predict` does.
        """
        if kind == FOCAL_LOSS:
            return mean_focal_loss(self.state.loss, positive, raw_prediction, weight)
        if kind == "log_loss":
            logit = raw_prediction
            if self.probability == "posterior":
                logit = self.state.loss.link.posterior_logit(raw_prediction)
            return _average(np.logaddexp(0, np.where(positive, -logit, logit)), weight)
        if kind == "error" and threshold is None:
            return _average((raw_prediction > 0) != positive, weight)
        probability = self.state.probabilities(raw_prediction, self.probability)
        if kind == "error":
            return _average((probability[:, 1] > threshold) != positive, weight)
        off = np.where(positive, probability[:, 0], probability[:, 1])
        if kind == "absolute":
            return _average(off, weight)
        squared = _average(off * off, weight)
        return float(np.sqrt(squared)) if kind == "root" else squared


def _average(values: NDArray[Any], weight: FloatArray | None) -> float:
    return float(np.average(values.astype(np.float64, copy=False), weights=weight))
