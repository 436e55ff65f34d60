"""FocalLGBMClassifier: LGBMClassifier trained with focal loss."""

from __future__ import annotations

import functools
import inspect
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from lightgbm import LGBMClassifier
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.validation import check_array

from focal_gbm._classifier import ClassPlan, FitPlan, FocalClassifierMixin, Rows
from focal_gbm._evaluation import Evaluation
from focal_gbm._hosts import warn_if_untested
from focal_gbm._lightgbm_check import check_text
from focal_gbm._lightgbm_device import check_device
from focal_gbm._lightgbm_metrics import EvalMetrics
from focal_gbm._lightgbm_text import add_state, bake, read_state
from focal_gbm._state import FOCAL_PARAMETERS, FocalState, state_from_json
from focal_gbm._validation import FloatArray, check_sample_weight

warn_if_untested("lightgbm", lightgbm.__version__)

# LightGBM's names for one parameter, from its table of aliases. As there, the first that is given counts:
# its own name, then the shorter alias.
_OBJECTIVE = ("objective", "objective_type", "app", "application", "loss")
_METRIC = ("metric", "metrics", "metric_types")
_BOOSTING = ("boosting", "boost", "boosting_type")
_UNBALANCE = ("is_unbalance", "unbalance", "unbalanced_sets")
_MIN_ROWS = ("min_data_in_leaf", "min_data", "min_samples_leaf", "min_child_samples", "min_data_per_leaf")
_MIN_HESSIAN = (
    "min_sum_hessian_in_leaf",
    "min_hessian",
    "min_sum_hessian",
    "min_child_weight",
    "min_sum_hessian_per_leaf",
)
_THREADS = ("num_threads", "num_thread", "nthread", "nthreads", "n_jobs")
_DEVICE = ("device_type", "device")
_NUM_CLASS = ("num_class", "num_classes")
_POSITIVE_BAGGING = ("pos_bagging_fraction", "pos_sub_row", "pos_subsample", "pos_bagging")
_NEGATIVE_BAGGING = ("neg_bagging_fraction", "neg_sub_row", "neg_subsample", "neg_bagging")

#: Aliases win over the estimator's own parameter, as in the host.
_ROUNDS = (
    "num_iterations", "n_iter", "nrounds", "max_iter", "num_tree", "num_round", "num_trees", "num_rounds",
    "num_iteration", "num_boost_round", "n_estimators",
)  # fmt: skip
_EARLY_STOPPING = ("early_stopping_round", "early_stopping", "n_iter_no_change", "early_stopping_rounds")

#: The parameters that `fit` gives to the booster in a form of its own, or not at all.
DERIVED_PARAMETERS = frozenset(
    {*FOCAL_PARAMETERS, *_OBJECTIVE, *_METRIC, *_NUM_CLASS, *_UNBALANCE, "scale_pos_weight", "class_weight"}
)

#: What a Dataset has no use for. Not random_state, which LightGBM draws the rows from that it finds bins
#: by, and not min_child_samples, below which a Dataset leaves features out.
_FREE_OF_BINNING = frozenset(
    {
        *FOCAL_PARAMETERS, *_UNBALANCE, *_MIN_HESSIAN, "boosting_type", "class_weight", "colsample_bytree",
        "extra_trees", "importance_type", "learning_rate", "max_delta_step", "max_depth", "min_split_gain",
        "n_estimators", "num_leaves", "path_smooth", "reg_alpha", "reg_lambda", "scale_pos_weight",
        "subsample", "subsample_freq",
    }
)  # fmt: skip


