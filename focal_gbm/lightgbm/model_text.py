"""The text of a model: the start in the leaves of its first trees, and its objective by name."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Values of a tree that are scores: what a row gets in a leaf, in a linear leaf, at an inner node (SHAP).
_SCORES = re.compile(r"^(leaf_value|leaf_const|internal_value)=(.+)$", re.MULTILINE)


def complete(text: str, start: Sequence[float], objective: str) -> str:
    """Return the text of the same model with `start` added to its raw predictions and `objective` as its
    link.

    Parameters
    ----------
    text : str
        A model as `Booster.model_to_string` writes it, from its first round on.
    start : sequence of float
        One per tree of a round. They go into the trees of the first round, so that a slice of the first
        rounds has them, too.
    objective : str
        As LightGBM writes it, for example ``"binary sigmoid:1"``.
    """
    header, first, rest = text.partition("\nTree=0\n")
    header = re.sub(r"\nobjective=.*", "", header).replace(
        "\nfeature_names=", f"\nobjective={objective}\nfeature_names=", 1
    )
    if first and any(start):
        trees, end, footer = (first + rest).partition("\nend of trees\n")
        pieces = trees.split("\nTree=")[1:]
        for k, constant in enumerate(start):
            pieces[k] = _raised(pieces[k], constant)
        # LightGBM reads the trees at the offsets that their sizes give; one counts "Tree=" and the line's end
        sizes = [len(f"Tree={piece}\n".encode()) for piece in pieces]
        header = re.sub(r"\ntree_sizes=.*", "\ntree_sizes=" + " ".join(map(str, sizes)), header)
        first, rest = "", "".join("\nTree=" + piece for piece in pieces) + end + footer
    name = objective.partition(" ")[0]
    return header + first + rest.replace("\n[objective: custom]\n", f"\n[objective: {name}]\n", 1)


def _raised(tree: str, constant: float) -> str:
    def add(line: re.Match[str]) -> str:
        # repr: the shortest text that reads back as the same double. A malformed number would abort the
        # process that loads the model.
        return f"{line[1]}=" + " ".join(repr(float(value) + constant) for value in line[2].split())

    # as in LightGBM's own first trees: `Booster.refit` shrinks what it writes into the leaves
    return re.sub(r"^shrinkage=.*$", "shrinkage=1", _SCORES.sub(add, tree), flags=re.MULTILINE)
