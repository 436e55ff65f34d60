"""FocalSearchCV: γ, α, the number of rounds and any other parameter, by cross-validation."""

from __future__ import annotations

import pickle
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from copy import deepcopy
from importlib import import_module
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import _safe_indexing, check_random_state, get_tags, indexable

from focal_gbm._validation import check_sample_weight
from focal_gbm.training.estimator import FocalClassifierMixin
from focal_gbm.training.labels import as_target
from focal_gbm.training.plan import Rows

#: γ=0 without α is the library's own loss: where focal loss does not help, the search says so.
DEFAULT_GRID = {"focal_gamma": [0.0, 0.5, 1.0, 2.0, 3.0], "focal_alpha": [None, "balanced"]}

#: Draws of whole groups to stop on, until one leaves every class rows to train on.
_DRAWS_OF_GROUPS = 20


class FocalSearchCV(GridSearchCV):
    """Find γ, α, the number of rounds and any other parameters by cross-validation.

    `GridSearchCV` for the estimators of this package, with its vocabulary and results, but every
    candidate stops early: `n_estimators` is an upper bound, not one more axis of the grid. Each fold's
    data are binned once for all candidates.

    Parameters
    ----------
    estimator : FocalXGBClassifier or FocalLGBMClassifier
        Its `n_estimators` bounds the rounds: set it high. Its own early stopping must be off.
    param_grid : dict, list of dicts or None, default=None
        As for `sklearn.model_selection.ParameterGrid`. None is γ in {0, 0.5, 1, 2, 3}, each with α
        None and "balanced"; γ=0 without α is the library's own log loss.
    scoring : str, callable, list, tuple, dict or None, default=None
        As for `GridSearchCV`; None is the accuracy of `predict`. "neg_log_loss" and
        "average_precision" say more about rare classes.
    cv : int, splitter, iterable or None, default=None
        As for `GridSearchCV`: 5 stratified folds where None.
    early_stopping_rounds : int or None, default=50
        Rounds without improvement after which a candidate stops. None trains all `n_estimators`
        rounds on all training rows, as `GridSearchCV` does.
    validation_fraction : float, default=0.1
        Share of each fold's training part that is set aside to stop on: of each class, at least one
        row if it has two; or of the groups, if `fit` is given groups.
    refit : bool, str or callable, default=True
        As for `GridSearchCV`: train the best candidate on all rows.
    random_state : int, RandomState or None, default=None
        Draws the rows set aside.
    verbose : int, default=0
        Show progress on stderr from 1 on: a bar where tqdm is installed, a line a fit otherwise.
    error_score : "raise" or float, default=np.nan
        Score of a candidate that fails in a fold, with a `FitFailedWarning`.

    Attributes
    ----------
    cv_results_ : dict of ndarrays
        As `GridSearchCV`'s, with ``split{i}_n_rounds`` and ``mean_n_rounds``. The fit time of the
        first candidate of a fold has the binning in it.
    best_params_, best_score_, best_index_, best_estimator_, scorer_, n_splits_, refit_time_, \
multimetric_, classes_, n_features_in_, feature_names_in_
        As `GridSearchCV`'s.
    best_n_rounds_ : int
        Rounds of the best candidate, `n_estimators` of `best_estimator_`: the median of the folds'.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Takes these estimators as well, and pipelines of them.

    Notes
    -----
    A candidate stops on its own focal loss, or on the metric that the estimator's `eval_metric` (for
    LightGBM `metric`) names. Losses of different γ cannot be compared, so that stopping and choosing
    are kept apart: the part that stops is never scored, and the part that is scored never stops.

    The last fit has no rows to stop on, and trains the median of the folds' rounds. A mean would follow
    the odd fold that went on for long because few of its rows to stop on were rare ones. More rounds in
    proportion to the rows that the folds did not train on made models worse (benchmarks/last_fit.py).

    Candidates run one after the other, each on the threads that the estimator's `n_jobs` gives it.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm import FocalSearchCV, FocalXGBClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = FocalXGBClassifier(n_estimators=200, max_depth=3)
    >>> grid = {"focal_gamma": [0.0, 1.0, 2.0]}
    >>> search = FocalSearchCV(model, grid, scoring="neg_log_loss", cv=3, random_state=0).fit(X, y)
    >>> sorted(search.best_params_)
    ['focal_gamma']
    >>> search.best_estimator_.n_estimators == search.best_n_rounds_ < 200
    True
    >>> search.predict_proba(X).shape
    (569, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **GridSearchCV._parameter_constraints,
        "param_grid": [dict, list, None],
    }

    #: A parameter of the base class that this one does not have.
    return_train_score = False

    def __init__(
        self,
        estimator: FocalClassifierMixin,
        param_grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]] | None = None,
        *,
        scoring: Any = None,
        cv: Any = None,
        early_stopping_rounds: int | None = 50,
        validation_fraction: float = 0.1,
        refit: Any = True,
        random_state: Any = None,
        verbose: int = 0,
        error_score: float | str = np.nan,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.scoring = scoring
        self.cv = cv
        self.early_stopping_rounds = early_stopping_rounds
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.random_state = random_state
        self.verbose = verbose
        self.error_score = error_score

    def __sklearn_tags__(self) -> Any:
        # the estimator's own, as it alone sees the data: missing values, sparse tables, many labels
        tags = super().__sklearn_tags__()
        of_estimator = get_tags(self.estimator)
        for name in ("input_tags", "target_tags", "no_validation"):
            setattr(tags, name, deepcopy(getattr(of_estimator, name)))
        return tags

    def fit(self, X: Any, y: ArrayLike | None = None, **params: Any) -> FocalSearchCV:
        """Search, and train the best candidate on all rows.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Whatever the estimator takes and rows can be picked from.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            As the estimator takes it.
        **params : dict
            ``sample_weight``, for training, stopping and, from scikit-learn 1.7 on, the scorers that
            take weights; ``groups``, for `cv` and for the rows to stop on. As for `GridSearchCV`,
            metadata routing applies where it is enabled.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            Naming the argument or parameter that cannot be honoured; ValueError where all fits fail.
        """
        before = dict(vars(self))
        try:
            return self._search(X, y, params)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _search(self, X: Any, y: ArrayLike | None, params: dict[str, Any]) -> FocalSearchCV:
        candidates = self._candidates()
        target = as_target(y)
        X, _ = indexable(X, target)
        n_samples = len(target)
        params = {name: value for name, value in params.items() if value is not None}
        if "sample_weight" in params:
            params["sample_weight"] = check_sample_weight(params["sample_weight"], n_samples)
        scorers, refit_metric = self._get_scorers()
        routed = self._get_routed_params_for_fit(params)
        fit_params, split_params = routed.estimator.fit, routed.splitter.split
        if unknown := sorted(set(fit_params) - {"sample_weight"}):
            raise TypeError(f"fit takes sample_weight and groups beside X and y, got {', '.join(unknown)}.")
        weight = fit_params.get("sample_weight")

        cv = check_cv(self.cv, target, classifier=True)
        splits = list(cv.split(X, target, **split_params))
        if not splits:
            raise ValueError(f"cv must yield one split or more, got none from {self.cv!r}.")
        self.n_splits_ = len(splits)
        draw = check_random_state(self.random_state)
        runs: dict[tuple[int, int], dict[str, Any]] = {}
        with closing(_Progress(len(candidates) * len(splits), self.verbose)) as progress:
            for fold, (train, test) in enumerate(splits):
                train, test = (np.arange(n_samples)[rows] for rows in (train, test))  # masks become indices
                stopping = None
                if self.early_stopping_rounds is not None:
                    train, stop = self._set_aside(train, target, split_params.get("groups"), draw, fold)
                    stopping = _rows(X, target, weight, stop)
                parts = _rows(X, target, weight, train), stopping, _rows(X, target, weight, test)
                score_params = {
                    name: _take(value, test) if np.ndim(value) and len(value) == n_samples else value
                    for name, value in routed.scorer.score.items()
                }
                for same_bins in self._by_binning(candidates):
                    binned = None
                    for i in same_bins:
                        binned, run = self._run(candidates[i], *parts, binned, scorers, score_params)
                        runs[i, fold] = run
                        progress.step(fold, candidates[i], run)

        out = [runs[i, fold] for i in range(len(candidates)) for fold in range(len(splits))]
        self._report_failures(out)
        self.multimetric_ = isinstance(out[0]["test_scores"], dict)
        if self.multimetric_ and callable(self.scoring):
            self._check_refit_for_multimetric(out[0]["test_scores"])
            refit_metric = self.refit
        n_rounds = np.array([run["n_rounds"] for run in out]).reshape(len(candidates), -1)
        self.cv_results_ = self._format_results(candidates, len(splits), out)
        self.cv_results_ |= {f"split{fold}_n_rounds": n_rounds[:, fold] for fold in range(len(splits))}
        self.cv_results_["mean_n_rounds"] = n_rounds.mean(axis=1)
        self.scorer_ = getattr(scorers, "_scorers", scorers)  # a dict of them for several metrics

        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, refit_metric, self.cv_results_)
            self.best_params_ = candidates[self.best_index_]
            rounds = n_rounds[self.best_index_]
            if np.isnan(rounds).all():
                raise ValueError(
                    f"error_score must rank failures last, got {self.error_score!r}, which makes "
                    f"{self.best_params_} the best: it failed in every fold."
                )
            self.best_n_rounds_ = round(float(np.nanmedian(rounds)))
            if not callable(self.refit):
                self.best_score_ = self.cv_results_[f"mean_test_{refit_metric}"][self.best_index_]
        if self.refit:
            self._refit(X, target, fit_params)
        return self

    def _candidates(self) -> list[dict[str, Any]]:
        """Check the parameters and return the points of the grid."""
        if not isinstance(self.estimator, FocalClassifierMixin):
            raise TypeError(
                "estimator must be a FocalXGBClassifier or a FocalLGBMClassifier, got "
                f"{self.estimator!r}. In a pipeline the search can be the last step."
            )
        self._validate_params()  # scikit-learn's: scoring, cv, refit, verbose and error_score
        rounds = self.early_stopping_rounds
        if rounds is not None and (
            not isinstance(rounds, Integral) or isinstance(rounds, bool) or rounds < 1
        ):
            raise ValueError(f"early_stopping_rounds must be None or an integer >= 1, got {rounds!r}.")
        share = self.validation_fraction
        if not isinstance(share, Real) or not 0.0 < share < 1.0:
            raise ValueError(f"validation_fraction must lie in the open interval (0, 1), got {share!r}.")
        candidates = list(ParameterGrid(DEFAULT_GRID if self.param_grid is None else self.param_grid))
        for params in (self.estimator.get_params(), *candidates):
            for name in self.estimator._stopping_names:
                if params.get(name) is not None:
                    raise ValueError(
                        f"{name} must be left to the search, which stops early itself, got {params[name]!r} "
                        "in the estimator or in param_grid."
                    )
        return candidates

    def _set_aside(
        self, train: NDArray[np.intp], y: NDArray[Any], groups: Any, draw: np.random.RandomState, fold: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Split the training rows of a fold into those to train on and those to stop on."""
        codes = np.zeros(len(train)) if y.ndim == 2 else y[train]
        classes, counts = np.unique(codes, return_counts=True)
        if groups is not None:
            group = np.unique(_take(groups, train), return_inverse=True)[1]
            n_groups = group.max() + 1
            for _ in range(_DRAWS_OF_GROUPS):
                aside = np.isin(group, draw.permutation(n_groups)[: self._n_aside(n_groups)])
                if aside.any() and len(np.unique(codes[~aside])) == len(classes):
                    return train[~aside], train[aside]
            raise ValueError(
                f"groups must leave rows of every class to train on when validation_fraction="
                f"{self.validation_fraction} of the groups are set aside to stop on, not so in fold {fold}."
            )
        aside = np.zeros(len(train), dtype=bool)
        for label, count in zip(classes, counts, strict=True):
            aside[draw.permutation(np.flatnonzero(codes == label))[: self._n_aside(count)]] = True
        if not aside.any():
            raise ValueError(
                "y must have two rows or more of a class in the training part of every fold, one of them to "
                f"stop on, not so in fold {fold}: lower the number of folds, or early_stopping_rounds=None."
            )
        return train[~aside], train[aside]

    def _n_aside(self, n: int) -> int:
        """Return how many of n to set aside: at least one, and not all."""
        return max(0, min(n - 1, max(1, round(self.validation_fraction * n))))

    def _by_binning(self, candidates: list[dict[str, Any]]) -> list[list[int]]:
        """Return the positions of the candidates, in groups that can share binned data."""
        groups: dict[bytes, list[int]] = {}
        for i, params in enumerate(candidates):
            binning = [item for item in params.items() if item[0] not in self.estimator._free_of_binning]
            # as bytes, since arrays and NaN have no usable equality; two unlike values never share them
            groups.setdefault(pickle.dumps(binning), []).append(i)
        return list(groups.values())

    def _run(
        self,
        params: dict[str, Any],
        fitting: Rows,
        stopping: Rows | None,
        scoring: Rows,
        binned: Any,
        scorers: Any,
        score_params: dict[str, Any],
    ) -> tuple[Any, dict[str, Any]]:
        """Fit and score a candidate in a fold; return the binned data and what `_format_results` takes."""
        model = clone(self.estimator).set_params(**clone(params, safe=False))
        run: dict[str, Any] = {"test_scores": None, "n_rounds": np.nan, "score_time": 0.0, "errors": []}
        started = time.perf_counter()
        try:
            binned, run["n_rounds"] = model._fit_shared(fitting, stopping, self.early_stopping_rounds, binned)
            run["fit_time"] = time.perf_counter() - started
            run["test_scores"] = scores = scorers(model, scoring.X, scoring.y, **score_params)
            run["score_time"] = time.perf_counter() - started - run["fit_time"]
            for name, score in scores.items() if isinstance(scores, dict) else ():
                if isinstance(score, str):  # of several scorers, one that failed: its traceback
                    run["errors"].append(score)
                    scores[name] = self.error_score
        except Exception:
            if self.error_score == "raise":
                raise
            run["errors"].append(traceback.format_exc())
            run.setdefault("fit_time", time.perf_counter() - started)
        return binned, run

    def _report_failures(self, out: list[dict[str, Any]]) -> None:
        """Give failed runs their score and warn of them; raise where none succeeded."""
        errors = Counter(error for run in out for error in run["errors"])
        if not errors:
            return
        details = "\n".join(f"{times} times:\n{error}" for error, times in errors.items())
        scored = next((run["test_scores"] for run in out if run["test_scores"] is not None), None)
        if scored is None:
            raise ValueError(f"All the {len(out)} fits failed.\n{details}")
        for run in out:
            if run["test_scores"] is None:
                failed = (
                    dict.fromkeys(scored, self.error_score) if isinstance(scored, dict) else self.error_score
                )
                run["test_scores"] = failed
        n_failed = sum(bool(run["errors"]) for run in out)
        warnings.warn(
            f"{n_failed} fits failed out of a total of {len(out)}. Their score is set to "
            f"{self.error_score}.\n{details}",
            FitFailedWarning,
            stacklevel=4,
        )

    def _refit(self, X: Any, y: NDArray[Any], fit_params: dict[str, Any]) -> None:
        model = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        names, given = model._rounds_names, model.get_params()
        in_force = next((name for name in names if given.get(name) is not None), names[-1])
        self.best_estimator_ = model.set_params(**{in_force: self.best_n_rounds_})
        started = time.perf_counter()
        self.best_estimator_.fit(X, y, **fit_params)
        self.refit_time_ = time.perf_counter() - started
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_


