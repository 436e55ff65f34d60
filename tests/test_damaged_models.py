"""Damaged model files: an error that says so, and the interpreter lives."""

import json
import pickle
import random
import subprocess
import sys
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import focal_lgb, focal_xgb
from many import make_classes

from focal_gbm.lightgbm.model_file import check_text
from focal_gbm.xgboost.model_file import check_model

SCRIPT = Path(__file__).parent / "damage.py"

LGB = {
    "plain": {},
    "linear": {"linear_tree": True},
    "stump": {"min_split_gain": 1e9},
    "dart": {"boosting_type": "dart", "monotone_constraints": [1, 0, 0, 0, 0]},
}
XGB = {
    "plain": {},
    "pruned": {"tree_method": "exact", "gamma": 1.5, "max_depth": 5},
    "dart": {"booster": "dart", "rate_drop": 0.3},
    "forest": {"num_parallel_tree": 3},
    "linear": {"booster": "gblinear", "max_depth": None},
}


@pytest.fixture(scope="module")
def models(table, tmp_path_factory):
    """A folder of small models of every kind."""
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(table.X, columns=[f"x{i}" for i in range(5)])
    frame["c"] = pd.Categorical(rng.choice(list("abcdefgh"), len(frame)))
    y = table.y ^ frame["c"].isin(["b", "g"]).to_numpy()
    classes = make_classes(0)

    def save(model, X, y, name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the stump
            model.fit(X, y).save_model(folder / name)

    for name, params in LGB.items():
        save(focal_lgb(n_estimators=3, **params), table.X, table.y, f"{name}.txt")
    categories = {"cat_smooth": 1, "min_data_per_group": 5, "max_cat_to_onehot": 1}
    save(focal_lgb(n_estimators=3, **categories), frame, y, "categories.txt")
    save(focal_lgb(n_estimators=3), classes.X, classes.y, "classes.txt")
    for ending in ("json", "ubj"):
        for name, params in XGB.items():
            save(focal_xgb(n_estimators=3, **params), table.X, table.y, f"{name}.{ending}")
        categories = {"enable_categorical": True, "max_cat_to_onehot": 1}
        save(focal_xgb(n_estimators=3, **categories), frame, y, f"categories.{ending}")
        for strategy in ("one_output_per_tree", "multi_output_tree"):
            model = focal_xgb(n_estimators=3, multi_strategy=strategy)
            save(model, classes.X, classes.y, f"{strategy}.{ending}")
    return folder


def test_models_that_are_sound_pass(models):
    """The models that all tests here damage, and larger ones of the libraries' own."""
    assert len(list(models.glob("*.*"))) == 22
    for path in models.glob("*.*"):
        if path.suffix == ".txt":
            check_text(path.read_text())
        else:
            check_model(path.read_bytes())
    X, y = np.random.default_rng(0).normal(size=(3000, 9)), np.arange(3000) % 3
    X[::7, 1] = np.nan
    for params in ({}, {"use_quantized_grad": True}, {"extra_trees": True}, {"zero_as_missing": True}):
        model = lightgbm.LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1, **params).fit(X, y)
        check_text(model.booster_.model_to_string())
    for params in (
        {},
        {"grow_policy": "lossguide", "max_leaves": 40, "max_depth": 0},
        {"tree_method": "approx"},
    ):
        model = xgboost.XGBClassifier(n_estimators=20, n_jobs=1, **params).fit(X, y)
        for ending in ("json", "ubj"):
            check_model(model.get_booster().save_raw(ending))


