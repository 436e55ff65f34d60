"""A fitted model is the library's: its file, read anywhere, predicts `predict_proba`; copies are ours."""

import copy
import gc
import io
import json
import pickle
import subprocess
import sys

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from problems import CLOSE, PROBLEMS, Problem, as_columns, booster, fit, log, n_best, ours, plain, rows
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from focal_gbm import FocalXGBClassifier, Poly1Focal
from focal_gbm.lightgbm.boosting import complete


def assert_same(a, b, X):
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert_array_equal(a.predict(X), b.predict(X))
    assert_array_equal(a.classes_, b.classes_)


# The library's own file

READER = """
import sys
import numpy as np
library, folder, kinds = sys.argv[1], sys.argv[2], sys.argv[3:]
for kind in kinds:
    path, rows = f"{folder}/{kind}.json", np.load(f"{folder}/{kind}.npy")
    if library == "xgboost":
        import xgboost
        p = xgboost.Booster(model_file=path).predict(xgboost.DMatrix(rows))
    else:
        import lightgbm
        p = lightgbm.Booster(model_file=path).predict(rows)
    np.save(f"{folder}/p_{kind}.npy", p)
assert not any(module.startswith("focal_gbm") for module in sys.modules)
"""


def test_stopped_models_in_a_fresh_process(library, tmp_path):
    models = {}
    for problem in PROBLEMS:
        if problem.library == library:
            model = problem.ours(n_estimators=100, learning_rate=0.5, focal_alpha="balanced")
            fit(model, problem.train, problem.valid, stop=5)
            assert n_best(model) < len(next(iter(log(model).values())))
            booster(model).save_model(tmp_path / f"{problem.kind}.json")
            np.save(tmp_path / f"{problem.kind}.npy", problem.valid.X)
            models[problem.kind] = model.predict_proba(problem.valid.X)
    command = [sys.executable, "-c", READER, library, str(tmp_path), *models]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    for kind, expected in models.items():
        p = np.load(tmp_path / f"p_{kind}.npy")
        found = p if kind == "labels" else as_columns(p)
        assert_allclose(found, expected, rtol=0, atol=CLOSE[library])


BOOSTERS = {
    "xgboost": {
        "dart": {"booster": "dart", "rate_drop": 0.3},
        "forest": {"num_parallel_tree": 3, "subsample": 0.5},
        "linear": {"booster": "gblinear", "max_depth": None, "updater": "coord_descent"},
        "vector leaves": {"multi_strategy": "multi_output_tree"},
        "start": {"base_score": 0.3},
        "poly-1": {"margin_loss": Poly1Focal(2.0, 0.5)},
    },
    "lightgbm": {
        "dart": {"boosting_type": "dart"},
        "goss": {"data_sample_strategy": "goss"},
        "linear trees": {"linear_tree": True},
        "no start": {"boost_from_average": False},
        "one leaf": {"min_child_samples": 1000},
        "poly-1": {"margin_loss": Poly1Focal(2.0, 0.5)},
    },
}


@pytest.mark.filterwarnings("ignore:.*grew no split:UserWarning")
def test_files_of_every_booster(problem, tmp_path):
    path = tmp_path / "model.json"
    for name, params in BOOSTERS[problem.library].items():
        if name == "vector leaves" and problem.kind == "two":
            continue
        train, X = problem.train, problem.valid.X
        model = fit(problem.ours(**params, random_state=1), train)
        booster(model).save_model(path)
        expected = model.predict_proba(X)
        assert_allclose(plain(problem.library, path, X), expected, rtol=0, atol=problem.close, err_msg=name)
        assert_allclose(expected.mean(axis=0)[-1], train.y.mean(axis=0)[-1] if train.y.ndim == 2 else
                        (train.y == train.y.max()).mean(), atol=0.12)  # fmt: skip
        # a slice of the first rounds, and contributions, have the start
        if problem.library == "lightgbm":
            n = 3 if problem.kind == "many" else 1
            part = booster(model).predict(X, num_iteration=3, raw_score=True)
            assert_allclose(model.predict_proba(X, num_iteration=3, raw_score=True), part, atol=1e-12)
            if name != "linear trees":  # of which LightGBM has no contributions
                total = booster(model).predict(X, num_iteration=3, pred_contrib=True).reshape(len(X), n, -1)
                assert_allclose(total.sum(axis=-1), part.reshape(len(X), n), atol=1e-9, err_msg=name)


def test_contributions_of_xgboost_add_up():
    for kind in ("two", "many", "labels"):
        problem = Problem("xgboost", kind)
        model = fit(problem.ours(), problem.train)
        total = model.get_booster().predict(xgboost.DMatrix(problem.valid.X), pred_contribs=True).sum(axis=-1)
        assert_allclose(total, model.decision_function(problem.valid.X), atol=1e-5)


# XGBoost's `save_model` and `load_model`, which keep the labels

