"""EarlyStoppingClassifier: a model that sets rows aside, stops on them and is trained again on all rows."""

from __future__ import annotations

import warnings
from importlib import import_module
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import ClassifierTags, _safe_indexing, assert_all_finite, column_or_1d, get_tags, indexable
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, process_routing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

#: The libraries whose folder has a module `stopping`.
_LIBRARIES = {"xgboost", "lightgbm"}

#: Arguments of the libraries' `fit` with an entry for each row, or with rounds of another model.
_REFUSED = {"base_margin", "init_score", "xgb_model", "init_model"}


class EarlyStoppingClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Stop a boosted classifier early on rows that `fit` sets aside, then train it on all rows.

    The libraries stop early on an evaluation set passed to `fit`. A Pipeline, a search or a
    cross-validation has none to pass. This class sets rows aside itself, so `n_estimators` is an
    upper bound everywhere and not one more axis of the grid.

    Parameters
    ----------
    estimator : XGBClassifier, LGBMClassifier, FocalXGBClassifier or FocalLGBMClassifier
        Its `n_estimators` bounds the rounds: set it high. It must have no early stopping and no metric of
        its own.
    validation : float, int or splitter, default=0.2
        Rows to stop on: a share or a number of rows, drawn in proportion to the classes, or a splitter such
        as `GroupShuffleSplit` or `TimeSeriesSplit`; only its last split counts. Rows keep the order in
        which the splitter returns them.
    rounds : int, default=30
        Rounds without improvement after which training stops.
    eval_metric : str, callable or None, default=None
        The metric to stop on, as the library takes it: XGBoost minimizes a callable, LightGBM's says
        whether higher is better. None is the log loss, whatever loss is trained.
    refit : bool, default=True
        Train again on all rows with the rounds found. False keeps the model that stopped, cut to its best
        round; it has not seen the rows set aside.
    random_state : int, RandomState or None, default=None
        Draws the rows, unless `validation` is a splitter. With an int every candidate of a search stops
        on the same rows.

    Attributes
    ----------
    estimator_ : estimator
        The fitted model.
    n_rounds_ : int
        Rounds of the fitted model.
    classes_, n_features_in_, feature_names_in_, feature_importances_
        As the fitted model has them.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Takes this class, alone or as the last step of a Pipeline.

    Notes
    -----
    The last fit takes as many rounds as were found, although it has more rows: more rounds, in proportion
    to the rows, are no better on average (benchmarks/last_fit.py).

    LightGBM prints what its parameter `verbose` says. XGBoost prints its evaluations if `fit` is given
    `verbose=True`, or a number to print every so many rounds.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import GridSearchCV
    >>> from focal_gbm import FocalXGBClassifier
    >>> from focal_gbm.early_stopping import EarlyStoppingClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = EarlyStoppingClassifier(FocalXGBClassifier(n_estimators=500, max_depth=3), random_state=0)
    >>> grid = {"estimator__focal_gamma": [0.0, 1.0, 2.0]}
    >>> search = GridSearchCV(model, grid, scoring="neg_log_loss", cv=3).fit(X, y)
    >>> sorted(search.best_params_)
    ['estimator__focal_gamma']
    >>> search.best_estimator_.n_rounds_ < 500
    True
    """

    # `fit` passes both on: `estimator` and `validation` say which of them they request
    __metadata_request__fit: ClassVar = {"sample_weight": UNUSED, "groups": UNUSED}

    def __init__(
        self,
        estimator: Any,
        *,
        validation: Any = 0.2,
        rounds: int = 30,
        eval_metric: Any = None,
        refit: bool = True,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.validation = validation
        self.rounds = rounds
        self.eval_metric = eval_metric
        self.refit = refit
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **fit_params: Any,
    ) -> EarlyStoppingClassifier:
        """Find the number of rounds on rows set aside, then train on all rows.

        Parameters
        ----------
        X : array or table of shape (n_samples, n_features)
            Of a type that the library reads and that rows can be taken from.
        y : array-like of shape (n_samples,)
            Labels, as the estimator takes them.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights, in training and in the metric.
        groups : array-like of shape (n_samples,) or None, default=None
            Passed to the splitter's `split`. If metadata routing is enabled, `groups` and `sample_weight`
            go to those that request them.
        **fit_params : dict
            For the estimator's `fit`, such as `verbose` or `categorical_feature`.

        Returns
        -------
        self : EarlyStoppingClassifier

        Raises
        ------
        TypeError, ValueError
            On a parameter that is out of range, on one of the estimator's or of its `fit` that this class
            sets itself, and on a class without rows to train on or without rows to stop on.
        """
        given = {"sample_weight": sample_weight, "groups": groups, **fit_params}
        fit_params, split_params = self._routed({k: v for k, v in given.items() if v is not None})
        stopping = self._stopping(fit_params)
        weight = fit_params.pop("sample_weight", None)
        # LightGBM reads a list as the table to train on, but not as one to stop on
        X, y, weight = indexable(np.asarray(X) if isinstance(X, list) else X, y, weight)
        train, stop = (
            tuple(None if values is None else _safe_indexing(values, rows) for values in (X, y, weight))
            for rows in self._split(X, y, split_params)
        )
        model, n_rounds = self._stopped(stopping, train, stop, fit_params)
        if self.refit:
            model = clone(self.estimator).set_params(n_estimators=n_rounds)
            model.fit(X, y, sample_weight=weight, **fit_params)
        self.estimator_, self.n_rounds_ = model, n_rounds
        return self

    def _routed(self, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what of the parameters is for the estimator's `fit`, and what for the splitter."""
        if sklearn.get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params)
            return dict(routed.estimator.fit), dict(routed.get("splitter", {"split": {}})["split"])
        groups = params.pop("groups", None)
        if groups is not None and not hasattr(self.validation, "split"):
            raise ValueError(f"groups needs a splitter that reads them, got validation={self.validation!r}.")
        return params, {"groups": groups}

    def _stopping(self, fit_params: dict[str, Any]) -> Any:
        """Return how the library stops, a module; raise on what the estimator or `fit` should not have been given."""
        modules = {base.__module__.partition(".")[0] for base in type(self.estimator).__mro__}
        library = next(iter(modules & _LIBRARIES), "")
        if not library or get_tags(self.estimator).estimator_type != "classifier":
            raise TypeError(
                "estimator must be a classifier of XGBoost, LightGBM or focal_gbm (a Pipeline has "
                f"EarlyStoppingClassifier as its last step), got {self.estimator!r}."
            )
        if not isinstance(self.rounds, Integral) or self.rounds < 1:
            raise ValueError(f"rounds must be a positive integer, got {self.rounds!r}.")
        if not (self.eval_metric is None or isinstance(self.eval_metric, str) or callable(self.eval_metric)):
            raise TypeError(f"eval_metric must be one metric, a name or a callable, got {self.eval_metric!r}.")
        params = self.estimator.get_params()
        stopping: Any = import_module(f"focal_gbm.{library}.stopping")
        for instead, names in stopping.TAKEN.items():
            if given := [name for name in names if params.get(name) is not None]:
                raise ValueError(f"estimator must not set {', '.join(given)}: set {instead} instead.")
        callbacks = [*(params.get("callbacks") or ()), *(fit_params.get("callbacks") or ())]
        if any("EarlyStopping" in type(callback).__name__ for callback in callbacks):
            raise ValueError("callbacks must not stop early: use rounds of EarlyStoppingClassifier instead.")
        if refused := sorted(name for name in fit_params if name in _REFUSED or "eval" in name):
            raise TypeError(
                f"fit of EarlyStoppingClassifier does not take {', '.join(refused)}: it sets rows aside itself "
                "(validation), and starts from no model."
            )
        return stopping

    def _split(self, X: Any, y: Any, params: dict[str, Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows to train on and the rows to stop on; raise where a class is missing from either."""
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        labels = column_or_1d(y)
        classes, counts = np.unique(labels, return_counts=True)
        if (counts < 2).any():
            raise ValueError(
                f"y must have two or more rows of every class, one of them to stop on, got a single row of "
                f"{classes[counts < 2].tolist()} (n_samples = {len(labels)})."
            )
        splitter: Any = self.validation
        if isinstance(splitter, Integral) or (isinstance(splitter, float) and 0 < splitter < 1):
            splitter = StratifiedShuffleSplit(1, test_size=splitter, random_state=self.random_state)
        elif isinstance(splitter, str) or not hasattr(splitter, "split"):
            raise ValueError(f"validation must be a share, a number of rows or a splitter, got {splitter!r}.")
        *_, (train, stop) = splitter.split(X, y, **params)
        for rows, part in ((train, "to train on"), (stop, "set aside to stop on")):
            if missing := np.setdiff1d(classes, labels[rows]).tolist():
                raise ValueError(
                    f"validation must leave rows of every class on both sides, got no row of {missing} among "
                    f"the {len(rows)} rows {part} (validation={self.validation!r})."
                )
        return train, stop

    def _stopped(self, stopping: Any, train: Any, stop: Any, fit_params: dict[str, Any]) -> tuple[Any, int]:
        """Return the model that stopped and its best number of rounds; both sides are (X, y, weight)."""
        model = clone(self.estimator)
        (X, y, weight), (X_stop, y_stop, weight_stop) = train, stop
        weights = None if weight_stop is None else [weight_stop]
        extra = stopping.stop_early(model, y, self.rounds, self.eval_metric, weights, cut=not self.refit)
        with warnings.catch_warnings():
            # LightGBM 4.7 deprecates eval_set, but takes the labels in eval_y for numbers
            warnings.filterwarnings("ignore", message=".*'eval_set' is deprecated")
            model.fit(X, y, sample_weight=weight, eval_set=[(X_stop, y_stop)], **(extra | fit_params))
        n_rounds = stopping.n_best_rounds(model)
        if not n_rounds:
            raise ValueError("estimator must be able to stop early: boosting_type='dart' of LightGBM is not.")
        return model, n_rounds

    def predict(self, X: Any) -> NDArray[Any]:
        """Return labels of shape (n_samples,), as the fitted model predicts them."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return probabilities of shape (n_samples, n_classes), as the fitted model predicts them."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in the order of the columns of `predict_proba`."""
        return self.estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the features; no attribute where the fitted model has none."""
        return self.estimator_.feature_names_in_

    @property
    def feature_importances_(self) -> NDArray[Any]:
        """Importances of shape (n_features,), of the type that the estimator's `importance_type` names."""
        return self.estimator_.feature_importances_

    def get_metadata_routing(self) -> MetadataRouter:
        """Return who is asked for metadata: the estimator's `fit`, and the splitter if there is one."""
        fit = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=fit)
        if hasattr(self.validation, "split"):
            split = MethodMapping().add(caller="fit", callee="split")
            router.add(splitter=self.validation, method_mapping=split)
        return router

    def __sklearn_tags__(self) -> Any:
        tags = get_tags(self.estimator)
        tags.classifier_tags = ClassifierTags()  # one label a row, whatever the estimator takes
        return tags
