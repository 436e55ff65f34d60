"""LightGBM's OpenCL tree method for real, on whatever OpenCL device is there: PoCL makes one of the CPU.

Sums in another order or precision can turn a tie between splits the other way, for the library's own loss as
well: agreement with the CPU is looked for in double precision, on tables without such a tie. The first
model compiles for 20 seconds.
"""

import numpy as np
import pytest
from estimators import focal_lgb, make_table
from lightgbm import LGBMClassifier
from lightgbm.basic import LightGBMError
from needs import missing
from numpy.testing import assert_allclose, assert_array_equal

pytestmark = pytest.mark.opencl

# the OpenCL tree method takes at most 255 bins, and is meant for 63
ON_CPU = {"max_bin": 63, "num_leaves": 15, "n_estimators": 20, "n_jobs": 1, "verbose": -1}
ON_GPU = {**ON_CPU, "device_type": "gpu", "gpu_use_dp": True}


@pytest.fixture(scope="module", autouse=True)
def _needs_opencl():
    table = make_table(0)
    try:
        LGBMClassifier(**{**ON_GPU, "n_estimators": 1}).fit(table.X, table.y)
    except LightGBMError as error:
        missing("opencl", f"LightGBM finds no OpenCL device ({error}): install pocl-opencl-icd")


@pytest.fixture(params=[2, 3], ids=["two classes", "three classes"])
def tables(request):
    """Tables to train and to predict on, the labels of the first, those of the second, and its weights."""
    train, test = make_table(0, 2000), make_table(1, 600)
    if request.param == 2:
        return train, test, train.y, test.y
    return train, test, *(np.digitize(one.probability, [0.1, 0.4]) for one in (train, test))


@pytest.mark.parametrize("weighted", [False, True])
def test_gamma_zero_on_opencl_is_the_library_on_opencl(tables, weighted):
    train, test, y, _ = tables
    # a weighted gradient is rounded twice, as on the CPU
    weight, atol = (train.weight, 1e-8) if weighted else (None, 1e-12)
    ours = focal_lgb(**ON_GPU, focal_gamma=0.0).fit(train.X, y, sample_weight=weight)
    plain = LGBMClassifier(**ON_GPU).fit(train.X, y, sample_weight=weight)
    assert_allclose(ours.predict_proba(test.X), plain.predict_proba(test.X), rtol=0, atol=atol)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_opencl_and_cpu_agree(tables, gamma):
    train, test, y, y_test = tables
    fitted = []
    for params in (ON_GPU, ON_CPU):
        model = focal_lgb(**params, focal_gamma=gamma)
        model.fit(
            train.X, y, sample_weight=train.weight, eval_X=test.X, eval_y=y_test, eval_names=["test"],
        )  # fmt: skip
        fitted.append(model)
    gpu, cpu = fitted
    assert gpu.booster_.params["device_type"] == "gpu"
    assert_allclose(gpu.predict_proba(test.X), cpu.predict_proba(test.X), rtol=0, atol=1e-7)
    assert_array_equal(gpu.predict(test.X), cpu.predict(test.X))
    assert_allclose(*(model.evals_result_["test"]["focal_loss"] for model in fitted), rtol=1e-6)
    # and gamma made a difference
    plain = LGBMClassifier(**ON_GPU).fit(train.X, y, sample_weight=train.weight)
    assert np.abs(gpu.predict_proba(test.X) - plain.predict_proba(test.X)).max() > 1e-3


def test_a_model_of_opencl_stands_alone(tables, tmp_path):
    train, test, y, _ = tables
    model = focal_lgb(**ON_GPU).fit(train.X, y)
    model.save_model(tmp_path / "model.txt")
    loaded = focal_lgb().load_model(tmp_path / "model.txt")
    assert_allclose(loaded.predict_proba(test.X), model.predict_proba(test.X), rtol=1e-12)
