"""The booster of a fitted model."""

from __future__ import annotations

from typing import Any, NoReturn

import lightgbm

from focal_gbm.training.objective import is_log_loss
from focal_gbm.training.state import FocalState


class FocalBooster(lightgbm.Booster):
    """A booster whose leaves LightGBM cannot fit anew: `refit` knows no loss but its own.

    The model says "binary" or "multiclass", which is how its scores become probabilities, and `refit` would
    take that for the loss.
    """

    def refit(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise.

        Raises
        ------
        ValueError
        """
        raise ValueError(
            "refit must not be called on a model of a focal loss or with class weights: LightGBM would fit "
            "the leaves anew with its log loss. Train on with init_model, or fit on the new rows."
        )

    def __copy__(self) -> FocalBooster:
        return self.__deepcopy__(None)

    def __deepcopy__(self, memo: Any) -> FocalBooster:
        return FocalBooster(model_str=self.model_to_string(num_iteration=-1))


def booster_of(text: str, state: FocalState) -> lightgbm.Booster:
    """Return the booster of a model's text: LightGBM's own where the loss is."""
    loss = state.loss
    is_of_library = is_log_loss(loss) and len({weight for _, weight in loss.weighted_losses()}) == 1
    return (lightgbm.Booster if is_of_library else FocalBooster)(model_str=text)
