"""Claim: the package is small. Lines of code, tests and words; what a fit passes; public names and parameters.

Lines of code are those that are left without docstrings, comments and blank lines, `compare/` and `cli.py` apart. A fit
passes the functions of the package that Python calls in it, and their files.

    python benchmarks/code_size.py [--before FOLDER]    # a checkout of another revision, for a second column
"""

from __future__ import annotations

import argparse
import ast
import importlib
import io
import json
import os
import re
import subprocess
import sys
import tokenize
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PROGRAMS = ("compare/", "cli.py")

#: Tokens that are no code.
_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
    tokenize.ENDMARKER,
}  # fmt: skip


def code_lines(source: str) -> int:
    """Return the number of lines of Python that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
                lines.difference_update(range(first.lineno, (first.end_lineno or 0) + 1))
    return len(lines)


def c_lines(source: str) -> int:
    """Return the number of lines of C that are neither blank nor comment."""
    without = re.sub(r"/\*.*?\*/", lambda comment: "\n" * comment[0].count("\n"), source, flags=re.DOTALL)
    return sum(bool(re.sub(r"//.*", "", line).strip()) for line in without.splitlines())


def sizes(root: Path) -> dict[str, Any]:
    """Return lines and words of a checkout."""
    package = root / "focal_gbm"
    code: dict[str, int] = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        folder = "compare and cli" if name.startswith(PROGRAMS) else name.partition("/")[0]
        folder = folder if not folder.endswith(".py") else "files beside the folders"
        code[folder] = code.get(folder, 0) + code_lines(path.read_text(encoding="utf-8"))
    c = sum(c_lines(p.read_text(encoding="utf-8")) for p in package.rglob("*") if p.suffix in (".c", ".h", ".cu"))
    pages = [p for p in (root / "docs").rglob("*.md") if not {"_build", "_generated"} & set(p.parts)]
    return {
        "lines of Python, all": sum(code.values()),
        "lines of Python without compare and cli": sum(n for name, n in code.items() if name != "compare and cli"),
        **{f"lines of Python, {name}": lines for name, lines in sorted(code.items())},
        "lines of C and CUDA": c,
        "lines of tests": sum(len(p.read_text("utf-8").splitlines()) for p in (root / "tests").rglob("*.py")),
        "lines of benchmarks": sum(len(p.read_text("utf-8").splitlines()) for p in (root / "benchmarks").glob("*.py")),
        "words of docs and README": sum(len(p.read_text("utf-8").split()) for p in [*pages, root / "README.md"]),
    }


def interface() -> dict[str, Any]:
    """Return the numbers of public names and of parameters that the estimators add."""
    import focal_gbm

    found = {"public names of focal_gbm": len(focal_gbm.__all__)}
    for name, library in (("FocalXGBClassifier", "xgboost"), ("FocalLGBMClassifier", "lightgbm")):
        own = getattr(importlib.import_module(library), name.removeprefix("Focal"))().get_params()
        found[f"parameters that {name} adds"] = len(set(getattr(focal_gbm, name)().get_params()) - set(own))
    return found


def passed(fit: Any, gamma: float) -> set[tuple[str, str]]:
    """Return (file, function) of the package for all that Python calls in a fit."""
    import focal_gbm

    package = str(Path(focal_gbm.__file__).parent)
    calls: set[tuple[str, str]] = set()

    def see(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(package) and not code.co_name.startswith("<"):
            name = getattr(code, "co_qualname", f"{code.co_name}:{code.co_firstlineno}")
            calls.add((code.co_filename.removeprefix(package), name))

    fit(1.0)  # what is only done once a process; tables are kept for each loss
    sys.setprofile(see)
    try:
        fit(gamma)
    finally:
        sys.setprofile(None)
    return calls


def walks() -> dict[str, Any]:
    """Return how many functions and files a fit passes."""
    import lightgbm
    from sklearn.datasets import make_classification

    from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

    warnings.simplefilter("ignore")
    X, y = make_classification(3000, 8, weights=[0.9], random_state=0)
    a, b, c, d = X[:2000], X[2000:], y[:2000], y[2000:]
    params = {"n_estimators": 5, "n_jobs": 1}
    if "focal_link" in FocalXGBClassifier().get_params():
        params["focal_link"] = "logit"
    stopping = {"callbacks": [lightgbm.early_stopping(3, verbose=False)], "eval_X": b, "eval_y": d}
    fits = {
        "XGBoost": lambda g: FocalXGBClassifier(focal_gamma=g, **params).fit(a, c),
        "XGBoost, stopped early": lambda g: FocalXGBClassifier(focal_gamma=g, **params, early_stopping_rounds=3).fit(
            a, c, eval_set=[(b, d)], verbose=False
        ),
        "LightGBM": lambda g: FocalLGBMClassifier(focal_gamma=g, **params, verbose=-1).fit(a, c),
        "LightGBM, stopped early": lambda g: FocalLGBMClassifier(focal_gamma=g, **params, verbose=-1).fit(
            a, c, **stopping
        ),
    }
    found = {}
    for i, (name, fit) in enumerate(fits.items()):
        calls = passed(fit, 2.0 + i)
        found[f"functions that a fit passes, {name}"] = len(calls)
        found[f"files that a fit passes, {name}"] = len({file for file, _ in calls})
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--before", type=Path, help="a checkout of another revision")
    parser.add_argument("--json", action="store_true", help="print this revision's numbers as JSON")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.json:
        print(json.dumps({**sizes(arguments.root), **interface(), **walks()}))
        return
    columns = []
    for root in filter(None, (arguments.before, ROOT)):
        environment = {**os.environ, "PYTHONPATH": str(root.resolve())}
        command = [sys.executable, str(Path(__file__).resolve()), "--json", "--root", str(root.resolve())]
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=root)
        columns.append(json.loads(output.stdout.splitlines()[-1]))
    names = dict.fromkeys(name for column in columns for name in column)
    for name in names:
        print(f"{name:<60}" + "".join(f"{column.get(name, '-'):>10}" for column in columns))


if __name__ == "__main__":
    main()
