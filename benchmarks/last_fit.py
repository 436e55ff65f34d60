"""Claim: EarlyStoppingClassifier does well to train again on all rows, with the rounds found and not more.

Half of each binary table is fitted, the other half judges: log loss over that of the model trained again with
the rounds found. "part" is the model that stopped, without the rows set aside; "× rows" trains longer, in
proportion to the rows. Writes results/last_fit.json.

    FOCAL_GBM_DATA=folder/of/csv OMP_NUM_THREADS=1 python benchmarks/last_fit.py [--repeats 5]
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from _report import write
from _tables import problems
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier
from focal_gbm.early_stopping import EarlyStoppingClassifier

#: Of a larger table a sample: rounds matter where rows are few.
LARGEST = 12_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    common = {"n_estimators": 1000, "learning_rate": 0.1, "random_state": 0, "n_jobs": 1}
    models = {
        "xgboost": FocalXGBClassifier(**common, enable_categorical=True),
        "lightgbm": FocalLGBMClassifier(**common, verbose=-1),
    }
    rows = []
    for table, X, y, *_ in problems():
        if y.max() > 1:
            continue
        if len(y) > LARGEST:
            sample = np.random.default_rng(0).choice(len(y), LARGEST, replace=False)
            X, y = X.iloc[sample], y[sample]
        for seed in range(arguments.repeats):
            X_fit, X_new, y_fit, y_new = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
            for library, model in models.items():
                part = EarlyStoppingClassifier(model, refit=False, random_state=seed).fit(X_fit, y_fit)
                fits = {"part": part}
                for name, factor in (("all", 1), ("× rows", 1 / (1 - part.validation))):
                    last = clone(model).set_params(n_estimators=round(part.n_rounds_ * factor))
                    fits[name] = last.fit(X_fit, y_fit)
                for name, fitted in fits.items():
                    probability = fitted.predict_proba(X_new)[:, 1].astype(np.float64)
                    loss = log_loss(y_new, probability)
                    rows.append({"table": table, "library": library, "fit": name, "log loss": loss})
        print(f"{table}: done", flush=True)
    wide = pd.DataFrame(rows).pivot_table("log loss", ["table", "library"], "fit")
    ratio = np.log(wide.div(wide["all"], axis=0)).reset_index()
    mean = {"table": "geometric mean", "library": "", **ratio.mean(numeric_only=True)}
    ratio = pd.concat([ratio, pd.DataFrame([mean])], ignore_index=True)
    ratio[[*wide]] = np.exp(ratio[[*wide]]).round(4)
    print(ratio.to_string(index=False))
    write(
        "last_fit",
        f"last_fit.py --repeats {arguments.repeats}",
        ratio.to_dict("records"),
    )


if __name__ == "__main__":
    main()
