"""Models of XGBoost as files: what XGBoost takes on trust in one, checked first.

XGBoost reads beyond its arrays, or never returns, where a child, a parent or a feature of a tree is out of
range, and its reader of UBJSON does so where a file was cut off. A model that passes here does none of that.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

#: Name of the booster's attribute that holds our part of a model. XGBoost keeps and ignores it.
STATE = "focal_gbm"

#: What XGBoost stores as the parent of the root and as the feature of a node that was pruned.
_NONE = 2**31 - 1

#: Categories are smaller: XGBoost's own limit, the whole numbers that float32 can tell apart.
_MAX_CATEGORY = 2**24

_NUMBERS = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_CONSTANTS = {b"Z": None, b"T": True, b"F": False}

#: Deeper than any model is.
_MOST_DEPTH = 32

#: XGBoost walks trees by recursion when it computes contributions (SHAP).
_MOST_TREE_DEPTH = 2048


def read_booster(fname: Any) -> xgboost.Booster:
    """Return the model in a file or a buffer; see `checked_bytes`."""
    return xgboost.Booster(model_file=checked_bytes(fname))


def checked_bytes(fname: Any) -> bytearray:
    """Return a model that XGBoost can be given without harm, from a file or a buffer.

    Raises
    ------
    OSError, ValueError
    """
    if isinstance(fname, (bytes, bytearray)):
        raw = bytearray(fname)
    else:
        raw = bytearray(Path(fname).expanduser().read_bytes())
    check_model(raw)
    return raw


def check_model(raw: bytes | bytearray) -> None:
    """Raise ValueError where the bytes are not a model that XGBoost reads and predicts with safely.

    Parameters
    ----------
    raw : bytes-like
        A model as `xgboost.Booster.save_model` writes it, as JSON or UBJSON.
    """
    try:
        # as XGBoost tells the two apart
        is_json = raw[:1] == b"{" and (raw[1:2] == b'"' or raw[1:2].isspace())
        model = _from_json(bytes(raw)) if is_json else _Ubjson(bytes(raw)).read()
        _check_learner(model["learner"])
    except KeyError as error:
        raise ValueError(f"it has no {error.args[0]}.") from None
    except (AttributeError, IndexError, OverflowError, RecursionError, TypeError) as error:
        raise ValueError(f"an entry is of the wrong type: {error}.") from None


def _from_json(raw: bytes) -> Any:
    return json.loads(raw, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice.")
    return found


class _Ubjson:
    """A reader of the part of UBJSON that XGBoost writes (draft 12 of the format, ubjson.org)."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at = raw, 0

    def read(self) -> Any:
        found = self._value(self._take(1), 0)
        if self._at != len(self._raw):
            raise ValueError("it goes on behind its end.")
        return found

    def _take(self, n: int) -> bytes:
        taken = self._raw[self._at : self._at + n]
        if n < 0 or len(taken) != n:
            raise ValueError("it was cut off.")
        self._at += n
        return taken

    def _number(self, marker: bytes) -> Any:
        if marker not in _NUMBERS:
            raise ValueError(f"it holds the marker {marker!r} in the place of a number.")
        code = _NUMBERS[marker]
        kind = {"i1": "b", "u1": "B", "i2": "h", "i4": "i", "i8": "q", "f4": "f", "f8": "d"}[code[1:]]
        return struct.unpack(f">{kind}", self._take(struct.calcsize(kind)))[0]

    def _length(self) -> int:
        length = self._number(self._take(1))
        if not isinstance(length, int) or not 0 <= length <= len(self._raw):
            raise ValueError("it was cut off.")
        return length

    def _text(self) -> str:
        return self._take(self._length()).decode()

    def _value(self, marker: bytes, depth: int) -> Any:
        if depth > _MOST_DEPTH:
            raise ValueError("it is nested too deep.")
        if marker == b"{":
            pairs = []
            while (first := self._take(1)) != b"}":
                self._at -= 1 if first else 0
                pairs.append((self._text(), self._value(self._take(1), depth + 1)))
            return _unique(pairs)
        if marker == b"[":
            return self._array(depth)
        if marker == b"S":
            return self._text()
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        return self._number(marker)

    def _array(self, depth: int) -> Any:
        first = self._take(1)
        if first == b"$":
            kind = _NUMBERS.get(self._take(1))
            if kind is None or self._take(1) != b"#":
                raise ValueError("it holds an array of an unknown type.")
            n = self._length()
            dtype = np.dtype(kind)
            return np.frombuffer(self._take(n * dtype.itemsize), dtype)
        if first == b"#":
            return [self._value(self._take(1), depth + 1) for _ in range(self._length())]
        found = []
        while first != b"]":
            found.append(self._value(first, depth + 1))
            first = self._take(1)
        return found


