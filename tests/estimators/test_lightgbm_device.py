"""LightGBM on CUDA: an error that says how to build it, before anything is binned or trained."""

import lightgbm
import pytest
from lightgbm import LGBMClassifier
from lightgbm.basic import LightGBMError
from problems import ours, rows

from focal_gbm.lightgbm import parameters


@pytest.fixture(autouse=True)
def _ask_again():
    parameters._has_cuda.cache_clear()
    yield
    parameters._has_cuda.cache_clear()


@pytest.fixture
def built_without(monkeypatch):
    """A LightGBM without CUDA, which only says so when a model is made. Counts the binned tables."""
    with_device = lightgbm.Booster
    binned = []

    def booster(params=None, train_set=None, **others):
        if params and params.get("device_type", params.get("device")) == "cuda":
            train_set.construct()
            binned.append(train_set.num_data())
            raise LightGBMError("CUDA Tree Learner was not enabled in this build.\nPlease recompile with ...")
        return with_device(params, train_set, **others)

    monkeypatch.setattr(lightgbm, "Booster", booster)
    return binned


@pytest.mark.parametrize("name", ["device_type", "device"])
def test_cuda_that_is_not_built_is_an_error_with_the_command(built_without, name):
    table = rows("two")
    model = ours("lightgbm", **{name: "cuda"})
    with pytest.raises(
        RuntimeError,
        match=rf"^{name}='cuda' needs a LightGBM built with CUDA, which version {lightgbm.__version__} .*"
        r"pip install lightgbm --no-binary lightgbm .*USE_CUDA=ON$",
    ):
        model.fit(table.X, table.y)
    assert built_without == [2]  # rows of the question, not of the table
    assert not model.__sklearn_is_fitted__()


def test_cuda_that_is_built_is_asked_for_once(monkeypatch):
    asked = []
    monkeypatch.setattr(lightgbm, "Booster", lambda params, data: asked.append(params["device_type"]))
    for _ in range(2):
        parameters.check_cuda("device")
    assert asked == ["cuda"]


def test_an_error_of_the_device_is_lightgbms_to_tell(monkeypatch):
    def booster(*_):
        raise LightGBMError("[CUDA] no CUDA-capable device is detected")

    monkeypatch.setattr(lightgbm, "Booster", booster)
    parameters.check_cuda("device")


@pytest.mark.parametrize("device", [None, "cpu", "gpu"])
def test_other_devices_are_not_asked_for(built_without, device):
    parameters.refuse_parameters({"device_type": device}, 2)
    assert built_without == []


def test_lightgbm_still_words_it_so():
    # the one sentence of LightGBM that `_has_cuda` goes by
    table = rows("two")
    try:
        LGBMClassifier(device_type="cuda", n_estimators=1, verbose=-1).fit(table.X, table.y)
    except LightGBMError as error:
        if "not enabled in this build" not in str(error):
            pytest.skip(f"this LightGBM has CUDA, and says: {error}")
        works = False
    else:
        works = True
    assert parameters._has_cuda() == works
