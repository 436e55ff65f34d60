"""DaskFocalXGBClassifier: FocalXGBClassifier on Dask collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xgboost.dask
from xgboost.dask import DaskXGBClassifier

from focal_gbm._classifier import ClassPlan
from focal_gbm._evaluation import Evaluation
from focal_gbm._validation import check_choice, one_each
from focal_gbm.dask import _collections as collections
from focal_gbm.dask._metrics import DistributedEvalMetrics
from focal_gbm.xgboost import FocalXGBClassifier, booster_has_no_split


class DaskFocalXGBClassifier(FocalXGBClassifier, DaskXGBClassifier):
    """`xgboost.dask.DaskXGBClassifier` trained with focal loss, with true probabilities.

    Parameters
    ----------
    **kwargs
        Those of `FocalXGBClassifier` and of `xgboost.dask.DaskXGBClassifier` (`coll_cfg`). The Dask
        client is the attribute `client`, as in the host; without it the current one is used.

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
    >>> from focal_gbm.dask import DaskFocalXGBClassifier
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
            With an asynchronous client an awaitable of it, as in the host.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        fitted: DaskFocalXGBClassifier = self._client_sync(self._fit_async, **given)
        return fitted

    async def _fit_async(
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
        client = self.client
        train = self._rows(X, y, sample_weight, base_margin, "")
        counts = await client.compute(collections.class_counts(train["label"], train.get("weight")))
        plan = self._plan_classes(counts.classes, counts.counts, counts.n_samples)
        params = self._training_params(plan)
        previous = self._previous(xgb_model, plan, params)
        feature_weights = self._one_feature_weights(feature_weights)
        data = await self._dask_matrix(plan, train, feature_weights=feature_weights)

        n_sets = 0 if eval_set is None else len(eval_set)
        weights = one_each(sample_weight_eval_set, n_sets, "sample_weight_eval_set")
        margins = one_each(base_margin_eval_set, n_sets, "base_margin_eval_set")
        evals = []
        for i in range(n_sets):
            data_i, labels = eval_set[i]
            if data_i is X and labels is y and weights[i] is sample_weight and margins[i] is base_margin:
                evals.append((data, f"validation_{i}"))
                continue
            rows = self._rows(data_i, labels, weights[i], margins[i], f" of eval_set[{i}]")
            # the engine would only say that a partition failed
            counts = await client.compute(collections.class_counts(rows["label"], rows.get("weight")))
            counts.check_among(plan.state.classes, f"the labels of eval_set[{i}]")
            evals.append((await self._dask_matrix(plan, rows, ref=data), f"validation_{i}"))

        metrics = DistributedEvalMetrics(self.eval_metric, Evaluation(plan.state, self.probability), params)
        result = await xgboost.dask.train(
            client,
            params,
            data,
            self.get_num_boosting_rounds(),
            evals=evals,
            obj=plan.objective,
            custom_metric=metrics if metrics.ours else None,
            early_stopping_rounds=self.early_stopping_rounds,
            xgb_model=previous,
            verbose_eval=verbose,
            callbacks=[metrics, *(self.callbacks or [])],
            coll_cfg=self.coll_cfg,
        )
        self._adopt(result["booster"], plan.state, result["history"])
        if booster_has_no_split(self._Booster):
            self._warn_no_split(self._why_no_split(plan))
        return self

    def _rows(self, X: Any, y: Any, weight: Any, margin: Any, of: str) -> dict[str, Any]:
        """Return the collections of one set, in the workers' memory: the labels are read twice."""
        given = {"data": X, "label": y, "weight": weight, "base_margin": margin}
        names = {"data": "X", "label": "y", "weight": "sample_weight", "base_margin": "base_margin"}
        for key, value in given.items():
            collections.check_collection(value, names[key] + of, optional=key in ("weight", "base_margin"))
            collections.check_as_many_blocks(value, names[key] + of, X)
        given = {key: value for key, value in given.items() if value is not None}
        return dict(zip(given, self.client.persist([*given.values()]), strict=True))

    async def _dask_matrix(
        self, plan: ClassPlan, rows: dict[str, Any], ref: Any = None, **content: Any
    ) -> Any:
        content.update(
            rows,
            label=collections.encoded(rows["label"], plan.state.classes),
            missing=self.missing,
            feature_types=self.feature_types,
            enable_categorical=self.enable_categorical,
        )
        if self._bins_ahead():
            return await xgboost.dask.DaskQuantileDMatrix(
                self.client, **content, max_bin=self.max_bin, ref=ref
            )
        return await xgboost.dask.DaskDMatrix(self.client, **content)

    # Predictions: lazy, block by block, of what the host predicts as a margin

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
        return self._client_sync(
            self._predict_async,
            data=X,
            output_margin=output_margin,
            validate_features=validate_features,
            base_margin=base_margin,
            iteration_range=iteration_range,
        )

    async def _predict_async(self, data: Any, *, output_margin: bool = False, **options: Any) -> Any:
        state = self._state()
        raw = await super()._predict_async(data, output_margin=True, **options)
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
        return self._client_sync(
            self._predict_proba_async,
            X=X,
            validate_features=validate_features,
            base_margin=base_margin,
            iteration_range=iteration_range,
        )

    async def _predict_proba_async(self, X: Any, **options: Any) -> Any:
        check_choice(self.probability, ("posterior", "score"), "probability")
        raw = await self._predict_async(X, output_margin=True, **options)
        return collections.probabilities(raw, self._state(), self.probability)

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
        return self._client_sync(self._score_async, X=X, y=y, sample_weight=sample_weight)

    async def _score_async(self, X: Any, y: Any, sample_weight: Any) -> float:
        for value, name in ((y, "y"), (sample_weight, "sample_weight")):
            collections.check_collection(value, name, optional=name == "sample_weight")
            collections.check_as_many_blocks(value, name, X)
        options: dict[str, Any] = {"validate_features": True, "base_margin": None, "iteration_range": None}
        predicted = await self._predict_async(X, **options)
        result: float = await self.client.compute(collections.accuracy(y, predicted, sample_weight))
        return result

    def to_local(self) -> FocalXGBClassifier:
        """Return the fitted estimator for data of one machine."""
        local = FocalXGBClassifier(**{k: v for k, v in self.get_params().items() if k != "coll_cfg"})
        local._adopt(self._Booster, self._state(), getattr(self, "evals_result_", {}))
        return local
