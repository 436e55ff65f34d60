"""FocalBoosting: the callback that is the whole of the integration with XGBoost.

It boosts each round with our gradient in the place of the booster's own logistic or softmax loss. Raw
predictions stay log-odds, so that metrics, early stopping, evaluation sets, files and devices are XGBoost's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xgboost
from scipy.special import expit
from xgboost import collective
from xgboost.callback import TrainingCallback

from focal_gbm._validation import FloatArray
from focal_gbm._warnings import warn_user
from focal_gbm.fit.labels import class_codes
from focal_gbm.fit.plan import (
    DEFAULT_GAMMA,
    TRAIN_PARAMETERS,
    check_focal_parameters,
    count_classes,
    is_log_loss,
    plan_of,
    refuse_unknown,
    warn_of_no_split,
)
from focal_gbm.kernels import Threads, kernel_of
from focal_gbm.kernels.cuda import cuda_kernel
from focal_gbm.losses import MarginLoss
from focal_gbm.xgboost.gpu import KeptPredictions, is_cuda, keeps_trees
from focal_gbm.xgboost.objective import FocalXGBObjective
from focal_gbm.xgboost.prediction import in_place

#: The attribute of a booster that says how it was trained.
ATTRIBUTE = "focal_gbm"

#: XGBoost's objectives whose raw predictions are log-odds.
OBJECTIVES = ("binary:logistic", "reg:logistic", "multi:softprob", "multi:softmax")

#: Rows up to which XGBoost's sums of gradients, which it keeps as float32, are exact in float64 where their last bits
#: are zero: the product with a whole weight up to 2^_SPARE_BITS is then exact as well, and a weight of k is k copies
#: of the row to the last bit of the model. scikit-learn checks that on 15 rows, to 1e-7.
_EXACT_ROWS = 1024
_SPARE_BITS = 3

#: Before, a start is one number for all columns.
STARTS_EACH_CLASS = tuple(map(int, xgboost.__version__.split(".")[:2])) >= (3, 1)

#: XGBoost's `kRtEps`: the least probability that it starts from.
LEAST_SHARE = 1e-6


class FocalBoosting(TrainingCallback):
    """Boost with focal loss instead of XGBoost's own logistic or softmax loss.

    It works in ``xgboost.train``, ``xgboost.cv``, ``xgboost.dask.train`` and in a plain
    ``XGBClassifier(callbacks=[FocalBoosting()])``, with two classes, many classes and many labels. The model is
    XGBoost's own logistic model: predictions are probabilities, metrics and early stopping are XGBoost's.
    After early stopping the booster ends at its best round.

    Parameters
    ----------
    gamma : float, default=1.0
        Focusing parameter, 0 <= γ <= 100. Without `alpha`, 0 trains XGBoost's own loss.
    alpha : None, float, str, tuple, dict or array-like, default=None
        Class weights, as `focal_alpha` of `FocalXGBClassifier`, for the labels 0 to K-1.
    margin_loss : None or MarginLoss, default=None
        Another loss instead of focal loss. `gamma` must then keep its default.
    rows : CuPy array of shape (n_samples, n_features), default=None
        The training rows on a CUDA device, in the order of the `DMatrix`: their predictions then stay on the
        device. `FocalXGBClassifier` sets it.
    missing : float, default=nan
        The value in `rows` that means missing.

    Raises
    ------
    TypeError, ValueError
        In the first round at the latest, naming the parameter.

    Examples
    --------
    >>> import xgboost
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm import FocalBoosting
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> params = {"objective": "binary:logistic", "max_depth": 2}
    >>> booster = xgboost.train(params, xgboost.DMatrix(X, y), 20, callbacks=[FocalBoosting(gamma=2.0)])
    >>> booster.predict(xgboost.DMatrix(X[:2])).round(2)  # probabilities
    array([0.04, 0.02], dtype=float32)
    """

    def __init__(
        self,
        gamma: float = DEFAULT_GAMMA,
        alpha: Any = None,
        margin_loss: MarginLoss | None = None,
        *,
        rows: Any = None,
        missing: float = np.nan,
    ) -> None:
        super().__init__()
        check_focal_parameters(gamma, margin_loss)
        self.gamma = gamma
        self.alpha = alpha
        self.margin_loss = margin_loss
        self.rows = rows
        self.missing = missing
        self.is_log_loss = is_log_loss(gamma, alpha, margin_loss)  # XGBoost's own loss, which then trains

    def before_training(self, model: Any) -> Any:
        """Take the place of `Booster.update`, which `xgboost.train` and `cv` call every round."""
        for booster in _boosters(model):
            if booster.num_boosted_rounds():
                # of the model that training goes on from: predictions would leave out the trees to come
                booster.set_attr(best_iteration=None, best_score=None)
            if self.is_log_loss:
                booster.set_attr(**{ATTRIBUTE: _description(self, None)})
            else:
                booster.update = _Rounds(self, booster).update
        return model

    def after_training(self, model: Any) -> Any:
        """Give `Booster.update` back, and end a booster that stopped early at its best round."""
        for booster in _boosters(model):
            update = vars(booster).pop("update", None)
            if update and update.__self__.can_learn and not booster.get_score(importance_type="weight"):
                warn_of_no_split("min_child_weight or gamma (the minimum split loss)")
        return _until_best(model) if isinstance(model, xgboost.Booster) else model


def train(
    params: dict[str, Any],
    dtrain: xgboost.DMatrix,
    num_boost_round: int = 10,
    *,
    gamma: float = DEFAULT_GAMMA,
    alpha: Any = None,
    margin_loss: MarginLoss | None = None,
    callbacks: Sequence[TrainingCallback] | None = None,
    **arguments: Any,
) -> xgboost.Booster:
    """Train a booster with focal loss: `xgboost.train` with `FocalBoosting`.

    Parameters
    ----------
    params : dict
        XGBoost's. The objective is "binary:logistic" by default, "multi:softprob" with ``num_class``.
    dtrain : xgboost.DMatrix
        With labels 0 to K-1.
    num_boost_round : int, default=10
    gamma, alpha, margin_loss
        See `FocalBoosting`.
    callbacks : sequence of TrainingCallback, default=None
    **arguments
        All others of `xgboost.train`.

    Returns
    -------
    xgboost.Booster
        Its predictions are probabilities.

    Examples
    --------
    >>> import xgboost
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm.xgboost import train
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> booster = train({"max_depth": 2}, xgboost.DMatrix(X, y), 20, gamma=2.0)
    >>> booster.predict(xgboost.DMatrix(X[:2])).round(2)
    array([0.04, 0.02], dtype=float32)
    """
    refuse_unknown(dict(params), "params", TRAIN_PARAMETERS)
    objective = "multi:softprob" if dict(params).get("num_class") else "binary:logistic"
    boosting = FocalBoosting(gamma, alpha, margin_loss)
    booster: xgboost.Booster = xgboost.train(
        {"objective": objective, **dict(params)},
        dtrain,
        num_boost_round,
        callbacks=[boosting, *(callbacks or ())],
        **arguments,
    )
    return booster


class _Rounds:
    """The rounds of one booster: what they need is made in the first, when XGBoost knows the rows."""

    def __init__(self, boosting: FocalBoosting, booster: xgboost.Booster) -> None:
        self._boosting = boosting
        self._booster = booster
        self.can_learn = False  #: whether there is more than one class, once there is a round
        self._kernel: Any = None
        self._copies: Any = None
        self._predictions: Any = in_place

    def update(self, dtrain: xgboost.DMatrix, iteration: int, fobj: Any = None) -> None:
        """Boost one round, as `Booster.update` does."""
        if fobj is not None:
            raise ValueError("FocalBoosting is the objective: no other can be given, got obj or a callable.")
        if self._kernel is None:
            self._begin(dtrain)
        gradient, hessian = self._kernel(self._predictions(self._booster, dtrain))
        if self._copies is not None:
            gradient, hessian = (_with_spare_bits(array) * self._copies for array in (gradient, hessian))
        self._booster.boost(dtrain, iteration=iteration, grad=gradient, hess=hessian)

    def _begin(self, dtrain: xgboost.DMatrix) -> None:
        """Make the plan, set the start, and choose what computes gradients."""
        booster, boosting = self._booster, self._boosting
        learner = json.loads(booster.save_config())["learner"]
        kind, n_columns = _problem(learner)
        codes = class_codes(dtrain.get_label(), n_columns if kind == "multiclass" else 2)
        labels = codes if kind == "multiclass" else codes.view(np.bool_)
        weight = dtrain.get_weight()
        weight = weight if weight.size else None
        counts = count_classes(labels, weight, 2 if kind == "multilabel" else max(n_columns, 2))
        shape = (n_columns, 2) if kind == "multilabel" else counts.shape  # a worker of a cluster may have no rows
        counts = collective.allreduce(np.resize(counts, shape).ravel(), collective.Op.SUM).reshape(shape)
        self.can_learn = bool(np.count_nonzero(counts, axis=-1).max() > 1)
        plan = plan_of(kind, counts, boosting.gamma, boosting.alpha, boosting.margin_loss, LEAST_SHARE)
        has_start = learner["learner_model_param"].get("boost_from_average", "1") == "0"  # the user's base_score
        if booster.num_boosted_rounds() == 0 and not has_start:
            if plan.start.size > 1 and not STARTS_EACH_CLASS:
                raise ValueError(
                    f"Many classes and many labels need XGBoost 3.1 or later, which can start each at its own base "
                    f"rate, got version {xgboost.__version__}."
                )
            start = plan.start if kind == "multiclass" else expit(plan.start)
            booster.set_param("base_score", start.tolist() if len(start) > 1 else float(start[0]))
        booster.set_attr(**{ATTRIBUTE: _description(boosting, plan.loss.class_weights)})
        if not len(labels):  # on a worker of a cluster: XGBoost's predictions then have no columns either
            nothing = np.empty(plan.loss.raw_shape(0), np.float32)
            self._kernel = lambda raw_prediction: (nothing, nothing)
            return
        parameters = learner["generic_param"]
        # XGBoost's own Hessian of the softmax is 2 p (1-p)
        options: dict[str, Any] = {"scale": plan.scale, "hessian_factor": 2.0 if kind == "multiclass" else 1.0}
        if is_cuda(parameters["device"]) and len(labels) > _EXACT_ROWS:
            self._kernel = cuda_kernel(parameters["device"], _cuda_major(), plan.loss, labels, weight, **options)
            trees = learner["gradient_booster"]
            keeps = keeps_trees(trees["name"], trees.get("gbtree_train_param", {}).get("process_type", ""))
            if self._kernel is not None and boosting.rows is not None and keeps:
                self._predictions = KeptPredictions(self._kernel.cuda, boosting.rows, boosting.missing)
            elif self._kernel is not None:
                warn_user(
                    f"device={parameters['device']!r}: predictions go through main memory in every round, which "
                    "takes several times as long as the round itself with many rows. They stay on the device for "
                    "trees of booster='gbtree' where the rows are there: FocalXGBClassifier uploads tables of "
                    "numbers, and FocalBoosting takes them as rows=."
                )
        if self._kernel is None:
            threads = Threads(FocalXGBObjective.shared_object, int(parameters["nthread"]))
            if len(labels) <= _EXACT_ROWS:
                ones = np.ones(len(labels), np.float32) if weight is None else weight
                self._copies, weight = ones.reshape(-1, *[1] * (plan.start.size > 1)), None
            self._kernel = kernel_of(plan.loss, labels, weight, threads=threads, **options)


def _with_spare_bits(array: FloatArray) -> FloatArray:
    """Return float32 numbers rounded so that their last bits are zero."""
    bits = array.view(np.int32) + (1 << (_SPARE_BITS - 1))
    return (bits & (-1 << _SPARE_BITS)).view(np.float32)


def _boosters(model: Any) -> list[xgboost.Booster]:
    """Return the booster of `xgboost.train`, or those of the folds of `xgboost.cv`."""
    return [fold.bst for fold in model.cvfolds] if hasattr(model, "cvfolds") else [model]


def _problem(learner: dict[str, Any]) -> tuple[str, int]:
    """Return the kind of problem and the number of columns of raw predictions."""
    objective, shape = learner["objective"]["name"], learner["learner_model_param"]
    if objective not in OBJECTIVES:
        raise ValueError(
            f"objective must be one of {', '.join(OBJECTIVES)} with FocalBoosting, which boosts log-odds, got "
            f"{objective!r}."
        )
    if objective.startswith("multi"):
        return "multiclass", int(shape["num_class"])
    n_labels = int(shape["num_target"])
    return ("multilabel", n_labels) if n_labels > 1 else ("binary", 1)


def _description(boosting: FocalBoosting, class_weights: Any) -> str:
    """Return how a booster was trained, as text."""
    given = boosting.margin_loss
    gamma = float(boosting.gamma) if given is None else None
    # a loss without a name cannot be restored: what is left of it is text, which a later fit refuses
    margin_loss = None if given is None else given.to_dict() if given.name else repr(given)
    return json.dumps({"gamma": gamma, "margin_loss": margin_loss, "class_weights": class_weights})


def _cuda_major() -> int | None:
    """Return the version of CUDA that XGBoost was built with, which CuPy has to have, too."""
    return next(iter(xgboost.build_info().get("CUDA_VERSION") or ()), None)


def _until_best(booster: xgboost.Booster) -> xgboost.Booster:
    """Return the booster without the rounds after its best one, which only XGBoost's own class leaves out."""
    best = booster.attr("best_iteration")
    if best is None or int(best) + 1 >= booster.num_boosted_rounds():
        return booster
    if json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] == "gblinear":
        return booster  # its rounds change the same coefficients
    score = booster.attr("best_score")
    booster = booster[: int(best) + 1]
    booster.set_attr(best_iteration=best, best_score=score)
    return booster
