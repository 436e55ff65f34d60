"""The oldest versions that are declared are those that are tested, and newer libraries are heard of."""

import importlib.util
import re
import warnings
from importlib.metadata import version
from pathlib import Path

import lightgbm
import pytest
import xgboost

from focal_gbm import UntestedLibraryWarning
from focal_gbm._versions import NEWEST_TESTED, warn_if_untested

ROOT = Path(__file__).parent.parent
LIBRARIES = {"xgboost": xgboost, "lightgbm": lightgbm}


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


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_library_was_looked_at(library):
    """A release later than those fails here: read its notes, run the whole suite, and raise the number."""
    assert tuple(map(int, version(library).split(".")[:2])) <= NEWEST_TESTED[library]


def loaded_beside(monkeypatch, library, installed):
    """Run the module that looks, not the one that is loaded, beside a library of another version."""
    monkeypatch.setattr(LIBRARIES[library], "__version__", installed)
    spec = importlib.util.find_spec(f"focal_gbm.{library}.objective")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("later", ["{}.{}.0", "{}.{}.0rc1", "{}.{}.0.99", "99.0.0"])
def test_a_later_library_is_heard_of(monkeypatch, library, later):
    major, minor = NEWEST_TESTED[library]
    installed = later.format(major, minor + 1)
    message = rf"^{library} {re.escape(installed)} is later than .* or install '{library}<{major}\.{minor + 1}'\.$"
    with pytest.warns(UntestedLibraryWarning, match=message):
        loaded_beside(monkeypatch, library, installed)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_release_that_was_tested_passes_in_silence(monkeypatch, library):
    major, minor = NEWEST_TESTED[library]
    for installed in (f"{major}.{minor}.7", f"{major}.0.0", f"{major - 1}.{minor + 1}.0", "unknown"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded_beside(monkeypatch, library, installed)


def test_the_warning_can_be_filtered():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntestedLibraryWarning)
        warn_if_untested("xgboost", "99.0.0")
    assert issubclass(UntestedLibraryWarning, UserWarning)
