"""With the logit link the booster is an ordinary one: wherever it goes, it predicts `predict_proba`."""

import re
import shutil
import sqlite3
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import focal_lgb, focal_xgb
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import log_loss
from test_serving import booster_of, onnx_score, treelite_score, two_columns

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier, Poly1Focal
from focal_gbm.skops import TRUSTED_TYPES

PAGE = Path(__file__).parent.parent / "docs" / "guide" / "logit_link.md"
MAKE = {"xgboost": focal_xgb, "lightgbm": focal_lgb}
ALPHAS = {"plain": {}, "alpha": {"focal_alpha": "balanced"}, "gamma by class": {"focal_gamma": [2.0, 1.0]}}
#: Of the probabilities of a plain booster: XGBoost's are float32.
CLOSE = {"xgboost": 1e-6, "lightgbm": 1e-12}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 6)).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    z = np.nan_to_num(X[:, 0]) + rng.normal(size=800)
    return X, (z > 1.5).astype(int), np.digitize(z, [0.0, 1.5])


@pytest.fixture(params=MAKE)
def library(request):
    return request.param


def fitted(library, X, y, **params):
    return MAKE[library](**{"focal_link": "logit", "n_estimators": 20, **params}).fit(X, y)


@pytest.mark.parametrize("kind", ALPHAS)
@pytest.mark.parametrize("many", [False, True], ids=["two", "many"])
def test_a_plain_booster_in_a_fresh_process(library, data, kind, many, tmp_path):
    X, y = data[0], data[2] if many else data[1]
    params = {"focal_gamma": [2.0, 1.0, 0.5]} if many and kind == "gamma by class" else ALPHAS[kind]
    model = fitted(library, X, y, **params)
    names = ("saved.json", "of_booster.json")
    model.save_model(tmp_path / names[0])
    booster_of(model).save_model(tmp_path / names[1])
    np.save(tmp_path / "X.npy", X)
    for name in names:
        source = f"""
import sys, numpy as np, {library}
X = np.load(r"{tmp_path / "X.npy"}")
if "{library}" == "xgboost":
    predicted = xgboost.Booster(model_file=r"{tmp_path / name}").predict(xgboost.DMatrix(X))
else:
    predicted = lightgbm.Booster(model_file=r"{tmp_path / name}").predict(X)
assert not any(module.startswith("focal_gbm.") for module in sys.modules)
np.save(r"{tmp_path / "p.npy"}", predicted)
"""
        subprocess.run([sys.executable, "-c", source], check=True, capture_output=True)
        found = two_columns(np.load(tmp_path / "p.npy"))
        assert_allclose(found, model.predict_proba(X), atol=CLOSE[library], rtol=0)
    twin = type(model)()
    twin.load_model(tmp_path / names[1])
    assert_allclose(twin.predict_proba(X), model.predict_proba(X), atol=1e-12, rtol=0)
    assert (twin.predict(X) == model.predict(X)).all()


@pytest.mark.parametrize("alone", [True, False], ids=["booster", "estimator"])
def test_shap_adds_up(library, data, alone):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        shap = pytest.importorskip("shap")
    X, y, _ = data
    X = np.nan_to_num(X).astype(np.float64)
    model = fitted(library, X, y)
    probability = model.predict_proba(X)[:, 1]
    of = booster_of(model) if alone else model
    for output, expected in (("raw", model.decision_function(X)), ("probability", probability)):
        explanation = shap.TreeExplainer(of, X[:50], model_output=output)(X[:200])
        total = explanation.values.sum(axis=1) + explanation.base_values
        assert_allclose(total, expected[:200], atol=1e-5)
    losses = -np.log(np.where(y, probability, 1 - probability))
    explainer = shap.TreeExplainer(of, X[:50], model_output="log_loss")
    total = explainer.shap_values(X[:50], y[:50]).sum(axis=1)
    base = [explainer.expected_value(label) for label in y[:50]]
    assert_allclose(total + np.ravel(base), losses[:50], atol=1e-5)


@pytest.mark.parametrize("many", [False, True], ids=["two", "many"])
def test_converted(library, data, many):
    X, y = data[0], data[2] if many else data[1]
    model = fitted(library, X, y)
    probability = model.predict_proba(X)
    assert_allclose(treelite_score(booster_of(model), X), probability, atol=1e-6)
    assert_allclose(onnx_score(booster_of(model), X)[1], probability, atol=1e-5)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="tl2cgen needs a C compiler")
