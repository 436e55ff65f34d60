"""Claim: the package is small. Lines of code, the longest files and functions, the most complex functions.

Lines of code are those that are left without docstrings, comments and blank lines, of the Python files of
focal_gbm without `compare/` and `cli.py`, which are programs on top of it; C and CUDA are counted apart.
Complexity is cyclomatic, as Ruff's rule C901 counts it. Needs git and the extra `dev`.

    python benchmarks/code_size.py [--before REVISION] [--longest 5]
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGE = "focal_gbm"
NOT_COUNTED = ("compare/", "cli.py")

#: What the design allows; the two files that check the grammar of saved models may be more complex.
MOST_FILE, MOST_FUNCTION, MOST_COMPLEX = 400, 60, 20
MODEL_CHECKERS = ("model_file.py", "_lightgbm_check.py", "_xgboost_check.py")

#: Tokens that are no code.
_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
    tokenize.ENDMARKER,
}  # fmt: skip


class Named(NamedTuple):
    """A number of a file or function."""

    value: int
    name: str


@dataclass(frozen=True)
class Size:
    """The numbers of one state of the package, each list with the largest first."""

    code: int
    other: int
    files: list[Named]
    functions: list[Named]
    complexity: list[Named]


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
                lines.difference_update(range(first.lineno, (first.end_lineno or 0) + 1))
    return lines


def c_lines(source: str) -> int:
    """Return the number of lines of C that are neither blank nor comment."""
    without = re.sub(r"/\*.*?\*/", lambda comment: "\n" * comment[0].count("\n"), source, flags=re.DOTALL)
    return sum(bool(re.sub(r"//.*", "", line).strip()) for line in without.splitlines())


def functions_of(source: str, path: str) -> list[Named]:
    """Return the lines of code of every function, those of the functions inside it among them."""
    lines = code_lines(source)
    return [
        Named(len(lines & set(range(node.lineno, (node.end_lineno or 0) + 1))), f"{path}:{node.name}")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def complexity_of(package: Path, counted: list[str]) -> list[Named]:
    """Return the cyclomatic complexity of every function."""
    command = [
        sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "C901",
        "--config", "lint.mccabe.max-complexity=0", "--output-format", "json", "--exit-zero",
        *(str(package / path) for path in counted),
    ]  # fmt: skip
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    named = []
    for one in found:
        name, value = re.match(r"`(.+)` is too complex \((\d+) > 0\)", one["message"]).groups()
        path = Path(one["filename"]).resolve().relative_to(package.resolve())
        named.append(Named(int(value), f"{path}:{name}"))
    return named


def measure(package: Path) -> Size:
    """Return the numbers of a package in a folder."""
    sources = {
        path.relative_to(package).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }
    sources = {path: text for path, text in sources.items() if not path.startswith(NOT_COUNTED)}
    others = [path for path in package.rglob("*") if path.suffix in (".c", ".h", ".cu")]
    return Size(
        sum(len(code_lines(source)) for source in sources.values()),
        sum(c_lines(path.read_text(encoding="utf-8")) for path in others),
        _largest(Named(source.count("\n"), path) for path, source in sources.items()),
        _largest(one for path, source in sources.items() for one in functions_of(source, path)),
        _largest(complexity_of(package, list(sources))),
    )


def at_revision(revision: str) -> Size:
    """Return the numbers of the package as git has it at a revision."""
    archive = subprocess.run(
        ["git", "archive", revision, PACKAGE], cwd=ROOT, check=True, capture_output=True
    ).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        return measure(Path(folder) / PACKAGE)


def report(title: str, size: Size, longest: int) -> None:
    """Print the numbers."""
    print(f"{title}: {size.code:,} lines of Python, {size.other:,} of C and CUDA, {len(size.files)} files")
    complex_ = [one for one in size.complexity if not one.name.partition(":")[0].endswith(MODEL_CHECKERS)]
    for what, named, most in (
        (f"files of more than {MOST_FILE} lines in all", size.files, MOST_FILE),
        (f"functions of more than {MOST_FUNCTION} lines of code", size.functions, MOST_FUNCTION),
        (f"functions of a complexity above {MOST_COMPLEX}, without model checkers", complex_, MOST_COMPLEX),
    ):
        print(f"  {sum(one.value > most for one in named)} {what}")
        for one in named[:longest]:
            print(f"    {one.value:>5}  {one.name}")


def _largest(named) -> list[Named]:
    return sorted(named, reverse=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", help="a revision of git to count beside the working tree")
    parser.add_argument("--longest", type=int, default=5, help="how many of the largest are named")
    arguments = parser.parse_args()
    if arguments.before:
        report(arguments.before, at_revision(arguments.before), arguments.longest)
    report("working tree", measure(ROOT / PACKAGE), arguments.longest)


if __name__ == "__main__":
    main()
