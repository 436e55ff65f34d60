"""Class weights α: from what a user writes to one weight per class."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray, check_class_weights, values_by_label

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
    """Return weights by label in the order of `classes`, all else as it came, if it can be their α.

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
    alpha = in_order_of(alpha, classes, name)
    if alpha is None:
        return None
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
        listed = " and ".join(f"{name}={value!r}" for name, value in given.items())
        raise ValueError(f"{estimator}: only one parameter can weight the classes, got {listed}.")
    return next(iter(given.items()), ("focal_alpha", None))
