"""The losses: mathematics over NumPy arrays, which knows no library and no kernel.

`margin.py` has the losses of the margin and focal loss, `poly1.py` another one. `loss.py` makes losses of two
classes, many classes and many labels of any of them, and `log_odds.py` has what they compute.
"""

from focal_gbm.losses.loss import (
    HESSIANS,
    LINKS,
    BinaryFocalLoss,
    Loss,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
)
from focal_gbm.losses.margin import Focal, Margin, MarginLoss, check_margin_loss, margin_loss_from_dict
from focal_gbm.losses.poly1 import Poly1Focal

__all__ = [
    "HESSIANS",
    "LINKS",
    "BinaryFocalLoss",
    "Focal",
    "Loss",
    "Margin",
    "MarginLoss",
    "MulticlassFocalLoss",
    "MultilabelFocalLoss",
    "Poly1Focal",
    "check_margin_loss",
    "margin_loss_from_dict",
]