class FocalLGBMClassifier(FocalClassifierMixin, LGBMClassifier):
    """LGBMClassifier trained with focal loss, with true probabilities.

    Parameters
    ----------
    focal_gamma : float, dict or array-like, default=2.0
        Focusing parameter γ >= 0: how strongly training attends to hard rows. 0 is the log loss.
        A dict ``{label: γ}`` or an array in the order of ``classes_`` gives the rows of each class
        their own. As α, that moves the decision of `predict`, not the probabilities.
    focal_alpha : None, float, str, tuple, dict or array-like, default=None
        Class weights α. They move the decision of `predict`, not the probabilities.

        - ``None``: no weights.
        - a float in (0, 1): α for ``classes_[1]`` and 1-α for ``classes_[0]``, as published.
        - ``"balanced"``: inverse class frequency, n / (K n_k).
        - ``"effective"`` or ``("effective", beta)``: effective number of samples, with beta 0.999.
        - a dict ``{label: weight}`` or an array of weights in the order of ``classes_``.

        Class counts are sums of `sample_weight`. Without `focal_alpha`, the host's `class_weight`,
        `is_unbalance` or `scale_pos_weight` is honoured as class weights; two of them are refused.
    focal_scale : "host" or float, default="host"
        Multiplies the loss. It changes no minimum, only the size of Hessians beside
        `min_child_weight`, `reg_lambda` and the like. "host" keeps the meaning that these have for
        the log loss, see `focal_gbm.objectives.loss_scale_of_host`; 1.0 is the loss as published.
    hessian : {"floored", "exact", "majorizing"}, default="floored"
        Second derivative handed to LightGBM, see `BinaryFocalLoss.gradient_hessian`.
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
        focal_gamma: Any = 2.0,
        focal_alpha: Any = None,
        focal_scale: float | str = "host",
        hessian: str = "floored",
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

    _host = "lightgbm"
    _free_of_binning = _FREE_OF_BINNING
    _rounds_names = _ROUNDS
    _stopping_names = _EARLY_STOPPING

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; see `LGBMClassifier.get_params`."""
        if type(self) is not FocalLGBMClassifier:
            return dict(super().get_params(deep))
        # The host asks all classes of the hierarchy in turn, in every prediction, an eighth of the time of
        # one row: here one signature has all names
        return {**BaseEstimator.get_params(self, deep), **self._other_params}

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # from the signature, which takes as long to read
        return list(_parameter_names(cls))  # type: ignore[arg-type]  # a class can be hashed

    def set_params(self, **params: Any) -> FocalLGBMClassifier:
        """Set parameters; see `LGBMClassifier.set_params`."""
        super().set_params(**params)
        for name in FOCAL_PARAMETERS:
            # of which the host keeps copies that win over an attribute assigned later
            self._other_params.pop(name, None)
        return self

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
            not stored in the model, as the host does; `init_model` brings its own start.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            Naming the argument or parameter that cannot be honoured.
        """
        plan = self._plan_fit(X, y, sample_weight)
        self._check_same_classes(init_model, plan)
        n_scores = len(plan.start)
        _check_score(init_score, (len(plan.labels), n_scores), "init_score")
        has_start = init_score is None and init_model is None and self._starts_from_average()
        start = plan.start if has_start else np.zeros_like(plan.start)

        sets = evaluation_pairs(eval_set, eval_X, eval_y)
        eval_labels = []
        for i, (data, labels) in enumerate(sets):
            if data is X and labels is y:
                codes = plan.labels  # the host knows its training set by identity
            else:
                codes = plan.encode(labels, f"the labels of evaluation set {i}", data)
            check_sample_weight(_item(eval_sample_weight, i), len(codes), f"eval_sample_weight[{i}]")
            _check_score(_item(eval_init_score, i), (len(codes), n_scores), f"eval_init_score[{i}]")
            eval_labels.append(codes)
        is_dart = self._is_dart()
        known = [eval_set is not None and codes is plan.labels for codes in eval_labels]
        if is_dart and any(known):
            # LightGBM drops trees of a dart model when a custom metric asks for its predictions of the
            # training set, after the last round for good: the rows get a data set of their own.
            everything = list(zip(known, range(len(sets)), strict=True))
            eval_names = eval_names or ["training" if train else f"valid_{i}" for train, i in everything]
            eval_sample_weight, eval_init_score, eval_class_weight = (
                [of_train if train else _item(given, i) for train, i in everything]
                for of_train, given in (
                    (plan.sample_weight, eval_sample_weight),
                    (init_score, eval_init_score),
                    (None, eval_class_weight),
                )
            )
            eval_labels = [codes.copy() for codes in eval_labels]
        if eval_class_weight is not None:
            given = [_item(eval_class_weight, i) for i in range(len(sets))]
            eval_class_weight = [_encoded(weights, plan.encoder) for weights in given]
        starts: list[Any] = []
        if start.any():
            init_score = _constant_score(start, len(plan.labels))
            # As the host, whose start is part of the first tree: on top of what the user gives.
            given = [_item(eval_init_score, i) for i in range(len(sets))]
            eval_init_score = [
                _constant_score(start, len(codes), score)
                for codes, score in zip(eval_labels, given, strict=True)
            ]
            starts = [init_score, *eval_init_score]

        metrics = self._eval_metrics(plan, eval_metric)
        before = dict(vars(self))
        self._training = plan, metrics
        self.class_weight = self._class_weight = None  # part of α: the host would apply it again
        try:
            super().fit(
                X,
                plan.labels,
                sample_weight=plan.sample_weight,
                init_score=init_score,
                eval_names=eval_names,
                eval_sample_weight=eval_sample_weight,
                eval_class_weight=eval_class_weight,
                eval_init_score=eval_init_score,
                eval_metric=metrics.ours,
                feature_name=feature_name,
                categorical_feature=categorical_feature,
                callbacks=[*(callbacks or []), FirstRound(is_dart, starts), metrics],
                init_model=init_model,
                **_evaluation_arguments([data for data, _ in sets], eval_labels, any(known) and not is_dart),
            )
            booster = baked(self._Booster, start, plan.state)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        del self._training
        self.class_weight = before["class_weight"]
        self._set_model(booster, plan.state)
        if not booster.feature_importance("split").any():
            self._warn_no_split(self._why_no_split(plan))
        return self

    def _eval_metrics(self, plan: FitPlan | ClassPlan, eval_metric: Any) -> EvalMetrics:
        return EvalMetrics(eval_metric, self._given(_METRIC)[1], Evaluation(plan.state, self.probability))

    def _process_params(self, stage: str) -> dict[str, Any]:
        # The host's one place where parameters of the estimator become parameters of the booster.
        params: dict[str, Any] = super()._process_params(stage)
        for name in (*FOCAL_PARAMETERS, *_UNBALANCE, "scale_pos_weight"):
            params.pop(name, None)  # the host's class weights are part of α
        if stage == "fit":
            plan, metrics = self._training
            params["objective"] = plan.objective
            params["metric"] = metrics.host or "None"
        return params

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
            Labels; or what the host returns for `raw_score`, `pred_leaf` and `pred_contrib`.
        """
        state = self._state()
        if pred_leaf or pred_contrib:
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
            ``probability="score"``; or what the host returns for `raw_score`, `pred_leaf` and
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
        saved = {
            "estimator": self._state_as_json(),
            "best_iteration": self._best_iteration,
            "feature_names": bool(self._fitted_with_feature_names),
        }
        text = add_state(self._Booster.model_to_string(num_iteration=-1), json.dumps(saved))
        Path(fname).write_text(text, encoding="utf-8", newline="\n")

    def load_model(self, fname: str | os.PathLike[str]) -> FocalLGBMClassifier:
        """Load a model saved by `save_model`.

        Restores the classes, γ, α and the link; a later `fit` is focal again. The host's parameters
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
        text = Path(fname).read_text(encoding="utf-8", errors="replace")
        try:
            line = read_state(text)
        except ValueError as error:
            raise ValueError(f"{str(fname)!r} cannot be read as a model of LightGBM: {error}") from error
        if line is None:
            raise ValueError(
                f"{str(fname)!r} was not saved by FocalLGBMClassifier.save_model: it has no focal_gbm "
                "line. Load it with lightgbm.Booster(model_file=...)."
            )
        try:
            saved = json.loads(line)
            best_iteration, named = int(saved["best_iteration"]), bool(saved["feature_names"])
            estimator = saved["estimator"]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise ValueError(f"The focal_gbm line of {str(fname)!r} cannot be read: {error}.") from error
        state, parameters = state_from_json(estimator)
        n_scores = len(state.classes) if len(state.classes) > 2 else 1
        try:
            check_text(text)
            booster = lightgbm.Booster(model_str=text)
            if booster.num_model_per_iteration() != n_scores:
                raise ValueError(f"it has {booster.num_model_per_iteration()} scores a row, not {n_scores}.")
        except (ValueError, lightgbm.basic.LightGBMError) as error:
            raise ValueError(f"{str(fname)!r} cannot be read as a model of LightGBM: {error}") from error
        booster.best_iteration = best_iteration
        self.set_params(**parameters)
        self._adopt(booster, state, named, {})
        return self

    def _adopt(
        self, booster: lightgbm.Booster, state: FocalState, named: bool, history: dict[str, Any]
    ) -> None:
        """Become the fitted estimator of a booster that the host's `fit` did not train."""
        self._n_features = self._n_features_in = booster.num_feature()
        self._fitted_with_feature_names = named
        self._best_iteration = booster.best_iteration
        self._best_score = booster.best_score
        self._evals_result = history
        self._objective = "binary" if len(state.classes) == 2 else "multiclass"
        self._set_model(booster, state)
        self.fitted_ = True

    def _set_model(self, booster: lightgbm.Booster, state: FocalState) -> None:
        self._Booster = booster
        self._focal_state = state
        self._le = LabelEncoder()
        self._le.classes_ = self._classes = state.classes
        self._n_classes = len(state.classes)
        self._class_map = {label: code for code, label in enumerate(state.classes)}

    # What fit is made of

    def _plan_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None) -> FitPlan:
        self._refuse_parameters()
        plan = super()._plan_fit(X, y, sample_weight)
        self._check_num_class(plan)
        return plan

    def _check_num_class(self, plan: FitPlan | ClassPlan) -> None:
        name, n_classes = self._given(_NUM_CLASS)
        if n_classes not in (None, len(plan.start)):
            raise ValueError(f"{name} is taken from y, got {n_classes!r}.")

    def _fit_shared(
        self, train: Rows, stop: Rows | None, early_stopping_rounds: int | None, binned: Any = None
    ) -> tuple[Any, int]:
        plan = self._plan_fit(*train)
        metrics = self._eval_metrics(plan, None)
        self._n_classes = len(plan.state.classes)
        self._training = plan, metrics
        try:
            params = self._process_params("fit")
        finally:
            del self._training
        if binned is None:
            binned = _Binned.of(plan, train, stop, {**params, "objective": "none"})

        start = plan.start if self._starts_from_average() else np.zeros_like(plan.start)
        for data in binned.data:
            data.set_init_score(_constant_score(start, data.num_data()))
        history: dict[str, Any] = {}
        is_dart = self._is_dart()
        callbacks = [FirstRound(is_dart), metrics, lightgbm.record_evaluation(history)]
        if stop is not None and not is_dart:  # LightGBM has no early stopping for dart
            callbacks.append(lightgbm.early_stopping(early_stopping_rounds, verbose=False))
        booster = lightgbm.train(
            params,
            binned.data[0],
            self.n_estimators,
            valid_sets=binned.data[1:],
            feval=[metric.native for metric in metrics.ours],
            callbacks=callbacks,
        )
        booster = baked(booster, start, plan.state)
        self._adopt(booster, plan.state, binned.named, history)
        if not booster.feature_importance("split").any():
            self._warn_no_split(self._why_no_split(plan))
        return binned, booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()

    def _given(self, names: Sequence[str], default: Any = None) -> tuple[str, Any]:
        """Return (name, value) of the alias that the user set, or the first name and `default`."""
        params = self.get_params(deep=False)
        for name in names:
            if params.get(name) is not None:
                return name, params[name]
        return names[0], default

    def _n_threads(self) -> int | None:
        n_threads: int | None = self._given(_THREADS)[1]
        return n_threads

    def _is_dart(self) -> bool:
        return bool(self._given(_BOOSTING)[1] == "dart")

    def _starts_from_average(self) -> bool:
        return str(self._given(["boost_from_average"], True)[1]).lower() not in ("false", "0", "-")

    def _refuse_parameters(self) -> None:
        for name in _OBJECTIVE:
            name, objective = self._given([name])
            if objective in (None, "binary"):
                continue
            raise ValueError(
                f"{name} must be left alone: {type(self).__name__} trains the focal loss, got "
                f"{objective!r}. Use lightgbm.LGBMClassifier(objective=FocalObjective(...)) for a host's "
                "estimator with a focal objective."
            )
        name, boosting = self._given(_BOOSTING)
        if boosting in ("rf", "random_forest"):
            raise ValueError(
                f"{name} must not be {boosting!r}: LightGBM's random forests take no custom objective. "
                "Use 'gbdt', 'dart' or data_sample_strategy='goss'."
            )
        for names in (_POSITIVE_BAGGING, _NEGATIVE_BAGGING):
            name, fraction = self._given(names, 1.0)
            if fraction != 1:
                raise ValueError(
                    f"{name} must be 1, got {fraction!r}: LightGBM ignores it beside a custom objective. "
                    "Use subsample (bagging_fraction)."
                )
        check_device(*self._given(_DEVICE))
        name, sigmoid = self._given(["sigmoid"], 1.0)
        if sigmoid != 1:
            raise ValueError(f"sigmoid must be 1, got {sigmoid!r}: the focal link has no other slope.")
        if self._given(["multi_error_top_k"], 1)[1] != 1:
            raise ValueError(
                "multi_error_top_k must be 1: multi_error is computed on what `predict` returns."
            )

    def _host_alpha(self, classes: NDArray[Any], class_counts: FloatArray) -> list[tuple[str, Any]]:
        given: list[tuple[str, Any]] = []
        if self.class_weight is not None:
            alpha: Any = self.class_weight
            if isinstance(alpha, dict):  # in scikit-learn a class that is not named has weight 1
                alpha = {**{label: 1.0 for label in classes.tolist() if label not in alpha}, **alpha}
            given.append(("class_weight", alpha))
        name, is_unbalance = self._given(_UNBALANCE, False)
        if is_unbalance:
            # As the host: the rarer class is weighted up by the quotient of the counts.
            given.append((name, class_counts.max() / class_counts))
        name, positive_weight = self._given(["scale_pos_weight"], 1.0)
        if positive_weight != 1:
            given.append((name, (1.0, positive_weight)))
        return given

    def _check_same_classes(self, init_model: Any, plan: FitPlan | ClassPlan) -> None:
        classes = plan.state.classes.tolist()
        others = classes  # a booster knows no labels
        if isinstance(init_model, LGBMClassifier):
            others = np.asarray(init_model.classes_).tolist()
        elif isinstance(init_model, (str, Path)):
            text = Path(init_model).read_text(encoding="utf-8", errors="replace")
            try:
                check_text(text)
            except ValueError as error:
                raise ValueError(f"init_model must be a model of LightGBM: {error}") from None
            line = read_state(text)
            if line is not None:
                others = state_from_json(json.loads(line)["estimator"])[0].classes.tolist()
        if others != classes:
            raise ValueError(f"init_model must have the classes of y, {classes}, got {others}.")
        booster = init_model.booster_ if isinstance(init_model, lightgbm.LGBMModel) else init_model
        if isinstance(booster, lightgbm.Booster) and booster.num_model_per_iteration() != len(plan.start):
            raise ValueError(
                f"init_model must have {len(plan.start)} scores a row for this y, got "
                f"{booster.num_model_per_iteration()}."
            )

    def _why_no_split(self, plan: FitPlan | ClassPlan) -> str:
        n_samples = plan.n_samples
        name, least_rows = self._given(_MIN_ROWS)
        if n_samples < 2 * least_rows:
            return f"Lower {name}: two leaves need {least_rows} rows each, and there are {n_samples}."
        name, least = self._given(_MIN_HESSIAN)
        total = plan.hessian_at_start()
        if total < 2 * least:
            return (
                f"Lower {name}: two leaves need a Hessian of {least:g} each, and all rows "
                f"together have {total:.3g} at the start (focal_gamma, focal_alpha and sample_weight "
                "scale it)."
            )
        return (
            "Lower min_child_samples, min_child_weight, min_split_gain or the other parameters that "
            "keep LightGBM from splitting; or else no feature tells the classes apart."
        )