def test_compiled(library, data, tmp_path):
    treelite, tl2cgen = pytest.importorskip("treelite"), pytest.importorskip("tl2cgen")
    X, y, _ = data
    model = fitted(library, X, y)
    load = getattr(treelite.frontend, f"from_{library}")
    path = str(tmp_path / "model.so")
    tl2cgen.export_lib(load(booster_of(model)), toolchain="gcc", libpath=path, params={})
    dtype = "float32" if library == "xgboost" else "float64"
    predictor = tl2cgen.Predictor(path, verbose=False)
    found = predictor.predict(tl2cgen.DMatrix(X.astype(dtype), dtype=dtype))
    assert_allclose(two_columns(found), model.predict_proba(X), atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("many", [False, True], ids=["two", "many"])
def test_skl2onnx(library, data, many):
    skl2onnx, onnxruntime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxmltools")
    from focal_gbm.onnx import register_converters

    register_converters()
    X, y = data[0], data[2] if many else data[1]
    options = {"options": {"zipmap": False}, "target_opset": {"": 15, "ai.onnx.ml": 3}}
    model = fitted(library, X, y)
    graph = skl2onnx.to_onnx(model, X[:1], **options)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    label, probability = session.run(None, {"X": X})
    assert_allclose(probability, model.predict_proba(X), atol=1e-5)
    assert (label == model.predict(X)).all()
    with pytest.raises(ValueError, match=r"booster predicts focal scores.*focal_link=.logit"):
        skl2onnx.to_onnx(fitted(library, X, y, focal_link="focal"), X[:1], **options)
    with pytest.warns(UserWarning, match="label of the ONNX graph is the most probable class"):
        skl2onnx.to_onnx(fitted(library, X, y, focal_alpha="balanced"), X[:1], **options)


# Refit, rounds that go on, checkpoints


def test_refit(data):
    X, y, _ = data
    model = fitted("lightgbm", X[:400], y[:400])
    again = model.booster_.refit(X[400:], y[400:], decay_rate=0.0)
    assert log_loss(y[400:], again.predict(X[400:])) < log_loss(y[400:], model.predict_proba(X[400:]))
    with pytest.raises(ValueError, match=r"^refit must not be called on a model of a focal loss"):
        fitted("lightgbm", X, y, focal_link="focal").booster_.refit(X, y)
    of_log_loss = fitted("lightgbm", X, y, focal_link="focal", focal_gamma=0.0)
    of_log_loss.booster_.refit(X, y)  # whose scores are log-odds by either link


def go_on(library, model, before, X, y):
    return model.fit(X, y, **{"xgb_model" if library == "xgboost" else "init_model": before})


@pytest.mark.parametrize("before", ["library", "another gamma", "alpha"])
def test_rounds_go_on_from_any_log_odds(library, data, before):
    X, y, _ = data
    params = {"n_estimators": 20, "n_jobs": 1}
    if before == "library":
        plain = xgboost.XGBClassifier(max_depth=3, **params)
        first = (plain if library == "xgboost" else lightgbm.LGBMClassifier(verbose=-1, **params)).fit(X, y)
    else:
        first = fitted(
            library, X, y, **({"focal_gamma": 0.5} if before == "another gamma" else ALPHAS["alpha"])
        )
    model = MAKE[library](focal_link="logit", n_estimators=1, learning_rate=1e-9)
    more = go_on(library, model, first, X, y)
    assert_allclose(more.predict_proba(X), first.predict_proba(X), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            {"focal_link": "logit"},
            {},
            r"it has log-odds \(focal_link=.logit.\), and this fit focal scores of γ",
        ),
        ({}, {"focal_link": "logit"}, r"it has focal scores of γ = 2, α = \(1, 1\), and this fit log-odds"),
        ({"focal_gamma": 1.0}, {}, r"it has focal scores of γ = 1, .* this fit focal scores of γ = 2"),
        ({"focal_alpha": 0.25}, {}, r"α = \(0\.75, 0\.25\), and this fit .* α = \(1, 1\)"),
        ("library", {}, r"it has log-odds of the library's own, and this fit focal scores of γ = 2"),
    ],
)
def test_other_scores_are_refused(library, data, before, after, message):
    X, y, _ = data
    params = {"n_estimators": 3, "n_jobs": 1}
    if before == "library":
        plain = xgboost.XGBClassifier(**params)
        first = (plain if library == "xgboost" else lightgbm.LGBMClassifier(verbose=-1, **params)).fit(X, y)
    else:
        first = MAKE[library](**before).fit(X, y)
    for one in (first, booster_of(first)):
        with pytest.raises(ValueError, match=message):
            go_on(library, MAKE[library](**after), one, X, y)


def test_alpha_is_the_same_but_for_a_factor(library, data):
    X, y, _ = data
    first = MAKE[library](focal_alpha=[1.0, 3.0]).fit(X, y)
    go_on(library, MAKE[library](focal_alpha=[2.0, 6.0]), first, X, y)


