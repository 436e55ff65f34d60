"""What LightGBM does not document, and has no public way for. Each with its reason."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import Any, ClassVar

import lightgbm
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.preprocessing import LabelEncoder

from focal_gbm.lightgbm.parameters import UNBALANCE
from focal_gbm.training.state import FOCAL_PARAMETERS


class LGBMBase(LGBMClassifier):
    """LGBMClassifier with what a subclass of more parameters needs."""

    #: Of a class whose own signature has all parameters that its bases take.
    _has_whole_signature: ClassVar[bool] = False

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; see `LGBMClassifier.get_params`."""
        if not type(self).__dict__.get("_has_whole_signature"):
            return dict(super().get_params(deep))
        # LightGBM asks all classes of the hierarchy in turn, in every prediction, an eighth of the time of
        # one row: here one signature has all names
        return {**BaseEstimator.get_params(self, deep), **self._other_params}

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # from the signature, which takes as long to read
        return list(_parameter_names(cls))  # type: ignore[arg-type]  # a class can be hashed

    def set_params(self, **params: Any) -> Any:
        """Set parameters; see `LGBMClassifier.set_params`."""
        super().set_params(**params)
        for name in FOCAL_PARAMETERS:
            # of which LightGBM keeps copies that win over an attribute assigned later
            self._other_params.pop(name, None)
        return self

    def _process_params(self, stage: str) -> dict[str, Any]:
        # A prediction hands all of the estimator's parameters to the booster, which would warn of ours.
        params: dict[str, Any] = super()._process_params(stage)
        for name in (*FOCAL_PARAMETERS, *UNBALANCE, "scale_pos_weight"):
            params.pop(name, None)
        return params


@functools.cache
def _parameter_names(estimator: type[LGBMClassifier]) -> tuple[str, ...]:
    return tuple(super(LGBMBase, estimator)._get_param_names())


def shared_object() -> str | None:
    """Return the path of LightGBM's compiled library, which only the object that loaded it knows for sure."""
    loaded = getattr(lightgbm.basic, "_LIB", None)
    return getattr(loaded, "_name", None)


def become_fitted(
    model: LGBMClassifier,
    booster: lightgbm.Booster,
    classes: NDArray[Any],
    named: bool,
    history: dict[str, Any],
) -> None:
    """Make an estimator the fitted one of a booster that its own `fit` did not train.

    `fit` is LightGBM's one way to set these, and trains with labels and parameters of its own.

    Parameters
    ----------
    model : LGBMClassifier
    booster : lightgbm.Booster
    classes : ndarray of shape (n_classes,)
    named : bool
        Whether the columns have names.
    history : dict
        As `lightgbm.record_evaluation` fills it.
    """
    model._n_features = model._n_features_in = booster.num_feature()
    model._fitted_with_feature_names = named
    model._best_iteration, model._best_score = booster.best_iteration, booster.best_score
    model._evals_result = history
    model._objective = "binary" if len(classes) == 2 else "multiclass"
    model._Booster = booster
    model._le = LabelEncoder()
    model._le.classes_ = model._classes = classes
    model._n_classes = len(classes)
    model._class_map = {label: code for code, label in enumerate(classes)}
    model.fitted_ = True


def set_scores(dataset: lightgbm.Dataset, scores: Any) -> None:
    """Set the scores to start from, or none.

    Of scores that it was given after it was binned, LightGBM keeps two copies, one of them in Python for
    nobody: 8 bytes a row and class. `get_init_score` asks for a new one.
    """
    if dataset._handle is None:
        dataset.set_init_score(scores)
        return
    # `set_init_score` of None would leave those of another fit on the same data
    dataset.set_field("init_score", scores)
    dataset.init_score = None


class FirstRound:
    """Keep two faults of LightGBM beside a custom objective from the first round.

    `lightgbm.train` has already told the booster that there is no objective. Its second reset of all
    parameters at the first update would shift the sampling of features (LightGBM issue 6053) and fail
    where no feature can be split (issue 5667).

    Whether dart has dropped trees in this round it does not know before the first update, for want of
    an initial value: its draws, and with them the model, would differ from fit to fit. A prediction
    sets the value, and a reset starts the draws anew.

    Where LightGBM's attributes are gone, nothing changes.

    Parameters
    ----------
    is_dart : bool
    """

    before_iteration = True
    order = -1000  # before anything else

    def __init__(self, is_dart: bool) -> None:
        self._is_dart = is_dart

    def __call__(self, env: Any) -> None:
        """Set the booster up before its first update; LightGBM calls it before every one."""
        if env.iteration != env.begin_iteration:
            return
        env.model._Booster__set_objective_to_none = True
        if self._is_dart and hasattr(env.model, "_Booster__inner_predict"):
            env.model._Booster__inner_predict(data_idx=0)
            with suppress(lightgbm.basic.LightGBMError):  # no feature can be split: nothing to draw
                env.model.reset_parameter({"learning_rate": env.params["learning_rate"]})
