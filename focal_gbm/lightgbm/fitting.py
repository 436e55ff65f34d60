"""How a FocalLGBMClassifier trains, with or without a search: from rows to the fitted estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import lightgbm
from lightgbm import LGBMClassifier
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray
from focal_gbm.lightgbm.booster import FocalBooster
from focal_gbm.lightgbm.library import KINDS
from focal_gbm.lightgbm.metrics import EvalMetrics
from focal_gbm.lightgbm.objective import FocalLGBMObjective
from focal_gbm.lightgbm.parameters import (
    EARLY_STOPPING,
    FREE_OF_BINNING,
    ROUNDS,
    THREADS,
    booster_params,
    check_num_class,
    given_number,
    is_dart,
    library_alphas,
    refuse_parameters,
)
from focal_gbm.lightgbm.private import LGBMBase, become_fitted
from focal_gbm.lightgbm.training import DataSets, EvaluationSets, data_sets, eval_metrics, train, why_no_split
from focal_gbm.training.estimator import FocalClassifierMixin
from focal_gbm.training.plan import Alpha, FocalParameters, Plan, Rows, Target
from focal_gbm.training.state import FocalState


class LGBMFitting(FocalClassifierMixin, LGBMBase):
    """The part of FocalLGBMClassifier that users do not call."""

    _objective_class = FocalLGBMObjective
    _own_parameters = frozenset(LGBMClassifier().get_params())
    _mistaken_names: ClassVar[dict[str, str]] = {"gamma": "focal_gamma", "alpha": "focal_alpha"}
    _free_of_binning = FREE_OF_BINNING
    _rounds_names = ROUNDS
    _stopping_names = EARLY_STOPPING

    def _train(
        self,
        plan: Plan,
        target: Target,
        data: DataSets,
        params: dict[str, Any],
        metrics: EvalMetrics,
        named: bool,
        callbacks: Sequence[Callable[..., Any]] = (),
        init_model: Any = None,
    ) -> None:
        """Train on data sets and become the fitted estimator."""
        booster, history = train(self, plan, target, data, params, metrics, callbacks, init_model)
        self._become(booster, plan.state, named, history)
        self._warn_if_no_split(plan)

    def _become(self, booster: FocalBooster, state: FocalState, named: bool, history: dict[str, Any]) -> None:
        """Become the fitted estimator of a trained booster."""
        columns = [f"Column_{i}" for i in range(booster.num_feature())]
        become_fitted(self, booster, state.classes, named or booster.feature_name() != columns, history)
        self._focal_state = state
        booster.loss = state.loss
        named = hasattr(self, "feature_names_in_")
        booster.entry = self.entry_of(state, self.best_iteration_, named)

    def entry_of(self, state: FocalState, best_iteration: int, named: bool) -> str | None:
        """Return our line of a model's text, None of labels that only a pickle can hold."""
        with suppress(TypeError):  # save_model says so
            return self._entry(state, best_iteration, named)
        return None

    def _entry(self, state: FocalState, best_iteration: int, named: bool) -> str:
        return self._state_as_json(state, best_iteration=best_iteration, feature_names=named)

    def _why_no_split(self, plan: Plan) -> str | None:
        return why_no_split(self, plan)

    def _booster_params(self, plan: Plan, metrics: EvalMetrics) -> dict[str, Any]:
        return booster_params(self, "none", metrics.of_library or "None", len(plan.start))

    def _check_target(self, target: Target) -> None:
        if target.class_counts.ndim == 2:
            raise ValueError(
                f"y should be a 1d array of shape (n_samples,), got shape {target.codes.shape}. "
                "LightGBM has no many-label model: wrap this estimator, "
                f"MultiOutputClassifier({type(self).__name__}()) or ClassifierChain({type(self).__name__}())."
            )

    def _plan(self, parameters: FocalParameters, target: Target, n_samples: int) -> Plan:
        refuse_parameters(self, KINDS["binary" if len(target.classes) == 2 else "multiclass"].names)
        plan = super()._plan(parameters, target, n_samples)
        check_num_class(self, len(plan.start))
        return plan

    def _fit_shared(
        self, train: Rows, stop: Rows | None, early_stopping_rounds: int | None, binned: Any = None
    ) -> tuple[Any, int]:
        plan, target = self._plan_fit(*train)
        metrics = eval_metrics(self, plan)
        params = self._booster_params(plan, metrics)
        if binned is None:
            sets = EvaluationSets()
            if stop is not None:
                sets = EvaluationSets([(stop.X, stop.y)], weights=[stop.sample_weight])
            binned = data_sets(self, plan, target, train, params, sets)
        callbacks = []
        if stop is not None and not is_dart(self):  # LightGBM has no early stopping for dart
            callbacks.append(lightgbm.early_stopping(early_stopping_rounds, verbose=False))
        self._train(plan, target, binned, params, metrics, hasattr(train.X, "columns"), callbacks)
        booster = self.booster_
        return binned, booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()

    def _n_threads(self) -> int | None:
        n_threads: int | None = given_number(self, THREADS)[1]
        return n_threads

    def _library_alphas(self, classes: NDArray[Any], class_counts: FloatArray) -> list[Alpha]:
        return library_alphas(self, classes, class_counts)