def _check_learner(learner: Any) -> None:
    param = learner["learner_model_param"]
    n_features = _whole(param["num_feature"], "num_feature")
    n_classes, n_targets = _whole(param["num_class"], "num_class"), _whole(param["num_target"], "num_target")
    n_scores = max(n_classes, n_targets, 1)
    if not re.fullmatch(r"\[?[-+.0-9eE]+(?:,[-+.0-9eE]+)*\]?", param["base_score"]):
        raise ValueError(f"base_score is {param['base_score']!r}.")
    n_starts = len(param["base_score"].split(","))
    if n_starts not in (1, n_scores) or (n_classes > 1 and n_targets > 1):
        raise ValueError(f"base_score holds {n_starts} numbers for {n_scores} scores a row.")
    for name in ("feature_names", "feature_types"):
        texts = learner[name]
        if len(texts) not in (0, n_features) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{name} holds {len(texts)} texts for {n_features} features.")
    if not all(isinstance(text, str) for text in learner["attributes"].values()):
        raise ValueError("attributes does not hold texts.")
    softmax = learner["objective"].get("softmax_multiclass_param")
    if softmax is not None and _whole(softmax["num_class"], "num_class") != n_classes:
        raise ValueError("num_class differs between the model and its objective.")

    booster = learner["gradient_booster"]
    name = booster["name"]
    if name == "gblinear":
        weights = _array(booster["model"]["weights"], "weights", float)
        if len(weights) != (n_features + 1) * n_scores:
            raise ValueError(f"weights holds {len(weights)} numbers for {n_features} features.")
        _whole(booster["model"].get("boosted_rounds", 0), "boosted_rounds")
        return
    if name not in ("gbtree", "dart"):
        raise ValueError(f"its booster is {name!r}.")
    model = booster["model"] if name == "gbtree" else booster["gbtree"]["model"]
    trees, tree_info = model["trees"], _array(model["tree_info"], "tree_info")
    _expect("tree_info", tree_info, len(trees), 0, n_scores)
    if name == "dart" and len(_array(booster["weight_drop"], "weight_drop", float)) != len(trees):
        raise ValueError("weight_drop does not hold one number a tree.")
    sizes = (_whole(tree["tree_param"]["size_leaf_vector"], "size_leaf_vector") for tree in trees)
    if n_scores > sum(max(size, 1) for size in sizes):
        raise ValueError(f"it has {len(trees)} trees for {n_scores} scores a row.")
    gbtree = model["gbtree_model_param"]
    if _whole(gbtree["num_trees"], "num_trees") != len(trees):
        raise ValueError(f"num_trees is {gbtree['num_trees']}, and there are {len(trees)} trees.")
    if not 1 <= _whole(gbtree["num_parallel_tree"], "num_parallel_tree") <= max(len(trees), 1):
        raise ValueError(f"num_parallel_tree is {gbtree['num_parallel_tree']}.")
    indptr = _array(model["iteration_indptr"], "iteration_indptr")
    if not len(indptr) or indptr[0] or indptr[-1] != len(trees) or (np.diff(indptr) < 0).any():
        raise ValueError("iteration_indptr does not count the trees.")
    if "cats" in model:
        _check_categories(model["cats"], n_features)
    for i, tree in enumerate(trees):
        try:
            _check_tree(tree, i, n_features, n_scores)
        except KeyError as error:
            raise ValueError(f"tree {i}: it has no {error.args[0]}.") from None
        except ValueError as error:
            raise ValueError(f"tree {i}: {error}") from None


