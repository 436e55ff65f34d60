"""LightGBM's model text: a constant score, the objective and our own state written into it.

A model trained with a custom objective stores neither its start nor its link. Both have a place in
the text format, so that plain LightGBM predicts the same.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Values of a tree that are scores: what a row gets in a leaf, in a linear leaf, at an inner node (SHAP).
_SCORES = ("leaf_value", "leaf_const", "internal_value")

#: Key of the line in the model's header that holds our state. LightGBM skips keys that it does not know.
_STATE_KEY = "focal_gbm"

_FIRST_TREE = "\nTree=0\n"
_LAST_LINE = "\nend of trees\n"


def add_start(text: str, constants: Sequence[float], objective: str) -> str:
    """Return the model with `constants` added to its score and `objective` as its link.

    Parameters
    ----------
    text : str
        A model as `Booster.model_to_string` writes it, with all its trees.
    constants : sequence of float
        One a tree of an iteration: what every row's score is raised by. They go into the trees of
        the first iteration, so that a slice of the first iterations has them, too.
    objective : str
        As LightGBM writes it, for example ``"binary sigmoid:1"``.
    """
    header, body = _split(text)
    lines = [line for line in header.split("\n") if not line.startswith("objective=")]
    lines.insert(_position(lines, "feature_names"), f"objective={objective}")

    if any(constants):
        sizes_at = _position(lines, "tree_sizes")
        sizes = [int(size) for size in lines[sizes_at].removeprefix("tree_sizes=").split()]
        end = _end_of_tree(body, len(constants) - 1)
        trees = body[:end].split("\nTree=")[1:]
        for k, constant in enumerate(constants):
            raised = _raise_tree(trees[k], constant)
            sizes[k] += len(raised) - len(trees[k])
            trees[k] = raised
        lines[sizes_at] = "tree_sizes=" + " ".join(map(str, sizes))
        body = "".join("\nTree=" + tree for tree in trees) + body[end:]

    kind = objective.partition(" ")[0]
    return "\n".join(lines) + body.replace("\n[objective: custom]\n", f"\n[objective: {kind}]\n", 1)


def add_state(text: str, state: str) -> str:
    """Return the model with our state, a JSON text, as a line of its header, the only such line."""
    header, body = _split(text)
    lines = [line for line in header.split("\n") if not line.startswith(f"{_STATE_KEY}=")]
    # No bare "=": LightGBM splits header lines there. In JSON it can only stand inside a string.
    escaped = state.replace("=", r"\u003d")
    lines.insert(_position(lines, "feature_names"), f"{_STATE_KEY}={escaped}")
    return "\n".join(lines) + body


def read_state(text: str) -> str | None:
    """Return the state that `add_state` wrote, or None."""
    header, _ = _split(text)
    for line in header.split("\n"):
        key, _, value = line.partition("=")
        if key == _STATE_KEY:
            return value
    return None


def _split(text: str) -> tuple[str, str]:
    """Return (header, the rest); the rest starts with the line break before the first tree."""
    at = text.find(_FIRST_TREE)
    if at < 0:
        raise ValueError("The text is not a LightGBM model: it has no tree.")
    if text.find(_LAST_LINE, at) < 0:
        # LightGBM would not raise: a file that was cut off aborts the process
        raise ValueError("The text is not a LightGBM model: its trees do not end.")
    return text[:at], text[at:]


def _position(lines: list[str], key: str) -> int:
    """Return the index of the header line ``key=...``."""
    for i, line in enumerate(lines):
        if line.startswith(f"{key}="):
            return i
    raise ValueError(f"The text is not a LightGBM model: its header has no {key}.")


def _end_of_tree(body: str, index: int) -> int:
    """Return where the text of the trees 0 to `index` ends in `body`."""
    next_tree = body.find(f"\nTree={index + 1}\n")
    return next_tree if next_tree >= 0 else body.index(_LAST_LINE)


def _raise_tree(tree: str, constant: float) -> str:
    lines = tree.split("\n")
    for i, line in enumerate(lines):
        key, equals, values = line.partition("=")
        if equals and key in _SCORES and values:
            # repr: the shortest text that reads back as the same double. A malformed number would
            # abort the process that loads the model.
            raised = " ".join(repr(float(value) + constant) for value in values.split(" ") if value)
            lines[i] = f"{key}={raised}"
        elif key == "shrinkage":
            # as in LightGBM's own first trees: `Booster.refit` shrinks what it writes into the leaves
            lines[i] = "shrinkage=1"
    return "\n".join(lines)
