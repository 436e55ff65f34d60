"""Claim: writing start and link into a LightGBM model takes a time linear in its trees, a second for 5,000.

After training, FocalLGBMClassifier has LightGBM write the model as text, adds the start to the leaves of the
first round, names the objective, and has LightGBM read the text again. Medians of five; LightGBM's own parts
are given beside the whole. Writes results/write_start_time.json.

    python benchmarks/write_start_time.py [--trees 500,1000,2000,5000]
"""

from __future__ import annotations

import argparse
from typing import Any

import lightgbm
import numpy as np
from _made_tables import made_table
from _report import write
from _timing import median_seconds

from focal_gbm import BinaryFocalLoss
from focal_gbm.lightgbm.training import with_start
from focal_gbm.training.state import FocalState

TURNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trees", default="500,1000,2000,5000")
    arguments = parser.parse_args()
    X, y = made_table(20_000, 30, 2)
    state = FocalState(np.arange(2), BinaryFocalLoss())
    start = np.array([-1.0])
    rows: list[dict[str, Any]] = []
    print(f"{'trees':>7}{'MB':>8}{'s':>8}{'LightGBM writes':>17}{'and reads':>11}{'ms a tree':>11}")
    for n_trees in map(int, arguments.trees.split(",")):
        params = {
            "objective": "binary",
            "verbose": -1,
            "num_leaves": 31,
            "learning_rate": 0.01,
            "num_threads": 2,
        }
        booster = lightgbm.train(params, lightgbm.Dataset(X, y), n_trees)
        text = booster.model_to_string(num_iteration=-1)
        whole = median_seconds(TURNS, with_start, booster, start, state)
        writes = median_seconds(TURNS, booster.model_to_string, -1)
        reads = median_seconds(TURNS, lightgbm.Booster, None, None, None, text)
        rows.append(
            {
                "trees": n_trees, "MB": round(len(text) / 1e6, 1), "seconds": round(whole, 3),
                "LightGBM writes": round(writes, 3), "LightGBM reads": round(reads, 3),
                "ms a tree": round(1000 * whole / n_trees, 3),
            }
        )  # fmt: skip
        print(
            f"{n_trees:>7}{len(text) / 1e6:8.1f}{whole:8.3f}{writes:17.3f}{reads:11.3f}"
            f"{1000 * whole / n_trees:11.3f}",
            flush=True,
        )
    write("write_start_time", f"write_start_time.py --trees {arguments.trees}", rows)


if __name__ == "__main__":
    main()
