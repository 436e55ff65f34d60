"""Pictures of focal loss in scikit-learn's Display convention; drawing needs matplotlib (extra ``plot``).

``from_*`` computes and draws, ``plot(ax=)`` draws again and returns self.
"""

from focal_gbm.display._focus import FocusDisplay
from focal_gbm.display._link import FocalLinkDisplay
from focal_gbm.display._loss import FocalLossDisplay

__all__ = ["FocalLinkDisplay", "FocalLossDisplay", "FocusDisplay"]
