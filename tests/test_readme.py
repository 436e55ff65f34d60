"""The README's Python blocks run, one after the other, as a reader would paste them."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_python_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 3
    namespace: dict = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
    average_precision, log_loss = map(float, capsys.readouterr().out.split())
    assert average_precision > 0.9
    assert log_loss < 0.15
    assert (tmp_path / "model.ubj").exists()
