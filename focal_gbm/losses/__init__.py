from focal_gbm.losses.base import HESSIANS, LINKS, Loss
from focal_gbm.losses.focal import Focal
from focal_gbm.losses.margin import Margin, MarginLoss
from focal_gbm.losses.poly1 import Poly1Focal
from focal_gbm.losses.per_label import MultilabelFocalLoss as _L
from focal_gbm.losses.sigmoid import BinaryFocalLoss as _B
from focal_gbm.losses.softmax import MulticlassFocalLoss as _M
Focal.slope_at_ends = property(lambda s: 1+s.gamma)
class _W:
    def __init__(self, old, kind, n, gamma, alpha, margin_loss, n_labels=1):
        self.old=old; self.kind=kind; self.n_classes=n; self.n_labels=n_labels
        self.margin_loss=margin_loss or Focal(gamma); self.class_weights=tuple(alpha) if isinstance(alpha,tuple) else ((1.,)*n if alpha is None else (1-alpha,alpha))
    def check_labels(self,y): return self.old.check_labels(y)
    def raw_shape(self,n): return self.old.raw_shape(n)
def _kw(gamma, ml): return {"margin_loss":ml} if ml is not None else {"gamma":gamma}
def BinaryFocalLoss(gamma=None, alpha=None, *, margin_loss=None, link="logit"):
    return _W(_B(alpha=alpha, focal_link=link, **_kw(gamma,margin_loss)),"binary",2,gamma,alpha,margin_loss)
def MulticlassFocalLoss(n_classes, gamma=None, alpha=None, *, margin_loss=None, link="logit"):
    return _W(_M(n_classes, alpha=alpha, focal_link=link, **_kw(gamma,margin_loss)),"multiclass",n_classes,gamma,alpha,margin_loss)
def MultilabelFocalLoss(n_labels, gamma=None, alpha=None, *, margin_loss=None, link="logit"):
    return _W(_L(tuple(_B(alpha=alpha, focal_link=link, **_kw(gamma,margin_loss)) for _ in range(n_labels))),"multilabel",2,gamma,alpha,margin_loss,n_labels)