def _check_tree(tree: Any, position: int, n_features: int, n_scores: int) -> None:
    param = tree["tree_param"]
    n_nodes, size = (
        _whole(param["num_nodes"], "num_nodes"),
        _whole(param["size_leaf_vector"], "size_leaf_vector"),
    )
    n_deleted = _whole(param["num_deleted"], "num_deleted")
    if size not in (0, 1, n_scores) or _whole(param["num_feature"], "num_feature") != n_features:
        raise ValueError("size_leaf_vector or num_feature is not that of the model.")
    if n_nodes < 1 or n_deleted >= n_nodes or tree["id"] != position:
        raise ValueError("num_nodes, num_deleted or id is out of range.")
    left, right, parents, features = (
        _array(tree[name], name) for name in ("left_children", "right_children", "parents", "split_indices")
    )
    _expect("left_children", left, n_nodes, -1, n_nodes)
    _expect("right_children", right, n_nodes, -1, n_nodes)
    _expect("parents", parents, n_nodes, -1, _NONE + 1)
    _expect("split_indices", features, n_nodes, 0, _NONE + 1)
    _expect("default_left", _array(tree["default_left"], "default_left"), n_nodes, 0, 2)
    for name in ("loss_changes", "sum_hessian", "split_conditions"):
        if len(values := _array(tree[name], name, float)) != n_nodes:
            raise ValueError(f"{name} holds {len(values)} numbers for {n_nodes} nodes.")
    if np.isnan(values).any():
        raise ValueError("split_conditions holds NaN.")
    weights = _array(tree["base_weights"], "base_weights", float)
    if len(weights) != n_nodes * max(size, 1) or not np.isfinite(weights).all():
        raise ValueError("base_weights does not hold a finite number a node and score.")

    inner = np.flatnonzero(left >= 0)
    if size <= 1 and not np.array_equal(inner, np.flatnonzero(right >= 0)):
        raise ValueError("left_children and right_children do not form a tree.")
    if len(inner) and right[inner].min() < 0:
        raise ValueError("left_children and right_children do not form a tree.")
    children = np.concatenate([left[inner], right[inner]])
    # Nodes stand behind their parents and have one each: no circle, and no way out
    if len(children) and (
        np.bincount(children, minlength=n_nodes).max() > 1
        or (children <= np.tile(inner, 2)).any()
        or (parents[children] != np.tile(inner, 2)).any()
    ):
        raise ValueError("left_children, right_children and parents do not form a tree.")
    if parents[0] not in (_NONE, -1):
        raise ValueError("parents does not begin with the root.")
    _expect("parents", parents[1:], n_nodes - 1, 0, n_nodes)
    if len(inner) and features[inner].max() >= n_features:
        raise ValueError(f"split_indices holds a feature that is not from 0 to {n_features - 1}.")
    if np.count_nonzero(features[1:] == _NONE) != n_deleted or len(children) + n_deleted + 1 != n_nodes:
        raise ValueError("num_deleted does not count the nodes that no node leads to.")
    if n_nodes > _MOST_TREE_DEPTH:
        _check_depth(left, right, inner)
    if size > 1:
        leaves = _array(tree["leaf_weights"], "leaf_weights", float)
        n_leaves = n_nodes - n_deleted - len(inner)
        if len(leaves) != n_leaves * size or not np.isfinite(leaves).all():
            raise ValueError("leaf_weights does not hold a finite number a leaf and score.")
        # a leaf's right child is the position of its vector
        _expect("right_children", right[left < 0], n_leaves, 0, n_leaves)
    elif not np.isfinite(values[left < 0]).all():
        raise ValueError("split_conditions of a leaf is not finite.")
    _check_splits(tree, inner, n_nodes)


