"""Fits whose predictions by an earlier version are in data/: see `test_same_models.py`."""

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, make_classification


def cases():
    """Yield name, library, parameters, arguments of fit, rows, labels, rows to predict, evaluation set or None."""
    two = make_classification(3000, 8, n_informative=5, weights=[0.9], flip_y=0.05, random_state=0)
    ten = load_digits(return_X_y=True)
    for library in ("xgb", "lgbm"):
        for kind, (X, y) in (("two", two), ("ten", ten)):
            X = X.astype(np.float32)
            fit, V, stop = slice(0, 1200), X[1200:1400], (X[1400:1790], y[1400:1790])
            base = {"n_estimators": 20 if kind == "two" else 8, "max_depth": 4, "n_jobs": 1}
            Xf, yf = X[fit], y[fit]
            for gamma in (0.5, 1.0, 2.0, 5.0):
                yield f"{library} {kind} gamma {gamma}", library, {**base, "focal_gamma": gamma}, {}, Xf, yf, V, None
            weight = np.random.default_rng(0).uniform(0.2, 3, 1200)
            yield f"{library} {kind} weights", library, base, {"sample_weight": weight}, Xf, yf, V, None
            alpha = {"focal_gamma": 2.0, "focal_alpha": "balanced"}
            yield f"{library} {kind} alpha", library, {**base, **alpha}, {}, Xf, yf, V, None
            sampling = {"subsample": 0.7, "colsample_bytree": 0.6, "random_state": 3}
            sampling |= {"subsample_freq": 1} if library == "lgbm" else {}
            yield f"{library} {kind} sampling", library, {**base, **sampling}, {}, Xf, yf, V, None
            dart = {"boosting_type": "dart"} if library == "lgbm" else {"booster": "dart", "rate_drop": 0.2}
            yield f"{library} {kind} dart", library, {**base, **dart, "random_state": 3}, {}, Xf, yf, V, None
            missing = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X).astype(np.float32)
            yield f"{library} {kind} missing", library, base, {}, missing[fit], yf, missing[1200:1400], None
            frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
            frame["x0"] = pd.Categorical(np.digitize(X[:, 0] if kind == "two" else X[:, 20], [-1, 0, 1, 4, 9]))
            categories = {**base, **({"enable_categorical": True} if library == "xgb" else {})}
            yield f"{library} {kind} categories", library, categories, {}, frame[fit], yf, frame[1200:1400], None
            rounds = {**base, "n_estimators": 60, "learning_rate": 0.3}
            yield f"{library} {kind} stopped", library, rounds, {}, Xf, yf, V, stop
