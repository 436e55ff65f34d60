"""Results of a benchmark as JSON, with what they were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
MACHINE = f"{platform.machine()}, {os.cpu_count()} cores"
PACKAGES = ("numpy", "scipy", "scikit-learn", "xgboost", "lightgbm")


def revision() -> str | None:
    """Return git's name of the state that was measured, None outside of a checkout."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=FOLDER.parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        is_changed = bool(git("status", "--porcelain", "../focal_gbm"))  # results may be
        return git("describe", "--always", "--exclude", "*") + "-dirty" * is_changed
    except (OSError, subprocess.CalledProcessError):
        return None


def earlier(name: str) -> list[dict[str, Any]]:
    """Return the rows of an earlier run, for a benchmark that replaces only what it measures anew."""
    path = FOLDER / f"{name}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return rows


def write(name: str, command: str, rows: list[dict[str, Any]]) -> None:
    """Write results/NAME.json beside this file, a row a line."""
    FOLDER.mkdir(exist_ok=True)
    report = {
        "command": command,
        "revision": revision(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
        "machine": MACHINE,
    }
    about = json.dumps(report, indent=1, ensure_ascii=False).removesuffix("\n}")
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    text = f'{about},\n "rows": [\n{lines}\n ]\n}}\n'
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
