"""What a fitted estimator knows beyond its booster, and its form as text: a saved model needs no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_gbm._validation import FloatArray
from focal_gbm.links import BinaryFocalLink, MulticlassFocalLink, MultilabelFocalLink
from focal_gbm.losses import BinaryFocalLoss, FocalLoss, MulticlassFocalLoss, MultilabelFocalLoss

#: The parameters that the estimators add to their host's.
FOCAL_PARAMETERS = ("focal_gamma", "focal_alpha", "focal_scale", "hessian", "probability")

#: Class labels of a saved state take less: a damaged length of text must not ask for gigabytes.
_MOST_BYTES = 2**27

#: Layout of the saved state; raised when an older reader could not understand a newer writer.
_STATE_FORMAT = 1


@dataclass(frozen=True, eq=False)
class FocalState:
    """What a fitted estimator knows beyond its booster."""

    classes: NDArray[Any]
    loss: FocalLoss

    def link(self, probability: str) -> BinaryFocalLink | MulticlassFocalLink | MultilabelFocalLink:
        """Return the link of the posterior or of the focal score."""
        return self.loss.link if probability == "posterior" else self.loss.link.of_score

    def decisions(self, raw_prediction: FloatArray) -> NDArray[Any]:
        """Return the labels with the largest focal score; 0 and 1 a label where there are many labels."""
        return np.asarray(self.classes[self.codes(raw_prediction)])

    def codes(self, raw_prediction: FloatArray) -> NDArray[np.intp]:
        """Return the positions of `decisions` in `classes`."""
        if isinstance(self.loss, MulticlassFocalLoss):
            return raw_prediction.argmax(axis=1)
        return (raw_prediction > 0).astype(np.intp)


def state_to_json(state: FocalState, parameters: Mapping[str, Any]) -> str:
    """Return the state and the FOCAL_PARAMETERS of an estimator as text.

    Raises
    ------
    TypeError
        If class labels are not strings, numbers or booleans.
    """
    scale = parameters["focal_scale"]
    return json.dumps(
        {
            "format": _STATE_FORMAT,
            **_loss_to_json(state.loss),
            "classes": _array_to_json(state.classes, "the class labels"),
            "parameters": {
                "focal_gamma": _by_class_to_json(parameters["focal_gamma"], "focal_gamma"),
                "focal_alpha": _by_class_to_json(parameters["focal_alpha"], "focal_alpha"),
                "focal_scale": scale if isinstance(scale, str) else float(scale),
                "hessian": parameters["hessian"],
                "probability": parameters["probability"],
            },
        }
    )


def state_from_json(text: str) -> tuple[FocalState, dict[str, Any]]:
    """Return the state and the focal parameters that `state_to_json` wrote."""
    try:
        saved = json.loads(text)
        if saved["format"] != _STATE_FORMAT:
            raise ValueError(f"its layout is {saved['format']!r}, this version reads {_STATE_FORMAT}")
        classes = _array_from_json(saved["classes"])
        state = FocalState(classes, _loss_from_json(saved, len(classes)))
        parameters = {name: saved["parameters"][name] for name in FOCAL_PARAMETERS}
        for name in ("focal_gamma", "focal_alpha"):
            parameters[name] = _by_class_from_json(parameters[name])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"The focal_gbm entry of the model cannot be read: {error}.") from error
    return state, parameters


def _array_to_json(array: NDArray[Any], what: str) -> dict[str, Any]:
    # tolist() leaves NumPy's own scalars in an array of objects
    values = [value.item() if isinstance(value, np.generic) else value for value in array.tolist()]
    if not all(isinstance(value, (str, int, float, bool)) for value in values):
        raise TypeError(f"{what} must be strings, numbers or booleans to be saved, got {values!r}.")
    return {"dtype": array.dtype.str, "values": values}


def _array_from_json(saved: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(saved["dtype"])
    if dtype.kind not in "biufUO":
        raise ValueError(f"it holds class labels of dtype {dtype}")
    if dtype.itemsize * len(saved["values"]) > _MOST_BYTES:
        raise ValueError(f"it holds {len(saved['values'])} class labels of dtype {dtype}")
    return np.array(saved["values"], dtype=dtype)


def _loss_to_json(loss: FocalLoss) -> dict[str, Any]:
    if isinstance(loss, MultilabelFocalLoss):
        return {
            "kind": "multilabel",
            "gamma": [column.gamma for column in loss.columns],
            "alpha": [_loss_to_json(column)["alpha"] for column in loss.columns],
        }
    return {
        "kind": "binary" if isinstance(loss, BinaryFocalLoss) else "multiclass",
        "gamma": loss.gamma,
        "alpha": None if loss.alpha is None else list(loss.class_weights),
    }


def _loss_from_json(saved: dict[str, Any], n_classes: int) -> FocalLoss:
    kind, gamma, alpha = saved["kind"], saved["gamma"], saved["alpha"]
    if kind == "multilabel":
        columns = zip(gamma, alpha, strict=True)
        return MultilabelFocalLoss(tuple(BinaryFocalLoss(one, _tuple(weights)) for one, weights in columns))
    if kind == "multiclass":
        return MulticlassFocalLoss(n_classes, gamma, _tuple(alpha))
    if kind != "binary" or n_classes != 2:
        raise ValueError(f"it is {kind!r} with {n_classes} classes")
    return BinaryFocalLoss(gamma, _tuple(alpha))


def _tuple(values: list[float] | None) -> Any:
    return None if values is None else tuple(values)


def _by_class_to_json(value: Any, name: str) -> Any:
    """Return a form of `focal_alpha` or `focal_gamma` in which JSON keeps tuples and dicts apart."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        labels = _array_to_json(np.array(list(value), dtype=object), f"the labels of {name}")
        return {"labels": labels["values"], "values": [float(one) for one in value.values()]}
    saved = [_by_class_to_json(one, name) for one in value]  # many labels may mix forms
    return {"tuple": saved} if isinstance(value, tuple) else saved


def _by_class_from_json(saved: Any) -> Any:
    if isinstance(saved, list):
        return [_by_class_from_json(one) for one in saved]
    if not isinstance(saved, dict):
        return saved
    if "tuple" in saved:
        return tuple(_by_class_from_json(saved["tuple"]))
    return dict(zip(saved["labels"], saved["values"], strict=True))
