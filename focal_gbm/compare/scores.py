"""How good probabilities are: ranking, probability, the rows at the top, and what decisions cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, log_loss, precision_recall_curve, roc_auc_score

from focal_gbm.compare.columns import FloatArray


@dataclass(frozen=True)
class Metric:
    """A score: its name for people, its meaning, and whether more of it is better."""

    label: str
    higher_is_better: bool
    meaning: str


#: A blank that keeps a number and its unit on one line.
NO_BREAK = "\u00a0"

_METRICS = {
    "cost": Metric("cost per row", False, "if a row is called positive where that is the cheaper call on average"),
    "average_precision": Metric("average precision", True, "how well positives are ranked first"),
    "log_loss": Metric("log loss", False, "how good the probabilities are; wrong certainty costs most"),
    "roc_auc": Metric("ROC AUC", True, "chance that a positive is ranked above a negative"),
    "brier": Metric("Brier score", False, "how good the probabilities are: mean squared error"),
}


def metrics(
    top: tuple[str, ...] = (),
    precision: float | None = None,
    has_amounts: bool = False,
    has_costs: bool = False,
) -> dict[str, Metric]:
    """Return the scores of a comparison by name, in the order in which people read them.

    Parameters
    ----------
    top : tuple of str
        Shares of the rows ("1%") or numbers of them ("100"), those with the highest probabilities.
    precision : float or None
        For the recall at this precision.
    has_amounts, has_costs : bool
        Whether a missed positive costs another amount in each row, and whether costs are known.

    Examples
    --------
    >>> list(metrics(("1%",)))
    ['average_precision', 'log_loss', 'precision_top_1%', 'recall_top_1%', 'roc_auc', 'brier']
    """
    found = {name: _METRICS[name] for name in _METRICS if has_costs or name != "cost"}
    for rows in top:
        of = f"top {rows.replace('%', NO_BREAK + '%')}"
        what = {
            "precision": "of the rows",
            "recall": "of all positives",
            "amount": "of all positives' amount",
        }
        for name in what if has_amounts else ("precision", "recall"):
            meaning = f"positives in the {of}, as a share {what[name]}{' there' * (name == 'precision')}"
            found[f"{name}_top_{rows}"] = Metric(f"{name} {of}", True, meaning)
    if precision is not None:
        meaning = "share of positives found when so many of the alarms must be right"
        found[f"recall_at_{precision:g}"] = Metric(f"recall at precision {precision:g}", True, meaning)
    return {name: found[name] for name in sorted(found, key=lambda name: name in ("roc_auc", "brier"))}


def rows_at_top(top: str, n_rows: int) -> int:
    """Return how many rows "1%" or "100" are.

    Raises
    ------
    ValueError
        For what is neither a share nor a number of rows.

    Examples
    --------
    >>> rows_at_top("1%", 2000), rows_at_top("50", 2000), rows_at_top("0.5%", 100)
    (20, 50, 1)
    """
    try:
        value = float(top.removesuffix("%")) / (100 if top.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not (0 < value < 1 if top.endswith("%") else value >= 1):
        raise ValueError(f"top must be a share of the rows such as 1% or a number of them, got {top!r}.")
    return max(1, round(value * n_rows)) if top.endswith("%") else min(int(value), n_rows)


def score(
    y: NDArray[np.int64],
    proba: FloatArray,
    *,
    top: tuple[str, ...] = (),
    precision: float | None = None,
    weight: FloatArray | None = None,
    cost_fp: FloatArray | None = None,
    cost_fn: FloatArray | None = None,
) -> dict[str, float]:
    """Return the scores of probabilities.

    Parameters
    ----------
    y : ndarray of int of shape (n_rows,)
        Class codes. Classes without a row count in no mean over classes.
    proba : ndarray of float64 of shape (n_rows, n_classes)
        Rows sum to 1.
    top, precision
        As in `metrics`.
    weight : ndarray of float64 of shape (n_rows,) or None
        How often each row counts. (The rows at the top are counted as they are.)
    cost_fp, cost_fn : ndarray of float64 of shape (n_rows,) or None
        What a false alarm and a missed positive cost; of two classes.

    Returns
    -------
    dict of float
        By the names of `metrics`. Of two classes, of class 1; of more, the mean over the classes, each
        against the rest, but for the log loss and the Brier score (the sum over the classes).

    Examples
    --------
    >>> y, p = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.1, 0.8])
    >>> scores = score(y, np.column_stack([1 - p, p]), top=("25%",))
    >>> scores["average_precision"], scores["recall_top_25%"], round(scores["brier"], 4)
    (1.0, 1.0, 0.025)
    """
    n_classes = proba.shape[1]
    codes = [1] if n_classes == 2 else [k for k in range(n_classes) if (y == k).any() and (y != k).any()]
    by_class = [_ranking(y == k, proba[:, k], top, precision, weight, cost_fn) for k in codes]
    scores = {name: float(np.mean([one[name] for one in by_class])) for name in by_class[0]}
    scores["log_loss"] = float(log_loss(y, proba, labels=np.arange(n_classes), sample_weight=weight))
    squares = (proba - np.eye(n_classes)[y]) ** 2
    scores["brier"] = float(np.average(squares.sum(axis=1), weights=weight)) / (2 if n_classes == 2 else 1)
    if cost_fp is not None and cost_fn is not None:
        scores["cost"] = mean_cost(y == 1, proba[:, 1], cost_fp, cost_fn, weight)
    return scores


def _ranking(
    positive: NDArray[np.bool_], proba: FloatArray, top: tuple[str, ...], precision: float | None,
    weight: FloatArray | None, amount: FloatArray | None,
) -> dict[str, float]:  # fmt: skip
    scores = {"average_precision": float(average_precision_score(positive, proba, sample_weight=weight))}
    scores["roc_auc"] = float(roc_auc_score(positive, proba, sample_weight=weight))
    counts = np.ones(len(proba)) if weight is None else weight
    order = np.argsort(-proba, kind="stable")
    for rows in top:
        first = order[: rows_at_top(rows, len(proba))]
        found = counts * positive
        scores[f"precision_top_{rows}"] = float(found[first].sum() / max(counts[first].sum(), 1e-300))
        scores[f"recall_top_{rows}"] = float(found[first].sum() / found.sum())
        if amount is not None:
            scores[f"amount_top_{rows}"] = float((found * amount)[first].sum() / max((found * amount).sum(), 1e-300))
    if precision is not None:
        precisions, recalls, _ = precision_recall_curve(positive, proba, sample_weight=weight)
        # the curve's last point has precision 1 and recall 0: nothing is found
        scores[f"recall_at_{precision:g}"] = float(recalls[precisions >= precision].max())
    return scores


def mean_cost(
    positive: NDArray[np.bool_], proba: FloatArray, cost_fp: FloatArray, cost_fn: FloatArray,
    weight: FloatArray | None = None,
) -> float:  # fmt: skip
    """Return what a row costs if it is called positive where that is the cheaper call by its probability.

    Parameters
    ----------
    positive : ndarray of bool of shape (n_rows,)
    proba, cost_fp, cost_fn : ndarray of float64 of shape (n_rows,)
    weight : ndarray of float64 of shape (n_rows,) or None

    Examples
    --------
    >>> mean_cost(np.array([True, False]), np.array([0.1, 0.6]), np.full(2, 5.0), np.array([20.0, 10.0]))
    12.5
    """
    alarm = proba * cost_fn > (1 - proba) * cost_fp
    cost = np.where(alarm, np.where(positive, 0.0, cost_fp), np.where(positive, cost_fn, 0.0))
    return float(np.average(cost, weights=weight))