def _check_depth(left: NDArray[np.int64], right: NDArray[np.int64], inner: NDArray[np.intp]) -> None:
    depth = np.zeros(len(left), dtype=np.intp)
    for node in inner:
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    if depth.max() > _MOST_TREE_DEPTH:
        raise ValueError(f"it is {depth.max()} deep, more than {_MOST_TREE_DEPTH}.")


def _check_splits(tree: Any, inner: NDArray[np.intp], n_nodes: int) -> None:
    kinds = _array(tree["split_type"], "split_type")
    _expect("split_type", kinds, n_nodes, 0, 2)
    values, nodes, starts, sizes = (
        _array(tree[f"categories{name}"], f"categories{name}")
        for name in ("", "_nodes", "_segments", "_sizes")
    )
    _expect("categories", values, len(values), 0, _MAX_CATEGORY)
    if not np.array_equal(nodes, np.flatnonzero(kinds == 1)) or not np.isin(nodes, inner).all():
        raise ValueError("categories_nodes does not name the categorical splits.")
    ends = np.cumsum(sizes)
    if (
        len(starts) != len(nodes)
        or len(sizes) != len(nodes)
        or (sizes < 0).any()
        or (starts != ends - sizes).any()
        or (ends[-1] if len(ends) else 0) != len(values)
    ):
        raise ValueError("categories_segments and categories_sizes do not fit categories.")


def _check_categories(cats: Any, n_features: int) -> None:
    segments, order = (
        _array(cats["feature_segments"], "feature_segments"),
        _array(cats["sorted_idx"], "sorted_idx"),
    )
    encodings = cats["enc"]
    if not len(encodings) and not len(segments) and not len(order):
        return
    counts = []
    for one in encodings:
        values = _array(one["values"], "values", None)
        if "offsets" not in one:
            counts.append(len(values))
            continue
        offsets = _array(one["offsets"], "offsets")
        if len(offsets) and (offsets[0] or (np.diff(offsets) < 0).any()):
            raise ValueError("offsets of the categories is not ascending.")
        if len(values) != (offsets[-1] if len(offsets) else 0):
            raise ValueError("offsets of the categories does not fit their texts.")
        counts.append(max(len(offsets) - 1, 0))
    if len(encodings) != n_features or not np.array_equal(segments, np.cumsum([0, *counts])):
        raise ValueError("feature_segments does not fit the categories.")
    _expect("sorted_idx", order, int(segments[-1]), 0, max(int(segments[-1]), 1))
    for start, n in zip(segments, counts, strict=False):
        if not np.array_equal(np.sort(order[start : start + n]), np.arange(n)):
            raise ValueError("sorted_idx is no order of the categories.")


def _array(values: Any, name: str, kind: Any = int) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise ValueError(f"{name} is not a list of numbers.")
    if kind is int:
        if array.size and array.dtype.kind == "f":
            raise ValueError(f"{name} is not a list of whole numbers.")
        return array.astype(np.int64)
    with np.errstate(invalid="ignore"):  # a NaN that signals
        return array if kind is None else array.astype(np.float64)


def _expect(name: str, values: NDArray[Any], n: int, low: int, high: int) -> None:
    if len(values) != n:
        raise ValueError(f"{name} holds {len(values)} numbers, not {n}.")
    if n and not (values.min() >= low and values.max() < high):
        raise ValueError(f"{name} holds a number that is not from {low} to {high - 1}.")


def _whole(value: Any, name: str) -> int:
    if not re.fullmatch(r"\d{1,9}", str(value)):
        raise ValueError(f"{name} is {str(value)[:40]!r}, not a whole number >= 0.")
    return int(value)
