"""Evaluation metrics during training, each computed on the scale it is meant for.

Beside a custom objective the libraries show their metrics raw predictions (LightGBM) or σ(z)
(XGBoost). Metrics that depend on the order alone are right on either and stay the library's. Those
that judge a probability are computed here, on what `predict_proba` would return.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from focal_gbm._validation import FloatArray
from focal_gbm.kernels.cpu import LossSums, loss_sums
from focal_gbm.kernels.cuda import Cuda, CudaLossSums, cuda_loss_sums
from focal_gbm.kernels.threads import Threads
from focal_gbm.training.metrics import FocalMetric, mean_focal_loss
from focal_gbm.training.state import FocalState

FOCAL_LOSS = "focal_loss"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics of raw predictions, on the scale that each is meant for.

    Parameters
    ----------
    state : FocalState
    probability : {"posterior", "score"}
        What `predict_proba` returns.
    threads : Threads
        The library's, for the sets that are kept.
    """

    state: FocalState
    probability: str
    threads: Threads = field(default_factory=Threads)
    _sums: dict[int, tuple[Any, LossSums | CudaLossSums]] = field(
        default_factory=dict, init=False, repr=False
    )

    def keep(self, labels: NDArray[Any], weight: FloatArray | None, cuda: Cuda | None = None) -> None:
        """Prepare for labels and weights that come again in every round, the same objects.

        Losses are summed in C; or on a device, where raw predictions are to come as CuPy's arrays of it.
        """
        loss = self.state.loss
        sums: LossSums | CudaLossSums | None
        if cuda is None:
            sums = loss_sums(loss, labels, weight, self.threads)
        else:
            sums = cuda_loss_sums(cuda, loss, labels, weight)
        if sums is not None:
            self._sums[id(labels)] = labels, sums  # kept, so that nothing else gets their id

    def is_summed(self, kind: str | Callable[..., Any], labels: NDArray[Any]) -> bool:
        """Say whether a metric of labels that were kept is a sum of losses, and taken where they are."""
        is_sum = kind == FOCAL_LOSS or (kind == "log_loss" and self.probability == "posterior")
        return is_sum and id(labels) in self._sums

    def prediction_for(self, metric: Callable[..., Any], raw_prediction: FloatArray) -> FloatArray:
        """Return what a user's metric is to see: P(y=1), or the probabilities of classes or labels.

        A `FocalMetric` sees the scale that it was made for.
        """
        probability = self.probability
        if isinstance(metric, FocalMetric):
            if metric.prediction == "raw":
                return raw_prediction.copy()  # a metric may keep or change what it is given
            probability = "score"
        return self._probabilities(raw_prediction, probability)

    def value(
        self,
        kind: str,
        labels: NDArray[Any],
        raw_prediction: FloatArray,
        weight: FloatArray | None,
        threshold: float | None = None,
    ) -> float:
        """Return a metric's weighted mean over rows, or rows and labels.

        Parameters
        ----------
        kind : {"focal_loss", "log_loss", "error", "absolute", "squared", "root", "auc", "aucpr"}
            The last two are for many classes: the mean over each against the rest.
        labels : ndarray
            Codes, booleans for two classes and for many labels.
        raw_prediction : ndarray
        weight : ndarray of shape (n_samples,) or None
        threshold : float or None
            For "error": the probability above which class 1 is predicted, None for what `predict` does.
        """
        if self.is_summed(kind, labels):
            sums = self._sums[id(labels)][1]
            mean = sums.mean_focal_loss if kind == FOCAL_LOSS else sums.mean_log_loss
            return mean(raw_prediction)
        if kind == FOCAL_LOSS:
            return mean_focal_loss(self.state.loss, labels, raw_prediction, weight)
        if kind == "log_loss":
            return _average(self.state.link(self.probability).log_loss(labels, raw_prediction), weight)
        if kind == "error" and threshold is None:
            return _average(self.state.loss.decide(raw_prediction) != labels, weight)
        probability = self._probabilities(raw_prediction, self.probability)
        if threshold is not None:
            return _average((probability > threshold) != labels, weight)
        if kind in _AREAS:
            return _area_of_each(kind, labels, probability, weight)
        off = np.where(labels, 1 - probability, probability)
        if kind == "absolute":
            return _average(off, weight)
        squared = _average(off * off, weight)
        return float(np.sqrt(squared)) if kind == "root" else squared

    def _probabilities(self, raw_prediction: FloatArray, probability: str) -> FloatArray:
        return self.state.link(probability).inverse(raw_prediction)


def _area_of_each(
    kind: str, labels: NDArray[Any], probability: FloatArray, weight: FloatArray | None
) -> float:
    """Return the mean area under the curve of each class against the rest, as XGBoost: auc by frequency."""
    counts = np.bincount(labels, weight)
    classes = np.flatnonzero(counts)  # a rare class may be missing from an evaluation set
    if len(classes) < 2:
        raise ValueError(
            f"{kind} needs rows of two classes or more in each evaluation set, got one class only."
        )
    areas = [_AREAS[kind](labels == k, probability[:, k], sample_weight=weight) for k in classes]
    return float(np.average(areas, weights=counts[classes] if kind == "auc" else None))


def _area_under_precision_recall(
    is_class: NDArray[np.bool_], probability: FloatArray, sample_weight: FloatArray | None
) -> float:
    """Return the area with precision interpolated between thresholds as XGBoost does (Davis, Goadrich 2006).

    Between two thresholds false positives grow in proportion to true ones: precision is then r / (a r + b) at
    recall r, whose integral is closed. Where no true one is between them, recall does not grow.
    """
    false, true = _curve(is_class, probability, sample_weight)
    false, true = np.append(0.0, false), np.append(0.0, true)
    grows = np.flatnonzero(np.diff(true))
    f, t = false[grows], true[grows]
    ratio = (false[grows + 1] - f) / (true[grows + 1] - t)
    a, b = 1.0 + ratio, (f - ratio * t) / true[-1]
    start, end = t / true[-1], true[grows + 1] / true[-1]
    curved = b != 0.0
    logarithm = np.zeros_like(a)
    at_end, at_start = a * end + b, a * start + b
    logarithm[curved] = b[curved] / a[curved] * np.log(at_end[curved] / at_start[curved])
    return float(((end - start - logarithm) / a).sum())


def _curve(
    is_class: NDArray[np.bool_], probability: FloatArray, sample_weight: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Return false and true positives at every threshold."""
    order = np.argsort(-probability, kind="stable")
    weight = np.ones(len(order)) if sample_weight is None else sample_weight[order].astype(np.float64)
    ends = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)
    true = np.cumsum(weight * is_class[order])[ends]
    return np.cumsum(weight)[ends] - true, true


_AREAS = {"auc": roc_auc_score, "aucpr": _area_under_precision_recall}


def _average(values: NDArray[Any], weight: FloatArray | None) -> float:
    if values.ndim == 2:
        values = values.mean(axis=1, dtype=np.float64)
    return float(np.average(values.astype(np.float64, copy=False), weights=weight))
