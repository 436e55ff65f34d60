"""Models of LightGBM as files: what LightGBM takes on trust in a text, checked first.

LightGBM ends the process, reads out of bounds or never returns where a number is malformed, a list too
short or a child out of range. A text that passes here does none of that, whatever its trees say.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm

from focal_gbm.lightgbm.booster import booster_of
from focal_gbm.lightgbm.model_text import read_state
from focal_gbm.training.state import FocalState, state_from_json

_INT = r"-?\d{1,10}"
# As LightGBM and `repr` write it: its parser is strict, and what it refuses ends the process.
_FLOAT = r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d{1,3})?"
_LOOSE = rf"(?:{_FLOAT}|-?inf|-?nan)"  # of values that do not take part in prediction
_UINT = r"\d{1,10}"
_MAX_INT, _MAX_UINT = 2**31 - 1, 2**32 - 1


def _list_of(item: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(rf"(?:{item}(?: {item})*)? *").fullmatch


_INTS, _UINTS, _FLOATS, _LOOSES = (_list_of(item) for item in (_INT, _UINT, _FLOAT, _LOOSE))
_SPACED_INTS, _SPACED_FLOATS = (re.compile(rf" *(?:{item} +)*").fullmatch for item in (_INT, _FLOAT))

#: Lists of a tree: (the grammar, how many fewer than leaves there are).
_LISTS = {
    "split_feature": (_INTS, 1),
    "split_gain": (_LOOSES, 1),
    "threshold": (_FLOATS, 1),
    "decision_type": (_INTS, 1),
    "left_child": (_INTS, 1),
    "right_child": (_INTS, 1),
    "leaf_value": (_FLOATS, 0),
    "leaf_weight": (_LOOSES, 0),
    "leaf_count": (_INTS, 0),
    "internal_value": (_LOOSES, 1),
    "internal_weight": (_LOOSES, 1),
    "internal_count": (_INTS, 1),
    "leaf_const": (_FLOATS, 0),
    "num_features": (_INTS, 0),
}
_NEEDED = ("split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value")
_OF_LINEAR = ("leaf_const", "num_features", "leaf_features", "leaf_coeff")
_KNOWN = frozenset({
    *_LISTS, *_OF_LINEAR, "num_leaves", "num_cat", "cat_boundaries", "cat_threshold", "is_linear",
    "shrinkage",
})  # fmt: skip

#: LightGBM reads so many lines of a tree and no more.
_MOST_LINES = 22

#: LightGBM walks a tree by recursion when it computes contributions (SHAP), with memory that grows as the
#: square of the depth.
_MOST_DEPTH = 2048

_OBJECTIVE = re.compile(r"[a-z_0-9]+(?: [a-z_]+:[-+.0-9a-z]+| [a-z]+)*").fullmatch
_INFO = re.compile(rf"(?:none|\[{_LOOSE}:{_LOOSE}\]|{_INT}(?::{_INT})*)").fullmatch
_PARAMETER = re.compile(r"\[[a-z_0-9]+: [^\n]*\]").fullmatch
_LAST_LINE = "end of trees"
_CATEGORIES = "pandas_categorical:"


class SavedModel(NamedTuple):
    """What a file holds."""

    booster: lightgbm.Booster
    state: FocalState
    parameters: dict[str, Any]  #: the parameters that the estimators add
    named: bool  #: whether the columns had names


def read_model(fname: str | os.PathLike[str]) -> SavedModel:
    """Read what `FocalLGBMClassifier.save_model` wrote.

    Raises
    ------
    ValueError
        If it did not, or the file was damaged.
    """
    text = Path(fname).read_text(encoding="utf-8", errors="replace")
    try:
        line = read_state(text)
    except ValueError as error:
        raise ValueError(f"{str(fname)!r} cannot be read as a model of LightGBM: {error}") from error
    if line is None:
        raise ValueError(
            f"{str(fname)!r} was not saved by FocalLGBMClassifier.save_model: it has no focal_gbm "
            "line. Load it with lightgbm.Booster(model_file=...)."
        )
    state, parameters = state_from_json(line)
    try:
        saved = json.loads(line)
        best_iteration, named = int(saved["best_iteration"]), bool(saved["feature_names"])
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"The focal_gbm line of {str(fname)!r} cannot be read: {error}.") from error
    n_scores = math.prod(state.loss.raw_shape(1))
    try:
        check_text(text)
        booster = booster_of(text, state)
        if booster.num_model_per_iteration() != n_scores:
            raise ValueError(f"it has {booster.num_model_per_iteration()} scores a row, not {n_scores}.")
    except (ValueError, lightgbm.basic.LightGBMError) as error:
        raise ValueError(f"{str(fname)!r} cannot be read as a model of LightGBM: {error}") from error
    booster.best_iteration = best_iteration
    return SavedModel(booster, state, parameters, named)


def check_text(text: str) -> None:
    """Raise ValueError where the text is not a model that LightGBM reads and predicts with safely.

    Parameters
    ----------
    text : str
        A model as `lightgbm.Booster.save_model` writes it, of a gradient boosting of trees.
    """
    if "\0" in text or "\r" in text:
        raise ValueError("it holds a control character.")
    header, found, rest = text.partition("\n\nTree=0\n")
    if not found:
        raise ValueError("it has no tree.")
    header_values = _values(header.split("\n")[1:], "the header")
    n_features = _check_header(header, header_values)
    trees, end, tail = ("Tree=0\n" + rest).partition(f"\n{_LAST_LINE}\n")
    if not end:
        raise ValueError("its trees do not end.")
    _check_trees(trees + "\n", header_values, n_features)
    _check_tail(tail)


def _check_header(header: str, values: dict[str, str]) -> int:
    """Check the header and return the number of features."""
    if not header.startswith("tree\n"):
        raise ValueError("it is no gradient boosting of trees.")
    n_classes, n_trees = _whole(values, "num_class"), _whole(values, "num_tree_per_iteration")
    if n_classes < 1 or n_trees != n_classes:
        raise ValueError(f"num_tree_per_iteration is {n_trees} for a num_class of {n_classes}.")
    _whole(values, "label_index")
    n_features = _whole(values, "max_feature_idx") + 1
    names, infos = values.get("feature_names", "").split(), values.get("feature_infos", "").split(" ")
    if len(names) != n_features or len(infos) != n_features:
        raise ValueError(
            f"it has {len(names)} feature_names and {len(infos)} feature_infos, not {n_features}."
        )
    if wrong := [info for info in infos if not _INFO(info)]:
        raise ValueError(f"feature_infos holds {wrong[0][:40]!r}.")
    objective = values.get("objective")
    if objective is not None:
        if not _OBJECTIVE(objective):
            raise ValueError(f"objective is {objective[:40]!r}.")
        of_classes = f"num_class:{n_classes}"
        if n_classes > 1 and objective.startswith("multiclass") and of_classes not in objective.split(" "):
            raise ValueError(f"objective is {objective[:40]!r} for a num_class of {n_classes}.")
    for name in ("monotone_constraints",):
        if name in values and (not _INTS(values[name]) or len(values[name].split()) != n_features):
            raise ValueError(f"{name} is not one whole number a feature.")
    return n_features


def _check_trees(trees: str, header: dict[str, str], n_features: int) -> None:
    if not _UINTS(header.get("tree_sizes", "")):
        raise ValueError("tree_sizes is not a list of whole numbers.")
    encoded, start = trees.encode(), 0
    sizes = [int(size) for size in header.get("tree_sizes", "").split()]
    if sum(sizes) != len(encoded) or not sizes or len(sizes) % int(header["num_class"]):
        raise ValueError("tree_sizes does not fit its trees.")
    for i, size in enumerate(sizes):
        first, *lines = encoded[start : start + size].decode(errors="replace").split("\n")
        start += size
        if first != f"Tree={i}":
            raise ValueError(f"tree_sizes does not fit its trees: tree {i} starts with {first[:40]!r}.")
        while lines and not lines[-1]:
            lines.pop()
        try:
            _check_tree(lines, n_features)
        except ValueError as error:
            raise ValueError(f"tree {i}: {error}") from None


def _check_tree(lines: list[str], n_features: int) -> None:
    values = _values(lines, "the tree")
    for at, line in enumerate(lines):
        if at >= _MOST_LINES and line.partition("=")[0] in _KNOWN:
            raise ValueError(f"{line.partition('=')[0]} stands too late.")
    n_leaves, n_cat = _whole(values, "num_leaves"), _whole(values, "num_cat")
    if n_leaves < 1:
        raise ValueError(f"num_leaves is {n_leaves}.")
    if missing := [name for name in _NEEDED if name not in values]:
        raise ValueError(f"it has no {missing[0]}.")
    for name, (grammar, fewer) in _LISTS.items():
        if name not in values:
            continue
        value = values[name]
        if not grammar(value):
            raise ValueError(f"{name} is not a list of numbers.")
        count = value.count(" ") + 1 if value and value[-1] != " " else len(value.split())
        # a tree of one leaf leaves out what it has no use for
        if count != n_leaves - fewer and not (n_leaves == 1 and not value.strip() and name != "leaf_value"):
            raise ValueError(f"{name} holds {count} numbers, not {n_leaves - fewer}.")
        if (grammar is _FLOATS and "e" in value) or grammar is _INTS:
            _check_range(name, value, grammar is _INTS)
    if not re.fullmatch(_FLOAT, values.get("shrinkage", "1")):
        raise ValueError("shrinkage is not a number.")
    if n_leaves > 1:
        _check_nodes(values, n_features, n_cat)
    elif n_cat:
        raise ValueError(f"num_cat is {n_cat} in a tree of one leaf.")
    if values.get("is_linear", "0") not in ("0", "1"):
        raise ValueError("is_linear is neither 0 nor 1.")
    if values.get("is_linear") == "1":
        _check_linear(values, n_features)


def _check_range(name: str, value: str, whole: bool) -> None:
    if whole:
        if any(not -_MAX_INT - 1 <= int(x) <= _MAX_INT for x in value.split()):
            raise ValueError(f"{name} holds a whole number out of range.")
    elif any(not abs(float(x)) < float("inf") for x in value.split()):
        raise ValueError(f"{name} holds a number out of range.")


def _check_nodes(values: dict[str, str], n_features: int, n_cat: int) -> None:
    features, kinds, left, right = (
        [int(x) for x in values[name].split()]
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    if min(features) < 0 or max(features) >= n_features:
        raise ValueError(f"split_feature holds a feature that is not from 0 to {n_features - 1}.")
    # every node and every leaf hangs below one node that stands before it: a tree without a circle
    n_nodes = len(left)
    if sorted(left + right) != [*range(-n_nodes - 1, 0), *range(1, n_nodes)]:
        raise ValueError("left_child and right_child do not form a tree.")
    depth = [0] * n_nodes
    for node, children in enumerate(zip(left, right, strict=True)):
        for child in children:
            if child >= 0:
                if child <= node:
                    raise ValueError("left_child and right_child do not form a tree.")
                depth[child] = depth[node] + 1
    if max(depth) > _MOST_DEPTH:
        raise ValueError(f"it is {max(depth)} deep, more than {_MOST_DEPTH}.")
    if min(kinds) < 0 or max(kinds) > 11:
        raise ValueError("decision_type holds a number that is not from 0 to 11.")
    categorical = [i for i, kind in enumerate(kinds) if kind & 1]
    if not n_cat and not categorical:
        return
    boundaries_text, sets = values.get("cat_boundaries", "-"), values.get("cat_threshold", "-")
    if not _UINTS(boundaries_text) or not _UINTS(sets):
        raise ValueError("cat_boundaries and cat_threshold are not lists of whole numbers.")
    boundaries, words = [int(x) for x in boundaries_text.split()], [int(x) for x in sets.split()]
    if (
        len(boundaries) != n_cat + 1
        or boundaries[0]
        or sorted(boundaries) != boundaries
        or boundaries[-1] != len(words)
        or max(words, default=0) > _MAX_UINT
    ):
        raise ValueError("cat_boundaries does not fit num_cat and cat_threshold.")
    thresholds = values["threshold"].split()
    indices = {str(i) for i in range(n_cat)}
    if any(thresholds[i] not in indices for i in categorical):
        raise ValueError("threshold of a categorical split is not below num_cat.")


def _check_linear(values: dict[str, str], n_features: int) -> None:
    if missing := [name for name in _OF_LINEAR if name not in values]:
        raise ValueError(f"it has no {missing[0]}.")
    features, coefficients = values["leaf_features"], values["leaf_coeff"]
    if not _SPACED_INTS(features) or not _SPACED_FLOATS(coefficients):
        raise ValueError("leaf_features or leaf_coeff is not a list of numbers.")
    counts = [int(x) for x in values["num_features"].split()]
    used = [int(x) for x in features.split()]
    _check_range("leaf_coeff", coefficients, whole=False)
    if (
        len(counts) != int(values["num_leaves"])
        or min(counts) < 0
        or sum(counts) != len(used)
        or len(coefficients.split()) != len(used)
    ):
        raise ValueError("num_features does not fit leaf_features and leaf_coeff.")
    if used and not (min(used) >= 0 and max(used) < n_features):
        raise ValueError(f"leaf_features holds a feature that is not from 0 to {n_features - 1}.")


def _check_tail(tail: str) -> None:
    """Check what stands behind the trees: importances, parameters and the categories of pandas."""
    _, found, parameters = tail.partition("\nparameters:\n")
    parameters, end, _ = parameters.partition("\nend of parameters\n")
    if found and (not end or any(line and not _PARAMETER(line) for line in parameters.split("\n"))):
        raise ValueError("its parameters cannot be read.")
    last = text_line if (text_line := tail.rstrip("\n").rpartition("\n")[2]).startswith(_CATEGORIES) else None
    if last is None:
        return
    try:
        categories = json.loads(last.removeprefix(_CATEGORIES))
    except (ValueError, RecursionError):
        raise ValueError("pandas_categorical is not JSON.") from None
    if categories is not None and not (
        isinstance(categories, list) and all(isinstance(column, list) for column in categories)
    ):
        raise ValueError("pandas_categorical is not a list of lists.")


def _values(lines: list[str], where: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if not line:
            raise ValueError(f"{where} holds an empty line.")
        if key in values or (equals and not key):
            raise ValueError(f"{where} holds {key[:40]!r} twice.")
        if equals and "=" in value and key != "feature_names":
            raise ValueError(f"{where} holds a line with two equals signs.")
        values[key] = value
    return values


def _whole(values: dict[str, str], name: str) -> int:
    value = values.get(name, "")
    if not re.fullmatch(r"\d{1,9}", value):
        raise ValueError(f"{name} is {value[:40]!r}, not a whole number >= 0.")
    return int(value)
