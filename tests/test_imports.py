import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import focal_gbm

PACKAGE = Path(focal_gbm.__file__).parent

# A module imports from the layers above it in this list, never from its own or from below.
LAYERS = (
    {"_arrays", "_hosts", "kernels"},
    {"_validation"},
    {"links", "_threads"},
    {"losses"},
    {"alpha", "gamma", "_cuda"},
    {"objectives", "metrics", "_state"},
    {"_classifier", "_lightgbm_check", "_lightgbm_device", "_lightgbm_text", "_xgboost_check"},
    {"_evaluation", "counts"},
    {"_xgboost_metrics", "_lightgbm_metrics"},
    {"xgboost", "lightgbm"},
    {"dask", "display", "search"},
    {"compare"},
    {"cli"},
    {"__main__"},
)
MATHEMATICS = {
    "_arrays",
    "kernels",
    "_validation",
    "links",
    "losses",
    "alpha",
    "gamma",
    "_cuda",
    "objectives",
}

# Who may import what is neither the standard library nor NumPy and SciPy.
ONLY_IN = {
    "cupy": {"_cuda"},
    "xgboost": {"xgboost", "_xgboost_metrics", "dask", "compare"},
    "lightgbm": {"lightgbm", "_lightgbm_device", "_lightgbm_metrics", "dask", "compare"},
    "dask": {"dask"},
    "distributed": {"dask"},
    "matplotlib": {"display", "compare"},
    "sklearn": set().union(*LAYERS) - MATHEMATICS,
}


def name_of(path):
    """The module's name in the list of layers: a subpackage counts as one."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path):
    """Full names of all that a file imports, at whatever depth, types included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_direction_of_imports(path):
    rank = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    name = name_of(path)
    assert name in rank, f"{name} is new: give it a layer in {Path(__file__).name}"
    for target in imported(path):
        top, *rest = target.split(".")
        if top == "focal_gbm":
            inside = rest[0] if rest[0] in rank else "__init__"
            if inside == "__init__":
                # the public names: they reach down to the estimators
                assert rank[name] == len(LAYERS) - 1, f"{name} imports {target} from the package's root"
            elif inside != name:
                assert rank[inside] < rank[name], f"{name} imports {target}"
        elif name in MATHEMATICS:
            allowed = {"numpy", "scipy", "cupy", *sys.stdlib_module_names}
            assert top in allowed, f"{name} is mathematics and imports {target}"
        if top in ONLY_IN:
            assert name in ONLY_IN[top], f"{name} imports {target}"


def test_all_of_the_mathematics_was_looked_at():
    names = {name_of(path) for path in MODULES}
    assert names >= MATHEMATICS | {"metrics", "_classifier", "xgboost", "lightgbm"}
    assert PACKAGE / "losses" / "binary.py" in MODULES
    assert "focal_gbm.links.BinaryFocalLink" in set(imported(PACKAGE / "losses" / "binary.py"))


HEAVY = ("xgboost", "lightgbm", "matplotlib", "dask", "distributed", "cupy", "pandas", "polars", "sklearn")


def loaded_by(statement):
    """Which of the heavy packages a fresh interpreter has loaded after the statement."""
    code = f"{statement}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import focal_gbm", "from focal_gbm import BinaryFocalLoss, FocalObjective", "import focal_gbm.alpha"],
)
def test_the_mathematics_loads_no_heavy_package(statement):
    assert loaded_by(statement) == set()


def test_metrics_and_pictures_load_no_host_and_no_matplotlib():
    names = "FocalMetric, focal_loss, FocalLinkDisplay, FocalLossDisplay, FocusDisplay"
    assert not loaded_by(f"from focal_gbm import {names}") & {
        "xgboost",
        "lightgbm",
        "matplotlib",
    }


def test_an_estimator_loads_its_own_host_only():
    assert loaded_by("from focal_gbm import FocalXGBClassifier") & {"xgboost", "lightgbm"} == {"xgboost"}
    assert loaded_by("from focal_gbm import FocalLGBMClassifier") & {"xgboost", "lightgbm"} == {"lightgbm"}


def test_public_names():
    assert len(set(focal_gbm.__all__)) == len(focal_gbm.__all__)
    for name in focal_gbm.__all__:
        value = getattr(focal_gbm, name)
        assert value is getattr(focal_gbm, name)  # kept after the first look-up
        if isinstance(value, type):
            assert value.__name__ == name
            assert value.__doc__
    assert set(focal_gbm.__all__) <= set(dir(focal_gbm))
    with pytest.raises(AttributeError, match=r"^module 'focal_gbm' has no attribute 'FocalCatBoost'$"):
        focal_gbm.FocalCatBoost  # noqa: B018
