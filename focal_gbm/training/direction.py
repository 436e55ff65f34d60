"""Which way a user's metric is better."""

from __future__ import annotations

import functools
from typing import Any

from focal_gbm.training.metrics import FocalMetric

#: Attributes of a callable that say so.
_ATTRIBUTES = ("greater_is_better", "maximize")

#: Endings of the names of scikit-learn's metrics, whose meaning its guide promises.
_GREATER, _LESS = ("_score",), ("_loss", "_error", "_deviance")

#: Those with another name.
_OTHERS = {"matthews_corrcoef": True, "auc": True}


def greater_is_better(metric: Any) -> bool | None:
    """Say whether a greater value of a callable metric is a better one; None where it cannot be known.

    Known are metrics with an attribute `greater_is_better` or `maximize`, the focal loss, and scikit-learn's,
    alone or in a `functools.partial`.

    Examples
    --------
    >>> from sklearn.metrics import average_precision_score, log_loss
    >>> greater_is_better(average_precision_score), greater_is_better(log_loss), greater_is_better(len)
    (True, False, None)
    """
    for name in _ATTRIBUTES:
        if getattr(metric, name, None) is not None:
            return bool(getattr(metric, name))
    if isinstance(metric, functools.partial):
        return greater_is_better(metric.func)
    if isinstance(metric, FocalMetric):
        return False
    name = getattr(metric, "__name__", "")
    if not str(getattr(metric, "__module__", "")).startswith("sklearn.metrics"):
        return None
    if name.endswith(_LESS):  # brier_score_loss
        return False
    return True if name.endswith(_GREATER) else _OTHERS.get(name)
