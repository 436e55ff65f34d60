"""The examples run; that of data larger than memory at a small size, and what it prints is right."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(*arguments):
    command = [sys.executable, str(EXAMPLES / "external_memory.py"), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parquet")
    run("make", folder, "--rows", 300_000)  # two row groups
    return folder


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_external_memory(folder, library):
    printed = run(library, folder, "--rounds", 5)
    mean, observed = map(float, re.search(r"first group ([\d.]+), observed ([\d.]+)", printed).groups())
    assert 0.01 < observed < 0.03
    assert abs(mean - observed) < 0.01
    assert "300,000 rows" in printed
    assert float(re.search(r"peak memory ([\d.]+) GiB", printed).group(1)) < 1.0
    assert [path.suffix for path in folder.iterdir()] == [".parquet"]  # the pages are gone


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("plot_*.py")), ids=lambda path: path.stem)
def test_gallery(path):
    pytest.importorskip("matplotlib", reason="the extra plot is not installed").use("agg")
    runpy.run_path(str(path))
