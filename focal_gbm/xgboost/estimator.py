"""FocalXGBClassifier: XGBClassifier trained with focal loss."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import xgboost
from numpy.typing import ArrayLike, NDArray
from xgboost import XGBClassifier

from focal_gbm._validation import FloatArray, on_cpu
from focal_gbm.fit.labels import encode, encode_evaluated
from focal_gbm.fit.plan import (
    DEFAULT_GAMMA,
    FOCAL_PARAMETERS,
    check_focal_parameters,
    checked,
    decide,
    only_one,
    refuse_unknown,
    warn_of_library_weights,
)
from focal_gbm.losses import MarginLoss
from focal_gbm.losses.margin import margin_loss_from_dict
from focal_gbm.xgboost.boosting import ATTRIBUTE, FocalBoosting
from focal_gbm.xgboost.gpu import is_cuda, place


class FocalXGBClassifier(XGBClassifier):
    """XGBClassifier trained with focal loss.

    The model is XGBoost's own logistic model, so `predict_proba`, metrics, early stopping, saved files and SHAP
    values are correct without this package. After early stopping the booster ends at its best round.

    Parameters
    ----------
    focal_gamma : float, default=1.0
        Focusing parameter, 0 <= γ <= 100. 0 is the log loss, which
        XGBoost's own objective trains; 2 is the published value. (`gamma` remains XGBoost's minimum split loss.)
    focal_alpha : None, float, str, tuple, dict, Series or array-like, default=None
        Class weights α. They shift the decision of `predict`, not the probabilities.

        - ``None``: no weights.
        - a float in (0, 1): α for ``classes_[1]`` and 1-α for ``classes_[0]``, as published.
        - ``"balanced"``: inverse class frequency, n / (K n_k).
        - ``"effective"`` or ``("effective", beta)``: effective number of samples, with beta 0.999.
        - a dict or a Series of pandas ``{label: weight}``, or an array of weights in the order of ``classes_``.

        Class counts are sums of `sample_weight`. With many labels all share one α. Without `focal_alpha`,
        `scale_pos_weight` is honoured as the weights (1, scale_pos_weight); both together are refused.
        (`reg_alpha` remains XGBoost's L1 penalty.)
    margin_loss : None or MarginLoss, default=None
        Another loss instead of focal loss: `focal_gbm.losses.Poly1Focal`, or a `focal_gbm.losses.MarginLoss` of
        your own. `focal_gamma` must then keep its default.
    **kwargs
        All parameters of `xgboost.XGBClassifier`, unchanged.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; 0 and 1 for many labels.

    Notes
    -----
    With ``device="cuda"`` and CuPy installed (the extra ``gpu``), rows, predictions and gradients stay on the
    device. Without CuPy, gradients are computed on the CPU, with a warning.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm import FocalXGBClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = FocalXGBClassifier(n_estimators=20, focal_gamma=2.0).fit(X, y)
    >>> model.predict_proba(X).shape
    (569, 2)
    """

    callbacks: Any
    objective: Any
    base_score: Any

    def __init__(
        self,
        *,
        focal_gamma: float = DEFAULT_GAMMA,
        focal_alpha: Any = None,
        margin_loss: MarginLoss | None = None,
        objective: Any = "binary:logistic",
        **kwargs: Any,
    ) -> None:
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.margin_loss = margin_loss
        super().__init__(objective=objective, **kwargs)

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in sorted order."""
        labels: NDArray[Any] | None = vars(self).get("_labels")
        return np.arange(self.n_classes_) if labels is None else labels

    def get_xgb_params(self) -> dict[str, Any]:
        """Return the parameters of the booster: XGBoost's, without the focal ones."""
        params = super().get_xgb_params()
        if vars(self).get("n_classes_", 2) > 2 and params["objective"] in (None, "binary:logistic"):
            params["objective"] = "multi:softprob"  # `set_params` hands all of them to a fitted booster
        return {name: value for name, value in params.items() if name not in FOCAL_PARAMETERS}

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        base_margin: ArrayLike | None = None,
        eval_set: Sequence[tuple[Any, ArrayLike]] | None = None,
        verbose: bool | int | None = True,
        xgb_model: xgboost.Booster | str | os.PathLike[str] | xgboost.XGBModel | None = None,
        sample_weight_eval_set: Sequence[ArrayLike] | None = None,
        base_margin_eval_set: Sequence[ArrayLike] | None = None,
        feature_weights: ArrayLike | None = None,
    ) -> FocalXGBClassifier:
        """Fit the model.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Whatever XGBClassifier takes.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels of any type, of two classes or more; or many labels of 0 and 1.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of k is k copies of the row: in the loss, the start, α and the metrics.
        base_margin, eval_set, verbose, xgb_model, sample_weight_eval_set, base_margin_eval_set, \
feature_weights
            As in `XGBClassifier.fit`.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            Naming the argument or parameter that cannot be honoured.
        """
        classes, codes = encode(y)
        sets = eval_set and [
            (rows, encode_evaluated(labels, i, y, codes, classes)) for i, (rows, labels) in enumerate(eval_set)
        ]
        with self._boosts(classes):
            super().fit(
                X,
                codes,
                sample_weight=sample_weight,
                base_margin=base_margin,
                eval_set=sets,
                verbose=verbose,
                xgb_model=xgb_model,
                sample_weight_eval_set=sample_weight_eval_set,
                base_margin_eval_set=base_margin_eval_set,
                feature_weights=feature_weights,
            )
        self._keep_labels(classes)
        return self

    @contextmanager
    def _boosts(self, classes: NDArray[Any]) -> Iterator[None]:
        """Let XGBoost's own `fit` boost with focal loss."""
        # not by `get_params`, which draws from a `random_state` that is a generator
        refuse_unknown({**vars(self), **(vars(self).get("kwargs") or {})}, type(self).__name__, FOCAL_PARAMETERS)
        check_focal_parameters(self.focal_gamma, self.margin_loss, "focal_gamma")
        weight = self.scale_pos_weight
        name, alpha = only_one(
            {
                "focal_alpha": self.focal_alpha,
                "scale_pos_weight": None if weight in (None, 1) else (1.0, weight),
            },
            type(self).__name__,
        )
        alpha = alpha if alpha is None else checked(alpha, classes, name)
        if name == "scale_pos_weight":
            warn_of_library_weights(self, name, weight, (1.0, weight))
        labels = self.__dict__.pop("_labels", None)  # XGBoost's `fit` compares its codes with `classes_`
        given, objective = self.callbacks, self.objective
        self._boosting = FocalBoosting(self.focal_gamma, alpha, self.margin_loss, missing=self.missing)
        self.callbacks = [self._boosting, *(given or ())]
        try:
            yield
        finally:
            self.callbacks, self.objective = given, objective  # XGBoost's `fit` writes to the latter
            self._labels = labels
            del self._boosting

    def _create_dmatrix(self, ref: xgboost.DMatrix | None, **content: Any) -> xgboost.DMatrix:
        # Private in XGBoost, and the one place in which its `fit` makes matrices.
        boosting: Any = vars(self).get("_boosting")
        if boosting is not None and not boosting.is_log_loss and is_cuda(self.device):
            rows = place(self, content)
            if ref is None:
                boosting.rows = rows
        return super()._create_dmatrix(ref, **content)

    def _keep_labels(self, classes: NDArray[Any]) -> None:
        """Keep the labels, also in the booster, whose file then has them."""
        self._labels = classes
        description = json.loads(self.get_booster().attr(ATTRIBUTE) or "{}")
        values = classes.tolist()
        if all(isinstance(value, str | int | float | bool) for value in values):
            description["classes"] = {"dtype": classes.dtype.str, "values": values}
        self.get_booster().set_attr(**{ATTRIBUTE: json.dumps(description)})

    def _class_weights(self) -> Any:
        """Return the α that `predict` decides with, None for the class of the largest probability."""
        weights = json.loads(self.get_booster().attr(ATTRIBUTE) or "{}").get("class_weights")
        return None if len(set(weights or ())) <= 1 else weights

    def predict(
        self,
        X: Any,
        *,
        output_margin: bool = False,
        validate_features: bool = True,
        base_margin: ArrayLike | None = None,
        iteration_range: tuple[int, int] | None = None,
    ) -> NDArray[Any]:
        """Return the class with the largest α_k P(y=k), the most probable one without α.

        Parameters are those of XGBClassifier.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels, (n_samples, n_labels) zeros and ones for many labels; or float32 log-odds with
            ``output_margin=True``.
        """
        weights = self._class_weights()
        codes = super().predict(
            X,
            output_margin=output_margin or weights is not None,
            validate_features=validate_features,
            base_margin=base_margin,
            iteration_range=iteration_range,
        )
        if output_margin:
            return codes
        codes = codes if weights is None else decide(on_cpu(codes), weights)
        return self.classes_[codes.astype(np.intp, copy=False)]

    def decision_function(
        self,
        X: Any,
        validate_features: bool = True,
        base_margin: ArrayLike | None = None,
        iteration_range: tuple[int, int] | None = None,
    ) -> FloatArray:
        """Return log-odds.

        Returns
        -------
        ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            float32; with more than two classes up to a constant per row.
        """
        return self.predict(
            X,
            output_margin=True,
            validate_features=validate_features,
            base_margin=base_margin,
            iteration_range=iteration_range,
        )

    def save_model(self, fname: str | os.PathLike[str]) -> None:
        """Save the model in XGBoost's own format, JSON or UBJSON by the ending of the name.

        Plain xgboost loads it and predicts probabilities; `load_model` restores the labels as well.

        Raises
        ------
        TypeError
            If the labels are neither text nor numbers nor booleans, which only a pickle can hold.
        """
        if vars(self).get("_labels") is not None and "classes" not in json.loads(
            self.get_booster().attr(ATTRIBUTE) or "{}"
        ):
            raise TypeError(
                f"Class labels must be strings, numbers or booleans to be saved, got {self._labels.tolist()!r}."
            )
        super().save_model(fname)

    def load_model(self, fname: Any) -> None:
        """Load a model that `save_model` of this class, or its booster, saved; load only what you trust.

        Restores labels, γ, α and `margin_loss`: a later `fit` is focal again.

        Parameters
        ----------
        fname : path or bytearray
        """
        # Of the model, which a later fit would take for the user's wish
        given = {name: getattr(self, name) for name in ("base_score", "enable_categorical", "feature_types")}
        objective, has_categories = self.objective, self.enable_categorical
        super().load_model(fname)
        given["enable_categorical"] = has_categories or self.enable_categorical  # without, they cannot be predicted
        self.__dict__.update(given)
        if self.objective != "multi:softmax":  # which XGBoost's `predict_proba` has to know
            self.objective = objective
        self.__dict__.pop("_labels", None)
        saved = json.loads(self.get_booster().attr(ATTRIBUTE) or "{}")
        if "classes" in saved:
            self._labels = np.array(saved["classes"]["values"], saved["classes"]["dtype"])
        if "gamma" in saved:
            self.focal_gamma = DEFAULT_GAMMA if saved["gamma"] is None else saved["gamma"]
            weights = saved["class_weights"]
            self.focal_alpha = None if len(set(weights or ())) <= 1 else tuple(weights)
            margin_loss = saved["margin_loss"]
            self.margin_loss = margin_loss_from_dict(margin_loss) if isinstance(margin_loss, dict) else margin_loss
