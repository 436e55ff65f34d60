"""FocalXGBClassifier: XGBClassifier trained with focal loss."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import xgboost
from numpy.typing import ArrayLike, NDArray
from xgboost import XGBClassifier

from focal_gbm._arrays import as_table
from focal_gbm._validation import FloatArray
from focal_gbm.losses import MarginLoss
from focal_gbm.training.gamma import ESTIMATOR_GAMMA
from focal_gbm.training.plan import Rows
from focal_gbm.training.state import FOCAL_PARAMETERS, state_from_json
from focal_gbm.xgboost.fitting import XGBFitting
from focal_gbm.xgboost.model_file import STATE, checked_bytes
from focal_gbm.xgboost.parameters import DERIVED
from focal_gbm.xgboost.private import without_booster
from focal_gbm.xgboost.training import (
    EvaluationSets,
    feature_weights_of,
    matrices,
    previous_booster,
)


class FocalXGBClassifier(XGBFitting):
    """XGBClassifier trained with focal loss, with true probabilities.

    Parameters
    ----------
    focal_gamma : float, dict or array-like, default=1.0
        Focusing parameter γ >= 0: how strongly training attends to hard rows. 0 is the log loss, 2 the
        published value.
        A dict ``{label: γ}`` or an array in the order of ``classes_`` gives the rows of each class
        their own. As α, that moves the decision of `predict`, not the probabilities.
        For many labels a float or a dict ``{0: γ, 1: γ}`` for all, or a list of one for each.
        (`gamma` remains XGBoost's minimum split loss.)
    focal_alpha : None, float, str, tuple, dict or array-like, default=None
        Class weights α. They move the decision of `predict`, not the probabilities.

        - ``None``: no weights.
        - a float in (0, 1): α for ``classes_[1]`` and 1-α for ``classes_[0]``, as published.
        - ``"balanced"``: inverse class frequency, n / (K n_k).
        - ``"effective"`` or ``("effective", beta)``: effective number of samples, with beta 0.999.
        - a dict ``{label: weight}`` or an array of weights in the order of ``classes_``.
        - for many labels, one of these for all, or a list of one for each; a dict is
          ``{0: weight, 1: weight}``.

        Class counts are sums of `sample_weight`. Without `focal_alpha`, `scale_pos_weight` is
        honoured as the weights (1, scale_pos_weight); both together are refused.
        (`reg_alpha` remains XGBoost's L1 penalty.)
    margin_loss : None or MarginLoss, default=None
        The loss; None is the focal loss of `focal_gamma`. `focal_gbm.losses.Poly1Focal` is another, and so is
        any `focal_gbm.losses.MarginLoss` of your own: each has parameters of its own, and `focal_gamma` is
        left alone beside it.
    focal_link : {"focal", "logit"}, default="focal"
        What is boosted: the focal scores z, which `predict_proba` turns into probabilities, or the log-odds
        themselves. With "logit" the booster is an ordinary logistic or softmax model, whose own predictions,
        SHAP values and exported forms are the probabilities. Where a score or a raw prediction is said
        below, it is then the log-odds.
    focal_scale : "log-loss" or float, default="log-loss"
        Multiplies the loss. It changes no minimum, only the size of Hessians beside
        `min_child_weight`, `reg_lambda` and the like. "log-loss" keeps the meaning that these have for
        the log loss, see `BinaryFocalLoss.log_loss_scale`; 1.0 is the loss as published.
    hessian : {"floored", "exact", "majorizing", "expected"} or None, default=None
        Second derivative handed to XGBoost, see `BinaryFocalLoss.gradient_hessian`. None is "floored".
    probability : {"posterior", "score"}, default="posterior"
        What `predict_proba` returns: the probability P(y|x), or the focal score σ(z), which is what
        the booster alone predicts. Read at prediction time.
    **kwargs
        All parameters of `xgboost.XGBClassifier`, unchanged. `objective` is set by this class.
        `eval_metric` defaults to the focal loss; metrics of probabilities, and callables, see what
        `predict_proba` returns. `base_score`, if given, replaces the focal start.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; 0 and 1 for many labels.

    Notes
    -----
    The start, the constant that minimises the mean focal loss, is stored in the booster as
    base_score, so that a saved model loaded with plain xgboost predicts σ(z).

    With ``device="cuda"`` and CuPy installed (the extra ``gpu``), gradients are computed on the device;
    without CuPy on the CPU, with a warning. Rows, labels and weights may be CuPy's or cuDF's.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm import FocalXGBClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = FocalXGBClassifier(n_estimators=20, focal_gamma=2.0).fit(X, y)
    >>> model.predict_proba(X).shape
    (569, 2)
    """

    def __init__(
        self,
        *,
        focal_gamma: Any = ESTIMATOR_GAMMA,
        focal_alpha: Any = None,
        margin_loss: MarginLoss | None = None,
        focal_link: str = "focal",
        focal_scale: float | str = "log-loss",
        hessian: str | None = None,
        probability: str = "posterior",
        objective: str | None = "binary:logistic",
        **kwargs: Any,
    ) -> None:
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.margin_loss = margin_loss
        self.focal_link = focal_link
        self.focal_scale = focal_scale
        self.hessian = hessian
        self.probability = probability
        super().__init__(objective=objective, **kwargs)

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in sorted order."""
        return self._state().classes

    def set_params(self, **params: Any) -> FocalXGBClassifier:
        """Set parameters; those that only a fit reads leave a fitted model as it is."""
        with without_booster(self) as booster:
            super().set_params(**params)
        if booster is not None:
            others = self.get_xgb_params().items()
            booster.set_param({name: value for name, value in others if name not in DERIVED})
        return self

    def get_xgb_params(self) -> dict[str, Any]:
        """Return the parameters for the booster: XGBoost's, without the focal ones."""
        params = super().get_xgb_params()
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
        sample_weight_eval_set: Sequence[ArrayLike | None] | None = None,
        base_margin_eval_set: Sequence[ArrayLike | None] | None = None,
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
            As in `XGBClassifier.fit`. `base_margin` is in focal scores; `xgb_model` brings its own
            start.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            Naming the argument or parameter that cannot be honoured.
        """
        X = as_table(X)
        plan, target = self._plan_fit(X, y, sample_weight)
        with xgboost.config_context(verbosity=self.verbosity):
            previous = previous_booster(xgb_model, plan)
            data = matrices(
                self, plan, target, Rows(X, y, sample_weight), base_margin,
                EvaluationSets(eval_set, sample_weight_eval_set, base_margin_eval_set),
                feature_weights_of(self, feature_weights), previous,
            )  # fmt: skip
            self._train(plan, target, data, self.early_stopping_rounds, verbose, previous)
        return self

    def predict(
        self,
        X: Any,
        *,
        output_margin: bool = False,
        validate_features: bool = True,
        base_margin: ArrayLike | None = None,
        iteration_range: tuple[int, int] | None = None,
    ) -> NDArray[Any]:
        """Return the label with the largest focal score; parameters as in `XGBClassifier.predict`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels, (n_samples, n_labels) zeros and ones for many labels; or float32 focal scores z
            with ``output_margin=True``.
        """
        state = self._state()
        raw = self._raw_prediction(X, validate_features, base_margin, iteration_range)
        return raw if output_margin else state.decisions(raw)

    def predict_proba(
        self,
        X: Any,
        validate_features: bool = True,
        base_margin: ArrayLike | None = None,
        iteration_range: tuple[int, int] | None = None,
    ) -> FloatArray:
        """Return class probabilities; parameters as in `XGBClassifier.predict_proba`.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_classes)
            In the order of `classes_`: the posterior, or σ(z) or softmax(z) with
            ``probability="score"``. For many labels P(label = 1), of shape (n_samples, n_labels).
        """
        self._state()
        return self._probabilities(self._raw_prediction(X, validate_features, base_margin, iteration_range))

    def decision_function(
        self,
        X: Any,
        validate_features: bool = True,
        base_margin: ArrayLike | None = None,
        iteration_range: tuple[int, int] | None = None,
    ) -> FloatArray:
        """Return focal scores z; `predict` is the class of the largest, or class 1 where z > 0.

        Returns
        -------
        ndarray of float32 of shape (n_samples,), or (n_samples, n_classes) for more than two classes,
        or (n_samples, n_labels)
        """
        self._state()
        return self._raw_prediction(X, validate_features, base_margin, iteration_range)

    def save_model(self, fname: str | os.PathLike[str]) -> None:
        """Save the model in XGBoost's own format, JSON or UBJSON by the name's ending.

        Plain xgboost loads it and predicts σ(z); `load_model` restores the estimator.

        Parameters
        ----------
        fname : path
        """
        self._state()
        self._store_state()
        super().save_model(fname)

    def load_model(self, fname: Any) -> None:
        """Load a model saved by `save_model` of this class, or by its booster.

        Restores the classes, γ, α and the link; a later `fit` is focal again.

        Parameters
        ----------
        fname : path or bytearray

        Raises
        ------
        ValueError
            If the model was not saved by a FocalXGBClassifier, or was damaged: XGBoost, which would
            crash, is not given such a model. The estimator stays as it was.
        """
        name = "The buffer" if isinstance(fname, bytearray) else repr(str(fname))
        loaded = XGBClassifier(n_jobs=self.n_jobs)
        try:
            loaded.load_model(checked_bytes(fname))
        except (OSError, TypeError, ValueError) as error:  # an XGBoostError is a ValueError
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{name} cannot be read as a model of XGBoost: {reason}") from error
        booster = loaded.get_booster()
        saved = booster.attr(STATE)
        if saved is None:
            raise ValueError(
                f"{name} was not saved by a FocalXGBClassifier: it has no focal_gbm entry. "
                "Load it with xgboost.XGBClassifier."
            )
        state, parameters = state_from_json(saved)
        # Not the model's objective, start and types of columns, which a later fit would take for the user's
        # wish.
        self.booster = loaded.booster
        self.enable_categorical = loaded.enable_categorical or self.get_params()["enable_categorical"]
        for name, value in parameters.items():
            setattr(self, name, value)
        self._become(booster, state, {})

    def _raw_prediction(
        self,
        X: Any,
        validate_features: bool,
        base_margin: ArrayLike | None,
        iteration_range: tuple[int, int] | None,
    ) -> FloatArray:
        # of XGBModel: XGBClassifier's would do the same and set the verbosity a second time
        raw: FloatArray = super(XGBClassifier, self).predict(
            as_table(X),
            output_margin=True,
            validate_features=validate_features,
            base_margin=base_margin,
            iteration_range=iteration_range,
        )
        return raw
