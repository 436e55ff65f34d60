"""A fit with LightGBM: the objective with its start inside, and the booster that says both when it is written.

LightGBM takes no gradients beside an objective of its own, so that the objective is a callable. Its start is an
offset inside the objective (no `init_score` that an evaluation set could lack) and goes into the leaves of the
first trees when the model is written, together with the name of LightGBM's own objective: what `lightgbm.train`
returns is an ordinary logistic model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from focal_gbm._validation import FloatArray, check_sample_weight
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
from focal_gbm.lightgbm.metrics import DEFAULT_METRIC, InOrder, NativeMetric, as_list, metrics_of
from focal_gbm.lightgbm.objective import FocalLGBMObjective
from focal_gbm.lightgbm.parameters import (
    BOOSTING,
    METRIC,
    NUM_CLASS,
    OBJECTIVE,
    THREADS,
    given,
    refuse_parameters,
)
from focal_gbm.losses import MarginLoss

#: Values of a tree that are scores: what a row gets in a leaf, in a linear leaf, at an inner node (SHAP).
_SCORES = re.compile(r"^(leaf_value|leaf_const|internal_value)=(.+)$", re.MULTILINE)


def complete(text: str, start: Sequence[float], objective: str) -> str:
    """Return the text of the same model with `start` added to its raw predictions and `objective` as its link.

    Parameters
    ----------
    text : str
        A model as `Booster.model_to_string` writes it, from its first round on.
    start : sequence of float
        One per tree of a round. They go into the trees of the first round, so that a slice of the first rounds
        has them, too.
    objective : str
        As LightGBM writes it, for example ``"binary sigmoid:1"``.
    """
    header, first, rest = text.partition("\nTree=0\n")
    header = re.sub(r"\nobjective=.*", "", header).replace(
        "\nfeature_names=", f"\nobjective={objective}\nfeature_names=", 1
    )
    if first and any(start):
        trees, end, footer = (first + rest).partition("\nend of trees\n")
        pieces = trees.split("\nTree=")[1:]
        for k, constant in enumerate(start):
            pieces[k] = _raised(pieces[k], constant)
        # LightGBM reads the trees at the offsets that their sizes give; one counts "Tree=" and the line's end
        sizes = [len(f"Tree={piece}\n".encode()) for piece in pieces]
        header = re.sub(r"\ntree_sizes=.*", "\ntree_sizes=" + " ".join(map(str, sizes)), header)
        first, rest = "", "".join("\nTree=" + piece for piece in pieces) + end + footer
    name = objective.partition(" ")[0]
    return header + first + rest.replace("\n[objective: custom]\n", f"\n[objective: {name}]\n", 1)


def _raised(tree: str, constant: float) -> str:
    # repr: the shortest text that reads back as the same double. A malformed number would abort the process that
    # loads the model.
    raised = _SCORES.sub(
        lambda line: f"{line[1]}=" + " ".join(repr(float(value) + constant) for value in line[2].split()), tree
    )
    # as in LightGBM's own first trees: `Booster.refit` shrinks what it writes into the leaves
    return re.sub(r"^shrinkage=.*$", "shrinkage=1", raised, flags=re.MULTILINE)


#: LightGBM's `kEpsilon`: the least probability that it starts from.
LEAST_SHARE = 1e-15


class Boosting:
    """Objective, start and callback of one fit; made before it, and complete with the first gradient.

    Parameters
    ----------
    n_classes : int
    gamma, alpha, margin_loss
        As for `train`, α by class code.
    params : dict
        LightGBM's.
    class_counts : ndarray of shape (n_classes,), default=None
        The weight of each class where the rows at hand are not all, as on a worker of a cluster.
    """

    def __init__(
        self,
        n_classes: int,
        gamma: float,
        alpha: Any,
        margin_loss: MarginLoss | None,
        params: dict[str, Any],
        class_counts: FloatArray | None = None,
    ) -> None:
        self.n_classes = n_classes
        self.start: FloatArray = np.zeros(1 if n_classes <= 2 else n_classes)
        self.class_weights: tuple[float, ...] | None = None
        self._loss = gamma, alpha, margin_loss
        self._starts_at_rates = given(params, ["boost_from_average"], True, bool)[1]
        self.can_learn = False  #: whether there is more than one class, once there is a round
        self._n_threads: int | None = None
        self.class_counts = class_counts
        self._kernel: Any = None

    def __deepcopy__(self, memo: Any) -> Boosting:
        return self  # lightgbm.train deep-copies its parameters, the objective among them

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_kernel": None}

    def __call__(self, raw_prediction: FloatArray, data: lightgbm.Dataset) -> Any:
        """Return gradient and Hessian, as `lightgbm.train` calls an objective."""
        if self._kernel is None:
            self._begin(data)
        return self._kernel(raw_prediction)

    def _begin(self, data: lightgbm.Dataset) -> None:
        kind = "binary" if self.n_classes <= 2 else "multiclass"
        n_classes = max(self.n_classes, 2)
        codes, weight = class_codes(np.asarray(data.get_label()), n_classes), data.get_weight()
        counts = self.class_counts
        if counts is None:
            weight = check_sample_weight(weight, len(codes))
            counts = count_classes(codes, weight, n_classes)
        self.can_learn = bool(np.count_nonzero(counts) > 1)
        plan = plan_of(kind, counts, *self._loss, LEAST_SHARE)
        self.class_weights = plan.loss.class_weights
        if self._starts_at_rates and data.get_init_score() is None:  # `init_score`, or a model to go on from
            self.start = plan.start
        self._kernel = kernel_of(
            plan.loss,
            codes.view(np.bool_) if kind == "binary" else codes,
            weight,
            scale=plan.scale,
            hessian_factor=n_classes / (n_classes - 1.0)
            if kind == "multiclass"
            else 1.0,  # LightGBM's own of the softmax
            start=self.start.reshape(plan.loss.raw_shape(1)[1:]),
            order=FocalLGBMObjective.order,
            threads=Threads(FocalLGBMObjective.shared_object, self._n_threads),
        )

    def complete(self, env: Any) -> None:
        """Make the booster in training write complete models; LightGBM calls this callback before every round."""
        if env.iteration > env.begin_iteration:
            return
        n_threads = given(env.params, THREADS, None, float)[1]
        self._n_threads = None if n_threads is None else int(n_threads)
        _work_around(env.model, env.params)
        _write_complete(env.model, self)

    complete.before_iteration = True  # type: ignore[attr-defined]
    complete.order = -1001  # type: ignore[attr-defined]  # before anything else


def _work_around(booster: lightgbm.Booster, params: dict[str, Any]) -> None:
    """Work around two bugs of LightGBM that a custom objective triggers in the first round.

    `lightgbm.train` has already told the booster that there is no objective. Its second reset of all
    parameters at the first update would shift the sampling of features (LightGBM issue 6053) and fail
    where no feature can be split (issue 5667).

    Dart draws its trees by a value that is only set in the first update, so that models would differ from fit
    to fit. A prediction sets the value, and a reset starts the draws anew.

    These attributes are private. Where they are gone, nothing changes.
    """
    booster._Booster__set_objective_to_none = True
    if given(params, BOOSTING)[1] == "dart" and hasattr(booster, "_Booster__inner_predict"):
        booster._Booster__inner_predict(data_idx=0)
        with suppress(lightgbm.basic.LightGBMError):  # no feature can be split: nothing to draw
            booster.reset_parameter({"learning_rate": params.get("learning_rate", 0.1)})


def _write_complete(booster: lightgbm.Booster, boosting: Boosting) -> None:
    """Let a booster in training write complete models, until it becomes one itself.

    At the end `lightgbm.train` reads what the booster writes into the same booster. Functions defined here cannot
    be pickled: a booster in training that is pickled says so instead of being completed twice.
    """
    own = lightgbm.Booster
    n_classes = boosting.n_classes
    objective = "binary sigmoid:1" if n_classes <= 2 else f"multiclass num_class:{n_classes}"

    def model_to_string(num_iteration: int | None = None, start_iteration: int = 0, **kwargs: Any) -> str:
        text = own.model_to_string(booster, num_iteration, start_iteration, **kwargs)
        return complete(text, boosting.start.tolist() if start_iteration <= 0 else (), objective)

    def save_model(
        filename: str | Path, num_iteration: int | None = None, start_iteration: int = 0, **kwargs: Any
    ) -> lightgbm.Booster:
        text = model_to_string(num_iteration, start_iteration, **kwargs)
        Path(filename).write_text(text, encoding="utf-8", newline="\n")
        return booster

    def model_from_string(model_str: str) -> lightgbm.Booster:
        for name in ("model_to_string", "save_model", "model_from_string"):
            vars(booster).pop(name, None)
        # a booster that is done has an objective, without which `refit`, ONNX and SHAP refuse
        booster.params["objective"] = objective.partition(" ")[0]
        booster._Booster__set_objective_to_none = False
        own.model_from_string(booster, model_str)
        if boosting.can_learn and not booster.feature_importance().any():
            warn_of_no_split("min_child_samples, min_child_weight or min_split_gain")
        return booster

    vars(booster).update(model_to_string=model_to_string, save_model=save_model, model_from_string=model_from_string)


def train(
    params: dict[str, Any],
    train_set: lightgbm.Dataset,
    num_boost_round: int = 100,
    *,
    gamma: float = DEFAULT_GAMMA,
    alpha: Any = None,
    margin_loss: MarginLoss | None = None,
    valid_sets: Sequence[lightgbm.Dataset] | None = None,
    feval: Any = None,
    init_model: Any = None,
    keep_training_booster: bool = False,
    callbacks: Sequence[Callable[..., Any]] | None = None,
    **arguments: Any,
) -> lightgbm.Booster:
    """Train a booster with focal loss, as `lightgbm.train`.

    Parameters
    ----------
    params : dict
        LightGBM's. The objective is "binary" by default, "multiclass" with ``num_class``; metrics are computed
        on probabilities.
    train_set : lightgbm.Dataset
        With labels 0 to K-1.
    num_boost_round : int, default=100
    gamma : float, default=1.0
        Focusing parameter, 0 <= γ <= 100. Without `alpha`, 0 trains LightGBM's own loss.
    alpha : None, float, str, tuple, dict or array-like, default=None
        Class weights, as `focal_alpha` of `FocalLGBMClassifier`, for the labels 0 to K-1.
    margin_loss : None or MarginLoss, default=None
        Another loss instead of focal loss. `gamma` must then keep its default.
    valid_sets : list of lightgbm.Dataset, default=None
    feval : callable or list of callable, default=None
        Metrics ``(prediction, Dataset)``, which see probabilities.
    init_model : str, Path or lightgbm.Booster, default=None
    keep_training_booster : bool, default=False
        Must be False: the start is written when training ends.
    callbacks : list of callable, default=None
    **arguments
        All others of `lightgbm.train`.

    Returns
    -------
    lightgbm.Booster
        Its predictions are probabilities.

    Examples
    --------
    >>> import lightgbm
    >>> from sklearn.datasets import load_breast_cancer
    >>> from focal_gbm.lightgbm import train
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> booster = train({"num_leaves": 4, "verbose": -1}, lightgbm.Dataset(X, y), 20, gamma=2.0)
    >>> booster.predict(X[:2]).round(1)  # probabilities
    array([0.2, 0.1])
    """
    refuse_unknown(params, "params", TRAIN_PARAMETERS)
    check_focal_parameters(gamma, margin_loss)
    params = dict(params)
    n_classes = int(given(params, NUM_CLASS, 1, float)[1])
    n_classes = n_classes if n_classes > 2 else 2
    own = "binary" if n_classes == 2 else "multiclass"
    if is_log_loss(gamma, alpha, margin_loss):
        if given(params, OBJECTIVE)[1] is None:
            params["objective"] = own
        return lightgbm.train(
            params, train_set, num_boost_round, valid_sets=valid_sets, feval=feval, init_model=init_model,
            keep_training_booster=keep_training_booster, callbacks=callbacks, **arguments,
        )  # fmt: skip
    refuse_parameters(params, n_classes)
    if keep_training_booster:
        raise ValueError("keep_training_booster must be False: only a booster that is done has its start.")
    if given(params, BOOSTING)[1] == "dart" and any(one is train_set for one in valid_sets or ()):
        raise ValueError(
            "valid_sets must not hold train_set with boosting='dart': LightGBM drops trees of the model when a "
            "custom metric asks for its predictions. Give a Dataset of its own with the same rows."
        )
    boosting = Boosting(n_classes, gamma, alpha, margin_loss, params)
    asked = [*as_list(given(params, METRIC, DEFAULT_METRIC)[1]), *as_list(feval)]
    own_metrics, metrics = metrics_of(asked, boosting, NativeMetric)
    for name in (*OBJECTIVE, *METRIC):
        params.pop(name, None)
    params.update(objective=boosting, metric=own_metrics or "None")
    return lightgbm.train(
        params,
        train_set,
        num_boost_round,
        valid_sets=valid_sets,
        feval=metrics or None,
        init_model=init_model,
        callbacks=[*(callbacks or ()), boosting.complete, InOrder(asked, n_classes)],
        **arguments,
    )