def run_damage(models, n, seed, timeout):
    command = [sys.executable, "-X", "faulthandler", str(SCRIPT), str(models), str(n), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    cases = sorted((models / "cases").iterdir(), key=lambda path: path.stat().st_mtime)
    assert done.returncode == 0, f"{cases[-1]} ended the process:\n{done.stderr[-2000:]}"
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["tried"] == n * 22
    assert counts["refused"] > counts["tried"] / 3
    assert counts["loaded"] > counts["tried"] / 50
    return counts


def test_damaged_models_do_not_end_the_process(models):
    run_damage(models, 20, seed=0, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_many_damaged_models_do_not_end_the_process(models, seed):
    run_damage(models, 100, seed, timeout=300)


# The checks, one by one: what ends the process, loops or reads out of bounds without them


def replaced(text, key, value, tree=0):
    """The text with the values of a key of a tree replaced; the sizes are set right."""
    head, *trees = text.split("\nTree=")
    lines = trees[tree].split("\n")
    (at,) = (i for i, line in enumerate(lines) if line.startswith(f"{key}="))
    old = lines[at]
    lines[at] = f"{key}={value(old.partition('=')[2])}"
    grown = len(lines[at]) - len(old)
    trees[tree] = "\n".join(lines)
    sizes = next(line for line in head.split("\n") if line.startswith("tree_sizes="))
    numbers = [int(size) for size in sizes.partition("=")[2].split()]
    numbers[tree] += grown
    head = head.replace(sizes, "tree_sizes=" + " ".join(map(str, numbers)))
    return "\nTree=".join([head, *trees])


def swap_first(new):
    return lambda values: " ".join([new, *values.split(" ")[1:]])


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("plain", "left_child", swap_first("0"), "tree 0: left_child and right_child do not form a tree"),
        ("plain", "right_child", swap_first("99"), "tree 0: left_child and right_child do not form a tree"),
        ("plain", "split_feature", swap_first("5"), "split_feature holds a feature that is not from 0 to 4"),
        ("plain", "leaf_value", swap_first("1.5.2"), "leaf_value is not a list of numbers"),
        ("plain", "leaf_value", swap_first("nan"), "leaf_value is not a list of numbers"),
        ("plain", "leaf_value", swap_first("1e999"), "leaf_value holds a number out of range"),
        ("plain", "leaf_value", lambda v: v.rpartition(" ")[0], "leaf_value holds 6 numbers, not 7"),
        ("plain", "threshold", lambda v: v + " 1", "threshold holds 7 numbers, not 6"),
        ("plain", "decision_type", swap_first("3"), "cat_boundaries and cat_threshold are not lists"),
        ("plain", "decision_type", swap_first("64"), "decision_type holds a number that is not from 0 to 11"),
        ("plain", "leaf_count", swap_first("9999999999"), "leaf_count holds a whole number out of range"),
        ("plain", "num_leaves", lambda _: "0", "num_leaves is 0"),
        ("plain", "shrinkage", lambda _: "x", "shrinkage is not a number"),
        ("plain", "shrinkage", lambda _: "1\nwithout", "it holds the line 'without'"),
        ("linear", "num_features", swap_first("9"), "num_features does not fit leaf_features and leaf_coeff"),
        ("linear", "is_linear", lambda _: "2", "is_linear is neither 0 nor 1"),
        ("categories", "cat_boundaries", swap_first("1"), "cat_boundaries does not fit"),
        ("categories", "num_cat", lambda _: "9", "cat_boundaries does not fit num_cat and cat_threshold"),
    ],
)
def test_a_damaged_tree_of_lightgbm(models, name, key, value, message, tmp_path):
    path = tmp_path / "model.txt"
    tree = 1 if name == "linear" and key == "num_features" else 0
    path.write_text(replaced((models / f"{name}.txt").read_text(), key, value, tree))
    with pytest.raises(ValueError, match=f"model.txt' cannot be read as a model of LightGBM: .*{message}"):
        focal_lgb().load_model(path)
    with pytest.raises(ValueError, match=f"init_model must be a model of LightGBM: .*{message}"):
        focal_lgb().fit(np.zeros((4, 5)), [0, 1, 0, 1], init_model=path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tree_sizes=", "tree_sizes=1", "tree_sizes does not fit its trees"),
        ("num_class=1", "num_class=3", "num_tree_per_iteration is 1 for a num_class of 3"),
        ("max_feature_idx=4", "max_feature_idx=7", "5 feature_names and 5 feature_infos, not 8"),
        ("max_feature_idx=4", "max_feature_idx=-1", "max_feature_idx is '-1', not a whole number"),
        ("label_index=0\n", "", "label_index is ''"),
        ("version=v4", "version=v4\nversion=v4", "the header holds 'version' twice"),
        ("version=v4", "version=v4\0", "it holds a control character"),
        ("pandas_categorical:null", "pandas_categorical:[1", "pandas_categorical is not JSON"),
        ("[boosting: gbdt]", "[boosting gbdt]", "its parameters cannot be read"),
        ("objective=binary sigmoid:1", "objective=\x7f", "objective is "),
    ],
)
def test_a_damaged_frame_of_lightgbm(models, old, new, message, tmp_path):
    text = (models / "plain.txt").read_text()
    assert old in text
    (tmp_path / "model.txt").write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        focal_lgb().load_model(tmp_path / "model.txt")


def set_in_tree(key, at, value):
    def change(model):
        tree = model["learner"]["gradient_booster"]["model"]["trees"][0]
        tree[key][at] = value

    return change


