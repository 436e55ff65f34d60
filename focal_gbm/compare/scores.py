"""How good probabilities are: ranking, probability, what is found at the top, and what decisions cost."""

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
            "precision_at_top", "precision at the top", True,
            "the share of positives among the rows with the highest probabilities",
        ),
        Metric(
            "recall_at_top", "recall at the top", True,
            "the share of all positives that are among the rows with the highest probabilities",
        ),
        Metric(
            "amount_at_top", "amount caught at the top", True,
            "the share of the positives' amount (--cost-fn) among the rows with the highest probabilities",
        ),
        Metric(
            "cost", "expected cost a row", False,
            "what false alarms and missed positives cost a row, when each row is called positive where its "
            "probability makes that the cheaper call",
        ),
        Metric(
            "cost_at_threshold", "cost a row, threshold tuned", False,
            "the same with the threshold that was cheapest on the rows set aside",
        ),
    )
}  # fmt: skip

#: Not printed unless they are asked for.
OPTIONAL = ("precision_at_top", "recall_at_top", "amount_at_top", "cost", "cost_at_threshold")

_BINS = 10


def score(
    y: NDArray[np.int64],
    proba: FloatArray,
    *,
    precision: float = 0.9,
    top: float | None = None,
    weight: FloatArray | None = None,
    amount: FloatArray | None = None,
) -> dict[str, float]:
    """Return all scores of probabilities but those of money.

    Parameters
    ----------
    y : ndarray of int of shape (n_rows,)
        Class codes. Classes without a row count in no mean over classes.
    proba : ndarray of float64 of shape (n_rows, n_classes)
        Rows sum to 1.
    precision : float in (0, 1], default=0.9
        For "recall_at_precision".
    top : float or None, default=None
        For the scores at the top, which are left out otherwise: a share of the rows below 1, or their number.
    weight : ndarray of float64 of shape (n_rows,) or None
        How often each row counts. (The rows at the top are counted as they are.)
    amount : ndarray of float64 of shape (n_rows,) or None
        For "amount_at_top".

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
    by_class = [_one_class(y == k, proba[:, k], precision, weight) for k in codes]
    if top is not None:
        for one, k in zip(by_class, codes, strict=True):
            one.update(at_top(y == k, proba[:, k], top, weight, amount))
    scores = {name: float(np.mean([one[name] for one in by_class])) for name in by_class[0]}
    scores["log_loss"] = float(log_loss(y, proba, labels=np.arange(n_classes), sample_weight=weight))
    squares = (proba - np.eye(n_classes)[y]) ** 2
    squares = squares[:, 1] if is_binary else squares.sum(axis=1)
    scores["brier"] = float(np.average(squares, weights=weight))
    return {name: scores[name] for name in METRICS if name in scores}


def _one_class(
    positive: NDArray[np.bool_], proba: FloatArray, precision: float, weight: FloatArray | None
) -> dict[str, float]:
    precisions, recalls, _ = precision_recall_curve(positive, proba, sample_weight=weight)
    return {
        "average_precision": average_precision_score(positive, proba, sample_weight=weight),
        "roc_auc": roc_auc_score(positive, proba, sample_weight=weight),
        "calibration_error": calibration_error(positive, proba, weight=weight),
        # the curve's last point has precision 1 and recall 0: nothing is found
        "recall_at_precision": recalls[precisions >= precision].max(),
    }


def at_top(
    positive: NDArray[np.bool_],
    proba: FloatArray,
    top: float,
    weight: FloatArray | None = None,
    amount: FloatArray | None = None,
) -> dict[str, float]:
    """Return precision, recall and the share of the amount among the rows with the highest probabilities.

    Parameters
    ----------
    positive : ndarray of bool of shape (n_rows,)
    proba : ndarray of float of shape (n_rows,)
    top : float
        A share of the rows below 1, or their number.
    weight, amount : ndarray of float64 of shape (n_rows,) or None

    Examples
    --------
    >>> import numpy as np
    >>> positive, p = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.3, 0.1])
    >>> at_top(positive, p, 0.5, amount=np.array([30.0, 1.0, 10.0, 1.0]))
    {'precision_at_top': 0.5, 'recall_at_top': 0.5, 'amount_at_top': 0.75}
    """
    count = max(1, round(top * len(proba))) if top < 1 else min(int(top), len(proba))
    first = np.argsort(-proba, kind="stable")[:count]
    weight = np.ones(len(proba)) if weight is None else weight
    found = (weight * positive)[first].sum()
    scores = {
        "precision_at_top": float(found / weight[first].sum()) if weight[first].any() else 0.0,
        "recall_at_top": float(found / (weight * positive).sum()),
    }
    if amount is not None:
        at_stake = weight * amount * positive
        scores["amount_at_top"] = float(at_stake[first].sum() / at_stake.sum()) if at_stake.any() else 0.0
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


def calibration_error(
    positive: NDArray[np.bool_], proba: FloatArray, bins: int = _BINS, weight: FloatArray | None = None
) -> float:
    """Return the mean distance of predicted and observed frequency in bins of equal counts."""
    weight = np.ones(len(proba)) if weight is None else weight
    parts = np.array_split(np.argsort(proba, kind="stable"), min(bins, len(proba)))
    gaps = [abs(np.sum(weight[part] * (proba[part] - positive[part]))) for part in parts]
    return float(np.sum(gaps) / weight.sum())
