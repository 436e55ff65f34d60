"""The focal losses: mathematics over arrays, no booster."""

from focal_gbm.losses.binary import BinaryFocalLoss

__all__ = ["BinaryFocalLoss"]
