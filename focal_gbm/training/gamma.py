"""Focusing parameters γ: from what a user writes to one number, or one a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from focal_gbm._validation import Gamma, check_gamma, check_gammas, values_by_label

#: The estimators' γ where a user names none. In the study (docs/guide/study.md) it is level with the log
#: loss, and the published 2, which the losses have, a little worse.
ESTIMATOR_GAMMA = 1.0


def resolve_gamma(gamma: object, classes: NDArray[Any], name: str = "focal_gamma") -> Gamma:
    """Return one γ, or a tuple of one a class where they differ.

    Parameters
    ----------
    gamma : float, dict or array-like
        One number for all classes, a dict {label: γ}, or K numbers in the order of `classes`.
    classes : ndarray of shape (K,)
        The labels.

    Examples
    --------
    >>> import numpy as np
    >>> resolve_gamma({"spam": 0.5, "ham": 4}, np.array(["ham", "spam"]))
    (4.0, 0.5)
    """
    if isinstance(gamma, Mapping):
        by_label = values_by_label(gamma, classes, name, "γ")
        gamma = [check_gamma(one, f"{name}[{label!r}]") for label, one in by_label.items()]
    return check_gammas(gamma, len(classes), name)
