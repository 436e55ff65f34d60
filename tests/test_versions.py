"""The oldest versions that are declared are those that are tested, and newer hosts are heard of."""

import importlib.util
import re
import warnings
from importlib.metadata import version
from pathlib import Path

import lightgbm
import pytest
import xgboost

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier, UntestedLibraryWarning
from focal_gbm._versions import NEWEST_TESTED, warn_if_untested
from focal_gbm.training.state import FOCAL_PARAMETERS

ROOT = Path(__file__).parent.parent
HOSTS = {"xgboost": xgboost, "lightgbm": lightgbm}


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


@pytest.mark.parametrize("host", HOSTS)
def test_the_host_was_looked_at(host):
    """A release later than those fails here: read its notes, run the whole suite, and raise the number."""
    assert tuple(map(int, version(host).split(".")[:2])) <= NEWEST_TESTED[host]


def loaded_beside(monkeypatch, host, installed):
    """Run the estimator's module, not the one that is loaded, beside a host of another version."""
    monkeypatch.setattr(HOSTS[host], "__version__", installed)
    spec = importlib.util.find_spec(f"focal_gbm.{host}")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("later", ["{}.{}.0", "{}.{}.0rc1", "{}.{}.0.99", "99.0.0"])
def test_a_later_host_is_heard_of(monkeypatch, host, later):
    major, minor = NEWEST_TESTED[host]
    installed = later.format(major, minor + 1)
    message = rf"^{host} {re.escape(installed)} is later than .* or install '{host}<{major}\.{minor + 1}'\.$"
    with pytest.warns(UntestedLibraryWarning, match=message):
        loaded_beside(monkeypatch, host, installed)


@pytest.mark.parametrize("host", HOSTS)
def test_a_release_that_was_tested_passes_in_silence(monkeypatch, host):
    major, minor = NEWEST_TESTED[host]
    for installed in (f"{major}.{minor}.7", f"{major}.0.0", f"{major - 1}.{minor + 1}.0", "unknown"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded_beside(monkeypatch, host, installed)


@pytest.mark.parametrize(
    ("ours", "host"),
    [(FocalXGBClassifier, xgboost.XGBClassifier), (FocalLGBMClassifier, lightgbm.LGBMClassifier)],
)
def test_defaults_are_those_of_the_host(ours, host):
    """Also where the signature repeats them, and whatever a later host makes of them."""
    params = ours().get_params()
    assert {name: params.pop(name) for name in FOCAL_PARAMETERS} == {
        "focal_gamma": 2.0, "focal_alpha": None, "focal_scale": "host", "hessian": "floored",
        "probability": "posterior",
    }  # fmt: skip
    assert params == host().get_params()


def test_the_warning_can_be_filtered():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntestedLibraryWarning)
        warn_if_untested("xgboost", "99.0.0")
    assert issubclass(UntestedLibraryWarning, UserWarning)