LABELS = {
    "codes": [0, 1, 2], "text": ["a", "é", "z"], "negative": [-3, -1, 7], "float": [0.0, 1.0, 2.0],
    "float32": np.float32([-1, 0, 5]), "uint64": np.array([2**63 + 1, 2**63 + 5, 2**64 - 1], np.uint64),
    "int8": np.int8([-128, 0, 127]), "objects": np.array(["a", "b", "c"], object),
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("many", [False, True], ids=["two", "many"])
@pytest.mark.parametrize("kind", [*LABELS, "bool"])
def test_labels_are_restored(kind, many, suffix, tmp_path):
    data = rows("many" if many else "two")
    if kind == "bool" and many:
        pytest.skip("three of them there are not")
    names = np.asarray([False, True] if kind == "bool" else LABELS[kind])
    y = names[data.y]
    model = ours("xgboost", focal_alpha="balanced").fit(data.X, y)
    model.save_model(tmp_path / f"model.{suffix}")
    other = FocalXGBClassifier()
    other.load_model(tmp_path / f"model.{suffix}")
    assert_same(other, model, data.X)
    assert other.classes_.dtype == model.classes_.dtype == y.dtype
    raw = FocalXGBClassifier()
    raw.load_model(model.get_booster().save_raw())
    assert_same(raw, model, data.X)


PARAMETERS = {
    "alpha": {"focal_alpha": "balanced"}, "gamma": {"focal_gamma": 0.5},
    "poly-1": {"margin_loss": Poly1Focal(2.0, 0.5)}, "log loss": {"focal_gamma": 0.0},
}  # fmt: skip


#: What `load_model` sets; `booster` is XGBoost's own doing.
LOADED = ("focal_gamma", "focal_alpha", "margin_loss", "booster")


@pytest.mark.parametrize("form", PARAMETERS)
@pytest.mark.parametrize("kind", ["two", "many", "labels"])
def test_a_fit_after_load_model_is_focal_again(kind, form, tmp_path):
    problem = Problem("xgboost", kind)
    model = fit(problem.ours(**PARAMETERS[form]), problem.train)
    model.save_model(tmp_path / "model.json")
    other = problem.ours(focal_gamma=1.0)
    before = {name: value for name, value in other.get_params().items() if name not in LOADED}
    other.load_model(tmp_path / "model.json")
    assert_same(other, model, problem.valid.X)
    after = {name: value for name, value in other.get_params().items() if name in before}
    assert repr(after) == repr(before)
    assert_same(fit(other, problem.train), model, problem.valid.X)
    other.save_model(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads((tmp_path / "model.json").read_text())


def test_a_plain_classifier_reads_the_file(tmp_path):
    for kind in ("two", "many", "labels"):
        problem = Problem("xgboost", kind)
        model = fit(problem.ours(n_estimators=100, learning_rate=0.5), problem.train, problem.valid, stop=5)
        model.save_model(tmp_path / "model.json")
        other = xgboost.XGBClassifier()
        other.load_model(tmp_path / "model.json")
        assert_array_equal(other.predict_proba(problem.valid.X), model.predict_proba(problem.valid.X))
        assert other.best_iteration == model.best_iteration
        # and ours the plain one's
        fit(problem.own(), problem.train).save_model(tmp_path / "plain.json")
        ours_ = FocalXGBClassifier(focal_gamma=2.0)
        ours_.load_model(tmp_path / "plain.json")
        assert_array_equal(
            ours_.predict_proba(problem.valid.X),
            fit(problem.own(), problem.train).predict_proba(problem.valid.X),
        )


def test_labels_that_a_file_cannot_hold(tmp_path):
    data = rows("two")
    y = np.array(["1969-07-20", "2020-02-29"], "datetime64[D]")[data.y]
    model = ours("xgboost").fit(data.X, y)
    assert model.predict(data.X).dtype == y.dtype
    with pytest.raises(TypeError, match="Class labels must be strings, numbers or booleans to be saved"):
        model.save_model(tmp_path / "model.json")
    assert_same(pickle.loads(pickle.dumps(model)), model, data.X)


def test_loading_over_a_fitted_model(tmp_path):
    """Nothing of the first model is left."""
    first, second = rows("many"), rows("two")
    saved = ours("xgboost", focal_alpha="balanced").fit(second.X, np.array(["no", "yes"])[second.y])
    saved.save_model(tmp_path / "model.json")
    model = fit(ours("xgboost", n_estimators=100, learning_rate=0.5), first, rows("many", 1, 200), stop=5)
    model.load_model(tmp_path / "model.json")
    assert_same(model, saved, second.X)
    with pytest.raises(AttributeError):
        model.best_iteration  # noqa: B018


def test_what_is_no_model(tmp_path):
    path = tmp_path / "model.json"
    path.write_text("{}")
    for name in (path, tmp_path / "not there.json"):
        with pytest.raises((ValueError, OSError, xgboost.core.XGBoostError)):
            FocalXGBClassifier().load_model(name)
    with pytest.raises(NotFittedError):
        FocalXGBClassifier().save_model(path)


# Copies

COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)), "deepcopy": copy.deepcopy, "copy": copy.copy,
}  # fmt: skip


