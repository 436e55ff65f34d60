"""The focal losses: mathematics over arrays, no booster."""

from focal_gbm.losses.binary import BinaryFocalLoss
from focal_gbm.losses.multiclass import MulticlassFocalLoss

__all__ = ["BinaryFocalLoss", "MulticlassFocalLoss"]
