import pytest
from estimators import BOTH, make_table
from hypothesis import settings

settings.register_profile("focal", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("focal")


@pytest.fixture(scope="session")
def table():
    return make_table(0)


@pytest.fixture(scope="session")
def validation():
    return make_table(1, n_samples=300)


@pytest.fixture(params=BOTH.values(), ids=BOTH.keys())
def make(request):
    """Build a small estimator; the test runs once for each host."""
    return request.param
