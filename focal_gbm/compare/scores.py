"""How good probabilities are: ranking, probability, and recall at a precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, log_loss, precision_recall_curve, roc_auc_score

from focal_gbm._validation import FloatArray


@dataclass(frozen=True)
class Metric:
    """A score by name.

    Attributes
    ----------
    name, label, meaning : str
    higher_is_better : bool
    """

    name: str
    label: str
    higher_is_better: bool
    meaning: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "average_precision", "average precision", True,
            "how well the rare class is ranked first: the area under the precision-recall curve",
        ),
        Metric("roc_auc", "ROC AUC", True, "the chance that a positive is ranked above a negative"),
        Metric("log_loss", "log loss", False, "how good the probabilities are; wrong certainty costs most"),
        Metric("brier", "Brier score", False, "how good the probabilities are: the mean squared error"),
        Metric(
            "calibration_error", "calibration error", False,
            "by how much predicted and observed frequencies differ, in ten bins of equal counts",
        ),
        Metric(
            "recall_at_precision", "recall at precision", True,
            "the share of positives found when so many of the alarms must be right",
        ),
        Metric(
            "precision_at_top", "precision at top", True,
            "the share of positives among so many rows with the highest probabilities",
        ),
    )
}  # fmt: skip

_BINS = 10


def score(
    y: NDArray[np.int64], proba: FloatArray, *, precision: float = 0.9, top: int | None = None
) -> dict[str, float]:
    """Return all scores of probabilities.

    Parameters
    ----------
    y : ndarray of int of shape (n_rows,)
        Class codes. Classes without a row count in no mean over classes.
    proba : ndarray of float64 of shape (n_rows, n_classes)
        Rows sum to 1.
    precision : float in (0, 1], default=0.9
        For "recall_at_precision".
    top : int or None, default=None
        For "precision_at_top", which is left out otherwise.

    Returns
    -------
    dict of float
        By the names of `METRICS`. Of two classes, of class 1; of more, the mean over the classes, each
        against the rest, but for the log loss and the Brier score (the sum over the classes).

    Examples
    --------
    >>> import numpy as np
    >>> y, p = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.1, 0.8])
    >>> scores = score(y, np.column_stack([1 - p, p]))
    >>> scores["average_precision"], scores["recall_at_precision"], round(scores["brier"], 4)
    (1.0, 1.0, 0.025)
    """
    n_classes = proba.shape[1]
    is_binary = n_classes == 2
    codes = [1] if is_binary else [k for k in range(n_classes) if (y == k).any() and (y != k).any()]
    by_class = [_one_class(y == k, proba[:, k], precision, top) for k in codes]
    scores = {name: float(np.mean([one[name] for one in by_class])) for name in by_class[0]}
    scores["log_loss"] = float(log_loss(y, proba, labels=np.arange(n_classes)))
    squares = (proba - np.eye(n_classes)[y]) ** 2
    scores["brier"] = float(squares[:, 1].mean() if is_binary else squares.sum(axis=1).mean())
    return {name: scores[name] for name in METRICS if name in scores}


def _one_class(
    positive: NDArray[np.bool_], proba: FloatArray, precision: float, top: int | None
) -> dict[str, float]:
    precisions, recalls, _ = precision_recall_curve(positive, proba)
    scores = {
        "average_precision": average_precision_score(positive, proba),
        "roc_auc": roc_auc_score(positive, proba),
        "calibration_error": calibration_error(positive, proba),
        # the curve's last point has precision 1 and recall 0: nothing is found
        "recall_at_precision": recalls[precisions >= precision].max(),
    }
    if top is not None:
        first = np.argsort(-proba, kind="stable")[:top]
        scores["precision_at_top"] = positive[first].mean()
    return scores


def reliability(
    positive: NDArray[np.bool_], proba: FloatArray, bins: int = _BINS
) -> list[tuple[int, float, float]]:
    """Return (rows, mean probability, share of positives) of bins of equal counts, by rising probability.

    Parameters
    ----------
    positive : ndarray of bool of shape (n_rows,)
    proba : ndarray of float of shape (n_rows,)
    bins : int, default=10
        Equal counts and not equal widths: of a rare class nearly all rows have a probability near 0.
    """
    parts = np.array_split(np.argsort(proba, kind="stable"), min(bins, len(proba)))
    return [(len(part), float(proba[part].mean()), float(positive[part].mean())) for part in parts]


def calibration_error(positive: NDArray[np.bool_], proba: FloatArray, bins: int = _BINS) -> float:
    """Return the mean distance of predicted and observed frequency in bins of equal counts."""
    parts = reliability(positive, proba, bins)
    return sum(rows * abs(mean - share) for rows, mean, share in parts) / len(proba)
