"""The README runs as pasted, a busy person finishes it, and its numbers are those of benchmarks/results."""

import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "docs"))

from readme import BLOCK, NUMBERS, README, with_numbers

ROOT = README.parent

#: What is no measurement, by the text around it: versions, arXiv numbers, settings.
NOT_MEASURED = (r"Python 3\.10", r"arXiv:\d{4}\.\d{5}", r"threshold of 0\.5", r"gamma=1\.0")


def text():
    return README.read_text(encoding="utf-8")


def test_python_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", text(), flags=re.DOTALL)
    assert blocks
    namespace: dict = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
    average_precision, log_loss = map(float, capsys.readouterr().out.split())
    assert average_precision > 0.9
    assert log_loss < 0.15
    assert (tmp_path / "model.ubj").exists()


def test_a_busy_person_finishes_it():
    assert len(text().split()) <= 600


def test_its_tables_are_those_of_the_results():
    assert [name for _, name, _ in BLOCK.findall(text())] == list(NUMBERS)
    assert text() == with_numbers(text()), "python docs/readme.py writes the numbers of benchmarks/results"


def test_no_other_number_is_measured():
    prose = re.sub(r"```.*?```", "", BLOCK.sub("", text()), flags=re.DOTALL)
    for pattern in NOT_MEASURED:
        prose = re.sub(pattern, "", prose)
    found = re.findall(r"[+-]?\d+\.\d+|\d+ ?%|\d+ times", prose)
    assert not found, f"in the README, and not from benchmarks/results by docs/readme.py: {found}"
