"""What the documentation says is run: every block of Python; every link inside the repository exists.

A fence ```` ```python ```` is run, all of a page one after the other, warnings being errors. What cannot run
here (a GPU, a cluster, another library) stands in a ```` ```{code-block} python ```` instead.
"""

import re
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from needs import missing

import focal_gbm

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path for path in (ROOT / "docs").rglob("*.md") if not {"_build", "_generated"} & set(path.parts)
)
#: What a page needs that it does not import itself, by the page's name.
NEEDS = {"logit_link": {"skl2onnx", "onnxmltools", "onnxruntime"}}
IMPORT = re.compile(r"^ *(?:import|from) (\w+)", flags=re.MULTILINE)
#: What a page tells its reader to run first: a script in a checkout, and its arguments.
FIRST = {"worked_case": ("examples/make_payments.py", "payments.csv")}
PYTHON = re.compile(r"^```python\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def blocks_of(path):
    """Line number and text of every block that is run."""
    text = path.read_text(encoding="utf-8")
    return [(text[: match.start()].count("\n") + 1, match[1]) for match in PYTHON.finditer(text)]


def test_there_are_pages():
    assert {"index", "choosing", "serving", "mathematics"} <= {path.stem for path in PAGES}


@pytest.mark.parametrize(
    "path", [path for path in PAGES if blocks_of(path)], ids=lambda path: str(path.relative_to(ROOT / "docs"))
)
def test_python_blocks_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy)\b")  # of their own code
        imported = {name for _, block in blocks_of(path) for name in IMPORT.findall(block)}
        for package in sorted(imported | NEEDS.get(path.stem, set())):
            if find_spec(package) is None:
                reason = f"{package} is not installed: pip install 'focal-gbm[recipes,serving]'"
                missing("recipes", reason)
        if path.stem in FIRST:
            script, *arguments = FIRST[path.stem]
            subprocess.run([sys.executable, str(ROOT / script), *arguments], check=True, capture_output=True)
        namespace: dict = {}
        for line, block in blocks_of(path):
            exec(
                compile("\n" * line + block, str(path), "exec"), namespace
            )  # errors name the page's own line


def test_formulas_are_drawn(monkeypatch):
    pytest.importorskip("ziamath", reason="the extra docs is not installed")
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from formulas import svg

    assert svg("x_1", inline=True).startswith("<svg ")
    one, two = (
        svg(rf"\begin{{aligned}} x &= 1 {rows} \end{{aligned}}", False) for rows in ("", r"\\ y &= 2")
    )
    heights = [float(re.search(r"height:([\d.]+)em", drawn)[1]) for drawn in (one, two)]
    assert heights[1] > 1.5 * heights[0]
    with pytest.raises(Exception, match=r"command that cannot be drawn: \\unheard"):
        svg(r"\unheard x", inline=True)


LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


@pytest.mark.parametrize(
    "path", [*PAGES, *sorted(ROOT.glob("*.md"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_inside_the_repository_exist(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in LINK.findall(text):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_pre_commit_mirrors_the_lint():
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    entries = re.findall(r"^ +entry: (.+)$", config, flags=re.MULTILINE)
    assert entries == [line for line in lines if re.match(r"(ruff|mypy) ", line)]


def test_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, flags=re.MULTILINE)[1] == focal_gbm.__version__
    assert f"## {focal_gbm.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_contributing_names_what_there_is():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_/]+\.py):(\w+)`", text))
    assert len(named) > 20
    for path, name in named:
        source = (ROOT / "focal_gbm" / path).read_text(encoding="utf-8")
        assert re.search(rf"^ *(async def|def|class) {name}\b", source, flags=re.MULTILINE), f"{path}:{name}"
