"""MLflow's autologging logs the parameters of the library's training function: ours are added."""

from __future__ import annotations

import sys
from typing import Any

from focal_gbm._warnings import warn_user


def log_parameters(flavor: str, parameters: dict[str, Any]) -> None:
    """Log parameters to the active run, where the user has MLflow log this library's training.

    Parameters
    ----------
    flavor : {"xgboost", "lightgbm"}
        The library, as MLflow calls it.
    parameters : dict
    """
    if "mlflow" not in sys.modules:
        return
    import mlflow
    from mlflow.utils.autologging_utils import autologging_is_disabled

    if autologging_is_disabled(flavor) or mlflow.active_run() is None:
        return
    try:
        mlflow.log_params(parameters)
    except mlflow.MlflowException as error:  # of a second fit in one run, for one: no reason not to train
        warn_user(f"MLflow did not take the parameters {sorted(parameters)}: {error}")
