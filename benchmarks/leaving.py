"""Models of the logit link that leave the package: the largest difference of each tool from predict_proba.

pip install -e '.[serving]' && python benchmarks/leaving.py
"""

from __future__ import annotations

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
import skl2onnx
import skops.io
import tl2cgen
import treelite
import xgboost
from _report import write
from onnxmltools.convert.common.data_types import FloatTensorType

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier
from focal_gbm.onnx import register_converters
from focal_gbm.skops import TRUSTED_TYPES

#: Rows in float32, as ONNX compares values with thresholds in it.
N_ROWS, N_FEATURES = 5000, 8


def main() -> None:
    warnings.simplefilter("ignore")  # of the converters' own imports and conversions
    register_converters()
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    z = X[:, 0] + 0.5 * X[:, 1] + rng.normal(size=N_ROWS)
    rows = []
    for classes, y in (("two", (z > 2).astype(int)), ("many", np.digitize(z, [0.0, 2.0]))):
        for library, model in (
            ("XGBoost", FocalXGBClassifier(focal_link="logit", n_estimators=50, max_depth=4, n_jobs=1)),
            ("LightGBM", FocalLGBMClassifier(focal_link="logit", n_estimators=50, verbose=-1, n_jobs=1)),
        ):
            model.fit(X, y)
            probability = model.predict_proba(X)
            for tool, predicted in tools(library, model, X, classes):
                difference = float(np.abs(two_columns(predicted) - probability[: len(predicted)]).max())
                rows.append({"tool": tool, "library": library, "classes": classes, "difference": difference})
                print(f"{tool:<22}{library:<10}{classes:<6}{difference:.1e}")
    write("leaving", "leaving.py", rows)


def tools(library: str, model: Any, X: np.ndarray, classes: str) -> Iterator[tuple[str, Any]]:
    booster = model.get_booster() if library == "XGBoost" else model.booster_
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        booster.save_model(path)
        if library == "XGBoost":
            yield "booster.predict", xgboost.Booster(model_file=path).predict(xgboost.DMatrix(X))
            loaded = treelite.frontend.from_xgboost(booster)
        else:
            yield "booster.predict", lightgbm.Booster(model_file=path).predict(X)
            loaded = treelite.frontend.from_lightgbm(booster)
        yield "treelite", treelite.gtil.predict(loaded, X)
        compiled = str(Path(folder) / "model.so")
        tl2cgen.export_lib(loaded, toolchain="gcc", libpath=compiled, params={})
        dtype = "float32" if library == "XGBoost" else "float64"
        yield "tl2cgen", tl2cgen.Predictor(compiled).predict(tl2cgen.DMatrix(X.astype(dtype), dtype=dtype))
    convert: Callable[..., Any] = getattr(onnxmltools, f"convert_{library.lower()}")
    flat = {"zipmap": False} if library == "LightGBM" else {}
    inputs = [("input", FloatTensorType([None, X.shape[1]]))]
    yield "ONNX, onnxmltools", of_onnx(convert(booster, initial_types=inputs, target_opset=15, **flat), X)
    options = {"options": {"zipmap": False}, "target_opset": {"": 15, "ai.onnx.ml": 3}}
    yield "ONNX, skl2onnx", of_onnx(skl2onnx.to_onnx(model, X[:1], **options), X)
    yield "skops", skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES).predict_proba(X)
    if classes == "two":
        explanation = shap.TreeExplainer(model, X[:50], model_output="probability")(X[:500])
        yield "SHAP in probabilities", explanation.values.sum(axis=1) + explanation.base_values
        with sqlite3.connect(":memory:") as database:
            database.execute("CREATE TABLE log_odds (id INTEGER, raw REAL)")
            raw = model.decision_function(X).astype(float).tolist()
            database.executemany("INSERT INTO log_odds VALUES (?, ?)", enumerate(raw))
            query = "SELECT 1 / (1 + EXP(-raw)) FROM log_odds ORDER BY id"
            yield "SQL", np.array(database.execute(query).fetchall())


def of_onnx(graph: Any, X: np.ndarray) -> Any:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})[1]


def two_columns(predicted: Any) -> np.ndarray:
    predicted = np.squeeze(predicted)
    return np.column_stack([1 - predicted, predicted]) if predicted.ndim == 1 else predicted


if __name__ == "__main__":
    main()
