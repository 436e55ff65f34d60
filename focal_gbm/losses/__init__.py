"""The losses: mathematics over NumPy arrays, which knows no library and no kernel.

`focal.py` and `poly1.py` are losses of the margin, one file each; `sigmoid.py`, `softmax.py` and
`per_label.py` make losses of two classes, many classes and many labels of any of them, and `links.py` their
probabilities.
"""

from focal_gbm.losses.base import HESSIANS, LINKS, Loss
from focal_gbm.losses.focal import Focal
from focal_gbm.losses.margin import Margin, MarginLoss
from focal_gbm.losses.per_label import MultilabelFocalLoss
from focal_gbm.losses.poly1 import Poly1Focal
from focal_gbm.losses.sigmoid import BinaryFocalLoss
from focal_gbm.losses.softmax import MulticlassFocalLoss

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
]
