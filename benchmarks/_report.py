"""Results of a benchmark as JSON, with what they were measured on."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

MACHINE = f"{platform.machine()}, {os.cpu_count()} cores"
PACKAGES = ("numpy", "scipy", "scikit-learn", "xgboost", "lightgbm")


def earlier(name: str) -> list[dict[str, Any]]:
    """Return the rows of an earlier run, for a benchmark that replaces only what it measures anew."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return rows


def write(name: str, command: str, rows: list[dict[str, Any]]) -> None:
    """Write results/NAME.json beside this file, a row a line."""
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    report = {
        "command": command,
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
        "machine": MACHINE,
    }
    about = json.dumps(report, indent=1, ensure_ascii=False).removesuffix("\n}")
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    path = folder / f"{name}.json"
    path.write_text(f'{about},\n "rows": [\n{lines}\n ]\n}}\n', encoding="utf-8")
