"""The example of data larger than memory runs, at a small size, and says what it printed for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "examples" / "external_memory.py"


def run(*arguments):
    result = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, timeout=150
    )
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
