"""FocalLGBMClassifier: LGBMClassifier trained with focal loss."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import lightgbm
from numpy.typing import ArrayLike

from focal_gbm._arrays import as_table
from focal_gbm._validation import FloatArray
from focal_gbm.lightgbm.columns import check_columns
from focal_gbm.lightgbm.fitting import LGBMFitting
from focal_gbm.lightgbm.model_file import read_model
from focal_gbm.lightgbm.model_text import add_state
from focal_gbm.lightgbm.training import (
    EvaluationSets,
    check_init_model,
    data_sets,
    eval_metrics,
    evaluation_pairs,
)
from focal_gbm.losses import MarginLoss
from focal_gbm.training.gamma import ESTIMATOR_GAMMA
from focal_gbm.training.plan import Rows


class FocalLGBMClassifier(LGBMFitting):
    """LGBMClassifier trained with focal loss, with true probabilities.

    Parameters
    ----------
    focal_gamma : float, dict or array-like, default=1.0
        Focusing parameter γ >= 0: how strongly training attends to hard rows. 0 is the log loss, 2 the
        published value.
        A dict ``{label: γ}`` or an array in the order of ``classes_`` gives the rows of each class
        their own. As α, that moves the decision of `predict`, not the probabilities.
    focal_alpha : None, float, str, tuple, dict or array-like, default=None
        Class weights α. They move the decision of `predict`, not the probabilities.

        - ``None``: no weights.
        - a float in (0, 1): α for ``classes_[1]`` and 1-α for ``classes_[0]``, as published.
        - ``"balanced"``: inverse class frequency, n / (K n_k).
        - ``"effective"`` or ``("effective", beta)``: effective number of samples, with beta 0.999.
        - a dict ``{label: weight}`` or an array of weights in the order of ``classes_``.

        Class counts are sums of `sample_weight`. Without `focal_alpha`, LightGBM's `class_weight`,
        `is_unbalance` or `scale_pos_weight` is honoured as class weights; two of them are refused.
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
        Second derivative handed to LightGBM, see `BinaryFocalLoss.gradient_hessian`. None is "floored".
    probability : {"posterior", "score"}, default="posterior"
        What `predict_proba` returns: the probability P(y|x), or the focal score σ(z), which is what
        the booster alone predicts. Read at prediction time.
    **kwargs
        All parameters of `lightgbm.LGBMClassifier`, unchanged. `objective` is set by this class;
        ``boosting_type="rf"`` takes no custom objective and is refused. `metric` and `eval_metric`
        default to the focal loss; metrics of probabilities, and callables, see what `predict_proba`
        returns. ``boost_from_average=False`` starts at a score of 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.

    Notes
    -----
    The start, the constant that minimises the mean focal loss, and the sigmoid are written into the
    booster, so that a saved model loaded with plain lightgbm predicts σ(z).

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm import FocalLGBMClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = FocalLGBMClassifier(n_estimators=20, focal_gamma=2.0, verbose=-1).fit(X, y)
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
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.margin_loss = margin_loss
        self.focal_link = focal_link
        self.focal_scale = focal_scale
        self.hessian = hessian
        self.probability = probability
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

    _has_whole_signature: ClassVar[bool] = True

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
            As in `LGBMClassifier.fit`. `init_score` is in focal scores, replaces the start and is
            not stored in the model, as in LightGBM; `init_model` brings its own start.

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
        check_init_model(init_model, plan)
        metrics = eval_metrics(self, plan, eval_metric)
        sets = EvaluationSets(
            evaluation_pairs(eval_set, eval_X, eval_y), eval_names, eval_sample_weight, eval_class_weight,
            eval_init_score, eval_set is not None,
        )  # fmt: skip
        params = self._booster_params(plan, metrics)
        data = data_sets(
            self, plan, target, Rows(X, y, sample_weight), params, sets, init_score, init_model,
            feature_name=feature_name, categorical_feature=categorical_feature,
        )  # fmt: skip
        self._train(plan, target, data, params, metrics, hasattr(X, "columns"), callbacks or (), init_model)
        return self

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
        """Return the label with the largest focal score; parameters as in `LGBMClassifier.predict`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels; or what LightGBM returns for `raw_score`, `pred_leaf` and `pred_contrib`.
        """
        state = self._state()
        if pred_leaf or pred_contrib:
            X = as_table(X)
            check_columns(X)
            return super().predict_proba(
                X, raw_score, start_iteration, num_iteration, pred_leaf, pred_contrib,
                validate_features, **kwargs,
            )  # fmt: skip
        raw = self._raw_prediction(X, start_iteration, num_iteration, validate_features, **kwargs)
        return raw if raw_score else state.decisions(raw)

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
        """Return class probabilities; parameters as in `LGBMClassifier.predict_proba`.

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
            In the order of `classes_`: the posterior, or σ(z) or softmax(z) with
            ``probability="score"``; or what LightGBM returns for `raw_score`, `pred_leaf` and
            `pred_contrib`.
        """
        self._state()
        if raw_score or pred_leaf or pred_contrib:
            return self.predict(
                X, raw_score, start_iteration, num_iteration, pred_leaf, pred_contrib,
                validate_features, **kwargs,
            )  # fmt: skip
        return self._probabilities(
            self._raw_prediction(X, start_iteration, num_iteration, validate_features, **kwargs)
        )

    def decision_function(
        self,
        X: Any,
        *,
        start_iteration: int = 0,
        num_iteration: int | None = None,
        validate_features: bool = False,
        **kwargs: Any,
    ) -> FloatArray:
        """Return focal scores z; `predict` is the class of the largest, or class 1 where z > 0.

        Returns
        -------
        ndarray of float64 of shape (n_samples,), or (n_samples, n_classes) for more than two classes
        """
        self._state()
        return self._raw_prediction(X, start_iteration, num_iteration, validate_features, **kwargs)

    def _raw_prediction(
        self,
        X: Any,
        start_iteration: int,
        num_iteration: int | None,
        validate_features: bool,
        **kwargs: Any,
    ) -> FloatArray:
        X = as_table(X)
        check_columns(X)
        raw: FloatArray = super().predict_proba(
            X,
            raw_score=True,
            start_iteration=start_iteration,
            num_iteration=num_iteration,
            validate_features=validate_features,
            **kwargs,
        )
        return raw

    def save_model(self, fname: str | os.PathLike[str]) -> None:
        """Save the model in LightGBM's text format, with our state in a line that LightGBM skips.

        Plain ``lightgbm.Booster(model_file=fname)`` loads it and predicts σ(z); `load_model` restores
        the estimator. All iterations are kept, and so is the best one.

        Parameters
        ----------
        fname : path
        """
        state = self._state()
        text = lightgbm.Booster.model_to_string(self.booster_, num_iteration=-1)
        text = add_state(text, self._entry(state, self.best_iteration_, hasattr(self, "feature_names_in_")))
        Path(fname).write_text(text, encoding="utf-8", newline="\n")

    def load_model(self, fname: str | os.PathLike[str]) -> FocalLGBMClassifier:
        """Load a model saved by `save_model`.

        Restores the classes, γ, α and the link; a later `fit` is focal again. LightGBM's parameters
        remain those of this estimator.

        Parameters
        ----------
        fname : path

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the model was not saved by a FocalLGBMClassifier, or was damaged: LightGBM, which would
            end the process, is not given such a text. The estimator stays as it was.
        """
        saved = read_model(fname)
        self.set_params(**saved.parameters)
        self._become(saved.booster, saved.state, saved.named, {})
        return self
