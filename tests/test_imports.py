"""Who may import what, who may know the libraries' names and private attributes, and what an import loads."""

import ast
import os
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.base import BaseEstimator, ClassifierMixin

import focal_gbm

PACKAGE = Path(focal_gbm.__file__).parent

# A package imports from those above it in this list, never from one beside it or below.
LAYERS = (
    {"_versions", "_warnings", "_validation"},
    {"losses"},
    {"kernels"},
    {"fit"},
    {"xgboost", "lightgbm"},
    {"early_stopping", "display", "diagnostics"},
    {"compare"},
    {"cli"},
    {"__main__"},
)
RANK = {name: i for i, layer in enumerate(LAYERS) for name in layer}

LIBRARIES = ("xgboost", "lightgbm")

# What is neither the standard library nor NumPy and SciPy, and the packages and modules that may import it.
ONLY_IN = {
    "cupy": {"kernels.cuda"},
    "xgboost": {"xgboost", "compare"},
    "lightgbm": {"lightgbm", "compare"},
    "dask": {"fit.collections", "xgboost.dask", "lightgbm.dask"},
    "distributed": {"xgboost.dask", "lightgbm.dask"},
    "pandas": {"fit.collections", "compare"},
    "joblib": {"kernels", "lightgbm", "compare"},
    "matplotlib": {"display", "compare"},
    "sklearn": {"fit", "xgboost", "lightgbm", "early_stopping", "display", "compare"},
    "polars": {"compare"},
    "pyarrow": {"compare"},
    "rich": {"compare", "cli"},
    "jinja2": {"compare"},
    "markupsafe": {"compare"},
    "typer": {"cli"},
}

# What needs Dask, and so is loaded by itself alone.
WITH_DASK = {"fit.collections", "xgboost.dask", "lightgbm.dask"}

# What the libraries do not document and there is no public way for: each stands in one place, with its reason.
PRIVATE = {
    "_create_dmatrix": "xgboost.estimator",
    "_Booster__inner_predict": "lightgbm.boosting",
    "_Booster__set_objective_to_none": "lightgbm.boosting",
    "_LIB": "lightgbm.objective",
    "_other_params": "lightgbm.estimator",
    "_process_params": "lightgbm.estimator",
}

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def name_of(path):
    """The module's name within the package, "losses.margin" or "losses.__init__"."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


NAMES = {name_of(path) for path in MODULES}


def top_of(name):
    return name.partition(".")[0]


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    """Full names of all that a file imports, at whatever depth, types included."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_module(target):
    """The module of this package that an import loads, None for one from elsewhere."""
    if top_of(target) != "focal_gbm":
        return None
    parts = target.split(".")[1:]
    for end in range(len(parts), 0, -1):
        for name in (".".join(parts[:end]), ".".join([*parts[:end], "__init__"])):
            if name in NAMES:
                return name
    return "__init__"


def edges(path):
    """The modules of this package that a file imports."""
    return {module for target in imported(path) if (module := own_module(target)) is not None}


@each_module
def test_direction_of_imports(path):
    name = name_of(path)
    top = top_of(name)
    assert top in RANK, f"{top} is new: give it a layer in {Path(__file__).name}"
    for other in edges(path):
        if other == "__init__":
            # the public names: they reach down to the estimators
            assert top == "__main__", f"{name} imports from the package's root"
        elif top_of(other) != top:
            assert RANK[top_of(other)] < RANK[top], f"{name} imports {other}"


def test_no_module_needs_itself():
    assert [*TopologicalSorter({name_of(path): edges(path) for path in MODULES}).static_order()]


@each_module
def test_packages_from_elsewhere(path):
    name = name_of(path)
    for target in imported(path):
        package = top_of(target)
        if package in {"focal_gbm", "numpy", "scipy", *sys.stdlib_module_names}:
            continue
        assert package in ONLY_IN, f"{name} imports {target}: say in {Path(__file__).name} who may"
        assert {name, top_of(name)} & ONLY_IN[package], f"{name} imports {target}"


@each_module
def test_common_layers_know_no_library(path):
    """Only its own package and the comparison import one of the two, be it the library or our half of it."""
    top = top_of(name_of(path))
    if top not in (*LIBRARIES, "compare"):
        assert not {top_of(other) for other in edges(path)} & set(LIBRARIES)


@each_module
def test_what_needs_dask_is_not_loaded_without(path):
    if name_of(path) not in WITH_DASK:
        assert not edges(path) & WITH_DASK


