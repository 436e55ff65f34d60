"""The plan of a fit: class weights α, loss, start and scale, from what a user writes and the weight of each class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray, check_class_weights, check_gamma, values_by_label
from focal_gbm._warnings import warn_user
from focal_gbm.losses import BinaryFocalLoss, MarginLoss, MulticlassFocalLoss, MultilabelFocalLoss

#: β of "effective" where none is given, the middle of those that Cui et al. try (0.9 to 0.9999).
DEFAULT_BETA = 0.999

_EXPECTED = (
    "None, a float in (0, 1) for two classes, 'balanced', 'effective', ('effective', beta), "
    "a dict or Series {label: weight} or an array of one weight per class"
)


def by_label(alpha: Any) -> Any:
    """Return a Series of pandas as the dict that it is; everything else as it came.

    A Series must not be read by position: ``y.value_counts()`` lists the most frequent label first.

    Raises
    ------
    TypeError
        For a Series without labels, such as those of polars.
    """
    if type(alpha).__name__ != "Series":
        return alpha
    if not hasattr(alpha, "index"):
        raise TypeError(
            "Class weights must name their labels, got a Series without an index: use a dict {label: weight}."
        )
    return alpha.to_dict()


def in_order_of(alpha: Any, classes: NDArray[Any], name: str = "focal_alpha") -> Any:
    """Return weights by label as a tuple in the order of `classes`; everything else as it came."""
    alpha = by_label(alpha)
    if not isinstance(alpha, Mapping):
        return alpha
    weights = values_by_label(alpha, classes, name, "weight")
    return check_class_weights([*weights.values()], len(classes), name)


def checked(alpha: Any, classes: NDArray[Any], name: str) -> Any:
    """Return weights by label in the order of `classes`, all else as it came, if it can be an α of these classes.

    Raises
    ------
    TypeError, ValueError
        As `resolve_alpha`, which knows the counts, and not what the user calls α.
    """
    resolve_alpha(alpha, classes, np.ones(len(classes)), name)
    return in_order_of(alpha, classes, name)


def by_code(weights: Any, classes: NDArray[Any]) -> Any:
    """Return weights by label as weights by code; everything else as it came."""
    weights = by_label(weights)
    if not isinstance(weights, Mapping):
        return weights
    codes = {label: code for code, label in enumerate(classes.tolist())}
    return {codes.get(label, label): weight for label, weight in weights.items()}


def resolve_alpha(
    alpha: object, classes: NDArray[Any], class_counts: FloatArray, name: str = "focal_alpha"
) -> tuple[float, ...] | None:
    """Return one weight per class, or None for no weights at all.

    Parameters
    ----------
    alpha : None, float, str, tuple, dict, Series or array-like
        - None: no weights.
        - a float in (0, 1): (1 - alpha, alpha), as in Lin et al.; two classes only.
        - "balanced": n / (K n_k), the inverse class frequency.
        - "effective" or ("effective", beta): (1 - β) / (1 - β^n_k), scaled to sum to K
          (Cui et al. 2019, arXiv:1901.05555, equation 2).
        - a dict or a Series of pandas {label: weight}, or K weights in the order of `classes`.
    classes : ndarray of shape (K,)
        The labels.
    class_counts : ndarray of shape (K,)
        Rows per class, each counted with its sample weight: a weight of 2 is two rows.
    """
    if alpha is None:
        return None
    alpha = in_order_of(alpha, classes, name)
    n_classes = len(classes)
    from_counts = alpha[0] if isinstance(alpha, tuple) and alpha else alpha
    if isinstance(from_counts, str) and not (class_counts > 0).all():
        raise ValueError(
            f"{name}={alpha!r} needs rows with a positive weight in every class, "
            f"got {class_counts.tolist()} for the classes {classes.tolist()}."
        )
    if isinstance(alpha, str) and alpha == "balanced":
        return check_class_weights(class_counts.sum() / (n_classes * class_counts), n_classes, name)
    if isinstance(alpha, str) and alpha == "effective":
        return _effective(class_counts, DEFAULT_BETA, name)
    if isinstance(alpha, tuple) and len(alpha) == 2 and alpha[0] == "effective":
        return _effective(class_counts, alpha[1], name)
    if isinstance(from_counts, str):
        raise ValueError(f"{name} must be {_EXPECTED}, got {alpha!r}.")
    if isinstance(alpha, (bool, np.bool_)):
        raise TypeError(f"{name} must be {_EXPECTED}, got {alpha!r}.")
    if isinstance(alpha, Real):
        if n_classes != 2:
            raise ValueError(f"{name} can be a single number only for two classes, got {n_classes} classes.")
        if not 0.0 < float(alpha) < 1.0:
            raise ValueError(f"{name} must lie in the open interval (0, 1), got {alpha!r}.")
        return 1.0 - float(alpha), float(alpha)
    return check_class_weights(alpha, n_classes, name)


def _effective(class_counts: FloatArray, beta: object, name: str) -> tuple[float, ...]:
    if isinstance(beta, (bool, np.bool_)) or not isinstance(beta, Real) or not 0.0 <= float(beta) < 1.0:
        raise ValueError(f"{name} must have a beta in [0, 1) in ('effective', beta), got {beta!r}.")
    # 1 - β^n as -expm1(n log β): β^n is near 1 for the rare classes that matter
    effective = -np.expm1(class_counts * np.log(float(beta))) if beta else np.ones_like(class_counts)
    weights = 1.0 / effective
    return check_class_weights(weights * len(weights) / weights.sum(), len(weights), name)


def only_one(alphas: Mapping[str, Any], estimator: str) -> tuple[str, Any]:
    """Return (name, value) of the one parameter that weights the classes: `focal_alpha` if none does.

    Parameters
    ----------
    alphas : dict
        By name; None where the user gave nothing.
    estimator : str
        For the message.

    Raises
    ------
    ValueError
        If two are given.
    """
    given = {name: value for name, value in alphas.items() if value is not None}
    if len(given) > 1:
        raise ValueError(f"{estimator}: only one parameter can weight the classes, got {' and '.join(given)}.")
    return next(iter(given.items()), ("focal_alpha", None))


def refuse_unknown(names: Iterable[str], owner: str, known: Sequence[str]) -> None:
    """Raise on a parameter ``focal_...`` that there is not, which the library would ignore.

    Parameters
    ----------
    names : iterable of str
        The parameters that are given.
    owner : str
        What they are given to.
    known : sequence of str
        The parameters of focal loss there.

    Raises
    ------
    TypeError
        With its name.
    """
    unknown = [name for name in names if name.startswith("focal_") and name not in known]
    if unknown:
        raise TypeError(f"{owner} has no parameter {', '.join(unknown)}: those of focal loss are {', '.join(known)}.")


def warn_of_no_split(parameters: str) -> None:
    """Warn that a model has learned nothing.

    Parameters
    ----------
    parameters : str
        Those of the library that keep it from splitting.
    """
    warn_user(
        f"The model grew no split in any tree: every row gets the base rate. Lower {parameters}, or lower γ, with "
        "which Hessians become small; or else no feature tells the classes apart."
    )


def warn_of_library_weights(model: Any, name: str, value: Any, weights: Any) -> None:
    """Warn that the library's own class weights mean something else here than in the library."""
    warn_user(
        f"{name}={by_label(value)!r} moves the decisions of {type(model).__name__}.predict, not its probabilities, "
        f"which stay true; in the library's own class it moves both. Write it as focal_alpha={weights!r} to say that "
        "this is what you want, without this warning."
    )


