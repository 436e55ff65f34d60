"""The scorers of a search."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from sklearn.metrics import check_scoring

from focal_gbm._warnings import warn_user
from focal_gbm.training.plan import Rows


def scorers_of(estimator: Any, scoring: Any) -> dict[str, Any]:
    """Return the scorers that `scoring` of GridSearchCV means, by name; a callable may return several scores.

    Raises
    ------
    TypeError, ValueError
        scikit-learn's, on what is none.
    """
    if callable(scoring):
        return {"score": scoring}
    if scoring is None or isinstance(scoring, str):
        return {"score": check_scoring(estimator, scoring)}
    check_scoring(estimator, scoring)  # raises on what is neither names nor callables
    if isinstance(scoring, Mapping):
        return {name: check_scoring(estimator, one) for name, one in scoring.items()}
    return {name: check_scoring(estimator, name) for name in scoring}


def score(
    scorers: Mapping[str, Any], model: Any, rows: Rows, params: dict[str, Any], error_score: Any
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the score by each scorer, and the tracebacks of those of several that failed.

    Parameters
    ----------
    scorers : mapping
    model : fitted estimator
    rows : Rows
    params : dict
        What the scorers are given besides; weights only if they take them.
    error_score : "raise" or float
        Score of one of several scorers that failed.
    """
    scores: dict[str, float] = {}
    errors = []
    for name, scorer in scorers.items():
        try:
            result = _scored(scorer, model, rows, params)
        except Exception:
            if error_score == "raise" or len(scorers) == 1:
                raise
            errors.append(traceback.format_exc())
            result = error_score
        scores |= result if isinstance(result, dict) else {name: result}
    return scores, tuple(errors)


def _scored(scorer: Any, model: Any, rows: Rows, params: dict[str, Any]) -> Any:
    try:
        return scorer(model, rows.X, rows.y, **params)
    except TypeError as error:
        if "sample_weight" not in params or "sample_weight" not in str(error):
            raise
    warn_user(f"The scoring {scorer!r} does not support sample_weight: its scores are of unweighted rows.")
    others = {name: value for name, value in params.items() if name != "sample_weight"}
    return scorer(model, rows.X, rows.y, **others)
