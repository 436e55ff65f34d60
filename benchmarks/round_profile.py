"""Claim: what an XGBoost round takes longer with focal loss than with the library's own is mostly XGBoost's.

Milliseconds of the parts of a round: XGBoost's own (`Booster.update`), and with γ=0, which grows the same
trees, the predictions that it hands over (`Booster.predict`), our objective, and the round on the gradients
that it is handed (`Booster.boost`). The two boosters take turns, round by round. The floor is what would be
left if the objective took no time. Medians and quartiles. Writes results/round_profile.json.

    python benchmarks/round_profile.py [--rows 1000000] [--features 30] [--rounds 60] [--threads 2]
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np
import xgboost
from _made_tables import made_table
from _report import write

from focal_gbm import BinaryFocalLoss, FocalXGBObjective


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    X, y = made_table(arguments.rows, arguments.features, 2)
    params = {"objective": "binary:logistic", "nthread": arguments.threads, "min_child_weight": 0}
    params["base_score"] = float(np.mean(y))
    # a matrix each: the library keeps predictions with the matrix and the booster
    matrices = [xgboost.QuantileDMatrix(X, y, nthread=arguments.threads) for _ in range(2)]
    own, focal = (xgboost.Booster(params, [matrix]) for matrix in matrices)
    objective = FocalXGBObjective(BinaryFocalLoss(0.0), n_jobs=arguments.threads).bind(
        y == 1, None, overwrite_raw_prediction=True
    )
    times: dict[str, list[float]] = defaultdict(list)

    def timed(name, call, *args, **kwargs):
        started = time.perf_counter()
        result = call(*args, **kwargs)
        times[name].append(1000 * (time.perf_counter() - started))
        return result

    for i in range(arguments.rounds):
        timed("own loss", own.update, matrices[0], i)
        raw = timed("predictions", focal.predict, matrices[1], output_margin=True, training=True)
        gradient, hessian = timed("objective", objective, raw)
        timed("boost", focal.boost, matrices[1], i, grad=gradient, hess=hessian)
    for parts in times.values():
        del parts[:3]  # the first rounds warm up
    ours = np.sum([times[name] for name in ("predictions", "objective", "boost")], axis=0)
    rows = []
    for name, values in {
        "XGBoost's own round": times["own loss"],
        "a round with our objective": ours,
        "  predictions handed over, by XGBoost": times["predictions"],
        "  the objective, ours": times["objective"],
        "  the round on given gradients, XGBoost's": times["boost"],
        "floor: an objective that takes no time": ours - np.array(times["objective"]),
    }.items():
        low, median, high = np.percentile(values, [25, 50, 75])
        ratio = median / np.median(times["own loss"])
        rows.append(
            {
                "part": name.strip(), "ms": round(median, 2), "p25": round(low, 2), "p75": round(high, 2),
                "of the library's round": round(ratio, 3),
            }
        )  # fmt: skip
        print(f"{name:<45}{median:8.2f} ms  [{low:.2f}, {high:.2f}]  {ratio:.3f} of the library's round")
    write("round_profile", f"round_profile.py --rows {arguments.rows} --features {arguments.features}", rows)


if __name__ == "__main__":
    main()
