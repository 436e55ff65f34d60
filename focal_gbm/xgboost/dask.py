"""DaskFocalXGBClassifier: DaskXGBClassifier trained with focal loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xgboost.dask import DaskXGBClassifier

from focal_gbm._validation import as_column
from focal_gbm.fit.collections import accuracy, by_row, check_blocks, labels_of
from focal_gbm.fit.labels import encode_as
from focal_gbm.fit.plan import decide
from focal_gbm.xgboost.estimator import FocalXGBClassifier


class DaskFocalXGBClassifier(FocalXGBClassifier, DaskXGBClassifier):
    """`xgboost.dask.DaskXGBClassifier` trained with focal loss.

    Training is XGBoost's own with `focal_gbm.xgboost.FocalBoosting`; predictions, metrics and early stopping
    are XGBoost's.

    Parameters
    ----------
    coll_cfg : xgboost.collective.Config, default=None
        As in XGBoost.
    **kwargs
        Those of `FocalXGBClassifier`. The Dask client is the attribute `client`, as in XGBoost; without it
        the current one is used.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels of all rows.

    Notes
    -----
    Labels of any type, in a Dask array, series or data frame of one column. α and the start are of all rows,
    whichever worker has them: a worker needs rows, but not rows of every class.

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

    # All three are awaited where the client is asynchronous, and end in coroutines of XGBoost's.
    fit = DaskXGBClassifier.fit
    predict = DaskXGBClassifier.predict
    predict_proba = DaskXGBClassifier.predict_proba

    def __init__(self, *, coll_cfg: Any = None, **kwargs: Any) -> None:
        super().__init__(coll_cfg=coll_cfg, **kwargs)

    @FocalXGBClassifier.classes_.setter  # type: ignore[attr-defined]
    def classes_(self, codes: Any) -> None:
        """Keep the labels: XGBoost sets the codes it was given."""

    async def _fit_async(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any,
        base_margin: Any,
        eval_set: Sequence[tuple[Any, Any]] | None,
        sample_weight_eval_set: Sequence[Any] | None,
        **arguments: Any,
    ) -> DaskFocalXGBClassifier:
        check_blocks(X, {"y": y, "sample_weight": sample_weight, "base_margin": base_margin})
        evaluated = [labels for _, labels in eval_set or ()]
        for i, (rows, labels) in enumerate(eval_set or ()):
            check_blocks(rows, {f"the labels of eval_set[{i}]": labels})
        classes, *_ = await self.client.compute(labels_of(y, sample_weight, evaluated))
        # XGBoost reads labels twice, and knows the training set among the evaluation sets by identity
        codes = {id(one): self.client.persist(by_row(_encoded, one, np.float32, classes)) for one in (y, *evaluated)}
        with self._boosts(classes):
            self._labels = classes
            await super()._fit_async(
                X,
                codes[id(y)],
                sample_weight=_column(sample_weight),
                base_margin=base_margin,
                eval_set=eval_set and [(rows, codes[id(labels)]) for rows, labels in eval_set],
                sample_weight_eval_set=sample_weight_eval_set
                and [_column(weight) for weight in sample_weight_eval_set],
                **arguments,
            )
        self._keep_labels(classes)
        return self

    async def _predict_async(self, data: Any, *, output_margin: bool, **options: Any) -> Any:
        weights = None if output_margin else self._class_weights()
        log_odds = output_margin or weights is not None
        result = await super()._predict_async(data, output_margin=log_odds, **options)
        if output_margin:
            return result
        return by_row(_decided, result, self.classes_.dtype, self.classes_, weights)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Return the accuracy of `predict`, a float, which is computed at once.

        Parameters
        ----------
        X, y, sample_weight
            Dask collections with the same partitions.
        """
        return self._client_sync(self._score_async, X=X, y=y, sample_weight=sample_weight)

    async def _score_async(self, X: Any, y: Any, sample_weight: Any) -> Any:
        check_blocks(X, {"y": y, "sample_weight": sample_weight})
        options = {"validate_features": True, "base_margin": None, "iteration_range": None}
        predicted = await self._predict_async(X, output_margin=False, **options)
        return await self.client.compute(accuracy(y, predicted, sample_weight))

    def to_local(self) -> FocalXGBClassifier:
        """Return the fitted estimator for data of one machine."""
        self.get_booster()  # raises before `fit`
        local = FocalXGBClassifier()
        state: Any = self.__getstate__()
        local.__dict__.update(state)
        del local.coll_cfg
        return local


def _column(weight: Any) -> Any:
    """Return weights without a second axis of length 1."""
    return weight if getattr(weight, "ndim", 1) == 1 else by_row(as_column, weight, np.float64)


def _encoded(y: Any, classes: NDArray[Any]) -> NDArray[Any]:
    """Return the codes of a block of labels; of none, as an empty block may hold labels of no type."""
    return encode_as(as_column(y), classes, "y").astype(np.float32) if len(y) else np.empty(0, np.float32)


def _decided(result: Any, classes: NDArray[Any], weights: Any) -> NDArray[Any]:
    """Return the labels of a block of codes, or of log-odds where α decides."""
    values = np.asarray(result)
    return np.asarray(classes[values.astype(np.intp) if weights is None else decide(values, weights)])
