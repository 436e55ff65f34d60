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