def through_joblib(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.parametrize("how", [*COPIES, "joblib"])
def test_copies(problem, how):
    model = problem.ours(focal_alpha="balanced", margin_loss=Poly1Focal(2.0, 0.5), n_estimators=60, learning_rate=0.5)
    fit(model, problem.train, problem.valid, stop=5)
    other = COPIES.get(how, through_joblib)(model)
    assert_same(other, model, problem.valid.X)
    assert repr(other.get_params()) == repr(model.get_params())
    assert n_best(other) == n_best(model)
    assert_same(fit(other, problem.train, problem.valid, stop=5), model, problem.valid.X)


def test_a_clone_is_not_fitted_and_fits_the_same(problem):
    model = problem.ours(focal_alpha=[1.0, 3.0, 2.0] if problem.kind == "many" else 0.7)
    params = repr(model.get_params())
    other = clone(fit(model, problem.train))
    assert repr(model.get_params()) == repr(other.get_params()) == params
    assert not other.__sklearn_is_fitted__()
    assert_same(fit(other, problem.train), model, problem.valid.X)


def test_unfitted_models_pickle(problem):
    model = problem.ours(focal_alpha=0.3)
    assert repr(pickle.loads(pickle.dumps(model)).get_params()) == repr(model.get_params())


def test_a_fitted_model_holds_no_training_rows(problem):
    data = rows(problem.kind, 0, 8000)
    model = fit(problem.ours(n_estimators=2, focal_alpha="balanced"), data)
    assert len(pickle.dumps(model)) < 60_000
    gc.collect()
    held = [value for value in vars(model).values() if isinstance(value, np.ndarray)]
    assert all(value.size < 100 for value in held)


def test_names_of_columns(library, table, tmp_path):
    frame = pd.DataFrame(table.X, columns=["alpha", "β", "c_3", "d", "E"])
    model = ours(library).fit(frame, table.y)
    booster(model).save_model(tmp_path / "model.json")
    if library == "xgboost":
        saved = xgboost.Booster(model_file=str(tmp_path / "model.json"))
        assert saved.feature_names == list(frame)
        p = saved.predict(xgboost.DMatrix(frame))
    else:
        saved = lightgbm.Booster(model_file=tmp_path / "model.json")
        assert saved.feature_name() == list(frame)
        p = saved.predict(frame)
    assert_allclose(p, model.predict_proba(frame)[:, 1], rtol=0, atol=CLOSE[library])
    with pytest.raises(
        (ValueError, lightgbm.basic.LightGBMError), match=r"feature_names mismatch|[Nn]umber of features"
    ):
        model.predict_proba(frame[["alpha", "β", "c_3", "d"]])


def test_refit_of_lightgbm(validation):
    """On other rows, with the log loss, from log-odds: better there than before."""
    other = rows("two", 5, 400)
    model = fit(ours("lightgbm"), rows("two"))
    again = model.booster_.refit(other.X, other.y, decay_rate=0.5)

    def loss(p):
        return -np.log(np.where(other.y, p, 1 - p)).mean()

    assert loss(again.predict(other.X)) < loss(model.predict_proba(other.X)[:, 1])
    # weights of classes are α, and no part of a later refit
    with pytest.warns(UserWarning, match="scale_pos_weight=3.0 moves the decisions"):
        weighted = fit(ours("lightgbm", scale_pos_weight=3.0), rows("two"))
    same = fit(ours("lightgbm", focal_alpha=(1.0, 3.0)), rows("two"))
    refitted = [one.booster_.refit(other.X, other.y).predict(other.X) for one in (weighted, same)]
    assert_allclose(*refitted, rtol=0, atol=1e-12)


# The text of LightGBM


@pytest.mark.parametrize("kind", ["two", "many"])
@pytest.mark.parametrize("params", [{}, {"linear_tree": True}, {"min_data_in_leaf": 1000}], ids=str)
@pytest.mark.parametrize("constant", [-3.25, 1e-300, 0.1, 12345.678])
def test_the_text_with_a_start_adds_a_constant(kind, params, constant):
    data = rows(kind)
    n = 3 if kind == "many" else 1
    objective = {"objective": "multiclass", "num_class": 3} if n == 3 else {"objective": "binary"}
    model = lightgbm.train(
        {**objective, "num_leaves": 5, "verbose": -1, "num_threads": 1, **params},
        lightgbm.Dataset(data.X, data.y),
        4,
    )
    start = [constant * (k + 1) for k in range(n)]
    name = "multiclass num_class:3" if n == 3 else "binary sigmoid:1"
    text = complete(model.model_to_string(), start, name)
    found = lightgbm.Booster(model_str=text)
    for rounds in (1, None):
        expected = model.predict(data.X, raw_score=True, num_iteration=rounds) + np.array(start if n == 3 else start[0])
        found_raw = found.predict(data.X, raw_score=True, num_iteration=rounds)
        assert_allclose(found_raw, expected, rtol=1e-12, atol=1e-12)
    assert complete(found.model_to_string(), [], name) == found.model_to_string()
    n_bytes = [int(size) for size in text.split("\ntree_sizes=")[1].split("\n")[0].split()]
    trees = text[text.index("\n\nTree=0") + 2 : text.index("end of trees")].encode()
    assert sum(n_bytes) == len(trees)
    assert f"\nobjective={name}\n" in text
