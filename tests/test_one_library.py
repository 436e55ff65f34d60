"""With one of the two libraries missing, all of the package that needs the other alone works."""

import subprocess
import sys

import pytest

FITS = """
import sys
sys.modules[{missing!r}] = None  # an import of it fails
import numpy as np
import focal_gbm
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 3))
y = (X[:, 0] + rng.normal(size=300) > 1).astype(int)
model = focal_gbm.{estimator}(n_estimators=5, {quiet})
assert model.fit(X, y).predict_proba(X).shape == (300, 2)
assert focal_gbm.{objective}(focal_gbm.BinaryFocalLoss(2.0)).loss.margin_loss.gamma == 2.0
try:
    focal_gbm.{other}
except ImportError as error:
    print(error)
"""

CASES = {
    "xgboost": (
        "FocalLGBMClassifier",
        "verbose=-1, min_child_samples=2",
        "FocalLGBMObjective",
        "FocalXGBClassifier",
    ),
    "lightgbm": ("FocalXGBClassifier", "", "FocalXGBObjective", "FocalLGBMClassifier"),
}


@pytest.mark.parametrize("missing", CASES)
def test_one_library(missing):
    estimator, quiet, objective, other = CASES[missing]
    code = FITS.format(missing=missing, estimator=estimator, quiet=quiet, objective=objective, other=other)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{other} needs {missing}: pip install {missing}")
