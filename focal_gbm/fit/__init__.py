"""What a fit derives from labels and parameters in both libraries: class weights, loss, start, scale."""

from focal_gbm.fit.objective import FocalObjective
from focal_gbm.fit.plan import Plan, check_focal_parameters, is_log_loss, plan_of

__all__ = ["FocalObjective", "Plan", "check_focal_parameters", "is_log_loss", "plan_of"]
