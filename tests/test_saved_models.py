"""Saved models: alone with the plain library in a fresh process, restored as estimators, trained further."""

import json
import subprocess
import sys

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import BOTH, focal_lgb, focal_xgb, make_table
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from focal_gbm.lightgbm.model_text import add_start, add_state, read_state


@pytest.fixture(scope="module")
def frame():
    """A table with categories and missing values, as a data frame, and its labels."""
    table = make_table(4)
    rng = np.random.default_rng(4)
    X = pd.DataFrame(table.X, columns=[f"x{i}" for i in range(5)])
    X["c"] = pd.Categorical(rng.choice(list("abcdefgh"), 500))
    X.loc[rng.random(500) < 0.2, "x0"] = np.nan
    return X, (table.y ^ X["c"].isin(["b", "g"])).to_numpy()


# Alone with the plain library

XGB_ALONE = """
import sys, json, numpy as np, pandas as pd, xgboost
for job in json.load(open(sys.argv[1])):
    X = pd.read_pickle(job["X"])
    booster = xgboost.Booster(model_file=job["model"])
    rounds = tuple(job.get("rounds", (0, 0)))
    if not rounds[1] and booster.attr("best_iteration"):
        rounds = (0, booster.best_iteration + 1)
    found = booster.predict(xgboost.DMatrix(X, enable_categorical=True), iteration_range=rounds)
    np.save(job["out"], found)
    model = xgboost.XGBClassifier()
    model.load_model(job["model"])
    if job["rounds"] == [0, 0]:
        assert np.allclose(model.predict_proba(X)[:, 1], found, atol=1e-7)
        assert (model.predict(X) == (found > 0.5)).all()
assert not any(name.startswith("focal") for name in sys.modules)
"""

LGB_ALONE = """
import sys, json, numpy as np, pandas as pd, lightgbm
for job in json.load(open(sys.argv[1])):
    X = pd.read_pickle(job["X"])
    booster = lightgbm.Booster(model_file=job["model"])
    np.save(job["out"], booster.predict(X, num_iteration=job["rounds"][1] or None))
    again = lightgbm.Booster(model_str=booster.model_to_string())
    assert (again.predict(X) == booster.predict(X)).all()
assert not any(name.startswith("focal") for name in sys.modules)
"""


def run_alone(script, jobs, folder):
    """Predict in one fresh process that knows the library alone; each job's result is returned."""
    for i, job in enumerate(jobs):
        job["out"] = str(folder / f"{i}.npy")
    (folder / "jobs.json").write_text(json.dumps(jobs))
    subprocess.run([sys.executable, "-c", script, str(folder / "jobs.json")], check=True, cwd=folder)
    return [np.load(job["out"]) for job in jobs]


ALPHAS = (None, 0.2, "balanced")

XGB_KINDS = {
    "gbtree": {},
    "dart": {"booster": "dart", "rate_drop": 0.3},
    "forest": {"num_parallel_tree": 3, "subsample": 0.7},
    "lossguide": {"grow_policy": "lossguide", "max_leaves": 8},
    "user's start": {"base_score": 0.1},
    "early": {"n_estimators": 300, "learning_rate": 0.5, "early_stopping_rounds": 4},
}


def test_xgboost_stands_alone(table, validation, frame, tmp_path):
    jobs, expected = [], []

    def add(model, X, name, ending, rounds=(0, 0)):
        model.save_model(tmp_path / f"{name}.{ending}")
        pd.DataFrame(X).to_pickle(tmp_path / f"{name}.X")
        job = {
            "model": str(tmp_path / f"{name}.{ending}"),
            "X": str(tmp_path / f"{name}.X"),
            "rounds": rounds,
        }
        jobs.append(job)
        z = model.predict(X, output_margin=True, iteration_range=rounds if rounds[1] else None)
        expected.append(expit(z.astype(np.float64)))

    for i, (kind, params) in enumerate(XGB_KINDS.items()):
        model = focal_xgb(**params, focal_alpha=ALPHAS[i % 3])
        sets = [(validation.X, validation.y)] if kind == "early" else None
        model.fit(table.X, table.y, eval_set=sets, verbose=False)
        add(model, table.X, f"{kind}-json", "json")
        add(model, table.X, f"{kind}-ubj", "ubj", (0, 3))
    X, y = frame
    for ending in ("json", "ubj"):
        add(focal_xgb(enable_categorical=True).fit(X, y), X, f"categories-{ending}", ending)
    for found, p in zip(run_alone(XGB_ALONE, jobs, tmp_path), expected, strict=True):
        assert_allclose(found, p, atol=1e-6, rtol=0)