#: γ of estimators, callback and `train` where the user gives none: the study's answer (docs/guide/study.md).
#: The published value is 2.
DEFAULT_GAMMA = 1.0

#: Above, weights of confident rows are below float32's resolution beside those of the others, and no fit has
#: ever been better than with γ = 5.
MOST_GAMMA = 100.0

#: The parameters that the estimators add to their library's, and those of the functions `train`.
FOCAL_PARAMETERS = ("focal_gamma", "focal_alpha", "margin_loss")
TRAIN_PARAMETERS = ("gamma", "alpha", "margin_loss")


class Plan(NamedTuple):
    """What a fit derives from its parameters and the weight of each class."""

    loss: Any
    start: FloatArray  #: log-odds of the base rates, one per column of the raw predictions
    #: multiplies the loss, so that min_child_weight and reg_lambda mean what they mean for the log loss
    scale: float


def is_log_loss(gamma: Any, alpha: Any, margin_loss: MarginLoss | None) -> bool:
    """Say whether the loss is the library's own, which then trains it."""
    return margin_loss is None and alpha is None and gamma == 0


def check_focal_parameters(gamma: Any, margin_loss: Any, name: str = "gamma") -> None:
    """Raise on a γ that no fit can use, or on a `margin_loss` that is none.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter.
    """
    if margin_loss is not None and not isinstance(margin_loss, MarginLoss):
        raise TypeError(
            f"margin_loss must be None or a MarginLoss, got {margin_loss!r} ({type(margin_loss).__name__})."
        )
    check_gamma(gamma, name, MOST_GAMMA)
    if margin_loss is not None and gamma != DEFAULT_GAMMA:
        raise ValueError(
            f"{name} belongs to the focal loss: with margin_loss={margin_loss!r} it must be left at its "
            f"default, got {gamma!r}."
        )


