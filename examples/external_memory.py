"""Train on Parquet files that do not fit in memory, with XGBoost's external memory or LightGBM's Sequence.

    python examples/external_memory.py make FOLDER --rows 10000000     # generates Parquet files
    python examples/external_memory.py xgboost FOLDER                  # trains, prints peak memory
    python examples/external_memory.py lightgbm FOLDER

The library reads the rows batch by batch; a batch is one row group of a Parquet file. Classes are counted by
`focal_gbm.xgboost.train` and `focal_gbm.lightgbm.train`, and the saved model stands alone.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import focal_gbm.lightgbm
import focal_gbm.xgboost

N_FEATURES = 20
ROWS_A_GROUP = 250_000
ROWS_A_FILE = 1_000_000
LABEL = "is_fraud"


def made_batch(n_rows: int, seed: int) -> pa.Table:
    """Return rows of which about 2 % are fraud, which depends on a few features."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    score = X[:, 0] * X[:, 1] + (X[:, 2] > 0.5) + X[:, 3] - 5.2 + rng.logistic(size=n_rows)
    columns = {f"f{j}": X[:, j] for j in range(N_FEATURES)}
    return pa.table({**columns, LABEL: (score > 0).astype(np.int8)})


def make(folder: Path, n_rows: int) -> None:
    """Write files of a million rows."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = None
    for i, first in enumerate(range(0, n_rows, ROWS_A_GROUP)):
        batch = made_batch(min(ROWS_A_GROUP, n_rows - first), seed=i)
        if first % ROWS_A_FILE == 0:
            if writer is not None:
                writer.close()
            writer = pq.ParquetWriter(folder / f"part-{first // ROWS_A_FILE:03d}.parquet", batch.schema)
        writer.write_table(batch)
        print(f"\rwritten {first + len(batch):>11,} rows", end="", flush=True)
    if writer is not None:
        writer.close()
    print()


class Groups:
    """The row groups of all Parquet files in a folder, of which one at a time is in memory."""

    def __init__(self, folder: Path) -> None:
        self._files = [pq.ParquetFile(path) for path in sorted(folder.glob("*.parquet"))]
        self._groups = [(file, i) for file in self._files for i in range(file.num_row_groups)]
        if not self._groups:
            raise SystemExit(f"{folder} has no Parquet files: run the command 'make' first.")
        self.n_rows = sum(file.metadata.num_rows for file in self._files)
        self.features = [name for name in self._files[0].schema_arrow.names if name != LABEL]

    def __len__(self) -> int:
        return len(self._groups)

    def n_rows_of(self, i: int) -> int:
        """Return the number of rows of a group; nothing is read."""
        file, group = self._groups[i]
        return file.metadata.row_group(group).num_rows

    def labels(self, i: int) -> np.ndarray:
        """Return the labels of a group."""
        file, group = self._groups[i]
        return file.read_row_group(group, columns=[LABEL])[LABEL].to_numpy()

    def rows(self, i: int) -> np.ndarray:
        """Return the features of a group as float32."""
        file, group = self._groups[i]
        columns = file.read_row_group(group, columns=self.features)
        return np.column_stack([columns[name].to_numpy() for name in self.features])


def train_xgboost(groups: Groups, rounds: int, cache: str) -> np.ndarray:
    """Train with binned pages on disk; return the probabilities of the first group's rows."""
    import xgboost

    class Batches(xgboost.DataIter):
        """Hands XGBoost one row group after the other."""

        def __init__(self) -> None:
            self._next = 0
            super().__init__(cache_prefix=str(Path(cache) / "pages"))

        def next(self, input_data: Callable[..., Any]) -> bool:
            if self._next == len(groups):
                return False
            input_data(data=groups.rows(self._next), label=groups.labels(self._next))
            self._next += 1
            print(f"\rbinning: group {self._next} of {len(groups)}", end="", flush=True)
            return True

        def reset(self) -> None:
            self._next = 0

    class Progress(xgboost.callback.TrainingCallback):
        """Prints the round."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            print(f"\rround {epoch + 1} of {rounds}", end="", flush=True)
            return False

    data = xgboost.ExtMemQuantileDMatrix(Batches(), max_bin=256)
    print()
    params = {"tree_method": "hist", "max_depth": 6}
    booster = focal_gbm.xgboost.train(params, data, rounds, gamma=1.0, callbacks=[Progress()])
    print()
    booster.save_model(Path(cache) / "model.ubj")
    return booster.inplace_predict(groups.rows(0))


def train_lightgbm(groups: Groups, rounds: int, cache: str) -> np.ndarray:
    """Train on binned rows in memory, a byte a value, read through Sequences; return as above."""
    import lightgbm

    class Group(lightgbm.Sequence):
        """One row group, read when LightGBM asks for it."""

        batch_size = ROWS_A_GROUP
        _last: tuple[int, np.ndarray] = (-1, np.empty(0))  # of all groups: LightGBM samples row by row

        def __init__(self, i: int) -> None:
            self._i = i

        def __len__(self) -> int:
            return groups.n_rows_of(self._i)

        def __getitem__(self, index: Any) -> np.ndarray:
            if Group._last[0] != self._i:
                Group._last = self._i, groups.rows(self._i).astype(np.float64)  # it takes no other
                print(f"\rreading: group {self._i + 1} of {len(groups)}", end="", flush=True)
            return Group._last[1][index]

    def progress(env: Any) -> None:
        print(f"\rround {env.iteration + 1} of {rounds}", end="", flush=True)

    params = {"max_bin": 255, "num_leaves": 63, "verbose": -1}
    labels = np.concatenate([groups.labels(i) for i in range(len(groups))])
    data = lightgbm.Dataset([Group(i) for i in range(len(groups))], labels, params=params).construct()
    print()
    booster = focal_gbm.lightgbm.train(params, data, rounds, gamma=1.0, callbacks=[progress])
    print()
    return booster.predict(groups.rows(0))


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["make", "xgboost", "lightgbm"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to generate")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.folder, arguments.rows)
        return
    started = time.perf_counter()
    groups = Groups(arguments.folder)
    train = {"xgboost": train_xgboost, "lightgbm": train_lightgbm}[arguments.command]
    with tempfile.TemporaryDirectory(prefix="pages-", dir=arguments.folder) as cache:
        probability = train(groups, arguments.rounds, cache)
    observed = groups.labels(0).mean()
    print(f"P(fraud), mean of the first group {probability.mean():.4f}, observed {observed:.4f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # the kernel counts KiB
    print(f"{groups.n_rows:,} rows, {time.perf_counter() - started:.0f} s, peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
