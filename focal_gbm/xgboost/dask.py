"""DaskFocalXGBClassifier: FocalXGBClassifier on Dask collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xgboost.dask
from xgboost.dask import DaskXGBClassifier

from focal_gbm._validation import check_choice
from focal_gbm.training import collections
from focal_gbm.training.evaluation import Evaluation
from focal_gbm.training.plan import PROBABILITIES, Plan
from focal_gbm.xgboost.dask_metrics import DistributedEvalMetrics
from focal_gbm.xgboost.estimator import FocalXGBClassifier
from focal_gbm.xgboost.private import client_sync, predict_margin
from focal_gbm.xgboost.training import (
    EvaluationSets,
    bins_ahead,
    feature_weights_of,
    previous_booster,
    training_arguments,
    training_params,
)


class DaskFocalXGBClassifier(FocalXGBClassifier, DaskXGBClassifier):
    """`xgboost.dask.DaskXGBClassifier` trained with focal loss, with true probabilities.

    Parameters
    ----------
    **kwargs
        Those of `FocalXGBClassifier` and of `xgboost.dask.DaskXGBClassifier` (`coll_cfg`). The Dask
        client is the attribute `client`, as in XGBoost; without it the current one is used.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels of all rows.

    Notes
    -----
    α, the start and the scale are of all rows, whichever worker has them. Partitions stay where they
    are: each worker needs rows, but not rows of every class.

    Metrics during training are of all rows, too. A callable in `eval_metric` is computed on each
    worker's rows and averaged by their weight, which is exact for means over rows.

    Examples
    --------
    >>> from dask.distributed import Client
    >>> import dask.array as da
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm import DaskFocalXGBClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as client:
    ...     X, y = da.from_array(X, chunks=(200, -1)), da.from_array(y, chunks=200)
    ...     model = DaskFocalXGBClassifier(n_estimators=5, focal_alpha="balanced").fit(X, y)
    ...     model.predict_proba(X).compute().shape
    (569, 2)
    """

    def __init__(self, *, coll_cfg: Any = None, **kwargs: Any) -> None:
        super().__init__(coll_cfg=coll_cfg, **kwargs)

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        base_margin: Any = None,
        eval_set: Sequence[tuple[Any, Any]] | None = None,
        verbose: bool | int | None = True,
        xgb_model: Any = None,
        sample_weight_eval_set: Sequence[Any] | None = None,
        base_margin_eval_set: Sequence[Any] | None = None,
        feature_weights: Any = None,
    ) -> DaskFocalXGBClassifier:
        """Fit the model on all workers that have rows.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
        y : Dask array, series or data frame of shape (n_samples,)
            Labels of any type, partitioned as X.
        sample_weight : Dask array or series of shape (n_samples,), default=None
            A weight of k is k copies of the row: in the loss, the start, α and the metrics.
        base_margin, eval_set, verbose, xgb_model, sample_weight_eval_set, base_margin_eval_set, \
