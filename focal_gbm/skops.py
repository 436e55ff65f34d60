"""What a skops file of a fitted estimator holds beside the types that skops trusts by itself."""

from __future__ import annotations

#: For ``skops.io.load(file, trusted=TRUSTED_TYPES)``: the estimators and their parts, the boosters of both
#: libraries, and the dictionary of LightGBM's scores. Loading them runs no code of the file's, but a
#: booster's bytes are read by its library, unchecked: load files of strangers with ``load_model``. The class
#: of a `margin_loss` of your own is to be added.
TRUSTED_TYPES = (
    "collections.OrderedDict",
    "focal_gbm.lightgbm.estimator.FocalLGBMClassifier",
    "focal_gbm.losses.focal.Focal",
    "focal_gbm.losses.links.BinaryFocalLink",
    "focal_gbm.losses.links.MulticlassFocalLink",
    "focal_gbm.losses.per_label.MultilabelFocalLink",
    "focal_gbm.losses.per_label.MultilabelFocalLoss",
    "focal_gbm.losses.poly1.Poly1Focal",
    "focal_gbm.losses.sigmoid.BinaryFocalLoss",
    "focal_gbm.losses.softmax.MulticlassFocalLoss",
    "focal_gbm.training.state.FocalState",
    "focal_gbm.xgboost.estimator.FocalXGBClassifier",
    "lightgbm.basic.Booster",
    "xgboost.core.Booster",
)
