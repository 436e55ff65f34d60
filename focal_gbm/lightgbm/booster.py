"""The booster of a fitted estimator: LightGBM's, which says in a file what its raw predictions are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightgbm

from focal_gbm.lightgbm.model_text import add_start, add_state
from focal_gbm.losses import Loss
from focal_gbm.training.continuation import is_log_odds
from focal_gbm.training.tracking import log_parameters


class FocalBooster(lightgbm.Booster):
    """`lightgbm.Booster` whose text is complete: with the start, the link and our entry.

    Parameters
    ----------
    text : str
        A model in LightGBM's format.

    Attributes
    ----------
    loss : Loss or None
        That it was trained with.
    entry : str or None
        What `FocalLGBMClassifier.load_model` reads, None of labels that text cannot hold.
    unwritten : tuple of (list of float, str) or None
        Start and objective, as `add_start` takes them, of a booster in training, which knows neither.
    """

    loss: Loss | None = None
    entry: str | None = None
    unwritten: tuple[list[float], str] | None = None

    def __init__(self, text: str) -> None:
        super().__init__(model_str=text)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.__getstate__(),)

    def model_from_string(self, model_str: str) -> FocalBooster:
        """Become the model of a text, which is complete; see `lightgbm.Booster.model_from_string`."""
        super().model_from_string(model_str)
        self.unwritten = None
        return self

    def __copy__(self) -> FocalBooster:
        return self.__deepcopy__(None)

    def __deepcopy__(self, memo: Any) -> FocalBooster:
        copy = FocalBooster(self.model_to_string(num_iteration=-1))
        copy.loss, copy.entry = self.loss, self.entry
        copy.best_iteration, copy.best_score = self.best_iteration, self.best_score
        return copy

    def model_to_string(
        self,
        num_iteration: int | None = None,
        start_iteration: int = 0,
        importance_type: str = "split",
    ) -> str:
        """Return the model as text; parameters as of `lightgbm.Booster.model_to_string`."""
        text: str = super().model_to_string(num_iteration, start_iteration, importance_type)
        if self.unwritten is not None and start_iteration <= 0:
            text = add_start(text, *self.unwritten)
        return text if self.entry is None else add_state(text, self.entry)

    def save_model(
        self,
        filename: str | os.PathLike[str],
        num_iteration: int | None = None,
        start_iteration: int = 0,
        importance_type: str = "split",
    ) -> FocalBooster:
        """Save that text; parameters as of `lightgbm.Booster.save_model`."""
        text = self.model_to_string(num_iteration, start_iteration, importance_type)
        Path(filename).write_text(text, encoding="utf-8", newline="\n")
        return self

    def refit(self, *args: Any, **kwargs: Any) -> lightgbm.Booster:
        """Fit the leaves anew with the log loss, as `lightgbm.Booster.refit`, where scores are log-odds.

        Raises
        ------
        ValueError
            If they are focal scores, which the log loss would not give.
        """
        if self.loss is not None and not is_log_odds(self.loss):
            raise ValueError(
                "refit must not be called on a model of a focal loss whose raw predictions are focal scores: "
                "LightGBM would fit the leaves anew with its log loss, as if they were log-odds. Train with "
                'focal_link="logit", train on with init_model, or fit on the new rows.'
            )
        return super().refit(*args, **kwargs)


# MLflow writes every Booster as a text, and reads one as a text only where its class has this name.
FocalBooster.__module__, FocalBooster.__name__ = lightgbm.Booster.__module__, lightgbm.Booster.__name__


def _restored(state: dict[str, Any]) -> FocalBooster:
    booster = FocalBooster.__new__(FocalBooster)
    booster.__setstate__(state)
    return booster


class CompletesFile:
    """Make the booster in training a `FocalBooster`, so that what a callback or MLflow saves is complete.

    Parameters
    ----------
    loss, entry, unwritten
        The attributes of `FocalBooster`.
    parameters : dict
        For MLflow.
    """

    before_iteration = True
    order = -1001  # before anything else

    def __init__(
        self,
        loss: Loss,
        entry: str | None,
        unwritten: tuple[list[float], str],
        parameters: dict[str, Any],
    ) -> None:
        self._attributes = {"loss": loss, "entry": entry, "unwritten": unwritten}
        self._parameters = parameters

    def __call__(self, env: Any) -> None:
        """Do so before the first update; LightGBM calls it before every one."""
        if env.iteration == env.begin_iteration and type(env.model) is lightgbm.Booster:
            env.model.__class__ = FocalBooster
            vars(env.model).update(self._attributes)
            log_parameters("lightgbm", self._parameters)
