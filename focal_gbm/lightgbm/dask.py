"""DaskFocalLGBMClassifier: FocalLGBMClassifier on Dask collections."""

from __future__ import annotations

import inspect
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lightgbm
from distributed import default_client
from lightgbm import DaskLGBMClassifier, DaskLGBMRegressor

from focal_gbm._validation import FloatArray, check_choice, per_evaluation_set
from focal_gbm.lightgbm.estimator import FocalLGBMClassifier
from focal_gbm.lightgbm.parameters import DERIVED, EARLY_STOPPING, given, is_dart
from focal_gbm.lightgbm.private import FirstRound
from focal_gbm.lightgbm.training import (
    check_init_model,
    eval_metrics,
    evaluation_pairs,
    start_of,
    with_start,
)
from focal_gbm.training import collections
from focal_gbm.training.plan import PROBABILITIES, Plan


class DaskFocalLGBMClassifier(FocalLGBMClassifier, DaskLGBMClassifier):
    """`lightgbm.DaskLGBMClassifier` trained with focal loss, with true probabilities.

    Parameters
    ----------
    client : distributed.Client or None, default=None
        As in LightGBM: None is the current client.
    **kwargs
        Those of `FocalLGBMClassifier` and the network parameters of `lightgbm.DaskLGBMClassifier`
        (`tree_learner`, `machines`, `local_listen_port`, `time_out`).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels of all rows.

    Notes
    -----
    Labels, α, the start and the scale are of all rows, whichever worker has them: a worker need not
    have rows of every class. Partitions stay where they are.

    As in LightGBM, there is no early stopping, and a metric of an evaluation set is of the rows of one
    worker.

    Examples
    --------
    >>> from dask.distributed import Client
    >>> import dask.array as da
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm import DaskFocalLGBMClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as client:
    ...     X, y = da.from_array(X, chunks=(200, -1)), da.from_array(y, chunks=200)
    ...     model = DaskFocalLGBMClassifier(n_estimators=5, focal_alpha="balanced", verbose=-1).fit(X, y)
    ...     probability = model.predict_proba(X).compute()
    Finding random open ports for workers
    >>> probability.shape
    (569, 2)
    """

    def __init__(self, *, client: Any = None, **kwargs: Any) -> None:
        super().__init__(client=client, **kwargs)

    def fit(  # type: ignore[override]
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        init_score: Any = None,
        eval_set: Sequence[tuple[Any, Any]] | tuple[Any, Any] | None = None,
        eval_names: list[str] | None = None,
        eval_sample_weight: Sequence[Any] | None = None,
        eval_class_weight: None = None,
        eval_init_score: Sequence[Any] | None = None,
        eval_metric: Any = None,
        feature_name: Any = "auto",
        categorical_feature: Any = "auto",
        callbacks: list[Callable[..., Any]] | None = None,
        init_model: str | Path | lightgbm.Booster | lightgbm.LGBMModel | None = None,
        *,
        eval_X: Any = None,
        eval_y: Any = None,
    ) -> DaskFocalLGBMClassifier:
        """Fit the model on all workers that have rows.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
        y : Dask array, series or data frame of shape (n_samples,)
            Labels of any type, partitioned as X.
        sample_weight : Dask array or series of shape (n_samples,), default=None
            A weight of k is k copies of the row: in the loss, the start and α.
        init_score, eval_set, eval_names, eval_sample_weight, eval_init_score, eval_metric, \
feature_name, categorical_feature, callbacks, init_model, eval_X, eval_y
            As in `DaskLGBMClassifier.fit` and `FocalLGBMClassifier.fit`.
        eval_class_weight : None
            Refused: on a worker "balanced" would be of its own rows. Use `eval_sample_weight`.

        Returns
        -------
        self
        """
        client = default_client() if self.client is None else self.client
        self._refuse_of_own_rows(callbacks, eval_class_weight)
        rows = _rows(X, y, sample_weight, init_score, "").persist(client)
        target, n_samples = client.compute(rows.target()).result()
        plan = self._plan_classes(target, n_samples)
        check_init_model(init_model, plan)
        start = start_of(self, plan, init_score, init_model)
        metrics = eval_metrics(self, plan, eval_metric)
        train = _on_worker(rows, plan, start)

        pairs = evaluation_pairs(eval_set, eval_X, eval_y)
        evals = []
        for i, one in enumerate(_evaluation_sets(pairs, eval_sample_weight, eval_init_score)):
            if all(map(operator.is_, one, (X, y, sample_weight, init_score))):
                evals.append(train)  # is on the workers already
                continue
            rows = _rows(*one, f" of eval_set[{i}]").persist(client)
            # the engine would only say that a partition failed
            client.compute(rows.counts()).result().check_among(plan.state.classes, f"the labels{rows.of}")
            evals.append(_on_worker(rows, plan, start))

        # A regressor: LightGBM's classifier would number the labels anew on each worker, wrong where a
        # worker lacks one.
        trainer = DaskLGBMRegressor(client=client, **self._trainer_parameters(plan, metrics.of_library))
        with warnings.catch_warnings():
            if self.n_jobs is None:  # LightGBM warns of its own default
                warnings.filterwarnings("ignore", "Parameter n_jobs will be ignored", UserWarning)
            trainer.fit(
                train.X,
                train.y,
                sample_weight=train.weight,
                init_score=train.score,
                eval_names=eval_names,
                eval_metric=metrics.ours if evals else None,
                feature_name=feature_name,
                categorical_feature=categorical_feature,
                callbacks=[*(callbacks or []), FirstRound(is_dart(self)), metrics],
                init_model=_as_booster(init_model),
                **_evaluation_arguments(evals),
            )
        booster = with_start(trainer.booster_, start, plan.state)
        self._become(booster, plan.state, hasattr(X, "columns"), trainer.evals_result_)
        self._warn_if_no_split(plan)
        return self

    def _trainer_parameters(self, plan: Plan, library_metrics: list[str]) -> dict[str, Any]:
        ours = DERIVED | {"client"}
        params = {name: value for name, value in self.get_params().items() if name not in ours}
        params.update(objective=plan.objective, metric=library_metrics or "None")
        if len(plan.start) > 1:
            params["num_class"] = len(plan.start)
        return params

    def _refuse_of_own_rows(self, callbacks: list[Callable[..., Any]] | None, eval_class_weight: Any) -> None:
        """Raise ValueError for what each worker would do by its own rows alone."""
        if eval_class_weight is not None:
            raise ValueError(
                f"eval_class_weight must be None, got {eval_class_weight!r}: on a worker it would be of "
                "its own rows. Use eval_sample_weight."
            )
        name, rounds = given(self, EARLY_STOPPING)
        kind = type(lightgbm.early_stopping(1, verbose=False))
        if (rounds or 0) > 0 or any(isinstance(callback, kind) for callback in callbacks or []):
            raise ValueError(
                f"{name} and the callback early_stopping must not be given: LightGBM's Dask engine has no "
                "early stopping, as each worker would stop by its own rows and wait for the others. Choose "
                "n_estimators on a sample with FocalLGBMClassifier, or use DaskFocalXGBClassifier."
            )

    # Predictions: lazy, block by block, of LightGBM's raw scores

    def predict(
        self,
        X: Any,
        raw_score: bool = False,
        start_iteration: int = 0,
        num_iteration: int | None = None,
        pred_leaf: bool = False,
        pred_contrib: bool = False,
        validate_features: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the label with the largest focal score; parameters as in `DaskLGBMClassifier.predict`.

        Returns
        -------
        Dask array of shape (n_samples,)
            Labels; or what LightGBM returns for `raw_score`, `pred_leaf` and `pred_contrib`.
        """
        state = self._state()
        kwargs.update(
            start_iteration=start_iteration, num_iteration=num_iteration, validate_features=validate_features
        )
        if raw_score or pred_leaf or pred_contrib:
            kwargs.update(raw_score=raw_score, pred_leaf=pred_leaf, pred_contrib=pred_contrib)
            return DaskLGBMClassifier.predict_proba(self, X, **kwargs)
        return collections.decisions(self.decision_function(X, **kwargs), state)

    def predict_proba(
        self,
        X: Any,
        raw_score: bool = False,
        start_iteration: int = 0,
        num_iteration: int | None = None,
        pred_leaf: bool = False,
        pred_contrib: bool = False,
        validate_features: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return class probabilities; parameters as in `DaskLGBMClassifier.predict_proba`.

        Returns
        -------
        Dask array of float64 of shape (n_samples, n_classes)
            In the order of `classes_`: the posterior, or σ(z) or softmax(z) with
            ``probability="score"``; or what LightGBM returns for `raw_score`, `pred_leaf` and
            `pred_contrib`.
        """
        state = self._state()
        check_choice(self.probability, PROBABILITIES, "probability")
        kwargs.update(
            start_iteration=start_iteration, num_iteration=num_iteration, validate_features=validate_features
        )
        if raw_score or pred_leaf or pred_contrib:
            return self.predict(X, raw_score, pred_leaf=pred_leaf, pred_contrib=pred_contrib, **kwargs)
        return collections.probabilities(self.decision_function(X, **kwargs), state, self.probability)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of `predict`; it is computed at once.

        Parameters
        ----------
        X, y, sample_weight
            Dask collections with the same partitions.
        """
        collections.DaskRows(X, y, sample_weight).check()
        right: float = self.client_.compute(collections.accuracy(y, self.predict(X), sample_weight)).result()
        return right

    def to_local(self) -> FocalLGBMClassifier:
        """Return the fitted estimator for data of one machine."""
        state = self._state()
        params = {name: value for name, value in self.get_params().items() if name != "client"}
        local = FocalLGBMClassifier(**params)
        local._become(self.booster_, state, hasattr(self, "feature_names_in_"), self.evals_result_)
        return local


def _rows(X: Any, y: Any, weight: Any, score: Any, of: str) -> collections.DaskRows:
    return collections.DaskRows(X, y, weight, score, "init_score", of)


def _on_worker(rows: collections.DaskRows, plan: Plan, start: FloatArray) -> collections.DaskRows:
    """Return rows with codes for labels, and with the start in the scores."""
    score = rows.score
    if start.any():
        # As LightGBM, whose start is part of the first tree: on top of what the user gives.
        score = collections.constant(rows.y, start) if score is None else collections.raised(score, start)
    weight = collections.single_column(rows.weight)
    return rows._replace(y=collections.encoded(rows.y, plan.state.classes), weight=weight, score=score)


def _evaluation_sets(pairs: Any, weights: Any, scores: Any) -> list[tuple[Any, Any, Any, Any]]:
    """Return X, y, weights and scores of each evaluation set."""
    weights = per_evaluation_set(weights, len(pairs), "eval_sample_weight")
    scores = per_evaluation_set(scores, len(pairs), "eval_init_score")
    return [(*pair, weight, score) for pair, weight, score in zip(pairs, weights, scores, strict=True)]


def _if_any(values: Iterable[Any]) -> list[Any] | None:
    """Return the values of all evaluation sets, None where none has any."""
    listed = list(values)
    return listed if any(value is not None for value in listed) else None


def _as_booster(model: Any) -> Any:
    """Return a model to go on from in a form that every worker can read."""
    if isinstance(model, lightgbm.LGBMModel):
        return model.booster_
    return lightgbm.Booster(model_file=model) if isinstance(model, (str, Path)) else model


def _evaluation_arguments(evals: list[collections.DaskRows]) -> dict[str, Any]:
    """Return the evaluation sets in a form that the installed LightGBM takes without complaint."""
    if not evals:
        return {}
    arguments: dict[str, Any] = {
        "eval_sample_weight": _if_any(rows.weight for rows in evals),
        "eval_init_score": _if_any(rows.score for rows in evals),
    }
    if "eval_X" in inspect.signature(DaskLGBMRegressor.fit).parameters:
        arguments.update(eval_X=tuple(rows.X for rows in evals), eval_y=tuple(rows.y for rows in evals))
    else:
        arguments.update(eval_set=[(rows.X, rows.y) for rows in evals])
    return arguments
