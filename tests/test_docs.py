"""What the documentation says is run: every block of Python; every link inside the repository exists.

A fence ```` ```python ```` is run, all of a page one after the other, warnings being errors. What cannot run
here (a GPU, a cluster, another library) stands in a ```` ```{code-block} python ```` instead.
"""

import re
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from needs import missing

import focal_gbm

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if not {"_build", "_generated"} & set(path.parts))
#: Packages of the extras serving and recipes, which warn for themselves.
OTHERS = {"mlflow", "onnxmltools", "onnxruntime", "shap", "skops", "treelite"}
IMPORT = re.compile(r"^ *(?:import|from) (\w+)", flags=re.MULTILINE)
PYTHON = re.compile(r"^```python\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def blocks_of(path):
    """Line number and text of every block that is run."""
    text = path.read_text(encoding="utf-8")
    return [(text[: match.start()].count("\n") + 1, match[1]) for match in PYTHON.finditer(text)]


def test_there_are_pages():
    assert {"index", "choosing", "search", "serving", "mathematics"} <= {path.stem for path in PAGES}


@pytest.mark.parametrize(
    "path", [path for path in PAGES if blocks_of(path)], ids=lambda path: str(path.relative_to(ROOT / "docs"))
)
def test_python_blocks_run(path, tmp_path, monkeypatch):
    """Blocks of packages that are not installed are left out, and the test is then a skip that names them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    if "FocalLossDisplay" in path.read_text(encoding="utf-8"):
        pytest.importorskip("matplotlib", reason="the extra plot is not installed").use("agg")
    namespace: dict = {}
    absent: set = set()
    for line, block in blocks_of(path):
        needed = {name for name in IMPORT.findall(block) if find_spec(name) is None}
        absent |= needed
        if not needed:
            with warnings.catch_warnings():
                if OTHERS & set(IMPORT.findall(block)):
                    warnings.simplefilter("ignore")  # of those packages' own code
                # errors name the page's own line
                exec(compile("\n" * line + block, str(path), "exec"), namespace)
    if absent:
        missing("recipes", f"not installed: {', '.join(sorted(absent))}")


def test_formulas_are_drawn(monkeypatch):
    pytest.importorskip("ziamath", reason="the extra docs is not installed")
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from formulas import svg

    assert svg("x_1", inline=True).startswith("<svg ")
    one, two = (svg(rf"\begin{{aligned}} x &= 1 {rows} \end{{aligned}}", False) for rows in ("", r"\\ y &= 2"))
    heights = [float(re.search(r"height:([\d.]+)em", drawn)[1]) for drawn in (one, two)]
    assert heights[1] > 1.5 * heights[0]
    with pytest.raises(Exception, match=r"command that cannot be drawn: \\unheard"):
        svg(r"\unheard x", inline=True)


def test_the_guide_is_short():
    """What a reader has to read: README, guide and API pages; CONTRIBUTING and the changelog are apart."""
    words = {path: len(path.read_text(encoding="utf-8").split()) for path in [*PAGES, ROOT / "README.md"]}
    assert sum(words.values()) <= 11_000
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split()) <= 900


LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


@pytest.mark.parametrize("path", [*PAGES, *sorted(ROOT.glob("*.md"))], ids=lambda path: str(path.relative_to(ROOT)))
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
    assert len(named) >= 12
    for path, name in named:
        source = (ROOT / "focal_gbm" / path).read_text(encoding="utf-8")
        assert re.search(rf"^ *(async def|def|class) {name}\b", source, flags=re.MULTILINE), f"{path}:{name}"
