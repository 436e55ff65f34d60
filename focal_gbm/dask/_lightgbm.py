"""DaskFocalLGBMClassifier: FocalLGBMClassifier on Dask collections."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from distributed import default_client
from lightgbm import DaskLGBMClassifier, DaskLGBMRegressor

from focal_gbm._classifier import ClassPlan
from focal_gbm._validation import FloatArray, check_choice, one_each
from focal_gbm.dask import _collections as collections
from focal_gbm.lightgbm import DERIVED_PARAMETERS, FirstRound, FocalLGBMClassifier, baked, evaluation_pairs


class DaskFocalLGBMClassifier(FocalLGBMClassifier, DaskLGBMClassifier):
    """`lightgbm.DaskLGBMClassifier` trained with focal loss, with true probabilities.

    Parameters
    ----------
    client : distributed.Client or None, default=None
        As in the host: None is the current client.
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

    As in the host, there is no early stopping, and a metric of an evaluation set is of the rows of one
    worker.

    Examples
    --------
    >>> from dask.distributed import Client
    >>> import dask.array as da
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm.dask import DaskFocalLGBMClassifier
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
        self._refuse_parameters()
        self._refuse_early_stopping(callbacks)
        if eval_class_weight is not None:
            raise ValueError(
                f"eval_class_weight must be None, got {eval_class_weight!r}: on a worker it would be of "
                "its own rows. Use eval_sample_weight."
            )
        rows = _Rows(X, y, sample_weight, init_score, "").persist(client)
        counts = client.compute(collections.class_counts(rows.y, rows.weight)).result()
        plan = self._plan_classes(counts.classes, counts.counts, counts.n_samples)
        self._check_num_class(plan)
        self._check_same_classes(init_model, plan)
        has_start = init_score is None and init_model is None and self._starts_from_average()
        start = plan.start if has_start else np.zeros_like(plan.start)
        metrics = self._eval_metrics(plan, eval_metric)
        train = rows.on_worker(plan, start)

        sets = evaluation_pairs(eval_set, eval_X, eval_y)
        weights = one_each(eval_sample_weight, len(sets), "eval_sample_weight")
        scores = one_each(eval_init_score, len(sets), "eval_init_score")
        evals = []
        for i, ((data, labels), weight, score) in enumerate(zip(sets, weights, scores, strict=True)):
            if data is X and labels is y and weight is sample_weight and score is init_score:
                evals.append(train)
                continue
            rows = _Rows(data, labels, weight, score, f" of evaluation set {i}").persist(client)
            # the engine would only say that a partition failed
            counts = client.compute(collections.class_counts(rows.y, rows.weight)).result()
            counts.check_among(plan.state.classes, f"the labels{rows.of}")
            evals.append(rows.on_worker(plan, start))

        # A regressor: the host's classifier would number the labels anew on each worker, wrong where a
        # worker lacks one.
        trainer = DaskLGBMRegressor(client=client, **self._trainer_parameters(plan, metrics.host))
        with warnings.catch_warnings():
            if self.n_jobs is None:  # the host warns of its own default
                warnings.filterwarnings("ignore", "Parameter n_jobs will be ignored", UserWarning)
            trainer.fit(
                train.X,
                train.y,
                sample_weight=train.weight,
                init_score=train.score,
                eval_names=eval_names,
                eval_sample_weight=_if_any(rows.weight for rows in evals),
                eval_init_score=_if_any(rows.score for rows in evals),
                eval_metric=metrics.ours if evals else None,
                feature_name=feature_name,
                categorical_feature=categorical_feature,
                callbacks=[*(callbacks or []), FirstRound(self._is_dart()), metrics],
                init_model=_as_booster(init_model),
                **_evaluation_sets(evals),
            )
        booster = baked(trainer.booster_, start, plan.state)
        self._adopt(booster, plan.state, hasattr(X, "columns"), trainer.evals_result_)
        if not booster.feature_importance("split").any():
            self._warn_no_split(self._why_no_split(plan))
        return self

    def _trainer_parameters(self, plan: ClassPlan, host_metrics: list[str]) -> dict[str, Any]:
        ours = DERIVED_PARAMETERS | {"client"}
        params = {name: value for name, value in self.get_params().items() if name not in ours}
        params.update(objective=plan.objective, metric=host_metrics or "None")
        if len(plan.start) > 1:
            params["num_class"] = len(plan.start)
        return params

    def _refuse_early_stopping(self, callbacks: list[Callable[..., Any]] | None) -> None:
        name, rounds = self._given(self._stopping_names)
        kind = type(lightgbm.early_stopping(1, verbose=False))
        if (rounds or 0) > 0 or any(isinstance(callback, kind) for callback in callbacks or []):
            raise ValueError(
                f"{name} and the callback early_stopping must not be given: LightGBM's Dask engine has no "
                "early stopping, as each worker would stop by its own rows and wait for the others. Choose "
                "n_estimators on a sample with FocalLGBMClassifier, or use DaskFocalXGBClassifier."
            )

    # Predictions: lazy, block by block, of the host's raw scores

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
            Labels; or what the host returns for `raw_score`, `pred_leaf` and `pred_contrib`.
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
            ``probability="score"``; or what the host returns for `raw_score`, `pred_leaf` and
            `pred_contrib`.
        """
        state = self._state()
        check_choice(self.probability, ("posterior", "score"), "probability")
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
        _Rows(X, y, sample_weight, None, "").check()
        right: float = self.client_.compute(collections.accuracy(y, self.predict(X), sample_weight)).result()
        return right

    def to_local(self) -> FocalLGBMClassifier:
        """Return the fitted estimator for data of one machine."""
        params = {name: value for name, value in self.get_params().items() if name != "client"}
        local = FocalLGBMClassifier(**params)
        local._adopt(self.booster_, self._state(), self._fitted_with_feature_names, self._evals_result)
        return local


class _Rows(NamedTuple):
    """The collections of one set; `of` says which, for errors."""

    X: Any
    y: Any
    weight: Any
    score: Any
    of: str

    def check(self) -> None:
        for value, name in ((self.X, "X"), (self.y, "y")):
            collections.check_collection(value, name + self.of)
        for value, name in ((self.weight, "sample_weight"), (self.score, "init_score")):
            collections.check_collection(value, name + self.of, optional=True)
        for value, name in ((self.y, "y"), (self.weight, "sample_weight"), (self.score, "init_score")):
            collections.check_as_many_blocks(value, name + self.of, self.X)

    def persist(self, client: Any) -> _Rows:
        """Return the same in the workers' memory: the labels are read twice."""
        self.check()
        given = {name: value for name, value in self._asdict().items() if value is not None and name != "of"}
        return self._replace(**dict(zip(given, client.persist([*given.values()]), strict=True)))

    def on_worker(self, plan: ClassPlan, start: FloatArray) -> _Rows:
        """Return the same with codes for labels, and with the start in the scores."""
        score = self.score
        if start.any():
            # As the host, whose start is part of the first tree: on top of what the user gives.
            constant = collections.constant(self.y, start)
            score = constant if score is None else score + constant
        return self._replace(y=collections.encoded(self.y, plan.state.classes), score=score)


def _if_any(values: Iterable[Any]) -> list[Any] | None:
    """Return the values of all evaluation sets, None where none has any."""
    listed = list(values)
    return listed if any(value is not None for value in listed) else None


def _as_booster(model: Any) -> Any:
    """Return a model to go on from in a form that every worker can read."""
    if isinstance(model, lightgbm.LGBMModel):
        return model.booster_
    return lightgbm.Booster(model_file=model) if isinstance(model, (str, Path)) else model


def _evaluation_sets(evals: list[_Rows]) -> dict[str, Any]:
    """Return the evaluation sets in a form that the installed LightGBM takes without complaint."""
    if not evals:
        return {}
    if "eval_X" in inspect.signature(DaskLGBMRegressor.fit).parameters:
        return {"eval_X": tuple(rows.X for rows in evals), "eval_y": tuple(rows.y for rows in evals)}
    return {"eval_set": [(rows.X, rows.y) for rows in evals]}
