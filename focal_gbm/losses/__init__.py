"""The focal losses: mathematics over arrays, no booster."""

from typing import TypeAlias

from focal_gbm.losses.binary import BinaryFocalLoss
from focal_gbm.losses.multiclass import MulticlassFocalLoss
from focal_gbm.losses.multilabel import MultilabelFocalLoss

#: Any focal loss: all have the same methods, on arrays of their own shapes.
FocalLoss: TypeAlias = BinaryFocalLoss | MulticlassFocalLoss | MultilabelFocalLoss

__all__ = ["BinaryFocalLoss", "FocalLoss", "MulticlassFocalLoss", "MultilabelFocalLoss"]