@functools.cache
def _parameter_names(estimator: type[LGBMClassifier]) -> tuple[str, ...]:
    return tuple(super(FocalLGBMClassifier, estimator)._get_param_names())


class _Binned(NamedTuple):
    """Rows as LightGBM's data sets, and whether their columns have names."""

    data: list[lightgbm.Dataset]  #: to train on, to stop on
    named: bool

    @classmethod
    def of(cls, plan: FitPlan, train: Rows, stop: Rows | None, params: dict[str, Any]) -> _Binned:
        """Bin rows as `LGBMClassifier.fit` does."""
        X = _as_host_takes(train.X)
        data = [lightgbm.Dataset(X, plan.labels, weight=plan.sample_weight, params=params).construct()]
        if stop is not None:
            codes = plan.encode(stop.y, "the labels to stop on", stop.X)
            weight = check_sample_weight(
                stop.sample_weight, len(codes), "sample_weight of the rows to stop on"
            )
            valid = data[0].create_valid(_as_host_takes(stop.X), codes, weight=weight, params=params)
            data.append(valid.construct())
        return cls(data, hasattr(X, "columns"))


class FirstRound:
    """Keep two faults of LightGBM beside a custom objective from the first round.

    `lightgbm.train` has already told the booster that there is no objective. Its second reset of all
    parameters at the first update would shift the sampling of features (LightGBM issue 6053) and fail
    where no feature can be split (issue 5667).

    Whether dart has dropped trees in this round it does not know before the first update, for want of
    an initial value: its draws, and with them the model, would differ from fit to fit. A prediction
    sets the value, and a reset starts the draws anew.

    Where LightGBM's attributes are gone, nothing changes.

    Parameters
    ----------
    is_dart : bool
    starts : sequence of ndarray
        Scores that the data sets were made with and nobody else needs: LightGBM has copied them, and
        keeps yet another copy in Python. Both are given back, 8 bytes a row and class each.
    """

    before_iteration = True
    order = -1000  # before anything else

    def __init__(self, is_dart: bool, starts: Sequence[FloatArray] = ()) -> None:
        self._is_dart = is_dart
        self._starts = starts

    def __call__(self, env: Any) -> None:
        """Set the booster up before its first update; LightGBM calls it before every one."""
        if env.iteration != env.begin_iteration:
            return
        env.model._Booster__set_objective_to_none = True
        for data in (env.model.train_set, *env.model.valid_sets):
            data.init_score = None  # `get_init_score` asks for a new copy
        for start in self._starts:
            start.resize(0, refcheck=False)  # the frames of the host's functions still refer to it
        if self._is_dart and hasattr(env.model, "_Booster__inner_predict"):
            env.model._Booster__inner_predict(data_idx=0)
            with suppress(lightgbm.basic.LightGBMError):  # no feature can be split: nothing to draw
                env.model.reset_parameter({"learning_rate": env.params["learning_rate"]})


