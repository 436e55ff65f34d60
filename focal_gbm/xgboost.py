"""FocalXGBClassifier: XGBClassifier trained with focal loss."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from xgboost import XGBClassifier

from focal_gbm._classifier import ClassPlan, FitPlan, FocalClassifierMixin, Rows
from focal_gbm._evaluation import Evaluation
from focal_gbm._state import FOCAL_PARAMETERS, FocalState, state_from_json
from focal_gbm._validation import FloatArray, check_sample_weight, one_each
from focal_gbm._xgboost_check import check_model
from focal_gbm._xgboost_metrics import EvalData, EvalMetrics
from focal_gbm.losses import MulticlassFocalLoss

#: Name of the booster's attribute that holds our part of the model. The host keeps and ignores it.
_ATTRIBUTE = "focal_gbm"

#: The parameters that `_matrices` does not read.
_FREE_OF_BINNING = frozenset(
    {
        *FOCAL_PARAMETERS, "base_score", "callbacks", "colsample_bylevel", "colsample_bynode",
        "colsample_bytree", "eval_metric", "gamma", "grow_policy", "importance_type",
        "interaction_constraints", "learning_rate",
        "max_cat_threshold", "max_cat_to_onehot", "max_delta_step", "max_depth", "max_leaves",
        "min_child_weight", "monotone_constraints", "multi_strategy", "n_estimators", "num_parallel_tree",
        "random_state", "reg_alpha", "reg_lambda", "sampling_method", "scale_pos_weight", "subsample",
        "verbosity",
    }
)  # fmt: skip


#: What the booster is not told as the user says it: `fit` derives it from the labels.
_DERIVED_PARAMETERS = ("objective", "base_score", "eval_metric", "num_class", "scale_pos_weight")


class FocalXGBClassifier(FocalClassifierMixin, XGBClassifier):
    """XGBClassifier trained with focal loss, with true probabilities.

    Parameters
    ----------
    focal_gamma : float, dict or array-like, default=2.0
        Focusing parameter γ >= 0: how strongly training attends to hard rows. 0 is the log loss.
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
    focal_scale : "host" or float, default="host"
        Multiplies the loss. It changes no minimum, only the size of Hessians beside
        `min_child_weight`, `reg_lambda` and the like. "host" keeps the meaning that these have for
        the log loss, see `focal_gbm.objectives.loss_scale_of_host`; 1.0 is the loss as published.
    hessian : {"floored", "exact", "majorizing"}, default="floored"
        Second derivative handed to XGBoost, see `BinaryFocalLoss.gradient_hessian`.
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

    With ``device="cuda"`` and CuPy installed (``pip install 'focal-gbm[gpu]'``), gradients are computed
    on the card; without CuPy on the CPU, with a warning. Rows, labels and weights may be CuPy's or cuDF's.

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
        focal_gamma: Any = 2.0,
        focal_alpha: Any = None,
        focal_scale: float | str = "host",
        hessian: str = "floored",
        probability: str = "posterior",
        objective: str | None = "binary:logistic",
        **kwargs: Any,
    ) -> None:
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.focal_scale = focal_scale
        self.hessian = hessian
        self.probability = probability
        super().__init__(objective=objective, **kwargs)

    _host = "xgboost"
    _takes_many_labels = True
    _free_of_binning = _FREE_OF_BINNING

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in sorted order."""
        return self._state().classes

    def set_params(self, **params: Any) -> FocalXGBClassifier:
        """Set parameters; those that only a fit reads leave a fitted model as it is."""
        # The host hands all of them to a fitted booster, which those of another objective, start or metric
        # than it was trained with would break.
        booster = self.__dict__.pop("_Booster", None)
        try:
            super().set_params(**params)
        finally:
            if booster is not None:
                self._Booster = booster
        if booster is not None:
            others = self.get_xgb_params().items()
            booster.set_param({name: value for name, value in others if name not in _DERIVED_PARAMETERS})
        return self

    def get_xgb_params(self) -> dict[str, Any]:
        """Return the parameters for the booster: the host's, without the focal ones."""
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
        plan = self._plan_fit(X, y, sample_weight)
        with xgboost.config_context(verbosity=self.verbosity):
            params = self._training_params(plan)
            previous = self._previous(xgb_model, plan, params)
            train, evals = self._matrices(
                plan, X, y, sample_weight, base_margin, eval_set, sample_weight_eval_set,
                base_margin_eval_set, self._one_feature_weights(feature_weights), previous,
            )  # fmt: skip
            self._train(plan, params, train, evals, self.early_stopping_rounds, verbose, previous)
        if booster_has_no_split(self._Booster):
            self._warn_no_split(self._why_no_split(plan))
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

    def _store_state(self) -> None:
        self._Booster.set_attr(**{_ATTRIBUTE: self._state_as_json()})

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
        try:
            raw = _checked_bytes(fname)
            saved = xgboost.Booster(model_file=raw).attr(_ATTRIBUTE)
        except (OSError, ValueError) as error:  # an XGBoostError is a ValueError
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{name} cannot be read as a model of XGBoost: {reason}") from error
        if saved is None:
            raise ValueError(
                f"{name} was not saved by a FocalXGBClassifier: it has no focal_gbm entry. "
                "Load it with xgboost.XGBClassifier."
            )
        state, parameters = state_from_json(saved)
        # The host writes the model's objective, start and types of columns into parameters, where a later
        # fit would take them for the user's wish.
        keep = {name: getattr(self, name) for name in ("objective", "base_score", "feature_types")}
        takes_categories: bool = self.get_params()["enable_categorical"]
        before = dict(vars(self))
        try:
            super().load_model(raw)
        except BaseException as error:  # an attribute that XGBoost cannot read
            self.__dict__.clear()
            self.__dict__.update(before)
            if isinstance(error, (TypeError, ValueError)):
                raise ValueError(f"{name} cannot be read as a model of XGBoost: {error}") from error
            raise
        for name, value in {**keep, **parameters}.items():
            setattr(self, name, value)
        if takes_categories:
            self.enable_categorical = True
        self._focal_state = state
        if hasattr(self, "evals_result_"):
            del self.evals_result_

    def _raw_prediction(
        self,
        X: Any,
        validate_features: bool,
        base_margin: ArrayLike | None,
        iteration_range: tuple[int, int] | None,
    ) -> FloatArray:
        # of XGBModel: XGBClassifier's would do the same and set the verbosity a second time
        raw: FloatArray = super(XGBClassifier, self).predict(
            X,
            output_margin=True,
            validate_features=validate_features,
            base_margin=base_margin,
            iteration_range=iteration_range,
        )
        return raw

    # What fit is made of

    def _train(
        self,
        plan: FitPlan,
        params: dict[str, Any],
        train: xgboost.DMatrix,
        evals: list[EvalData],
        early_stopping_rounds: int | None,
        verbose: bool | int | None,
        previous: xgboost.Booster | None = None,
    ) -> None:
        """Train on matrices and become the fitted estimator."""
        metrics = EvalMetrics(self.eval_metric, Evaluation(plan.state, self.probability), evals, params)
        history: dict[str, dict[str, list[float]]] = {}
        booster = xgboost.train(
            params,
            train,
            self.get_num_boosting_rounds(),
            evals=[(data, name) for data, name, _, _ in evals],
            obj=plan.objective,
            custom_metric=metrics if metrics.ours else None,
            evals_result=history,
            verbose_eval=verbose,
            xgb_model=previous,
            callbacks=[metrics, *(self.callbacks or [])],
            early_stopping_rounds=early_stopping_rounds,
        )
        self._adopt(booster, plan.state, history)

    def _adopt(self, booster: xgboost.Booster, state: FocalState, history: Any) -> None:
        """Become the fitted estimator of a trained booster."""
        self._Booster = booster
        self.n_classes_ = len(state.classes)
        self._focal_state = state
        if history:
            self.evals_result_ = history
        elif hasattr(self, "evals_result_"):
            del self.evals_result_
        with suppress(TypeError):  # labels that only a pickle can hold: save_model says so
            self._store_state()

    def _fit_shared(
        self, train: Rows, stop: Rows | None, early_stopping_rounds: int | None, binned: Any = None
    ) -> tuple[Any, int]:
        plan = self._plan_fit(*train)
        with xgboost.config_context(verbosity=self.verbosity):
            params = self._training_params(plan)
            if binned is None:
                sets = None if stop is None else [(stop.X, stop.y)]
                weights = None if stop is None else [stop.sample_weight]
                binned = self._matrices(plan, *train, None, sets, weights, None, self.feature_weights, None)
            matrix, evals = binned
            self._train(plan, params, matrix, evals, early_stopping_rounds, verbose=False)
        if booster_has_no_split(self._Booster):
            self._warn_no_split(self._why_no_split(plan))
        booster = self._Booster
        return binned, booster.num_boosted_rounds() if stop is None else booster.best_iteration + 1

    def _host_alpha(self, classes: NDArray[Any], class_counts: FloatArray) -> list[tuple[str, Any]]:
        if self.scale_pos_weight is None or self.scale_pos_weight == 1:
            return []
        return [("scale_pos_weight", (1.0, self.scale_pos_weight))]

    def _training_params(self, plan: FitPlan | ClassPlan) -> dict[str, Any]:
        n_classes = len(plan.state.classes)
        many_classes = isinstance(plan.state.loss, MulticlassFocalLoss)
        if self.objective not in (None, "binary:logistic", "multi:softprob"):
            raise ValueError(
                f"objective must be left alone: {type(self).__name__} trains the focal loss, "
                f"got {self.objective!r}. Use xgboost.XGBClassifier(objective=FocalObjective(...)) for "
                "a host's estimator with a focal objective."
            )
        params = self.get_xgb_params()
        if params.pop("num_class", None) not in (None, 0, n_classes if many_classes else 1):
            raise ValueError(f"num_class is taken from y, got {self.get_params()['num_class']!r}.")
        params["objective"] = "binary:logistic"
        if many_classes:
            params.update(objective="multi:softprob", num_class=n_classes)
        params.pop("scale_pos_weight", None)  # part of α
        if params.get("base_score") is None:
            # a margin for softprob, a probability otherwise
            start = plan.start if many_classes else expit(plan.start)
            params["base_score"] = start.tolist() if len(start) > 1 else float(start[0])
        return params

    def _one_feature_weights(self, feature_weights: ArrayLike | None) -> ArrayLike | None:
        if feature_weights is None:
            return self.feature_weights
        if self.feature_weights is not None:
            raise ValueError("feature_weights must be given to the constructor or to fit, got both.")
        return feature_weights

    def _matrices(
        self,
        plan: FitPlan,
        X: Any,
        y: Any,
        sample_weight: Any,
        base_margin: Any,
        eval_set: Any,
        sample_weight_eval_set: Any,
        base_margin_eval_set: Any,
        feature_weights: Any,
        previous: xgboost.Booster | None,
    ) -> tuple[xgboost.DMatrix, list[EvalData]]:
        """Return the training matrix and, for each evaluation set, (matrix, name, codes, weight)."""
        feature_types = self.feature_types
        if previous is not None and _is_dataframe(X):
            categories = previous.get_categories()
            feature_types = feature_types if categories.empty() else categories
        train = self._matrix(
            data=X,
            label=plan.labels.astype(np.float32),
            weight=plan.sample_weight,
            base_margin=base_margin,
            feature_weights=feature_weights,
            feature_types=feature_types,
        )
        n_sets = 0 if eval_set is None else len(eval_set)
        weights = one_each(sample_weight_eval_set, n_sets, "sample_weight_eval_set")
        margins = one_each(base_margin_eval_set, n_sets, "base_margin_eval_set")
        evals: list[EvalData] = []
        for i in range(n_sets):
            data, labels = eval_set[i]
            name = f"validation_{i}"
            if data is X and labels is y and weights[i] is sample_weight and margins[i] is base_margin:
                evals.append((train, name, plan.labels, plan.sample_weight))
                continue
            codes = plan.encode(labels, f"the labels of eval_set[{i}]", data)
            weight = check_sample_weight(weights[i], len(codes), f"sample_weight_eval_set[{i}]")
            types = feature_types
            if _is_dataframe(data) and _is_dataframe(X) and not train.get_categories().empty():
                types = train.get_categories()
            matrix = self._matrix(
                ref=train,
                data=data,
                label=codes.astype(np.float32),
                weight=weight,
                base_margin=margins[i],
                feature_types=types,
            )
            evals.append((matrix, name, codes, weight))
        return train, evals

    def _matrix(self, ref: xgboost.DMatrix | None = None, **content: Any) -> xgboost.DMatrix:
        content.update(missing=self.missing, enable_categorical=self.enable_categorical, nthread=self.n_jobs)
        if self._bins_ahead():
            try:
                return xgboost.QuantileDMatrix(**content, ref=ref, max_bin=self.max_bin)
            except TypeError:  # it takes fewer types than DMatrix
                pass
        return xgboost.DMatrix(**content)

    def _bins_ahead(self) -> bool:
        # As the host: quantised where the tree method bins, at a quarter of the memory.
        return (
            self.tree_method in (None, "auto", "hist")
            and self.booster != "gblinear"
            and not str(self.device).startswith("sycl")
        )

    def _previous(
        self, xgb_model: Any, plan: FitPlan | ClassPlan, params: dict[str, Any]
    ) -> xgboost.Booster | None:
        """Return the model that training goes on from, and take the start, which is in it, from `params`."""
        previous = _as_booster(xgb_model)
        if previous is None:
            return None
        self._check_same_classes(previous, plan)
        del params["base_score"]
        # the host would keep the best iteration, and predict without the trees to come
        previous = previous.copy()
        previous.set_attr(best_iteration=None, best_score=None)
        return previous

    def _check_same_classes(self, previous: xgboost.Booster, plan: FitPlan | ClassPlan) -> None:
        shape = json.loads(previous.save_config())["learner"]["learner_model_param"]
        n_scores = max(int(shape["num_class"]), int(shape["num_target"]))
        saved = previous.attr(_ATTRIBUTE)
        classes = plan.state.classes  # a model of the host knows none
        if saved is not None:
            classes = state_from_json(saved)[0].classes
        if classes.tolist() != plan.state.classes.tolist():
            raise ValueError(
                f"xgb_model must have the classes of y, {plan.state.classes.tolist()}, "
                f"got {classes.tolist()}."
            )
        if n_scores != len(plan.start):
            raise ValueError(
                f"xgb_model must have {len(plan.start)} scores a row for this y, got {n_scores}."
            )

    def _why_no_split(self, plan: FitPlan | ClassPlan) -> str:
        least = 1.0 if self.min_child_weight is None else float(self.min_child_weight)
        total = plan.hessian_at_start()
        if total < 2 * least:
            return (
                f"Lower min_child_weight: two leaves need a Hessian of {least:g} each, and all rows "
                f"together have {total:.3g} at the start (focal_gamma, focal_alpha and sample_weight "
                "scale it)."
            )
        return (
            "Lower min_child_weight, gamma (the minimum split loss) or the other parameters that keep "
            "XGBoost from splitting; or else no feature tells the classes apart."
        )


def booster_has_no_split(booster: xgboost.Booster) -> bool:
    """Say whether every tree of a booster of trees is a single leaf."""
    try:
        return not booster.get_score(importance_type="weight")
    except xgboost.core.XGBoostError:
        return False  # gblinear: it has no trees


def _as_booster(model: Any) -> xgboost.Booster | None:
    if isinstance(model, xgboost.XGBModel):
        return model.get_booster()
    if model is None or isinstance(model, xgboost.Booster):
        return model
    try:
        return xgboost.Booster(model_file=_checked_bytes(model))
    except (OSError, ValueError) as error:
        raise ValueError(f"xgb_model must be a model of XGBoost: {error}") from error


def _checked_bytes(fname: Any) -> bytearray:
    """Return a model that XGBoost can be given without harm, from a file or a buffer."""
    if isinstance(fname, (bytes, bytearray)):
        raw = bytearray(fname)
    else:
        raw = bytearray(Path(fname).expanduser().read_bytes())
    check_model(raw)
    return raw


def _is_dataframe(data: Any) -> bool:
    return hasattr(data, "columns") or hasattr(data, "column_names")
