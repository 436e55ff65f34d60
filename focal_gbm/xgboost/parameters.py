"""XGBoost's parameters: those that binning does not read, and those that a fit derives."""

from __future__ import annotations

from focal_gbm.training.state import FOCAL_PARAMETERS

#: The parameters that `focal_gbm.xgboost.training.matrices` does not read.
FREE_OF_BINNING = frozenset(
    {
        *FOCAL_PARAMETERS, "base_score", "callbacks", "colsample_bylevel", "colsample_bynode",
        "colsample_bytree", "eval_metric", "gamma", "grow_policy", "importance_type",
        "interaction_constraints", "learning_rate",
        "max_cat_threshold", "max_cat_to_onehot", "max_delta_step", "max_depth", "max_leaves",
        "min_child_weight", "monotone_constraints", "multi_strategy", "n_estimators", "num_parallel_tree",
        "random_state", "reg_alpha", "reg_lambda", "sampling_method", "scale_pos_weight", "subsample",
        "verbosity",
    }
)  # fmt: skip

#: What the booster is not told as the user says it: `fit` derives it from the labels.
DERIVED = ("objective", "base_score", "eval_metric", "num_class", "scale_pos_weight")
