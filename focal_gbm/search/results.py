"""What a search reports, as GridSearchCV does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.ma import MaskedArray
from scipy.stats import rankdata
from sklearn.exceptions import FitFailedWarning

from focal_gbm._warnings import warn_user


class Run(NamedTuple):
    """One fit of a candidate in a fold."""

    scores: dict[str, float] | None  #: by scorer; None where the fit or a single scorer failed
    n_rounds: float
    fit_time: float  #: seconds
    score_time: float
    errors: tuple[str, ...] = ()


def with_error_score(runs: Sequence[Run], error_score: Any) -> list[Run]:
    """Return runs that all have scores, with a warning of those that failed; raise where all did.

    Raises
    ------
    ValueError
        If none succeeded.
    """
    errors = Counter(error for run in runs for error in run.errors)
    if not errors:
        return [*runs]
    details = "\n".join(f"{times} times:\n{error}" for error, times in errors.items())
    scored = next((run.scores for run in runs if run.scores is not None), None)
    if scored is None:
        raise ValueError(f"All the {len(runs)} fits failed.\n{details}")
    n_failed = sum(bool(run.errors) for run in runs)
    warn_user(
        f"{n_failed} fits failed out of a total of {len(runs)}. Their score is set to "
        f"{error_score}.\n{details}",
        FitFailedWarning,
    )
    failed = dict.fromkeys(scored, error_score)
    return [run._replace(scores=failed) if run.scores is None else run for run in runs]


def cv_results(candidates: list[dict[str, Any]], runs: Sequence[Run]) -> dict[str, Any]:
    """Return `cv_results_`.

    Parameters
    ----------
    candidates : list of dict
    runs : sequence of Run
        Those of the first candidate in all folds, then those of the second, and so on.
    """
    results: dict[str, Any] = {}
    for name in ("fit_time", "score_time"):
        _store(results, name, [getattr(run, name) for run in runs], len(candidates))
    results |= _parameter_columns(candidates)
    results["params"] = candidates
    for scorer in runs[0].scores or ():
        scores = [run.scores[scorer] for run in runs if run.scores is not None]
        mean = _store(results, f"test_{scorer}", scores, len(candidates), by_split=True)
        if not np.isfinite(mean).all():
            warn_user(f"One or more of the test scores are non-finite: {mean}")
        results[f"rank_test_{scorer}"] = _ranks(mean)
    n_rounds = np.array([run.n_rounds for run in runs]).reshape(len(candidates), -1)
    results |= {f"split{fold}_n_rounds": column for fold, column in enumerate(n_rounds.T)}
    results["mean_n_rounds"] = n_rounds.mean(axis=1)
    return results


def _store(
    results: dict[str, Any], name: str, values: list[float], n_candidates: int, by_split: bool = False
) -> Any:
    table = np.array(values, dtype=np.float64).reshape(n_candidates, -1)
    if by_split:
        results |= {f"split{fold}_{name}": column for fold, column in enumerate(table.T)}
    results[f"mean_{name}"] = table.mean(axis=1)
    results[f"std_{name}"] = table.std(axis=1)
    return results[f"mean_{name}"]


def _ranks(mean: Any) -> Any:
    """Return ranks from 1 on, the largest first; what is NaN is tied with the last."""
    if np.isnan(mean).all():
        return np.ones(len(mean), dtype=np.int32)
    return rankdata(-np.nan_to_num(mean, nan=np.nanmin(mean) - 1), method="min").astype(np.int32)


def _parameter_columns(candidates: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a masked array of values for each parameter, of their own type where they have one."""
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for params in candidates for name in params):
        values = {i: params[name] for i, params in enumerate(candidates) if name in params}
        try:
            array = np.array([*values.values()])
            dtype: Any = array.dtype if array.dtype.kind != "U" and array.ndim == 1 else object
        except ValueError:  # sequences of several lengths
            dtype = object
        column = MaskedArray(np.empty(len(candidates), dtype=dtype), mask=True)
        for i, value in values.items():
            column[i] = value
        columns[f"param_{name}"] = column
    return columns