def _check_score(score: Any, shape: tuple[int, int], name: str) -> None:
    if score is None:
        return
    array = np.asarray(score, dtype=np.float64)
    n_samples, n_scores = shape
    if array.shape not in ((n_samples * n_scores,), shape):  # LightGBM takes what has the right size
        expected = shape if n_scores > 1 else (n_samples,)
        raise ValueError(f"{name} must have shape {expected}, got shape {array.shape}.")
    if not np.isfinite(array).all():  # LightGBM takes nan for 0 without a word
        raise ValueError(f"{name} must be finite, got inf or nan.")


def _constant_score(start: FloatArray, n_samples: int, score: Any = None) -> FloatArray:
    """Return the start for every row, on top of a user's scores, in a shape that LightGBM takes."""
    if score is None:
        score = np.zeros(n_samples)
    score = np.asarray(score)
    if len(start) == 1:
        return score + start[0]
    if score.ndim == 1 and score.size != n_samples:
        score = score.reshape(len(start), n_samples).T  # the host's flat form is class after class
    return score.reshape(n_samples, -1) + start


def baked(booster: lightgbm.Booster, start: FloatArray, state: FocalState) -> lightgbm.Booster:
    """Return the booster with the start and the link to the score's probability written into the model."""
    n_classes = len(state.classes)
    objective = "binary sigmoid:1" if n_classes == 2 else f"multiclass num_class:{n_classes}"
    text = bake(booster.model_to_string(num_iteration=-1), start.tolist(), objective)
    baked = lightgbm.Booster(model_str=text)
    baked.best_iteration, baked.best_score = booster.best_iteration, booster.best_score
    return baked


