"""The booster of a fitted estimator: LightGBM's, which says in a file what its raw predictions are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightgbm

from focal_gbm.lightgbm.model_text import add_state
from focal_gbm.losses import Loss
from focal_gbm.training.continuation import is_log_odds


class FocalBooster(lightgbm.Booster):
    """`lightgbm.Booster` that keeps the entry which `FocalLGBMClassifier.load_model` reads.

    Parameters
    ----------
    text : str
        A model in LightGBM's format.

    Attributes
    ----------
    loss : Loss or None
        That it was trained with.
    entry : str or None
        What the model's text is to hold for us, None of labels that text cannot hold.
    """

    loss: Loss | None = None
    entry: str | None = None

    def __init__(self, text: str) -> None:
        super().__init__(model_str=text)

    def __deepcopy__(self, memo: Any) -> FocalBooster:
        copy = FocalBooster(super().model_to_string(num_iteration=-1))
        copy.loss, copy.entry = self.loss, self.entry
        copy.best_iteration, copy.best_score = self.best_iteration, self.best_score
        return copy

    def model_to_string(self, *args: Any, **kwargs: Any) -> str:
        """Return the model's text with our entry; parameters as of `lightgbm.Booster.model_to_string`."""
        text: str = super().model_to_string(*args, **kwargs)
        return text if self.entry is None else add_state(text, self.entry)

    def save_model(self, filename: str | os.PathLike[str], *args: Any, **kwargs: Any) -> FocalBooster:
        """Save that text; parameters as of `lightgbm.Booster.save_model`."""
        Path(filename).write_text(self.model_to_string(*args, **kwargs), encoding="utf-8", newline="\n")
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
                "refit fits the leaves with LightGBM's own log loss, of which the focal scores of this model "
                'are no log-odds: train it with focal_link="logit".'
            )
        return super().refit(*args, **kwargs)
