"""What both estimators share: the parameters they add, and the way from scores to probabilities."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, ClassVar

from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError

from focal_gbm._validation import FloatArray, check_choice
from focal_gbm._warnings import warn_user
from focal_gbm.losses import MarginLoss
from focal_gbm.training.objective import FocalObjective
from focal_gbm.training.plan import PROBABILITIES, Alpha, FocalParameters, Plan, Rows, Target, plan_of
from focal_gbm.training.state import FOCAL_PARAMETERS, FocalState, state_to_json

#: A name is near another from here on: "focalgamma" is at 0.95, LightGBM's "min_hessian" at 0.78 of
#: "hessian".
_NEAR = 0.8


class FocalClassifierMixin:
    """The focal half of an estimator; the library's classifier is the other base class."""

    focal_gamma: Any
    focal_alpha: Any
    margin_loss: MarginLoss | None
    focal_scale: float | str
    focal_link: str
    hessian: str | None
    probability: str
    _focal_state: FocalState

    #: The library's objective.
    _objective_class: ClassVar[type[FocalObjective]]

    #: The parameters of the library's estimator, and what its name for another one may be taken for.
    _own_parameters: ClassVar[frozenset[str]]
    _mistaken_names: ClassVar[dict[str, str]] = {}

    # What FocalSearchCV asks of an estimator

    #: Parameters that the library's binned data do not depend on. Models that differ in these alone can be
    #: trained on the same binned data; a name that is not here costs time, never a wrong result.
    _free_of_binning: frozenset[str]

    #: Names of the parameters for the number of rounds and for early stopping. The first that is set counts.
    _rounds_names: tuple[str, ...] = ("n_estimators",)
    _stopping_names: tuple[str, ...] = ("early_stopping_rounds",)

    def _fit_shared(
        self, train: Rows, stop: Rows | None, early_stopping_rounds: int | None, binned: Any = None
    ) -> tuple[Any, int]:
        """Fit as `fit` does with `stop` as its evaluation set, on data that can be shared.

        Parameters
        ----------
        train, stop : Rows
            Without rows to stop on, all rounds are trained.
        early_stopping_rounds : int or None
        binned : object or None
            What this method returned for the same rows; None to bin them.

        Returns
        -------
        binned : object
        n_rounds : int
            Rounds that the fitted model predicts with.
        """
        raise NotImplementedError

    def _leave_no_early_stopping(self) -> None:
        """Take out what stops early, for a fit with no rows to stop on."""

    def _library_alphas(self, classes: NDArray[Any], class_counts: FloatArray) -> list[Alpha]:
        """Return each of the library's own parameters that weights the classes."""
        raise NotImplementedError

    def _n_threads(self) -> int | None:
        """Return the number of threads as the user gave it; None and 0 leave it to the library."""
        n_threads: int | None = self.n_jobs  # type: ignore[attr-defined]
        return n_threads

    def _check_target(self, target: Target) -> None:
        """Raise on labels that the library has no model for."""

    def _plan_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Plan, Target]:
        """Check parameters, labels and weights, and derive loss, objective and start from them."""
        parameters = self._focal_parameters()
        target = Target.of(X, y, sample_weight)
        self._check_target(target)
        return self._plan(parameters, target, len(target.codes)), target

    def _plan_classes(self, target: Target, n_samples: int) -> Plan:
        """Check parameters, and derive loss, objective and start from the classes' weights."""
        return self._plan(self._focal_parameters(), target, n_samples)

    def _plan(self, parameters: FocalParameters, target: Target, n_samples: int) -> Plan:
        return plan_of(
            parameters, target, self._library_alphas, self._objective_class, self._n_threads(), n_samples
        )

    def _focal_parameters(self) -> FocalParameters:
        unknown = sorted(
            name
            for name in self.get_params(deep=False)  # type: ignore[attr-defined]
            if name.startswith("focal_") and name not in FOCAL_PARAMETERS
        )
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {', '.join(unknown)}.")
        self._warn_of_near_names()
        return FocalParameters(**self.focal_parameters())

    def _warn_of_near_names(self) -> None:
        """Warn of parameters that the library ignores, and that read like ours."""
        for name in self.get_params(deep=False):  # type: ignore[attr-defined]
            if name in self._own_parameters or name in FOCAL_PARAMETERS:
                continue
            near = self._mistaken_names.get(name) or next(
                iter(get_close_matches(name, FOCAL_PARAMETERS, n=1, cutoff=_NEAR)), None
            )
            if near is not None:
                warn_user(
                    f"{type(self).__name__} has no parameter {name}, which is ignored: did you mean {near}?"
                )

    def _state(self) -> FocalState:
        if not hasattr(self, "_focal_state"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with appropriate "
                "arguments before using this estimator."
            )
        return self._focal_state

    def _probabilities(self, raw_prediction: FloatArray) -> FloatArray:
        check_choice(self.probability, PROBABILITIES, "probability")
        probabilities: FloatArray = self._state().link(self.probability).probabilities(raw_prediction)
        return probabilities

    def _why_no_split(self, plan: Plan) -> str | None:
        """Return what to do where every tree is a single leaf, None where one is not."""
        raise NotImplementedError

    def _warn_if_no_split(self, plan: Plan) -> None:
        why = None if plan.has_one_class else self._why_no_split(plan)
        if why is None:
            return
        if self.hessian == "exact":
            why += ' Or the Hessian is negative at a start that you gave: hessian="floored" never is.'
        warn_user(
            f"{type(self).__name__} grew no split in any tree: every row gets the same prediction, the "
            f"base rate. {why}"
        )

    def focal_parameters(self) -> dict[str, Any]:
        """Return the parameters that the estimators add to their library's."""
        return {name: getattr(self, name) for name in FOCAL_PARAMETERS}

    def _state_as_json(self, state: FocalState, **more: Any) -> str:
        return state_to_json(state, self.focal_parameters(), **more)
