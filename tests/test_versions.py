"""The oldest versions that are declared are those that are tested, and newer hosts are heard of."""

import re
import warnings
from importlib.metadata import version
from pathlib import Path

import pytest
from estimators import focal_xgb

ROOT = Path(__file__).parent.parent

#: The newest releases that the whole suite ran on. A later one is not known to fail, but was not looked at:
#: XGBoost announced `enable_categorical=True` as the default and another `min_child_weight`.
SEEN = {"xgboost": (3, 2), "lightgbm": (4, 7)}


def lower_bounds():
    """{package: lower bound} of the requirements and of the extras that tests need."""
    text = (ROOT / "pyproject.toml").read_text()
    core = re.search(r"\ndependencies = \[(.*?)\n\]", text, re.DOTALL).group(1)
    test = re.search(r"\ntest = \[(.*?)\n\]", text, re.DOTALL).group(1)
    plot = re.search(r"\nplot = \[(.*?)\]", text, re.DOTALL).group(1)
    return dict(re.findall(r'"([\w-]+)>=([\d.]+)"', core + test + plot))


def test_constraints_are_the_lower_bounds():
    text = (ROOT / "constraints-oldest.txt").read_text()
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)$", text, re.MULTILINE))
    declared = lower_bounds()
    assert len(declared) >= 12
    for package, bound in declared.items():
        # a bound of 1.26 is the release 1.26.0
        assert (pinned[package] + ".0").startswith(bound + ".") or pinned[package] == bound, package
        rest = pinned[package].removeprefix(bound).strip(".")
        assert not rest.strip("0."), f"{package}: {pinned[package]} is later than {bound}"


@pytest.mark.parametrize("host", SEEN)
def test_the_host_was_looked_at(host):
    """A release later than SEEN fails here: read its notes, run the whole suite, and raise SEEN."""
    assert tuple(map(int, version(host).split(".")[:2])) <= SEEN[host]


def test_defaults_of_xgboost_that_are_announced_to_change():
    """Equality with the host at γ=0 holds whatever they are; what the README says of them does not."""
    model = focal_xgb()
    assert model.get_params()["enable_categorical"] is False
    assert model.get_params()["min_child_weight"] is None  # the booster's own, 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        model.get_xgb_params()
