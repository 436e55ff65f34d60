"""FocalLGBMClassifier: LGBMClassifier trained with focal loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightgbm
from lightgbm import LGBMClassifier
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from focal_gbm.fit.labels import encode, encode_evaluated
from focal_gbm.fit.plan import (
    DEFAULT_GAMMA,
    FOCAL_PARAMETERS,
    by_code,
    check_focal_parameters,
    checked,
    decide,
    is_log_loss,
    only_one,
    refuse_unknown,
    warn_of_library_weights,
)
from focal_gbm.lightgbm.boosting import Boosting
from focal_gbm.lightgbm.metrics import DEFAULT_METRIC, InOrder, apart, as_list, metrics_of
from focal_gbm.lightgbm.parameters import BOOSTING, METRIC, WEIGHTS, given, library_weights, refuse_parameters
from focal_gbm.losses import MarginLoss


class FocalLGBMClassifier(LGBMClassifier):
    """LGBMClassifier trained with focal loss.

    The model is LightGBM's own logistic model, so `predict_proba`, early stopping, saved boosters and SHAP values
    are correct without this package.

    Parameters
    ----------
    focal_gamma : float, default=1.0
        Focusing parameter, 0 <= γ <= 100. 0 is the log loss, which
        LightGBM's own objective trains; 2 is the published value.
    focal_alpha : None, float, str, tuple, dict, Series or array-like, default=None
        Class weights α. They shift the decision of `predict`, not the probabilities.

        - ``None``: no weights.
        - a float in (0, 1): α for ``classes_[1]`` and 1-α for ``classes_[0]``, as published.
        - ``"balanced"``: inverse class frequency, n / (K n_k).
        - ``"effective"`` or ``("effective", beta)``: effective number of samples, with beta 0.999.
        - a dict or a Series of pandas ``{label: weight}``, or an array of weights in the order of ``classes_``.

        Class counts are sums of `sample_weight`. Without `focal_alpha`, LightGBM's `class_weight`,
        `is_unbalance` or `scale_pos_weight` is honoured as class weights; two at a time are refused.
    margin_loss : None or MarginLoss, default=None
        Another loss instead of focal loss: `focal_gbm.losses.Poly1Focal`, or a `focal_gbm.losses.MarginLoss` of
        your own. `focal_gamma` must then keep its default.
    **kwargs
        All parameters of `lightgbm.LGBMClassifier`, unchanged. ``boosting_type="rf"`` takes no custom objective
        and is refused for γ > 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm import FocalLGBMClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = FocalLGBMClassifier(n_estimators=20, focal_gamma=2.0, verbose=-1).fit(X, y)
    >>> model.predict_proba(X).shape
    (569, 2)
    """

    class_weight: Any

    def __init__(
        self,
        *,
        focal_gamma: float = DEFAULT_GAMMA,
        focal_alpha: Any = None,
        margin_loss: MarginLoss | None = None,
        boosting_type: str = "gbdt",
        num_leaves: int = 31,
        max_depth: int = -1,
        learning_rate: float = 0.1,
        n_estimators: int = 100,
        subsample_for_bin: int = 200000,
        objective: str | None = None,
        class_weight: dict[Any, float] | str | None = None,
        min_split_gain: float = 0.0,
        min_child_weight: float = 1e-3,
        min_child_samples: int = 20,
        subsample: float = 1.0,
        subsample_freq: int = 0,
        colsample_bytree: float = 1.0,
        reg_alpha: float = 0.0,
        reg_lambda: float = 0.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        importance_type: str = "split",
        **kwargs: Any,
    ) -> None:
        # All names of LightGBM's signature: its releases before 4.6 do not look for them in the base class.
        super().__init__(
            boosting_type=boosting_type,
            num_leaves=num_leaves,
            max_depth=max_depth,
            learning_rate=learning_rate,
            n_estimators=n_estimators,
            subsample_for_bin=subsample_for_bin,
            objective=objective,
            class_weight=class_weight,
            min_split_gain=min_split_gain,
            min_child_weight=min_child_weight,
            min_child_samples=min_child_samples,
            subsample=subsample,
            subsample_freq=subsample_freq,
            colsample_bytree=colsample_bytree,
            reg_alpha=reg_alpha,
            reg_lambda=reg_lambda,
            random_state=random_state,
            n_jobs=n_jobs,
            importance_type=importance_type,
            **kwargs,
        )
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.margin_loss = margin_loss

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; see `LGBMClassifier.get_params`."""
        if type(self) is not FocalLGBMClassifier:
            return dict(super().get_params(deep))
        # LightGBM asks all classes of the hierarchy in turn, in every prediction, a tenth of the time of one row: here
        # one signature has all names
        return {**BaseEstimator.get_params(self, deep), **self._other_params}

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        init_score: ArrayLike | None = None,
        eval_set: Sequence[tuple[Any, ArrayLike]] | tuple[Any, ArrayLike] | None = None,
        eval_names: list[str] | None = None,
        eval_sample_weight: Sequence[ArrayLike | None] | None = None,
        eval_class_weight: Sequence[Any] | None = None,
        eval_init_score: Sequence[ArrayLike | None] | None = None,
        eval_metric: Any = None,
        feature_name: Any = "auto",
        categorical_feature: Any = "auto",
        callbacks: list[Callable[..., Any]] | None = None,
        init_model: str | Path | lightgbm.Booster | lightgbm.LGBMModel | None = None,
        *,
        eval_X: Any = None,
        eval_y: Any = None,
    ) -> FocalLGBMClassifier:
        """Fit the model.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Whatever LGBMClassifier takes.
        y : array-like of shape (n_samples,)
            Labels of any type, of two classes or more. For many labels wrap the estimator in
            `sklearn.multioutput.MultiOutputClassifier` or `ClassifierChain`.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of k is k copies of the row: in the loss, the start, α and the metrics.
        init_score, eval_set, eval_names, eval_sample_weight, eval_class_weight, eval_init_score, \
eval_metric, feature_name, categorical_feature, callbacks, init_model, eval_X, eval_y
            As in `LGBMClassifier.fit`. `init_score` is in log-odds; it replaces the start and is not stored in the
            model, as in LightGBM.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            Naming the argument or parameter that cannot be honoured.
        """
        classes, codes = self._encode(y)
        if codes.ndim == 2:
            raise ValueError(
                f"y should be a 1d array of shape (n_samples,), got shape {codes.shape}. LightGBM has no model of "
                f"many labels: wrap this estimator, MultiOutputClassifier({type(self).__name__}())."
            )
        known = y, codes, classes
        if eval_set is not None:
            pairs = [eval_set] if isinstance(eval_set, tuple) else eval_set
            eval_set = [(rows, encode_evaluated(labels, i, *known)) for i, (rows, labels) in enumerate(pairs)]
        if isinstance(eval_y, tuple):
            eval_y = tuple(encode_evaluated(labels, i, *known) for i, labels in enumerate(eval_y))
        elif eval_y is not None:
            eval_y = encode_evaluated(eval_y, 0, *known)
        arguments: dict[str, Any] = {
            "init_score": init_score,
            "eval_set": eval_set,
            "eval_names": eval_names,
            "eval_sample_weight": eval_sample_weight,
            "eval_class_weight": eval_class_weight and [by_code(weights, classes) for weights in eval_class_weight],
            "eval_init_score": eval_init_score,
            "eval_metric": eval_metric,
            "feature_name": feature_name,
            "categorical_feature": categorical_feature,
            "callbacks": callbacks,
            "init_model": init_model,
        }
        if eval_X is not None or eval_y is not None:  # LightGBM has them from 4.7 on
            arguments.update(eval_X=eval_X, eval_y=eval_y)
        boosting = self._boosting_of(classes)
        if boosting is None:  # the library's own loss
            super().fit(X, codes, sample_weight, **arguments)
        else:
            params = self.get_params(deep=False)
            metric = as_list(given(params, METRIC, DEFAULT_METRIC)[1])
            asked = [*(each for each in as_list(eval_metric) if each not in metric), *metric]
            own, arguments["eval_metric"] = metrics_of(asked, boosting)
            arguments["callbacks"] = [
                *(callbacks or ()),
                boosting.complete,
                InOrder(asked, boosting.n_classes),
            ]
            if given(params, BOOSTING)[1] == "dart":
                arguments["eval_set"] = apart(eval_set, codes)
            with self._trained_by(boosting, own):
                super().fit(X, codes, sample_weight, **arguments)
        self._labels = classes
        self._class_weights = boosting and boosting.class_weights
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in sorted order."""
        codes: NDArray[Any] = super().classes_  # raises before a fit
        return vars(self).get("_labels", codes)

    def _encode(self, y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return classes and codes; a worker of a cluster knows the classes of all rows."""
        return encode(y)

    def _boosting_of(self, classes: NDArray[Any]) -> Boosting | None:
        """Return what boosts with focal loss, None where LightGBM's own objective trains."""
        params = self.get_params(deep=False)  # in LightGBM what `set_params` set, whatever the attribute is by now
        refuse_unknown({**vars(self), **params}, type(self).__name__, FOCAL_PARAMETERS)
        gamma, focal_alpha, margin_loss = (params[name] for name in FOCAL_PARAMETERS)
        check_focal_parameters(gamma, margin_loss, "focal_gamma")
        weights = library_weights(params, classes)
        name, alpha = only_one({"focal_alpha": focal_alpha, **weights}, type(self).__name__)
        if is_log_loss(gamma, alpha, margin_loss):
            return None
        refuse_parameters(params, len(classes))
        in_order = alpha if alpha is None else checked(alpha, classes, name)
        if name != "focal_alpha":
            warn_of_library_weights(self, name, params[name], alpha)
        return Boosting(len(classes), gamma, in_order, margin_loss, params)

    @contextmanager
    def _trained_by(self, boosting: Boosting, metrics: list[str]) -> Iterator[None]:
        """Let LightGBM's own `fit` train with an objective and metrics of ours."""
        class_weight = self.class_weight
        self.class_weight = None  # part of α
        self._replaced = {"objective": boosting, "metric": metrics or ["None"]}
        try:
            yield
        finally:
            self.class_weight = class_weight
            del self._replaced

    def _process_params(self, stage: str) -> dict[str, Any]:
        # Private in LightGBM, and the only way to keep our parameters from its booster, which warns of them.
        params: dict[str, Any] = super()._process_params(stage)
        for name in (*FOCAL_PARAMETERS, *WEIGHTS):
            params.pop(name, None)
        return {**params, **vars(self).get("_replaced", {})}

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
        """Return the class with the largest α_k P(y=k), the most probable one without α.

        Parameters are those of LGBMClassifier.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels; or what LightGBM returns for `raw_score`, `pred_leaf` and `pred_contrib`.
        """
        as_it_is = raw_score or pred_leaf or pred_contrib
        weights = vars(self).get("_class_weights") or ()
        decides = len(set(weights)) > 1 and not as_it_is
        result = super().predict(
            X,
            raw_score=raw_score or decides,
            start_iteration=start_iteration,
            num_iteration=num_iteration,
            pred_leaf=pred_leaf,
            pred_contrib=pred_contrib,
            validate_features=validate_features,
            **kwargs,
        )
        if as_it_is:
            return result
        return self.classes_[decide(result, weights) if decides else result]
