"""How a FocalXGBClassifier trains, with or without a search: from rows to the fitted estimator."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import xgboost
from numpy.typing import NDArray
from xgboost import XGBClassifier

from focal_gbm._validation import FloatArray
from focal_gbm.kernels.threads import Threads
from focal_gbm.training.estimator import FocalClassifierMixin
from focal_gbm.training.evaluation import Evaluation
from focal_gbm.training.plan import Alpha, Plan, Rows, Target
from focal_gbm.training.state import FocalState
from focal_gbm.xgboost import rounds
from focal_gbm.xgboost.device_rows import kept_margins
from focal_gbm.xgboost.library import XGBOOST
from focal_gbm.xgboost.local_metrics import LocalEvalMetrics
from focal_gbm.xgboost.margins import Margins
from focal_gbm.xgboost.model_file import STATE
from focal_gbm.xgboost.objective import FocalXGBObjective
from focal_gbm.xgboost.parameters import FREE_OF_BINNING
from focal_gbm.xgboost.private import set_booster
from focal_gbm.xgboost.stopping import stops_early
from focal_gbm.xgboost.training import (
    EvaluationSets,
    Matrices,
    feature_weights_of,
    matrices,
    training_arguments,
    training_params,
    why_no_split,
)


class XGBFitting(FocalClassifierMixin, XGBClassifier):
    """The part of FocalXGBClassifier that users do not call."""

    _objective_class = FocalXGBObjective
    _own_parameters = frozenset(XGBClassifier().get_params())
    _free_of_binning = FREE_OF_BINNING

    def _store_state(self) -> None:
        self.get_booster().set_attr(**{STATE: self._state_as_json(self._state())})

    def _train(
        self,
        plan: Plan,
        target: Target,
        data: Matrices,
        early_stopping_rounds: int | None,
        verbose: bool | int | None,
        previous: xgboost.Booster | None = None,
    ) -> None:
        """Train on matrices and become the fitted estimator."""
        params = training_params(self, plan, previous)
        objective = plan.objective.bind(target.codes, target.sample_weight, self.device)
        on_device = [] if objective.on_device is None else data.on_device
        margins = Margins(kept_margins(on_device, self.missing))
        metrics = LocalEvalMetrics(self.eval_metric, self._evaluation(plan), data.evals, params, margins)
        evals = [(matrix, name) for matrix, name, _, _ in data.evals] if metrics.of_library else []
        history: dict[str, dict[str, list[float]]] = {}
        booster = rounds.train(
            params,
            data.train,
            obj=objective,
            margins=margins,
            evals_result=history,
            **training_arguments(self, plan, metrics, evals, early_stopping_rounds, verbose, previous),
        )
        self._become(booster, plan.state, history)
        self._warn_if_no_split(plan)

    def _evaluation(self, plan: Plan) -> Evaluation:
        return Evaluation(plan.state, self.probability, Threads(XGBOOST.shared_object, self.n_jobs))

    def _become(self, booster: xgboost.Booster, state: FocalState, history: Any) -> None:
        """Become the fitted estimator of a trained booster."""
        set_booster(self, booster)
        self.n_classes_ = len(state.classes)
        self._focal_state = state
        if history:
            self.evals_result_ = history
        elif hasattr(self, "evals_result_"):
            del self.evals_result_
        with suppress(TypeError):  # labels that only a pickle can hold: save_model says so
            self._store_state()

    def _why_no_split(self, plan: Plan) -> str | None:
        return why_no_split(self, plan)

    def _fit_shared(
        self, train: Rows, stop: Rows | None, early_stopping_rounds: int | None, binned: Any = None
    ) -> tuple[Any, int]:
        plan, target = self._plan_fit(*train)
        if stop is None:
            self._leave_no_early_stopping()
        elif any(map(stops_early, self.get_params()["callbacks"] or [])):
            early_stopping_rounds = None  # the user's own, which knows its metric
        with xgboost.config_context(verbosity=self.verbosity):
            if binned is None:
                sets = None if stop is None else EvaluationSets([(stop.X, stop.y)], [stop.sample_weight])
                weights = feature_weights_of(self, None)
                binned = matrices(self, plan, target, train, None, sets, weights)
            self._train(plan, target, binned, early_stopping_rounds, verbose=False)
        booster = self.get_booster()
        return binned, booster.num_boosted_rounds() if stop is None else booster.best_iteration + 1

    def _leave_no_early_stopping(self) -> None:
        callbacks: list[Any] = [one for one in self.get_params()["callbacks"] or [] if not stops_early(one)]
        self.callbacks = callbacks or None

    def _library_alphas(self, classes: NDArray[Any], class_counts: FloatArray) -> list[Alpha]:
        weight = self.scale_pos_weight
        return [] if weight is None or weight == 1 else [Alpha("scale_pos_weight", weight, (1.0, weight))]
