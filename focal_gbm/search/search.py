"""FocalSearchCV."""

from __future__ import annotations

import pickle
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import Bunch, _safe_indexing, check_random_state, get_tags, indexable
from sklearn.utils.metadata_routing import process_routing

from focal_gbm._arrays import as_table
from focal_gbm._validation import check_choice, check_sample_weight
from focal_gbm.search.progress import Progress
from focal_gbm.search.results import Run, cv_results, with_error_score
from focal_gbm.search.scoring import score, scorers_of
from focal_gbm.search.stopping import VALIDATION_ROWS, Stopping, in_order_of_time
from focal_gbm.training.estimator import FocalClassifierMixin
from focal_gbm.training.labels import as_target
from focal_gbm.training.plan import Rows

#: γ=0 without α is the library's own loss: where focal loss does not help, the search says so.
DEFAULT_GRID = {"focal_gamma": [0.0, 0.5, 1.0, 2.0, 3.0], "focal_alpha": [None, "balanced"]}


class Parts(NamedTuple):
    """The rows of a fold."""

    train: Rows
    stop: Rows | None
    test: Rows
    score_params: dict[str, Any]


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
    validation_rows : {"auto", "random", "latest"}, default="auto"
        Which rows are set aside: drawn at random, or the latest, the last in the order of the rows (of the
        groups, those whose last row comes last). "auto" takes the latest where every split of `cv` trains on
        rows that come before those that it tests on, as `TimeSeriesSplit` does.
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
        validation_rows: str = "auto",
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
        self.validation_rows = validation_rows
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
        candidates = self._candidates()
        target, X = as_target(y), as_table(X)
        X, _ = indexable(X, target)
        params = {name: value for name, value in params.items() if value is not None}
        if "sample_weight" in params:
            params["sample_weight"] = check_sample_weight(params["sample_weight"], len(target))
        fit_params, split_params, score_params = self._routed(params)
        cv = check_cv(self.cv, target, classifier=True)
        splits = [
            tuple(np.arange(len(target))[rows] for rows in split)  # masks become indices
            for split in cv.split(X, target, **split_params)
        ]
        if not splits:
            raise ValueError(f"cv must yield one split or more, got none from {self.cv!r}.")
        latest = self.validation_rows == "latest" or (
            self.validation_rows == "auto" and in_order_of_time(splits)
        )
        stopping = None if self.early_stopping_rounds is None else Stopping(self.validation_fraction, latest)
        draw, weight = check_random_state(self.random_state), fit_params.get("sample_weight")
        runs: dict[tuple[int, int], Run] = {}
        with closing(Progress(len(candidates) * len(splits), self.verbose)) as progress:
            for fold, (train, test) in enumerate(splits):
                stop = None
                if stopping is not None:
                    train, stop = stopping.set_aside(train, target, split_params.get("groups"), draw, fold)
                parts = Parts(
                    _rows(X, target, weight, train),
                    None if stop is None else _rows(X, target, weight, stop),
                    _rows(X, target, weight, test),
                    {name: _take(value, test, len(target)) for name, value in score_params.items()},
                )
                for same_bins in self._by_binning(candidates):
                    binned = None
                    for i in same_bins:
                        binned, runs[i, fold] = self._run(candidates[i], parts, binned)
                        progress.step(fold, candidates[i], runs[i, fold])
        ordered = [runs[i, fold] for i in range(len(candidates)) for fold in range(len(splits))]
        return self._report(
            candidates, with_error_score(ordered, self.error_score), len(splits), X, target, fit_params
        )

    def _candidates(self) -> list[dict[str, Any]]:
        """Check the parameters and return the points of the grid."""
        if not isinstance(self.estimator, FocalClassifierMixin):
            raise TypeError(
                "estimator must be a FocalXGBClassifier or a FocalLGBMClassifier, got "
                f"{self.estimator!r}. In a pipeline the search can be the last step."
            )
        if not (isinstance(self.refit, (bool, str)) or callable(self.refit)):
            raise ValueError(
                f"refit must be a boolean, the name of a metric or a callable, got {self.refit!r}."
            )
        if self.error_score != "raise" and not isinstance(self.error_score, Real):
            raise ValueError(f"error_score must be 'raise' or a number, got {self.error_score!r}.")
        if not isinstance(self.verbose, Integral):
            raise ValueError(f"verbose must be an integer, got {self.verbose!r}.")
        rounds = self.early_stopping_rounds
        if rounds is not None and (
            not isinstance(rounds, Integral) or isinstance(rounds, bool) or rounds < 1
        ):
            raise ValueError(f"early_stopping_rounds must be None or an integer >= 1, got {rounds!r}.")
        share = self.validation_fraction
        if not isinstance(share, Real) or not 0.0 < share < 1.0:
            raise ValueError(f"validation_fraction must lie in the open interval (0, 1), got {share!r}.")
        check_choice(self.validation_rows, VALIDATION_ROWS, "validation_rows")
        self._check_refit(self._scorers())
        candidates = list(ParameterGrid(DEFAULT_GRID if self.param_grid is None else self.param_grid))
        for params in (self.estimator.get_params(), *candidates):
            for name in self.estimator._stopping_names:
                if params.get(name) is not None:
                    raise ValueError(
                        f"{name} must be left to the search, which stops early itself, got {params[name]!r} "
                        "in the estimator or in param_grid."
                    )
        return candidates

    def _scorers(self) -> dict[str, Any]:
        return scorers_of(self.estimator, self.scoring)

    def _check_refit(self, names: Mapping[str, Any]) -> None:
        """Raise where several metrics leave it open which of them chooses."""
        if [*names] == ["score"] or self.refit is False or callable(self.refit):
            return
        if not (isinstance(self.refit, str) and self.refit in names):
            raise ValueError(
                "For multi-metric scoring, the parameter refit must be set to a scorer key or a callable to "
                "refit an estimator with the best parameter setting on the whole data and make the best_* "
                "attributes available for that metric. If this is not needed, refit should be set to False "
                f"explicitly. {self.refit!r} was passed."
            )

    def _routed(self, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return the metadata for the estimator's fit, the splitter and the scorers."""
        if sklearn.get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params)
        else:
            weight = {name: value for name, value in params.items() if name == "sample_weight"}
            routed = Bunch(
                estimator=Bunch(fit={name: value for name, value in params.items() if name != "groups"}),
                splitter=Bunch(split={"groups": params.get("groups")}),
                scorer=Bunch(score=weight),
            )
        fit_params = dict(routed.estimator.fit)
        if unknown := sorted(set(fit_params) - {"sample_weight"}):
            raise TypeError(f"fit takes sample_weight and groups beside X and y, got {', '.join(unknown)}.")
        return fit_params, dict(routed.splitter.split), dict(routed.scorer.score)

    def _by_binning(self, candidates: list[dict[str, Any]]) -> list[list[int]]:
        """Return the positions of the candidates, in groups that can share binned data."""
        groups: dict[bytes, list[int]] = {}
        for i, params in enumerate(candidates):
            binning = [item for item in params.items() if item[0] not in self.estimator._free_of_binning]
            # as bytes, since arrays and NaN have no usable equality; two unlike values never share them
            groups.setdefault(pickle.dumps(binning), []).append(i)
        return list(groups.values())

    def _run(self, params: dict[str, Any], parts: Parts, binned: Any) -> tuple[Any, Run]:
        """Fit and score a candidate in a fold; return the binned data, too."""
        started = time.perf_counter()
        n_rounds, fit_time = np.nan, None
        try:
            model = clone(self.estimator).set_params(**clone(params, safe=False))
            binned, n_rounds = model._fit_shared(parts.train, parts.stop, self.early_stopping_rounds, binned)
            fit_time = time.perf_counter() - started
            scores, errors = score(self._scorers(), model, parts.test, parts.score_params, self.error_score)
            return binned, Run(scores, n_rounds, fit_time, time.perf_counter() - started - fit_time, errors)
        except Exception:
            if self.error_score == "raise":
                raise
            spent = time.perf_counter() - started
            return binned, Run(None, n_rounds, fit_time or spent, 0.0, (traceback.format_exc(),))

    def _report(
        self,
        candidates: list[dict[str, Any]],
        runs: list[Run],
        n_splits: int,
        X: Any,
        y: NDArray[Any],
        fit_params: dict[str, Any],
    ) -> FocalSearchCV:
        """Become the fitted search, the best candidate trained on all rows."""
        names = runs[0].scores or {}
        self._check_refit(names)
        multimetric = [*names] != ["score"]
        found: dict[str, Any] = {
            "n_splits_": n_splits, "multimetric_": multimetric, "cv_results_": cv_results(candidates, runs),
        }  # fmt: skip
        scorers = self._scorers()
        found["scorer_"] = scorers if len(scorers) > 1 or [*scorers] != ["score"] else scorers["score"]
        if self.refit or not multimetric:
            found |= self._best(found["cv_results_"], candidates, self.refit if multimetric else "score")
        if self.refit:
            started = time.perf_counter()
            found["best_estimator_"] = self._refitted(found, X, y, fit_params)
            found["refit_time_"] = time.perf_counter() - started
            if hasattr(found["best_estimator_"], "feature_names_in_"):
                found["feature_names_in_"] = found["best_estimator_"].feature_names_in_
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)  # of an earlier fit
        self.__dict__.update(found)
        return self

    def _best(self, results: dict[str, Any], candidates: list[dict[str, Any]], metric: Any) -> dict[str, Any]:
        """Return the attributes of the best candidate."""
        if callable(self.refit):
            index: Any = self.refit(results)
            if not isinstance(index, Integral):
                raise TypeError(f"refit must return an integer, got {index!r}.")
            if not 0 <= int(index) < len(candidates):
                raise IndexError(f"refit must return an index below {len(candidates)}, got {index!r}.")
        else:
            index = results[f"rank_test_{metric}"].argmin()
        rounds = np.array(
            [results[name][index] for name in results if name.endswith("_n_rounds") and name[0] == "s"]
        )
        if np.isnan(rounds).all():
            raise ValueError(
                f"error_score must rank failures last, got {self.error_score!r}, which makes "
                f"{candidates[index]} the best: it failed in every fold."
            )
        best = {
            "best_index_": index,
            "best_params_": candidates[index],
            "best_n_rounds_": round(float(np.nanmedian(rounds))),
        }
        if not callable(self.refit):
            best["best_score_"] = results[f"mean_test_{metric}"][index]
        return best

    def _refitted(self, found: dict[str, Any], X: Any, y: NDArray[Any], fit_params: dict[str, Any]) -> Any:
        model = clone(self.estimator).set_params(**clone(found["best_params_"], safe=False))
        names, given = model._rounds_names, model.get_params()
        in_force = next((name for name in names if given.get(name) is not None), names[-1])
        model.set_params(**{in_force: found["best_n_rounds_"]})._leave_no_early_stopping()
        return model.fit(X, y, **fit_params)


def _rows(X: Any, y: NDArray[Any], weight: Any, rows: NDArray[np.intp]) -> Rows:
    return Rows(_safe_indexing(X, rows), y[rows], None if weight is None else weight[rows])


def _take(value: Any, rows: NDArray[np.intp], n_samples: int) -> Any:
    """Return the rows of what has one entry a row, all else as it is."""
    return _safe_indexing(value, rows) if np.ndim(value) and len(value) == n_samples else value
