"""What both estimators say of parameters: those that do not exist, and the library's own class weights."""

from __future__ import annotations

from typing import Any

from focal_gbm._warnings import warn_user
from focal_gbm.fit.alpha import by_label
from focal_gbm.fit.plan import FOCAL_PARAMETERS


def refuse_unknown(model: Any) -> None:
    """Raise on a parameter ``focal_...`` that there is not, which the library would take for one of its own.

    Raises
    ------
    TypeError
        With its name.
    """
    # not by `get_params`: that of XGBoost draws from a `random_state` that is a generator
    names = [*vars(model), *(vars(model).get("kwargs") or ())]
    unknown = [name for name in names if name.startswith("focal_") and name not in FOCAL_PARAMETERS]
    if unknown:
        raise TypeError(
            f"{type(model).__name__} has no parameter {', '.join(unknown)}: those of focal loss are "
            f"{', '.join(FOCAL_PARAMETERS)}."
        )


def warn_of_library_weights(model: Any, name: str, value: Any, weights: Any) -> None:
    """Warn that the library's own class weights mean something else here than in the library."""
    warn_user(
        f"{name}={by_label(value)!r} moves the decisions of {type(model).__name__}.predict, not its "
        "probabilities, which stay true; in the library's own class it moves both. Write it as "
        f"focal_alpha={weights!r} to say that this is what you want, without this warning."
    )


def warn_of_no_split(parameters: str) -> None:
    """Warn that a model has learned nothing.

    Parameters
    ----------
    parameters : str
        Those of the library that keep it from splitting.
    """
    warn_user(
        f"The model grew no split in any tree: every row gets the base rate. Lower {parameters}, or lower γ: "
        "Hessians are small where it is large. Or else no feature tells the classes apart."
    )