def plan_of(
    kind: str,
    class_counts: FloatArray,
    gamma: Any,
    alpha: Any,
    margin_loss: MarginLoss | None,
    least_share: float,
) -> Plan:
    """Return the plan.

    Parameters
    ----------
    kind : {"binary", "multiclass", "multilabel"}
    class_counts : ndarray of shape (n_classes,), or (n_labels, 2) for many labels
        Weight of each class.
    gamma, alpha, margin_loss
        As the user gave them, α by code. For many labels α is one pair for all, counted over all labels.
    least_share : float
        Share of the rows that the library takes for a class without weight, in its start.
    """
    if not class_counts.any():
        raise ValueError("sample_weight must have at least one positive weight, got all weights zero.")
    counts = class_counts.sum(axis=0) if kind == "multilabel" else class_counts
    weights: Any = resolve_alpha(alpha, np.arange(len(counts)), counts, "alpha")
    chosen = {"margin_loss": margin_loss} if margin_loss is not None else {"gamma": gamma}
    loss: Any
    if kind == "multiclass":
        loss = MulticlassFocalLoss(len(counts), alpha=weights, **chosen)
    elif kind == "multilabel":
        loss = MultilabelFocalLoss(len(class_counts), alpha=weights, **chosen)
    else:
        loss = BinaryFocalLoss(alpha=weights, **chosen)
    # a factor that all weights share must not change what min_child_weight means
    mean = 1.0 if weights is None else float(np.average(weights, weights=counts))
    totals = class_counts.sum(axis=-1, keepdims=True)
    log_share = np.log(np.clip(class_counts / totals, least_share, 1.0 - least_share))
    start = log_share - log_share.mean() if kind == "multiclass" else log_share[..., 1] - log_share[..., 0]
    return Plan(loss, np.atleast_1d(start), loss.margin_loss.slope_at_ends / mean)


def decide(raw_prediction: FloatArray, class_weights: Any) -> NDArray[np.intp]:
    """Return the index of the class that α favours: that of the largest log-odds plus log α.

    Parameters
    ----------
    raw_prediction : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
    class_weights : sequence of float
        Two for raw predictions of one log-odds per row or label, else one per column.
    """
    log_alpha = np.log(class_weights)
    if raw_prediction.ndim == 2 and raw_prediction.shape[1] == len(log_alpha) > 2:
        return np.asarray((raw_prediction + log_alpha).argmax(axis=1))
    return np.asarray(raw_prediction > log_alpha[0] - log_alpha[1]).astype(np.intp)


def count_classes(labels: NDArray[Any], weight: FloatArray | None, n_classes: int) -> FloatArray:
    """Return the weight of each class, of shape (n_classes,), or (n_labels, 2) for many labels.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,) or (n_samples, n_labels)
        Codes.
    """
    if labels.ndim == 2:
        return np.array([count_classes(column, weight, 2) for column in labels.T])
    if weight is None and n_classes == 2:  # bincount would make a wide copy of the codes
        ones = np.count_nonzero(labels)
        return np.array([len(labels) - ones, ones], dtype=np.float64)
    return np.bincount(labels.astype(np.intp, copy=False), weight, n_classes).astype(np.float64)
