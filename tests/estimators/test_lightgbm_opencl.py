"""LightGBM's OpenCL tree method for real, on whatever OpenCL device is there: PoCL makes one of the CPU.

Sums in another order or precision can turn a tie between splits the other way, for the library's own loss as
well: agreement with the CPU is looked for in double precision, on tables without such a tie. The first
model compiles for 20 seconds.
"""

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from lightgbm.basic import LightGBMError
from needs import missing
from numpy.testing import assert_allclose, assert_array_equal
from problems import booster, fit, log, ours, plain, rows

pytestmark = pytest.mark.opencl

# the OpenCL tree method takes at most 255 bins, and is meant for 63
ON_CPU = {"max_bin": 63, "num_leaves": 15, "n_estimators": 20, "n_jobs": 1, "verbose": -1}
ON_GPU = {**ON_CPU, "device_type": "gpu", "gpu_use_dp": True}


@pytest.fixture(scope="module", autouse=True)
def _needs_opencl():
    data = rows("two")
    try:
        LGBMClassifier(**{**ON_GPU, "n_estimators": 1}).fit(data.X, data.y)
    except LightGBMError as error:
        missing("opencl", f"LightGBM finds no OpenCL device ({error}): install pocl-opencl-icd")


@pytest.fixture(params=["two", "many"])
def tables(request):
    return rows(request.param, 2, 2000), rows(request.param, 9, 600)


@pytest.mark.parametrize("weighted", [False, True])
def test_gamma_zero_on_opencl_is_the_library_on_opencl(tables, weighted):
    train, test = tables
    models = [
        fit(make, train, weighted=weighted)
        for make in (ours("lightgbm", **ON_GPU, focal_gamma=0.0), LGBMClassifier(**ON_GPU))
    ]
    assert_array_equal(*(model.predict_proba(test.X) for model in models))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_opencl_and_cpu_agree(tables, gamma):
    train, test = tables
    gpu, cpu = (
        fit(ours("lightgbm", **params, focal_gamma=gamma), train, test, weighted=True) for params in (ON_GPU, ON_CPU)
    )
    assert booster(gpu).params["device_type"] == "gpu"
    assert_allclose(gpu.predict_proba(test.X), cpu.predict_proba(test.X), rtol=0, atol=1e-7)
    for name, values in log(gpu).items():
        assert_allclose(values, log(cpu)[name], rtol=1e-6)
    own = fit(LGBMClassifier(**ON_GPU), train, weighted=True)  # and γ made a difference
    assert np.abs(gpu.predict_proba(test.X) - own.predict_proba(test.X)).max() > 1e-3


def test_a_model_of_opencl_stands_alone(tables, tmp_path):
    train, test = tables
    model = fit(ours("lightgbm", **ON_GPU), train)
    booster(model).save_model(tmp_path / "model.txt")
    assert_allclose(plain("lightgbm", tmp_path / "model.txt", test.X), model.predict_proba(test.X), rtol=0, atol=1e-12)