LGB_KINDS = {
    "gbdt": {},
    "dart": {"boosting_type": "dart", "drop_rate": 0.5, "skip_drop": 0.1},
    "goss": {"data_sample_strategy": "goss", "learning_rate": 0.5},
    "bagging": {"subsample": 0.5, "subsample_freq": 1},
    "linear": {"linear_tree": True},
    "quantised": {"use_quantized_grad": True},
    "from zero": {"boost_from_average": False},
    "early": {"n_estimators": 300, "learning_rate": 0.5},
}


def test_lightgbm_stands_alone(table, validation, frame, tmp_path):
    jobs, expected = [], []

    def add(model, X, name, how, rounds=(0, 0)):
        path = tmp_path / f"{name}-{how}.txt"
        if how == "own":
            model.save_model(path)
        else:
            model.booster_.save_model(path)
        pd.DataFrame(X).to_pickle(tmp_path / f"{name}.X")
        jobs.append({"model": str(path), "X": str(tmp_path / f"{name}.X"), "rounds": rounds})
        expected.append(expit(model.decision_function(X, num_iteration=rounds[1] or None)))

    for i, (kind, params) in enumerate(LGB_KINDS.items()):
        model = focal_lgb(**params, focal_alpha=ALPHAS[i % 3])
        fit = {}
        if kind == "early":
            stop = lightgbm.early_stopping(4, verbose=False)
            fit = {"eval_X": validation.X, "eval_y": validation.y, "callbacks": [stop]}
        model.fit(table.X, table.y, **fit)
        add(model, table.X, kind, "library")
        add(model, table.X, kind, "own", (0, 3))
    X, y = frame
    for params in ({}, {"linear_tree": True}):
        model = focal_lgb(**params).fit(X, y)
        for how in ("own", "library"):
            add(model, X, f"categories-{len(params)}", how)
    for found, p in zip(run_alone(LGB_ALONE, jobs, tmp_path), expected, strict=True):
        assert_allclose(found, p, atol=1e-12, rtol=0)


def test_the_models_of_the_last_test_start_somewhere(table):
    """Not at zero: a start that is lost would be seen."""
    for make in BOTH.values():
        assert abs(make(focal_alpha=0.2).fit(table.X, table.y).decision_function(table.X).mean()) > 0.3


# Restored as estimators

CLASSES = {
    "str": ["no", "yes"],
    "bool": [False, True],
    "int": [-1, 7],
    "float": [-1.0, 2.0],
    "difficult": ["a=b\n\nTree=0\n", 'ü"\\, 日本 = \u2028\r'],
}
FORMS = {
    "None": None,
    "float": 0.3,
    "balanced": "balanced",
    "effective": "effective",
    "effective, beta": ("effective", 0.99),
    "dict": {0: 1.0, 1: 3.0},
    "array": np.array([0.5, 2.0]),
    "list": [0.5, 2.0],
}


def suffix(make):
    return "json" if make is focal_xgb else "txt"


def assert_restored(restored, model, X):
    assert_array_equal(restored.decision_function(X), model.decision_function(X))
    assert_array_equal(restored.predict_proba(X), model.predict_proba(X))
    predicted = restored.predict(X)
    assert_array_equal(predicted, model.predict(X))
    assert predicted.dtype == model.predict(X).dtype
    assert restored.classes_.tolist() == model.classes_.tolist()
    assert restored.classes_.dtype == model.classes_.dtype
    assert restored.n_features_in_ == model.n_features_in_
    assert restored.n_classes_ == 2
    assert_array_equal(restored.feature_importances_, model.feature_importances_)
    for name in ("focal_gamma", "focal_scale", "hessian", "probability"):
        assert getattr(restored, name) == getattr(model, name)


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_are_restored(make, table, kind, tmp_path):
    labels = np.array(CLASSES[kind])
    y = labels[table.y]
    for labelled in (y, y.astype(object)) if y.dtype.kind == "U" else (y,):
        model = make(focal_gamma=1.5, hessian="majorizing", probability="score").fit(table.X, labelled)
        path = tmp_path / f"model.{suffix(make)}"
        model.save_model(path)
        restored = make()
        restored.load_model(path)
        assert_restored(restored, model, table.X)
        # and by the name as a text
        restored = make()
        restored.load_model(str(path))
        assert_restored(restored, model, table.X)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("words", [False, True], ids=["int", "str"])