def _as_host_takes(X: Any) -> Any:
    """Return what LGBMClassifier makes of a table: data frames as they are, all else as an array."""
    if hasattr(X, "columns"):
        return X
    return check_array(X, accept_sparse=True, ensure_all_finite=False)


def evaluation_pairs(eval_set: Any, eval_X: Any, eval_y: Any) -> list[tuple[Any, Any]]:
    """Return the evaluation sets as pairs, in whichever of the host's two forms they came."""
    if eval_set is not None:
        if eval_X is not None or eval_y is not None:
            raise ValueError("eval_set and eval_X, eval_y must not both be given.")
        return [eval_set] if isinstance(eval_set, tuple) else list(eval_set)
    if (eval_X is None) != (eval_y is None):
        raise ValueError("eval_X and eval_y must be given together, got one of them.")
    if eval_X is None:
        return []
    if isinstance(eval_X, tuple) != isinstance(eval_y, tuple):
        raise ValueError("eval_X and eval_y must both be tuples or both be single sets.")
    if not isinstance(eval_X, tuple):
        return [(eval_X, eval_y)]
    if len(eval_X) != len(eval_y):
        raise ValueError(f"eval_X and eval_y must have the same length, got {len(eval_X)} and {len(eval_y)}.")
    return list(zip(eval_X, eval_y, strict=True))