def _rows(X: Any, y: NDArray[Any], weight: Any, rows: NDArray[np.intp]) -> Rows:
    return Rows(_take(X, rows), y[rows], _take(weight, rows))


def _take(values: Any, rows: NDArray[np.intp]) -> Any:
    return None if values is None else _safe_indexing(values, rows)


class _Progress:
    """A bar of tqdm where it is installed, a line a fit where it is not; nothing without `verbose`."""

    def __init__(self, total: int, verbose: int) -> None:
        self._total, self._done = total, 0
        self._verbose = verbose > 0
        self._bar = None
        if self._verbose:
            with suppress(ImportError):
                self._bar = import_module("tqdm.auto").tqdm(total=total, unit="fit", file=sys.stderr)

    def step(self, fold: int, params: dict[str, Any], run: dict[str, Any]) -> None:
        """Count one fit."""
        self._done += 1
        if not self._verbose:
            return
        candidate = ", ".join(f"{name}={value!r}" for name, value in params.items())
        scores = run["test_scores"]
        named = scores if isinstance(scores, dict) else {"score": scores}
        result = "failed" if scores is None else ", ".join(f"{name} {named[name]:.5g}" for name in named)
        text = f"fold {fold}, {candidate}: {run['n_rounds']} rounds, {result}"
        if self._bar is None:
            print(f"[{self._done}/{self._total}] {text}", file=sys.stderr)
        else:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
