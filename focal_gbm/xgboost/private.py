"""What XGBoost does not document, and has no public way for. Each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import xgboost


def set_booster(model: xgboost.XGBModel, booster: xgboost.Booster) -> None:
    """Make a booster that was trained elsewhere that of an estimator; `load_model` would be a copy of it."""
    model._Booster = booster


@contextmanager
def without_booster(model: xgboost.XGBModel) -> Iterator[xgboost.Booster | None]:
    """Hide the booster from `set_params`, which hands all parameters to a fitted one.

    Those of another objective, start or metric than it was trained with would break it.
    """
    booster = model.__dict__.pop("_Booster", None)
    try:
        yield booster
    finally:
        if booster is not None:
            model._Booster = booster


def client_sync(model: Any, function: Callable[..., Any], **arguments: Any) -> Any:
    """Run a coroutine as Dask's client wants it: at once, as an awaitable, or within a worker.

    `Client.sync` is public, but not the choice between the three.
    """
    return model._client_sync(function, **arguments)


async def predict_margin(model: Any, X: Any, **options: Any) -> Any:
    """Return the raw predictions of a Dask collection in a coroutine, where `predict` cannot be awaited."""
    return await xgboost.dask.DaskScikitLearnBase._predict_async(model, X, output_margin=True, **options)