def test_alpha_is_restored(make, table, form, words, tmp_path):
    y, alpha = table.y, FORMS[form]
    if words:
        y = np.array(["no", "yes"])[y]
        if form == "dict":
            alpha = {"yes": 3.0, "no": 1.0}
    elif form == "dict":
        alpha = {np.int64(0): 1, np.int64(1): np.float64(3.0)}
    model = make(focal_alpha=alpha).fit(table.X, y)
    path = tmp_path / f"model.{suffix(make)}"
    model.save_model(path)
    restored = make()
    restored.load_model(path)
    assert_restored(restored, model, table.X)
    if form == "array":
        assert restored.focal_alpha == [0.5, 2.0]
    else:
        assert restored.focal_alpha == alpha
        assert type(restored.focal_alpha) is type(alpha)
    # a later fit is that of the same parameters
    rows = slice(0, 300)
    again, fresh = restored.fit(table.X[rows], y[rows]), make(focal_alpha=alpha).fit(table.X[rows], y[rows])
    assert_restored(again, fresh, table.X)
    assert again.predict_proba(table.X).mean(axis=0)[1] == pytest.approx(0.26, abs=0.06)


def test_a_restored_model_saves_the_same_file(make, table, tmp_path):
    ending = suffix(make)
    make(focal_alpha="balanced").fit(table.X, table.y).save_model(tmp_path / f"1.{ending}")
    restored = make(n_jobs=1)
    restored.load_model(tmp_path / f"1.{ending}")
    restored.save_model(tmp_path / f"2.{ending}")
    first, second = ((tmp_path / f"{i}.{ending}").read_text(encoding="utf-8") for i in (1, 2))
    if make is focal_xgb:
        assert first == second
    else:  # the library adds parameters of training to a model that it trained
        assert first.partition("\nparameters:")[0] == second.partition("\nparameters:")[0]


def test_parameters_at_the_time_of_saving(make, table, tmp_path):
    model = make().fit(table.X, table.y).set_params(probability="score")
    path = tmp_path / f"model.{suffix(make)}"
    model.save_model(path)
    restored = make()
    restored.load_model(path)
    assert_restored(restored, model, table.X)
    # γ and α of the next fit are not those of the link
    model.set_params(focal_gamma=0.0, focal_alpha=0.9).save_model(path)
    restored.load_model(path)
    assert_restored(restored, model, table.X)
    assert (restored.focal_gamma, restored.focal_alpha) == (0.0, 0.9)


def test_loading_over_a_fitted_model(make, table, validation, tmp_path):
    path = tmp_path / f"model.{suffix(make)}"
    small = make(n_estimators=3, focal_alpha=0.4).fit(table.X[:, :2], np.array(["no", "yes"])[table.y])
    small.save_model(path)
    if make is focal_xgb:
        model = make(eval_metric="auc").fit(
            table.X, table.y, eval_set=[(validation.X, validation.y)], verbose=False
        )
    else:
        model = make().fit(table.X, table.y, eval_X=validation.X, eval_y=validation.y)
    model.load_model(path)
    assert_restored(model, small, table.X[:, :2])
    if make is focal_xgb:
        assert not hasattr(model, "evals_result_")
    else:
        assert model.evals_result_ == {}
    with pytest.raises(ValueError, match=r"[Ff]eature"):
        model.predict(table.X)


def test_names_of_features(make, table, tmp_path):
    names = ["ä", "日本", "Größe_in_m", "x=1", "e"]
    X = pd.DataFrame(table.X, columns=names)
    model = make().fit(X, table.y)
    path = tmp_path / f"model.{suffix(make)}"
    model.save_model(path)
    restored = make()
    restored.load_model(path)
    assert list(restored.feature_names_in_) == list(model.feature_names_in_) == names
    assert_restored(restored, model, X)
    plain = make().fit(table.X, table.y)
    plain.save_model(path)
    restored.load_model(path)
    assert not hasattr(restored, "feature_names_in_")


