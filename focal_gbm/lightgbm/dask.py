"""DaskFocalLGBMClassifier: DaskLGBMClassifier trained with focal loss."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import lightgbm
import numpy as np
from distributed import default_client
from lightgbm import DaskLGBMClassifier
from numpy.typing import NDArray
from sklearn.preprocessing import LabelEncoder

from focal_gbm._validation import FloatArray, as_column
from focal_gbm.fit.collections import accuracy, check_blocks, labels_of, only_blocks
from focal_gbm.fit.labels import encode_as
from focal_gbm.lightgbm.boosting import Boosting
from focal_gbm.lightgbm.estimator import FocalLGBMClassifier
from focal_gbm.lightgbm.parameters import EARLY_STOPPING, given


class DaskFocalLGBMClassifier(FocalLGBMClassifier, DaskLGBMClassifier):
    """`lightgbm.DaskLGBMClassifier` trained with focal loss.

    Training and predictions are LightGBM's own: on each worker a `FocalLGBMClassifier` is fitted to the rows
    there, with the labels and class counts of all rows.

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

    predict = DaskLGBMClassifier.predict  # asks the local estimator, which decides with α, for each block

    def __init__(self, *, client: Any = None, **kwargs: Any) -> None:
        super().__init__(client=client, **kwargs)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # LightGBM's releases before 4.6 do not look for them in the base class.
        return sorted(["client", *FocalLGBMClassifier._get_param_names()])

    def fit(  # type: ignore[override]
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        init_score: Any = None,
        eval_set: Sequence[tuple[Any, Any]] | None = None,
        eval_names: list[str] | None = None,
        eval_sample_weight: Sequence[Any] | None = None,
        eval_class_weight: None = None,
        eval_init_score: Sequence[Any] | None = None,
        eval_metric: Any = None,
        callbacks: Sequence[Callable[..., Any]] | None = None,
        *,
        eval_X: Any = None,
        eval_y: Any = None,
        **kwargs: Any,
    ) -> DaskFocalLGBMClassifier:
        """Fit the model on all workers that have rows.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
        y : Dask array, series or data frame of shape (n_samples,)
            Labels of any type, partitioned as X.
        sample_weight : Dask array, series or data frame of shape (n_samples,), default=None
            A weight of k is k copies of the row: in the loss, the start and α.
        init_score, eval_set, eval_names, eval_sample_weight, eval_init_score, eval_metric, callbacks, \
eval_X, eval_y, **kwargs
            As in `DaskLGBMClassifier.fit`.
        eval_class_weight : None
            Refused: on a worker "balanced" would be of its own rows. Use `eval_sample_weight`.

        Returns
        -------
        self
        """
        self._refuse_of_own_rows(callbacks, eval_class_weight)
        check_blocks(X, {"y": y, "sample_weight": sample_weight, "init_score": init_score})
        pairs = [*(eval_set or ())]
        if eval_X is not None and eval_y is not None:
            pairs = [*zip(eval_X, eval_y, strict=True)] if isinstance(eval_X, tuple) else [(eval_X, eval_y)]
        for i, (rows, labels) in enumerate(pairs):
            check_blocks(rows, {f"the labels of eval_set[{i}]": labels})
        client = default_client() if self.client is None else self.client
        found = client.compute(labels_of(y, sample_weight, [labels for _, labels in pairs])).result()
        classes, counts, with_rows = found
        self._boosting_of(classes)  # wrong parameters are reported here, not on a worker
        if len(with_rows) < X.npartitions:
            # a worker without rows fails after it has met the others, which then wait for it forever
            X, y, sample_weight, init_score = (only_blocks(one, with_rows) for one in (X, y, sample_weight, init_score))
        arguments: dict[str, Any] = {}
        if pairs and "eval_X" in lightgbm.LGBMClassifier.fit.__annotations__:  # from 4.7 on
            arguments.update(eval_X=tuple(rows for rows, _ in pairs), eval_y=tuple(one for _, one in pairs))
        elif pairs:
            arguments.update(eval_set=pairs)
        with warnings.catch_warnings():
            if self.n_jobs is None:  # LightGBM warns of its own default
                warnings.filterwarnings("ignore", "Parameter n_jobs will be ignored", UserWarning)
            self._lgb_dask_fit(
                model_factory=_OnWorker,
                X=X,
                y=y,
                sample_weight=sample_weight,
                init_score=init_score,
                eval_names=eval_names,
                eval_sample_weight=eval_sample_weight,
                eval_init_score=eval_init_score,
                eval_metric=eval_metric,
                callbacks=callbacks,
                classes=classes,
                class_counts=counts,
                **arguments,
                **kwargs,
            )
        return self

    def _refuse_of_own_rows(self, callbacks: Any, eval_class_weight: Any) -> None:
        """Raise ValueError for what each worker would do by its own rows alone."""
        if eval_class_weight is not None:
            raise ValueError(
                f"eval_class_weight must be None, got {eval_class_weight!r}: on a worker it would be of its "
                "own rows. Use eval_sample_weight."
            )
        name, rounds = given(self.get_params(deep=False), EARLY_STOPPING, None, float)
        stopping = type(lightgbm.early_stopping(1, verbose=False))
        if (rounds or 0) > 0 or any(isinstance(callback, stopping) for callback in callbacks or ()):
            raise ValueError(
                f"{name} and the callback early_stopping must not be given: LightGBM's Dask engine has no "
                "early stopping, as each worker would stop by its own rows and wait for the others. Choose "
                "n_estimators on a sample with FocalLGBMClassifier, or use DaskFocalXGBClassifier."
            )

    def decision_function(self, X: Any, **options: Any) -> Any:
        """Return log-odds as a lazy Dask array: `predict` with ``raw_score=True``."""
        return self.predict(X, raw_score=True, **options)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of `predict`, which is computed at once.

        Parameters
        ----------
        X, y, sample_weight
            Dask collections with the same partitions.
        """
        check_blocks(X, {"y": y, "sample_weight": sample_weight})
        right: float = self.client_.compute(accuracy(y, self.predict(X), sample_weight)).result()
        return right

    def to_local(self) -> FocalLGBMClassifier:
        """Return the fitted estimator for data of one machine."""
        local: FocalLGBMClassifier = self._lgb_dask_to_local(FocalLGBMClassifier)
        return local


class _OnWorker(FocalLGBMClassifier):
    """What LightGBM's Dask engine fits on a worker: labels and class counts are those of all rows."""

    def fit(  # type: ignore[override]
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        classes: NDArray[Any],
        class_counts: FloatArray,
        eval_y: Any = None,
        eval_sample_weight: Any = None,
        **arguments: Any,
    ) -> _OnWorker:
        self.__dict__["_le"] = LabelEncoder().fit(np.arange(len(classes)))
        self._of_all_rows = classes, class_counts
        super().fit(
            X,
            as_column(y),
            None if sample_weight is None else as_column(sample_weight),
            eval_y=eval_y and tuple(map(as_column, eval_y)),
            eval_sample_weight=eval_sample_weight and [*map(as_column, eval_sample_weight)],
            **arguments,
        )
        del self._of_all_rows
        return self

    def _encode(self, y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        classes, _ = self._of_all_rows
        return classes, encode_as(y, classes, "y")

    @property
    def _le(self) -> LabelEncoder:
        """LightGBM's encoder of codes, which its `fit` would make of the rows of a worker."""
        encoder: LabelEncoder = self.__dict__["_le"]
        return encoder

    @_le.setter
    def _le(self, of_own_rows: LabelEncoder) -> None:
        """Keep that of all rows."""

    def _boosting_of(self, classes: NDArray[Any]) -> Boosting | None:
        boosting = super()._boosting_of(self._le.classes_)
        if boosting is not None:
            boosting.class_counts = self._of_all_rows[1]
        return boosting
