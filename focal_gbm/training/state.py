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
from focal_gbm.losses import Loss, MarginLoss
from focal_gbm.losses.base import loss_from_dict
from focal_gbm.losses.margin import margin_loss_from_dict

#: The parameters that the estimators add to their library's.
FOCAL_PARAMETERS = (
    "focal_gamma", "focal_alpha", "margin_loss", "focal_link", "focal_scale", "hessian", "probability",
)  # fmt: skip

#: Class labels of a saved state take less: a damaged length of text must not ask for gigabytes.
_MOST_BYTES = 2**27

#: Layout of the saved state; raised when an older reader could not understand a newer writer.
_STATE_FORMAT = 1


@dataclass(frozen=True, eq=False)
class FocalState:
    """What a fitted estimator knows beyond its booster."""

    classes: NDArray[Any]
    loss: Loss

    def link(self, probability: str) -> Any:
        """Return the link of the posterior or of the focal score."""
        return self.loss.link if probability == "posterior" else self.loss.link.of_score

    def decisions(self, raw_prediction: FloatArray) -> NDArray[Any]:
        """Return the labels with the largest focal score; 0 and 1 a label where there are many labels."""
        return np.asarray(self.classes[self.loss.decide(raw_prediction)])


def state_to_json(state: FocalState, parameters: Mapping[str, Any], **more: Any) -> str:
    """Return the state and the FOCAL_PARAMETERS of an estimator as text, with entries that it does not read.

    Raises
    ------
    TypeError
        If class labels are not strings, numbers or booleans, or the loss has no registered name.
    """
    scale = parameters["focal_scale"]
    margin_loss: MarginLoss | None = parameters["margin_loss"]
    return json.dumps(
        {
            "format": _STATE_FORMAT,
            "loss": state.loss.to_dict(),
            "classes": _array_to_json(state.classes, "the class labels"),
            "parameters": {
                "focal_gamma": _by_class_to_json(parameters["focal_gamma"], "focal_gamma"),
                "focal_alpha": _by_class_to_json(parameters["focal_alpha"], "focal_alpha"),
                "margin_loss": None if margin_loss is None else margin_loss.to_dict(),
                "focal_link": parameters["focal_link"],
                "focal_scale": scale if isinstance(scale, str) else float(scale),
                "hessian": parameters["hessian"],
                "probability": parameters["probability"],
            },
            **more,
        }
    )


def state_from_json(text: str) -> tuple[FocalState, dict[str, Any]]:
    """Return the state and the focal parameters that `state_to_json` wrote."""
    try:
        saved = json.loads(text)
        if saved["format"] != _STATE_FORMAT:
            raise ValueError(f"its layout is {saved['format']!r}, this version reads {_STATE_FORMAT}")
        classes = _array_from_json(saved["classes"])
        state = FocalState(classes, loss_from_dict(saved["loss"]))
        if state.loss.n_classes != len(classes):
            raise ValueError(f"its loss is of {state.loss.n_classes} classes, and there are {len(classes)}")
        parameters = {name: saved["parameters"][name] for name in FOCAL_PARAMETERS}
        for name in ("focal_gamma", "focal_alpha"):
            parameters[name] = _by_class_from_json(parameters[name])
        if parameters["margin_loss"] is not None:
            parameters["margin_loss"] = margin_loss_from_dict(parameters["margin_loss"])
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