def test_categories_are_restored(make, frame, tmp_path):
    X, y = frame
    kwargs = {"enable_categorical": True} if make is focal_xgb else {}
    model = make(**kwargs).fit(X, y)
    path = tmp_path / f"model.{suffix(make)}"
    model.save_model(path)
    restored = make(**kwargs)
    restored.load_model(path)
    reordered = X.assign(c=X["c"].cat.reorder_categories(list("hgfedcba")))
    assert_restored(restored, model, reordered)
    # another table, of other columns, is fitted as by a fresh estimator
    other = X[["x1", "c", "x2"]]
    assert_restored(restored.fit(other, y), make(**kwargs).fit(other, y), other)


def test_enable_categorical_is_not_forgotten(table, frame, tmp_path):
    X, y = frame
    focal_xgb().fit(table.X, table.y).save_model(tmp_path / "model.json")
    model = focal_xgb(enable_categorical=True)
    model.load_model(tmp_path / "model.json")
    assert model.enable_categorical is True
    assert_restored(model.fit(X, y), focal_xgb(enable_categorical=True).fit(X, y), X)


def test_early_stopped_model(make, table, validation, tmp_path):
    path = tmp_path / f"model.{suffix(make)}"
    params = {"n_estimators": 300, "learning_rate": 0.5}
    if make is focal_xgb:
        model = make(**params, early_stopping_rounds=4)
        model.fit(table.X, table.y, eval_set=[(validation.X, validation.y)], verbose=False)
    else:
        stop = lightgbm.early_stopping(4, verbose=False)
        model = make(**params)
        model.fit(table.X, table.y, eval_X=validation.X, eval_y=validation.y, callbacks=[stop])
    model.save_model(path)
    restored = make(**params)
    restored.load_model(path)
    assert_restored(restored, model, table.X)
    if make is focal_xgb:
        assert restored.best_iteration == model.best_iteration
    else:
        assert restored.best_iteration_ == model.best_iteration_ > 0


def test_xgboost_from_a_buffer_and_from_its_booster(table):
    model = focal_xgb(focal_alpha="balanced").fit(table.X, table.y)
    for ending in ("json", "ubj"):
        restored = focal_xgb()
        restored.load_model(model.get_booster().save_raw(raw_format=ending))
        assert_restored(restored, model, table.X)


def test_gblinear_is_restored(table, tmp_path):
    model = focal_xgb(booster="gblinear", max_depth=None).fit(table.X, table.y)
    model.save_model(tmp_path / "model.json")
    restored = focal_xgb(max_depth=None)
    restored.load_model(tmp_path / "model.json")
    assert_array_equal(restored.predict_proba(table.X), model.predict_proba(table.X))


# Files that are something else


