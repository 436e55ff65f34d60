"""Claim: a saved model predicts the same probabilities in any tool that reads its file.

The largest difference of each tool from `predict_proba`, for two and three classes, of models that stopped
early. Rows are float32, as ONNX compares values with thresholds in it. Writes results/leaving.json.

    pip install -e '.[serving]' && python benchmarks/leaving.py [--rows 5000]
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnxmltools
import onnxruntime
import shap
import tl2cgen
import treelite
import xgboost
from _report import write
from onnxmltools.convert.common.data_types import FloatTensorType

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

N_FEATURES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of the converters' own imports and conversions
    rng = np.random.default_rng(0)
    X = rng.normal(size=(arguments.rows, N_FEATURES)).astype(np.float32)
    z = X[:, 0] + 0.5 * X[:, 1] + rng.normal(size=len(X))
    last = len(X) // 5
    rows = []
    for classes, y in (("two", (z > 2).astype(int)), ("many", np.digitize(z, [0.0, 2.0]))):
        for library, model in models(X[:-last], y[:-last], [(X[-last:], y[-last:])]).items():
            probability = model.predict_proba(X)
            for tool, predicted in tools(library, model, X, classes):
                difference = float(np.abs(two_columns(predicted) - probability[: len(predicted)]).max())
                rows.append({"tool": tool, "library": library, "classes": classes, "difference": difference})
                print(f"{tool:<22}{library:<10}{classes:<6}{difference:.1e}")
    write("leaving", "leaving.py", rows)


def models(X: np.ndarray, y: np.ndarray, eval_set: Any) -> dict[str, Any]:
    """Return a model of each library that stopped long before its last round."""
    common = {"n_estimators": 500, "learning_rate": 0.3, "n_jobs": 1}
    xgb = FocalXGBClassifier(max_depth=4, early_stopping_rounds=20, **common)
    lgb = FocalLGBMClassifier(num_leaves=15, verbose=-1, **common)
    return {
        "XGBoost": xgb.fit(X, y, eval_set=eval_set, verbose=False),
        "LightGBM": lgb.fit(
            X,
            y,
            eval_X=eval_set[0][0],
            eval_y=eval_set[0][1],
            callbacks=[lightgbm.early_stopping(20, verbose=False)],
        ),
    }


def tools(library: str, model: Any, X: np.ndarray, classes: str) -> Iterator[tuple[str, Any]]:
    """Yield the name of each tool with its predictions, from the saved file alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        (model.get_booster() if library == "XGBoost" else model.booster_).save_model(path)
        booster: Any
        if library == "XGBoost":
            booster = xgboost.Booster(model_file=path)
            yield "the library alone", booster.predict(xgboost.DMatrix(X))
            loaded = treelite.frontend.from_xgboost(booster)
        else:
            booster = lightgbm.Booster(model_file=path)
            yield "the library alone", booster.predict(X)
            loaded = treelite.frontend.from_lightgbm(booster)
        yield "treelite", treelite.gtil.predict(loaded, X)
        compiled = str(Path(folder) / "model.so")
        tl2cgen.export_lib(loaded, toolchain="gcc", libpath=compiled, params={})
        dtype = "float32" if library == "XGBoost" else "float64"
        yield "tl2cgen", tl2cgen.Predictor(compiled).predict(tl2cgen.DMatrix(X.astype(dtype), dtype=dtype))
    convert: Callable[..., Any] = getattr(onnxmltools, f"convert_{library.lower()}")
    flat = {"zipmap": False} if library == "LightGBM" else {}
    inputs = [("input", FloatTensorType([None, X.shape[1]]))]
    graph = convert(booster, initial_types=inputs, target_opset=15, **flat)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    yield "ONNX Runtime", session.run(None, {"input": X})[1]
    if classes == "two":
        explanation = shap.TreeExplainer(booster, X[:50], model_output="probability")(X[:500])
        yield "SHAP in probabilities", explanation.values.sum(axis=1) + explanation.base_values
        with sqlite3.connect(":memory:") as database:
            database.execute("CREATE TABLE log_odds (id INTEGER, raw REAL)")
            raw = logit_of(model, X).astype(float).tolist()
            database.executemany("INSERT INTO log_odds VALUES (?, ?)", enumerate(raw))
            query = "SELECT 1 / (1 + EXP(-raw)) FROM log_odds ORDER BY id"
            yield "SQL", np.array(database.execute(query).fetchall())


def logit_of(model: Any, X: np.ndarray) -> np.ndarray:
    """Return raw predictions."""
    is_xgboost = hasattr(model, "get_booster")
    return np.asarray(model.predict(X, **{"output_margin" if is_xgboost else "raw_score": True}))


def two_columns(predicted: Any) -> np.ndarray:
    predicted = np.squeeze(predicted)
    return np.column_stack([1 - predicted, predicted]) if predicted.ndim == 1 else predicted


if __name__ == "__main__":
    main()