feature_weights
            As in `DaskXGBClassifier.fit` and `FocalXGBClassifier.fit`.

        Returns
        -------
        self
            With an asynchronous client an awaitable of it, as in XGBoost.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        fitted: DaskFocalXGBClassifier = client_sync(self, self._fit_on_workers, **given)
        return fitted

    async def _fit_on_workers(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any,
        base_margin: Any,
        eval_set: Any,
        verbose: Any,
        xgb_model: Any,
        sample_weight_eval_set: Any,
        base_margin_eval_set: Any,
        feature_weights: Any,
    ) -> DaskFocalXGBClassifier:
        train = self._rows(X, y, sample_weight, base_margin, "")
        target, n_samples = await self.client.compute(train.target())
        plan = self._plan_classes(target, n_samples)
        previous = previous_booster(xgb_model, plan)
        weights = feature_weights_of(self, feature_weights)
        data = await self._dask_matrix(plan, train, feature_weights=weights)
        evals = []
        sets = EvaluationSets(eval_set, sample_weight_eval_set, base_margin_eval_set).each()
        for i, (rows, labels, weight, margin) in enumerate(sets):
            if rows is X and labels is y and weight is sample_weight and margin is base_margin:
                evals.append((data, f"validation_{i}"))
                continue
            other = self._rows(rows, labels, weight, margin, f" of eval_set[{i}]")
            # the engine would only say that a partition failed
            (await self.client.compute(other.counts())).check_among(
                plan.state.classes, f"the labels of eval_set[{i}]"
            )
            evals.append((await self._dask_matrix(plan, other, ref=data), f"validation_{i}"))

        params = training_params(self, plan, previous)
        metrics = DistributedEvalMetrics(self.eval_metric, Evaluation(plan.state, self.probability), params)
        result = await xgboost.dask.train(
            self.client,
            params,
            data,
            obj=plan.objective,
            coll_cfg=self.coll_cfg,
            custom_metric=metrics if metrics.ours else None,
            **training_arguments(self, plan, metrics, evals, self.early_stopping_rounds, verbose, previous),
        )
        self._become(result["booster"], plan.state, result["history"])
        self._warn_if_no_split(plan)
        return self

    def _rows(self, X: Any, y: Any, weight: Any, margin: Any, of: str) -> collections.DaskRows:
        return collections.DaskRows(X, y, weight, margin, "base_margin", of).persist(self.client)

    async def _dask_matrix(
        self, plan: Plan, rows: collections.DaskRows, ref: Any = None, **content: Any
    ) -> Any:
        content.update(
            data=rows.X,
            label=collections.encoded(rows.y, plan.state.classes),
            weight=collections.single_column(rows.weight),
            base_margin=rows.score,
            missing=self.missing,
            feature_types=self.feature_types,
            enable_categorical=self.enable_categorical,
        )
        if bins_ahead(self):
            return await xgboost.dask.DaskQuantileDMatrix(
                self.client, **content, max_bin=self.max_bin, ref=ref
            )
        return await xgboost.dask.DaskDMatrix(self.client, **content)

    # Predictions: lazy, block by block, of what XGBoost predicts as a margin

    def predict(
        self,
        X: Any,
        *,
        output_margin: bool = False,
        validate_features: bool = True,
        base_margin: Any = None,
        iteration_range: tuple[int, int] | None = None,
    ) -> Any:
        """Return the label with the largest focal score; parameters as in `DaskXGBClassifier.predict`.

        Returns
        -------
        Dask array of shape (n_samples,), a series for a data frame with two classes
            Labels; or float32 focal scores z with ``output_margin=True``.
        """
        return client_sync(
            self,
            self._decide_on_workers,
            X=X,
            output_margin=output_margin,
            validate_features=validate_features,
            base_margin=base_margin,
            iteration_range=iteration_range,
        )

    async def _decide_on_workers(self, X: Any, *, output_margin: bool = False, **options: Any) -> Any:
        state = self._state()
        raw = await predict_margin(self, X, **options)
        return raw if output_margin else collections.decisions(raw, state)

    def predict_proba(
        self,
        X: Any,
        validate_features: bool = True,
        base_margin: Any = None,
        iteration_range: tuple[int, int] | None = None,
    ) -> Any:
        """Return class probabilities; parameters as in `DaskXGBClassifier.predict_proba`.

        Returns
        -------
        Dask array of float32 of shape (n_samples, n_classes)
            In the order of `classes_`: the posterior, or σ(z) or softmax(z) with
            ``probability="score"``.
        """
        return client_sync(
            self,
            self._probabilities_on_workers,
            X=X,
            validate_features=validate_features,
            base_margin=base_margin,
            iteration_range=iteration_range,
        )

    async def _probabilities_on_workers(self, X: Any, **options: Any) -> Any:
        check_choice(self.probability, PROBABILITIES, "probability")
        state = self._state()
        return collections.probabilities(await predict_margin(self, X, **options), state, self.probability)

    def decision_function(
        self,
        X: Any,
        validate_features: bool = True,
        base_margin: Any = None,
        iteration_range: tuple[int, int] | None = None,
    ) -> Any:
        """Return focal scores z as a Dask collection; see `predict` with ``output_margin=True``."""
        return self.predict(
            X,
            output_margin=True,
            validate_features=validate_features,
            base_margin=base_margin,
            iteration_range=iteration_range,
        )

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Return the accuracy of `predict`, a float; it is computed at once.

        Parameters
        ----------
        X, y, sample_weight
            Dask collections with the same partitions.
        """
        return client_sync(self, self._score_on_workers, X=X, y=y, sample_weight=sample_weight)

    async def _score_on_workers(self, X: Any, y: Any, sample_weight: Any) -> float:
        collections.DaskRows(X, y, sample_weight).check()
        options: dict[str, Any] = {"validate_features": True, "base_margin": None, "iteration_range": None}
        predicted = await self._decide_on_workers(X, **options)
        result: float = await self.client.compute(collections.accuracy(y, predicted, sample_weight))
        return result

    def to_local(self) -> FocalXGBClassifier:
        """Return the fitted estimator for data of one machine."""
        state = self._state()
        local = FocalXGBClassifier(**{k: v for k, v in self.get_params().items() if k != "coll_cfg"})
        local._become(self.get_booster(), state, getattr(self, "evals_result_", {}))
        return local
