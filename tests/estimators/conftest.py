import pytest
from problems import PROBLEMS, rows


@pytest.fixture(params=["xgboost", "lightgbm"])
def library(request):
    """Name of a library; the test runs once for each."""
    return request.param


@pytest.fixture(params=PROBLEMS, ids=lambda problem: f"{problem.library}-{problem.kind}")
def problem(request):
    """A library with each kind of labels that it has."""
    return request.param


@pytest.fixture
def table():
    """Rows of two classes."""
    return rows("two")


@pytest.fixture
def validation():
    """Others."""
    return rows("two", 1, 200)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Skip what the installed XGBoost is too old for."""
    try:
        return (yield)
    except ValueError as error:
        if "need XGBoost 3.1 or later" in str(error):
            pytest.skip(str(error))
        raise