def _item(collection: Any, i: int) -> Any:
    """Return what a user gave for evaluation set `i`, in the list or the dict that the host takes."""
    if isinstance(collection, dict):
        return collection.get(i)
    return collection[i] if collection is not None and i < len(collection) else None


def _encoded(class_weight: Any, encoder: LabelEncoder) -> Any:
    """Return an entry of `eval_class_weight` with codes for labels: the host is given codes."""
    if not isinstance(class_weight, dict):
        return class_weight
    codes = {label: code for code, label in enumerate(encoder.classes_.tolist())}
    unknown = [label for label in class_weight if label not in codes]
    if unknown:
        raise ValueError(f"eval_class_weight must hold weights of the labels {list(codes)}, got {unknown}.")
    return {codes[label]: weight for label, weight in class_weight.items()}


def _evaluation_arguments(
    data: list[Any], labels: list[NDArray[np.intp]], has_training_set: bool
) -> dict[str, Any]:
    """Return the evaluation sets in a form that the installed LightGBM takes without complaint."""
    if not data:
        return {}
    # Only the older form recognises the training set; only the newer one is free of a deprecation.
    if "eval_X" in inspect.signature(LGBMClassifier.fit).parameters and not has_training_set:
        return {"eval_X": tuple(data), "eval_y": tuple(labels)}
    return {"eval_set": list(zip(data, labels, strict=True))}