def set_in_learner(*path):
    def change(model):
        *way, last, value = path
        part = model["learner"]
        for key in way:
            part = part[key]
        part[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in_tree("left_children", 0, 0), "do not form a tree"),
        (set_in_tree("left_children", 0, 99999), "left_children holds a number that is not from -1 to"),
        (set_in_tree("right_children", 3, 1), "do not form a tree"),
        (set_in_tree("parents", 1, 4), "parents do not form a tree"),
        (set_in_tree("split_indices", 0, 5), "split_indices holds a feature that is not from 0 to 4"),
        (set_in_tree("split_conditions", 14, float("nan")), "split_conditions holds NaN"),
        (set_in_tree("split_conditions", 14, float("inf")), "split_conditions of a leaf is not finite"),
        (set_in_tree("split_type", 0, 1), "categories_nodes does not name the categorical splits"),
        (set_in_tree("default_left", 0, 2), "default_left holds a number"),
        (set_in_tree("default_left", 0, "1"), "default_left is not a list of numbers"),
        (
            set_in_learner("learner_model_param", "num_class", "999999"),
            "3 trees for 999999 scores a row",
        ),
        (set_in_learner("learner_model_param", "num_feature", "9"), "size_leaf_vector or num_feature"),
        (set_in_learner("learner_model_param", "num_feature", "-9"), "num_feature is '-9'"),
        (set_in_learner("learner_model_param", "base_score", "[1,2]"), "base_score holds 2 numbers for 1"),
        (set_in_learner("gradient_booster", "model", "tree_info", [0]), "tree_info holds 1 numbers, not 3"),
        (
            set_in_learner("gradient_booster", "model", "iteration_indptr", [0, 1]),
            "iteration_indptr does not",
        ),
        (set_in_learner("gradient_booster", "name", "gbforest"), "its booster is 'gbforest'"),
        (set_in_learner("gradient_booster", {}), None),
    ],
)
def test_a_damaged_model_of_xgboost(models, change, message, tmp_path):
    model = json.loads((models / "plain.json").read_text())
    path = tmp_path / "model.json"
    if message is None:
        del model["learner"]["gradient_booster"]
        message = "it has no gradient_booster"
    else:
        change(model)
    path.write_text(json.dumps(model))
    with pytest.raises(ValueError, match=f"cannot be read as a model of XGBoost: .*(?:{message})"):
        focal_xgb().load_model(path)
    with pytest.raises(ValueError, match=f"xgb_model must be a model of XGBoost: .*(?:{message})"):
        focal_xgb().fit(np.zeros((4, 5)), [0, 1, 0, 1], xgb_model=path)


def test_no_part_of_a_model_is_a_whole_one(models):
    """Cut off at every place, and with every kind of damage to the markers."""
    raw = (models / "plain.ubj").read_bytes()
    for end in [*range(0, len(raw), 7), len(raw) - 1]:
        with pytest.raises(ValueError, match=r"."):
            check_model(raw[:end])
    with pytest.raises(ValueError, match="goes on behind its end"):
        check_model(raw + b"\0")
    with pytest.raises(ValueError, match="nested too deep"):
        check_model(b"{" + b"i\x01a{" * 99)
    with pytest.raises(ValueError, match="a key stands twice"):
        check_model(b'{"learner": 1, "learner": 2}')
    for nested in (b'{"learner":' + b"[" * 100_000, b"[" * 100_000):
        with pytest.raises(ValueError, match=r"."):
            check_model(nested)


class Trap:
    """A pickle that would end the process."""

    def __reduce__(self):
        return sys.exit, ("a pickle was loaded",)


def test_a_pickle_is_no_model(make, tmp_path):
    for ending in ("txt", "json", "ubj"):
        path = tmp_path / f"model.{ending}"
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ValueError, match="cannot be read as a model of"):
            make().load_model(path)


def test_no_module_of_the_package_reads_pickles():
    """FocalSearchCV writes one, to compare parameters; nothing reads any."""
    package = Path(sys.modules["focal_gbm"].__file__).parent
    for path in package.rglob("*.py"):
        source = path.read_text()
        for word in ("pickle.load", "pickle.Unpickler", "eval(", "exec(", "joblib.load", "allow_pickle=True"):
            assert word not in source, f"{path}: {word}"


def test_random_bytes(make, tmp_path):
    rng = random.Random(0)
    for _ in range(100):
        path = tmp_path / "model"
        path.write_bytes(rng.choice([b"", b"{", b'{"', b"tree\n", b"{L"]) + rng.randbytes(rng.randrange(300)))
        with pytest.raises(ValueError, match="cannot be read as a model of"):
            make().load_model(path)
