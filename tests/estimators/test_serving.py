"""Where models go: ONNX Runtime, treelite, C, SHAP. Each predicts `predict_proba`, also after early
stopping."""

import shutil
import warnings

import numpy as np
import pytest
import xgboost
from numpy.testing import assert_allclose
from problems import Problem, as_columns, booster, fit, ours, rows

TWO_AND_MANY = [Problem(library, kind) for library in ("xgboost", "lightgbm") for kind in ("two", "many")]
FORMS = {"whole": {}, "stopped": {"stop": 5}}


@pytest.fixture(params=TWO_AND_MANY, ids=lambda problem: f"{problem.library}-{problem.kind}")
def problem(request):
    return request.param


def float_rows(problem):
    """Rows that are the same in float32, which is what these tools read."""
    X = problem.valid.X.astype(np.float32)
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    return X


def fitted(problem, form):
    model = problem.ours(n_estimators=60 if form == "stopped" else 10, learning_rate=0.5, focal_alpha="balanced")
    return fit(model, problem.train, problem.valid, **FORMS[form])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_onnx(problem, form):
    onnxmltools = pytest.importorskip("onnxmltools")
    onnxruntime = pytest.importorskip("onnxruntime")
    from onnxmltools.convert.common.data_types import FloatTensorType

    model, X = fitted(problem, form), float_rows(problem)
    convert = getattr(onnxmltools, f"convert_{problem.library}")
    options = {"zipmap": False} if problem.library == "lightgbm" else {}
    graph = convert(booster(model), initial_types=[("X", FloatTensorType([None, 5]))], target_opset=15, **options)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = dict(zip((out.name for out in session.get_outputs()), session.run(None, {"X": X}), strict=True))
    assert_allclose(as_columns(outputs["probabilities"]), model.predict_proba(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_treelite(problem, form):
    treelite = pytest.importorskip("treelite")
    model, X = fitted(problem, form), float_rows(problem)
    converted = getattr(treelite.frontend, f"from_{problem.library}")(booster(model))
    p = treelite.gtil.predict(converted, X.astype(np.float32 if problem.library == "xgboost" else np.float64))
    p = np.asarray(p).reshape(len(X), -1)
    assert_allclose(as_columns(p[:, 0]) if p.shape[1] == 1 else p, model.predict_proba(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("params", [{"num_parallel_tree": 3}, {"booster": "dart", "rate_drop": 0.3}], ids=str)
def test_other_boosters_of_xgboost_in_treelite(params):
    treelite = pytest.importorskip("treelite")
    problem = Problem("xgboost", "two")
    model, X = fit(problem.ours(**params), problem.train), problem.valid.X.astype(np.float32)
    p = treelite.gtil.predict(treelite.frontend.from_xgboost(booster(model)), X)
    assert_allclose(np.ravel(p), model.predict_proba(X)[:, 1], rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="tl2cgen needs a C compiler")
def test_compiled(library, tmp_path):
    treelite, tl2cgen = pytest.importorskip("treelite"), pytest.importorskip("tl2cgen")
    problem = Problem(library, "two")
    model, X = fitted(problem, "whole"), float_rows(problem)
    path, dtype = str(tmp_path / "model.so"), "float32" if library == "xgboost" else "float64"
    converted = getattr(treelite.frontend, f"from_{library}")(booster(model))
    tl2cgen.export_lib(converted, toolchain="gcc", libpath=path, params={})
    p = tl2cgen.Predictor(path, verbose=False).predict(tl2cgen.DMatrix(X.astype(dtype), dtype=dtype))
    assert_allclose(np.ravel(p), model.predict_proba(X)[:, 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("alone", [True, False], ids=["booster", "estimator"])
def test_shap(library, alone):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        shap = pytest.importorskip("shap")
    problem = Problem(library, "two")
    model, X, y = fitted(problem, "stopped"), problem.valid.X, problem.valid.y
    of = booster(model) if alone else model
    probability = model.predict_proba(X)[:, 1].astype(np.float64)
    for output, expected in (("raw", model.decision_function(X)), ("probability", probability)):
        explanation = shap.TreeExplainer(of, X[:50], model_output=output)(X)
        total = explanation.values.sum(axis=1) + explanation.base_values
        assert_allclose(total, expected, rtol=0, atol=1e-5 if output == "raw" else 1e-6)
    explainer = shap.TreeExplainer(of, X[:50], model_output="log_loss")
    total = explainer.shap_values(X, y).sum(axis=1) + np.ravel([explainer.expected_value(label) for label in y])
    assert_allclose(total, -np.log(np.where(y, probability, 1 - probability)), rtol=0, atol=1e-5)


def test_categories_in_treelite(library):
    """Codes are what XGBoost's file takes: treelite knows no names of categories."""
    treelite = pytest.importorskip("treelite")
    data = rows("two")
    codes = np.random.default_rng(3).integers(0, 6, len(data.y))
    X = np.column_stack([data.X[:, :4], codes])
    y = data.y ^ np.isin(codes, [1, 4])
    if library == "xgboost":
        model = ours(library, enable_categorical=True, feature_types=["q"] * 4 + ["c"]).fit(X, y)
    else:
        model = ours(library).fit(X, y, categorical_feature=[4])
    converted = getattr(treelite.frontend, f"from_{library}")(booster(model))
    p = treelite.gtil.predict(converted, X.astype("f4" if library == "xgboost" else "f8"))
    assert_allclose(np.ravel(p), model.predict_proba(X)[:, 1], rtol=0, atol=1e-6)


def test_slices_of_xgboost():
    problem = Problem("xgboost", "many")
    model = fit(problem.ours(), problem.train)
    X = xgboost.DMatrix(problem.valid.X)
    part = model.get_booster()[:4].predict(X)
    assert_allclose(part, model.predict_proba(problem.valid.X, iteration_range=(0, 4)), rtol=0, atol=1e-6)