@cache
def private_names_of_libraries():
    """Names of the attributes of the libraries' objects, fitted or not, that they do not document."""
    X, y = np.arange(40.0).reshape(-1, 1), np.arange(40) % 2
    evals = {"eval_set": [(X, y)], "verbose": False}
    xgb = xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(X, y, **evals)
    data = lightgbm.Dataset(X, y)
    booster = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 2)
    lgb = lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1).fit(X, y)
    objects = (xgb, xgb.get_booster(), xgboost.DMatrix(X, y), xgboost, lgb, booster, data, lightgbm)
    names = {name for one in objects for name in (*dir(one), *getattr(one, "__dict__", ()))}
    known = {name for one in (BaseEstimator, ClassifierMixin, object) for name in dir(one)}
    return {name for name in names - known if name.startswith("_") and not name.endswith("__")}


def test_private_names_were_found():
    assert private_names_of_libraries() >= {
        "_Booster", "_le", "_other_params", "_process_params", "_n_features", "_class_map",
        "_Booster__inner_predict", "_handle",
    }  # fmt: skip


def strings_and_attributes(path):
    """What could name an attribute: `one.name`, `def name` in a class, "name" for getattr and the like."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node.lineno
        elif isinstance(node, ast.ClassDef):
            yield from ((item.name, item.lineno) for item in node.body if isinstance(item, ast.FunctionDef))


@each_module
def test_private_attributes_of_the_libraries_are_listed(path):
    name = name_of(path)
    if top_of(name) in ("losses", "kernels") or name.endswith(
        ".dask"
    ):  # which never meet one; which override coroutines
        return
    for attribute, line in strings_and_attributes(path):
        if attribute in private_names_of_libraries():
            assert PRIVATE.get(attribute) == name, f"{path}:{line}: {attribute}"


def test_the_rules_looked_at_the_package():
    assert {top_of(name) for name in NAMES} == set(RANK)
    assert "losses.margin" in edges(PACKAGE / "losses" / "log_odds.py")
    assert "fit.collections" in edges(PACKAGE / "xgboost" / "dask.py")
    found = {a for path in MODULES for a, _ in strings_and_attributes(path)}
    assert set(PRIVATE) <= found | {"_LIB"}


HEAVY = ("xgboost", "lightgbm", "matplotlib", "dask", "distributed", "cupy", "pandas", "polars", "sklearn")


def run(code):
    """What a fresh interpreter prints."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def loaded_by(statement):
    """Which of the heavy packages a fresh interpreter has loaded after the statement."""
    code = f"{statement}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    return set(run(code).split())


@pytest.mark.parametrize(
    "statement",
    [
        "import focal_gbm",
        "from focal_gbm import BinaryFocalLoss",
        "import focal_gbm.kernels",
    ],
)
def test_the_mathematics_loads_no_heavy_package(statement):
    assert loaded_by(statement) == set()


@pytest.mark.parametrize("name", ["Focal{}Classifier", "Focal{}Objective"])
def test_what_is_of_a_library_loads_no_other(name):
    for library, short in (("xgboost", "XGB"), ("lightgbm", "LGBM")):
        assert loaded_by(f"from focal_gbm import {name.format(short)}") & set(LIBRARIES) == {library}


HAS_DASK = find_spec("dask") is not None and find_spec("distributed") is not None


def test_public_names():
    assert len(set(focal_gbm.__all__)) == len(focal_gbm.__all__)
    for name in focal_gbm.__all__:
        if name.startswith("Dask") and not HAS_DASK:
            continue
        value = getattr(focal_gbm, name)
        assert value is getattr(focal_gbm, name)  # kept after the first look-up
        if isinstance(value, type):
            assert value.__name__ == name
            assert value.__doc__
    assert set(focal_gbm.__all__) <= set(dir(focal_gbm))
    with pytest.raises(AttributeError, match=r"^module 'focal_gbm' has no attribute 'FocalCatBoost'$"):
        focal_gbm.FocalCatBoost  # noqa: B018


@pytest.mark.parametrize("name", ["DaskFocalXGBClassifier", "DaskFocalLGBMClassifier"])
@pytest.mark.parametrize("missing", ["dask", "distributed"])
def test_without_dask_an_import_says_what_to_install(name, missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"try: from focal_gbm import {name}\nexcept ImportError as error: print(error)"
    )
    assert run(code).startswith(f"{name} needs Dask: pip install 'focal-gbm[dask]' (")