@pytest.mark.parametrize("link", ["focal", "logit"])
def test_checkpoints_of_xgboost(data, link, tmp_path):
    X, y, _ = data
    callback = xgboost.callback.TrainingCheckPoint(directory=tmp_path, name="ck", interval=5)
    model = focal_xgb(focal_link=link, n_estimators=11, callbacks=[callback]).fit(X, np.where(y, "yes", "no"))
    loaded = FocalXGBClassifier()
    loaded.load_model(tmp_path / "ck_10.ubj")
    assert loaded.focal_link == link
    assert loaded.classes_.tolist() == ["no", "yes"]
    n_rounds = loaded.get_booster().num_boosted_rounds()
    assert n_rounds in (10, 11)  # the number in the name is that of the last round, from 0
    expected = model.predict_proba(X, iteration_range=(0, n_rounds))
    assert_allclose(loaded.predict_proba(X), expected, atol=1e-6)


@pytest.mark.parametrize("link", ["focal", "logit"])
def test_checkpoints_of_lightgbm(data, link, tmp_path):
    X, y, _ = data

    def save(env):
        env.model.save_model(tmp_path / f"ck_{env.iteration + 1}")

    model = focal_lgb(focal_link=link, n_estimators=11).fit(X, np.where(y, "yes", "no"), callbacks=[save])
    loaded = FocalLGBMClassifier().load_model(tmp_path / "ck_10")
    assert loaded.focal_link == link
    assert_allclose(loaded.predict_proba(X), model.predict_proba(X, num_iteration=10), atol=1e-12)
    assert_allclose(loaded.predict_proba(X).mean(axis=0)[1], y.mean(), atol=0.02)


# In a database, and in a skops file


@pytest.mark.parametrize("many", [False, True], ids=["two", "many"])
def test_sql(library, data, many):
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    X, y = data[0], data[2] if many else data[1]
    model = fitted(library, X, y, focal_alpha="balanced")
    raw = model.decision_function(X).astype(float)
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("SELECT EXP(1.0)")
    except sqlite3.OperationalError:
        pytest.skip("this SQLite was built without mathematical functions")
    if many:
        connection.execute("CREATE TABLE log_odds (id INTEGER, class INTEGER, raw REAL)")
        rows = [(i, k, f) for i, of_row in enumerate(raw.tolist()) for k, f in enumerate(of_row)]
        connection.executemany("INSERT INTO log_odds VALUES (?, ?, ?)", rows)
    else:
        connection.execute("CREATE TABLE log_odds (id INTEGER, raw REAL)")
        connection.executemany("INSERT INTO log_odds VALUES (?, ?)", enumerate(raw.tolist()))
    found = [row[-1] for row in connection.execute(blocks[many])]
    connection.close()
    probability = model.predict_proba(X)
    assert_allclose(found, np.ravel(probability) if many else probability[:, 1], atol=CLOSE[library], rtol=0)


@pytest.mark.parametrize("link", ["focal", "logit"])
@pytest.mark.parametrize(
    ("library", "labels"),
    [*((library, kind) for library in MAKE for kind in ("two", "many")), ("xgboost", "labels")],
)
@pytest.mark.parametrize("params", [{}, {"margin_loss": Poly1Focal()}], ids=["focal loss", "poly-1"])
def test_skops(library, labels, data, link, params):
    io = pytest.importorskip("skops.io")
    X, two, many = data
    y = {"two": np.where(two, "yes", "no"), "many": many, "labels": np.column_stack([two, many > 0])}[labels]
    model = fitted(library, X, y, focal_link=link, **params)
    model.predict_proba(X)  # what is computed on demand, and kept, is in the file, too
    file = io.dumps(model)
    assert set(io.get_untrusted_types(data=file)) <= set(TRUSTED_TYPES)
    loaded = io.loads(file, trusted=TRUSTED_TYPES)
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.get_params().keys() == model.get_params().keys()


def test_the_trusted_types_are_classes():
    for name in TRUSTED_TYPES:
        module, _, cls = name.rpartition(".")
        assert isinstance(getattr(import_module(module), cls), type)


# MLflow


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["autolog", "log_model"])
def test_mlflow(library, data, how, tmp_path, monkeypatch):
    for name, value in {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow-skinny")
    flavor = pytest.importorskip(f"mlflow.{library}")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    mlflow.set_experiment("logit link")  # not the one that the guide's recipe left current
    frame, y = pd.DataFrame(data[0], columns=list("abcdef")), data[1]
    if how == "autolog":
        flavor.autolog()
        try:
            with mlflow.start_run() as run:
                model = fitted(library, frame, y, focal_gamma=1.5)
        finally:
            flavor.autolog(disable=True)
        logged = mlflow.tracking.MlflowClient().get_run(run.info.run_id).data
        assert logged.params["focal_gamma"] == "1.5"
        assert logged.params["focal_link"] == "logit"
        (saved,) = mlflow.search_logged_models(output_format="list")
        uri = saved.model_uri
    else:
        model = fitted(library, frame, y)
        with mlflow.start_run():
            uri = flavor.log_model(booster_of(model), name="model").model_uri
    served = mlflow.pyfunc.load_model(uri).predict(frame)
    assert_allclose(np.ravel(served), model.predict_proba(frame)[:, 1], atol=CLOSE[library], rtol=0)
