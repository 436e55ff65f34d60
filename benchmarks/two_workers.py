"""Claim: on Dask, two workers are faster than one, and focal loss sends nothing of its own while it trains.

The same rows on one worker and on two, each with one thread, on one machine; the libraries' own Dask
classifiers beside ours. Every model is fitted with few and with more rounds: the differences are seconds and
bytes a round, without binning and the start of the engine. Bytes are those of the loopback device, over which
all workers talk: the libraries' histograms, and whatever we would send. Writes results/two_workers.json.

    python benchmarks/two_workers.py [--rows 2000000] [--libraries xgboost,lightgbm]
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from _made_tables import made_table
from _report import write
from distributed import Client, LocalCluster, wait
from lightgbm import DaskLGBMClassifier
from xgboost.dask import DaskXGBClassifier

from focal_gbm import DaskFocalLGBMClassifier, DaskFocalXGBClassifier

FEW, MORE = 5, 25
N_FEATURES = 20
CHUNKS = 8

MODELS: dict[str, dict[str, Any]] = {
    "xgboost": {
        "own loss": DaskXGBClassifier,
        "γ=0": lambda **params: DaskFocalXGBClassifier(focal_gamma=0.0, **params),
        "γ=2": DaskFocalXGBClassifier,
    },
    "lightgbm": {
        "own loss": lambda **params: DaskLGBMClassifier(verbose=-1, **params),
        "γ=0": lambda **params: DaskFocalLGBMClassifier(verbose=-1, focal_gamma=0.0, **params),
        "γ=2": lambda **params: DaskFocalLGBMClassifier(verbose=-1, **params),
    },
}


def loopback_bytes() -> int:
    """Return the bytes that the loopback device has sent so far."""
    line = next(
        line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:")
    )
    return int(line.split()[9])


def n_splits(model: Any) -> int:
    """Return the number of splits of all trees."""
    if isinstance(model, DaskLGBMClassifier):
        return int(model.booster_.feature_importance("split").sum())
    return sum(tree.count("yes=") for tree in model.get_booster().get_dump())


def measure(library: str, n_workers: int, n_rows: int, turns: int) -> list[dict[str, Any]]:
    """Return a row for each model."""
    rows = []
    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        table = made_table(n_rows, N_FEATURES, 2)
        size = n_rows // CHUNKS
        X, y = client.persist(
            [da.from_array(table[0], chunks=(size, -1)), da.from_array(table[1], chunks=size)]
        )
        wait([X, y])
        del table
        seconds: dict[tuple[str, int], list[float]] = {}
        sent: dict[tuple[str, int], list[int]] = {}
        splits: dict[tuple[str, int], int] = {}
        for turn in range(turns + 1):
            for name, make in MODELS[library].items():
                for rounds in (FEW, MORE):
                    model = make(n_estimators=rounds)
                    bytes_before, started = loopback_bytes(), time.perf_counter()
                    model.fit(X, y)
                    taken, bytes_sent = time.perf_counter() - started, loopback_bytes() - bytes_before
                    splits[name, rounds] = n_splits(model)
                    if turn:  # the first turn loads the libraries on the workers
                        seconds.setdefault((name, rounds), []).append(taken)
                        sent.setdefault((name, rounds), []).append(bytes_sent)
        for name in MODELS[library]:
            few, more = (np.median(seconds[name, rounds]) for rounds in (FEW, MORE))
            bytes_few, bytes_more = (np.median(sent[name, rounds]) for rounds in (FEW, MORE))
            more_splits = splits[name, MORE] - splits[name, FEW]
            rows.append(
                {
                    "library": library,
                    "workers": n_workers,
                    "loss": name,
                    "rows": n_rows,
                    "seconds of a fit": round(float(more), 2),
                    "seconds a round": round(float(more - few) / (MORE - FEW), 4),
                    "kB a round": round(float(bytes_more - bytes_few) / (MORE - FEW) / 1e3, 1),
                    "splits a round": round(more_splits / (MORE - FEW), 1),
                    "kB a split": round(float(bytes_more - bytes_few) / more_splits / 1e3, 2),
                    "turns": turns,
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--libraries", default="xgboost,lightgbm")
    parser.add_argument("--turns", type=int, default=1)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", "Parameter n_jobs will be ignored", UserWarning)
    path = Path(__file__).parent / "results" / "two_workers.json"
    kept = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    for library in arguments.libraries.split(","):
        for n_workers in (1, 2):
            rows = measure(library, n_workers, arguments.rows, arguments.turns)
            kept = [row for row in kept if (row["library"], row["workers"]) != (library, n_workers)] + rows
            for row in rows:
                print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
            write("two_workers", f"two_workers.py --rows {arguments.rows}", kept)


if __name__ == "__main__":
    main()