@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize(
    "kind",
    ["library", "library ubj", "other library", "other estimator", "text", "binary", "cut off", "no file"],
)
def test_other_files_are_refused(make, table, kind, fitted, tmp_path):
    path = tmp_path / "file"
    xgb = xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(table.X, table.y)
    lgb = lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1).fit(table.X, table.y)
    other = focal_lgb if make is focal_xgb else focal_xgb
    message = r"(cannot be read as a model of|was not saved by)"
    if kind == "library ubj":
        path = tmp_path / "file.ubj"
        xgb.save_model(path)
    elif (kind == "library") == (make is focal_xgb) and kind in ("library", "other library"):
        path = tmp_path / "file.json"
        xgb.save_model(path)
    elif kind in ("library", "other library"):
        lgb.booster_.save_model(path)
    elif kind == "other estimator":
        path = tmp_path / f"file.{suffix(other)}"
        other(n_estimators=2).fit(table.X, table.y).save_model(path)
    elif kind == "text":
        path.write_text("hello\n")
    elif kind == "binary":
        path.write_bytes(bytes(range(256)))
    elif kind == "cut off":
        path = tmp_path / f"file.{suffix(make)}"
        make().fit(table.X, table.y).save_model(path)
        text = path.read_text()
        path.write_text(text[: len(text) // 3])
    elif make is focal_lgb:
        message = "No such file"
    model = make(focal_gamma=1.0)
    if fitted:
        model.fit(table.X, table.y)
        before = model.predict_proba(table.X)
    attributes = str(vars(model))
    error = FileNotFoundError if kind == "no file" and make is focal_lgb else ValueError
    with pytest.raises(error, match=message) as raised:
        model.load_model(path)
    assert "file" in str(raised.value)
    assert str(vars(model)) == attributes
    if fitted:
        assert_array_equal(model.predict_proba(table.X), before)


def of_loss(loss):
    """A saved state with this loss and nothing else that is wrong."""
    parameters = (
        '{"focal_gamma": 2.0, "focal_alpha": null, "margin_loss": null, "focal_scale": "log-loss", '
        '"hessian": "floored", "probability": "posterior"}'
    )
    classes = '{"dtype": "<i8", "values": [0, 1]}'
    return f'{{"format": 1, "loss": {loss}, "classes": {classes}, "parameters": {parameters}}}'


@pytest.mark.parametrize(
    "entry",
    [
        "not json",
        '{"format": 99}',
        '{"format": 1}',
        of_loss('{"kind": "binary", "gamma": -1, "alpha": null, "margin_loss": null}'),
        of_loss('{"kind": "binary", "gamma": 2, "alpha": null, "margin_loss": {"name": "unheard of"}}'),
        of_loss('{"kind": "ordinal", "gamma": 2, "alpha": null, "margin_loss": null}'),
        "[1, 2]",
    ],
)
def test_an_entry_that_cannot_be_read(table, entry, tmp_path):
    path = tmp_path / "model.json"
    booster = focal_xgb(n_estimators=2).fit(table.X, table.y).get_booster()
    booster.set_attr(focal_gbm=entry)
    booster.save_model(path)
    with pytest.raises(ValueError, match="focal_gbm entry of the model cannot be read"):
        focal_xgb().load_model(path)
    path = tmp_path / "model.txt"
    text = focal_lgb(n_estimators=2).fit(table.X, table.y).booster_.model_to_string()
    path.write_text(add_state(text, entry))
    with pytest.raises(ValueError, match="focal_gbm entry of the model cannot be read"):
        focal_lgb().load_model(path)


def test_an_entry_that_lacks_what_lightgbm_adds(table, tmp_path):
    path = tmp_path / "model.txt"
    focal_lgb(n_estimators=2).fit(table.X, table.y).save_model(path)
    text = path.read_text(encoding="utf-8")
    saved = json.loads(read_state(text))
    assert saved["best_iteration"] == 0
    assert saved["feature_names"] is False
    for name in ("best_iteration", "feature_names"):
        rest = json.dumps({key: value for key, value in saved.items() if key != name})
        path.write_text(add_state(text, rest))
        with pytest.raises(ValueError, match=rf"focal_gbm line of .* cannot be read: '{name}'"):
            focal_lgb().load_model(path)


def test_writing_where_nothing_can_be_written(make, table, tmp_path):
    model = make(n_estimators=2).fit(table.X, table.y)
    with pytest.raises((OSError, xgboost.core.XGBoostError)):
        model.save_model(tmp_path / "no folder" / "model.json")


# Training further

WARM = {
    "estimator": lambda model, folder: model,
    "booster": lambda model, folder: model.get_booster() if hasattr(model, "get_booster") else model.booster_,
    "file": lambda model, folder: str(folder / "own"),
    "path": lambda model, folder: folder / "own",
    "library's file": lambda model, folder: str(folder / "library"),
}


def train_further(make, model, how, folder, X, y, **params):
    """Fit a new estimator that goes on from `model`."""
    own, library = folder / "own", folder / "library"
    if make is focal_xgb:
        own, library = folder / "own.json", folder / "library.ubj"
    model.save_model(own)
    (model.get_booster() if make is focal_xgb else model.booster_).save_model(library)
    start = WARM[how](model, folder)
    if make is focal_xgb and how in ("file", "path", "library's file"):
        start = {"file": str(own), "path": own, "library's file": str(library)}[how]
    name = "xgb_model" if make is focal_xgb else "init_model"
    return make(**params).fit(X, y, **{name: start})


@pytest.mark.parametrize("how", WARM)
@pytest.mark.parametrize("alpha", [None, "balanced"])
def test_twice_k_rounds_are_2k_rounds(make, table, how, alpha, tmp_path):
    words = np.array(["no", "yes"])[table.y]
    first = make(n_estimators=8, focal_alpha=alpha).fit(table.X, words)
    before = first.decision_function(table.X)
    both = train_further(make, first, how, tmp_path, table.X, words, n_estimators=8, focal_alpha=alpha)
    once = make(n_estimators=16, focal_alpha=alpha).fit(table.X, words)
    assert_allclose(both.decision_function(table.X), once.decision_function(table.X), atol=1e-6, rtol=0)
    assert_allclose(both.predict_proba(table.X), once.predict_proba(table.X), atol=1e-6, rtol=0)
    n_rounds = both.get_booster().num_boosted_rounds() if make is focal_xgb else both.n_estimators_
    assert n_rounds == 16
    assert_array_equal(first.decision_function(table.X), before)
    # the start stands in the first tree alone, and a third training does not add it again
    third = train_further(make, both, how, tmp_path, table.X, words, n_estimators=4, focal_alpha=alpha)
    once = make(n_estimators=20, focal_alpha=alpha).fit(table.X, words)
    assert_allclose(third.decision_function(table.X), once.decision_function(table.X), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "params", [{"linear_tree": True}, {"boosting_type": "dart", "drop_rate": 0.0}], ids=str
)
def test_twice_k_rounds_of_other_trees_in_lightgbm(table, params, tmp_path):
    first = focal_lgb(n_estimators=8, **params).fit(table.X, table.y)
    both = focal_lgb(n_estimators=8, **params).fit(table.X, table.y, init_model=first)
    once = focal_lgb(n_estimators=16, **params).fit(table.X, table.y)
    assert_allclose(both.decision_function(table.X), once.decision_function(table.X), atol=1e-6, rtol=0)


@pytest.mark.parametrize("how", WARM)
def test_training_further_keeps_the_start_of_the_first_model(make, table, how, tmp_path):
    """Also on rows of another base rate."""
    first = make(focal_alpha=0.2).fit(table.X, table.y)
    y = (table.X[:, 3] > -1).astype(int)
    assert y.mean() > 0.8
    settings = {"n_estimators": 1, "learning_rate": 1e-12, "focal_alpha": 0.2}
    more = train_further(make, first, how, tmp_path, table.X, y, **settings)
    expected = first.decision_function(table.X)
    assert_allclose(more.decision_function(table.X), expected, atol=1e-6, rtol=0)


def test_training_further_with_categories(make, frame, tmp_path):
    X, y = frame
    kwargs = {"enable_categorical": True} if make is focal_xgb else {}
    first = make(n_estimators=8, **kwargs).fit(X, y)
    once = make(n_estimators=16, **kwargs).fit(X, y)
    for how in ("estimator", "file"):
        both = train_further(make, first, how, tmp_path, X, y, n_estimators=8, **kwargs)
        assert_allclose(both.decision_function(X), once.decision_function(X), atol=1e-6, rtol=0)


def test_training_further_from_the_plain_libraries(make, table):
    """They are focal models of γ=0: with γ=0 the rounds go on."""
    if make is focal_xgb:
        plain = xgboost.XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1).fit(table.X, table.y)
        once = xgboost.XGBClassifier(n_estimators=16, max_depth=3, n_jobs=1).fit(table.X, table.y)
        model = make(n_estimators=8, focal_gamma=0.0).fit(table.X, table.y, xgb_model=plain)
        expected = once.predict(table.X, output_margin=True)
    else:
        params = {"num_leaves": 7, "n_jobs": 1, "verbose": -1}
        plain = lightgbm.LGBMClassifier(n_estimators=8, **params).fit(table.X, table.y)
        once = lightgbm.LGBMClassifier(n_estimators=16, **params).fit(table.X, table.y)
        model = make(n_estimators=8, focal_gamma=0.0).fit(table.X, table.y, init_model=plain)
        expected = once.predict(table.X, raw_score=True)
    assert_allclose(model.decision_function(table.X), expected, atol=1e-5, rtol=0)


def test_training_further_after_early_stopping_uses_the_new_rounds(table, validation):
    first = focal_xgb(n_estimators=300, learning_rate=0.5, early_stopping_rounds=4)
    first.fit(table.X, table.y, eval_set=[(validation.X, validation.y)], verbose=False)
    n_rounds = first.get_booster().num_boosted_rounds()
    assert n_rounds == first.best_iteration + 5
    model = focal_xgb(n_estimators=6, learning_rate=0.5).fit(table.X, table.y, xgb_model=first)
    once = focal_xgb(n_estimators=n_rounds + 6, learning_rate=0.5).fit(table.X, table.y)
    assert_allclose(model.decision_function(table.X), once.decision_function(table.X), atol=1e-6)
    assert first.get_booster().attr("best_iteration") is not None


@pytest.mark.parametrize("how", ["estimator", "file", "path"])
def test_training_further_with_other_classes_is_refused(make, table, how, tmp_path):
    first = make(n_estimators=2).fit(table.X, np.array(["no", "yes"])[table.y])
    message = r"(xgb|init)_model must have the classes of y, \['ja', 'nein'\], got \['no', 'yes'\]"
    with pytest.raises(ValueError, match=message):
        train_further(make, first, how, tmp_path, table.X, np.array(["nein", "ja"])[table.y])


def test_a_booster_of_xgboost_knows_its_classes(table, tmp_path):
    first = focal_xgb(n_estimators=2).fit(table.X, np.array(["no", "yes"])[table.y])
    for how in ("booster", "library's file"):
        with pytest.raises(ValueError, match=r"xgb_model must have the classes of y, \[0, 1\]"):
            train_further(focal_xgb, first, how, tmp_path, table.X, table.y)


# The start added to the leaves, on the text alone


def model_text(table, n_trees=3, n_classes=2, **params):
    """A model of a custom objective, as LightGBM leaves it, and the booster."""

    def objective(raw, data):
        one_hot = np.eye(n_classes)[data.get_label().astype(int)] if n_classes > 2 else data.get_label()
        return (expit(raw) - one_hot), np.full(raw.shape, 0.25)

    params = {"objective": objective, "num_leaves": 5, "verbosity": -1, "num_threads": 1, **params}
    y = table.y if n_classes == 2 else np.digitize(table.X[:, 0], [-0.5, 0.5])
    if n_classes > 2:
        params["num_class"] = n_classes
    data = lightgbm.Dataset(table.X, y, params=params)
    booster = lightgbm.train(params, data, n_trees)
    return booster.model_to_string(), booster


@pytest.mark.parametrize("params", [{}, {"linear_tree": True}, {"num_leaves": 31}], ids=str)
@pytest.mark.parametrize("n_trees", [1, 3, 12])
@pytest.mark.parametrize("constant", [-3.25, 1e-300, 0.1, 12345.678])
def test_start_adds_a_constant(table, params, n_trees, constant):
    text, booster = model_text(table, n_trees, **params)
    complete = lightgbm.Booster(model_str=add_start(text, [constant], "binary sigmoid:1"))
    raw = booster.predict(table.X, raw_score=True)
    assert_allclose(complete.predict(table.X, raw_score=True), raw + constant, rtol=1e-13, atol=1e-13)
    assert_allclose(complete.predict(table.X), expit(raw + constant), rtol=1e-12)
    first = booster.predict(table.X, raw_score=True, num_iteration=1)
    assert_allclose(
        complete.predict(table.X, raw_score=True, num_iteration=1), first + constant, rtol=1e-13, atol=1e-13
    )
    if "linear_tree" not in params:
        parts = complete.predict(table.X, pred_contrib=True)
        assert_allclose(parts.sum(axis=1), raw + constant, rtol=1e-10, atol=1e-10)
        assert_allclose(
            parts[:, :-1],
            booster.predict(table.X, pred_contrib=True)[:, :-1],
            atol=1e-8 + 1e-12 * abs(constant),
        )
    # nodes, too, hold the value that a row would have there
    nodes, raised = booster.trees_to_dataframe(), complete.trees_to_dataframe()
    added = np.where(nodes["tree_index"] == 0, constant, 0.0)
    assert_allclose(raised["value"], nodes["value"] + added, rtol=1e-13, atol=1e-13)
    assert_array_equal(complete.feature_importance("split"), booster.feature_importance("split"))
    assert complete.num_trees() == n_trees


def test_start_of_many_trees_a_round(table):
    constants = [0.5, -1.5, 2.0]
    text, booster = model_text(table, 4, n_classes=3)
    complete = lightgbm.Booster(model_str=add_start(text, constants, "multiclass num_class:3"))
    raw = booster.predict(table.X, raw_score=True)
    assert_allclose(complete.predict(table.X, raw_score=True), raw + constants, atol=1e-13)
    assert_allclose(complete.predict(table.X).sum(axis=1), 1.0)
    assert_allclose(complete.predict(table.X).argmax(axis=1), (raw + constants).argmax(axis=1))
    first = booster.predict(table.X, raw_score=True, num_iteration=1)
    assert_allclose(complete.predict(table.X, raw_score=True, num_iteration=1), first + constants, atol=1e-13)


def test_start_of_trees_that_are_one_leaf(table):
    for n_classes, constants, link in (
        (2, [0.7], "binary sigmoid:1"),
        (3, [1.0, 2.0, 3.0], "multiclass num_class:3"),
    ):
        text, booster = model_text(table, 2, n_classes=n_classes, min_gain_to_split=1e9)
        assert booster.feature_importance("split").sum() == 0
        complete = lightgbm.Booster(model_str=add_start(text, constants, link))
        raw = booster.predict(table.X, raw_score=True)
        assert_allclose(
            complete.predict(table.X, raw_score=True) - raw,
            np.broadcast_to(constants, (500, len(constants))).reshape(raw.shape),
        )


def test_start_of_zero_changes_the_link_alone(table):
    text, _ = model_text(table)
    complete = add_start(text, [0.0], "binary sigmoid:1")
    added = set(complete.split("\n")) - set(text.split("\n"))
    assert added <= {"objective=binary sigmoid:1", "[objective: binary]"}
    assert add_start(complete, [0.0], "binary sigmoid:1") == complete


def test_start_leaves_other_trees_and_the_sizes_right(table):
    text, _ = model_text(table, 12)
    complete = add_start(text, [0.123456789], "binary sigmoid:1")
    assert (
        complete[complete.index("\nTree=1\n") :].replace("[objective: binary]", "[objective: custom]")
        == text[text.index("\nTree=1\n") :]
    )
    header, _, rest = complete.partition("\nTree=0\n")
    (sizes,) = (line for line in header.split("\n") if line.startswith("tree_sizes="))
    sizes = [int(size) for size in sizes.removeprefix("tree_sizes=").split()]
    trees = ("Tree=0\n" + rest).encode()
    for i, size in enumerate(sizes):
        assert trees.startswith(f"Tree={i}\n".encode())
        trees = trees[size:]
    assert trees.startswith(b"end of trees")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "it has no tree"),
        (lambda text: "hello", "it has no tree"),
        (lambda text: text.replace("Tree=0\n", "Baum=0\n"), "it has no tree"),
        (lambda text: text.replace("tree_sizes=", "sizes="), "its header has no tree_sizes"),
        (lambda text: text.replace("feature_names=", "names="), "its header has no feature_names"),
        (lambda text: text[: text.index("end of trees")], "its trees do not end"),
        (lambda text: text.replace("leaf_value=", "leaf_value=x"), "could not convert string to float"),
    ],
)
def test_start_of_something_else(table, damage, message):
    text, _ = model_text(table, 1)
    with pytest.raises(ValueError, match=message):
        add_start(damage(text), [1.0], "binary sigmoid:1")


@pytest.mark.parametrize("state", ["{}", "a = b", '{"x": "\\n\\u2028="}', "é = 日本", ""])
def test_state_in_the_text(table, state):
    text, booster = model_text(table)
    assert read_state(text) is None
    written = add_state(text, json.dumps(state))
    assert json.loads(read_state(written)) == state
    loaded = lightgbm.Booster(model_str=written)
    assert_array_equal(loaded.predict(table.X), booster.predict(table.X))
    assert read_state(loaded.model_to_string()) is None
