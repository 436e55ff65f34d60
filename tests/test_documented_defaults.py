"""Defaults that README, guide and docstrings state are those of the signatures."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import focal_gbm
from focal_gbm import EarlyStoppingClassifier, FocalXGBClassifier

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("guide/*.md"))]

#: The parameters that are ours wherever a page names them.
OURS = {
    name: parameter.default
    for of in (FocalXGBClassifier, EarlyStoppingClassifier)
    for name, parameter in inspect.signature(of).parameters.items()
    if parameter.default is not parameter.empty and name not in ("objective", "random_state", "eval_metric")
}
_NUMBER = r"(\d+(?:\.\d+)?)"
#: How a page says in words what γ is by default.
IN_WORDS = [
    rf"γ\s*(?:=|is)\s*{_NUMBER}[^.|;:]{{0,30}}\bby default\b",
    rf"\bdefault γ[^.|;:\d]{{0,12}}{_NUMBER}",
    rf"(?m)^#+ [^\n]*γ[^\n]*\n(?:(?!^#)[\s\S])*?\bThe default is {_NUMBER}",
]
WITH_NAME = [r"`(\w+)=([^`]+)`,? (?:is )?the default\b", r"\bthe default,? `(\w+)=([^`]+)`"]


def stated(text):
    """Yield (name, default) for every statement of a page."""
    for pattern in IN_WORDS:
        for value in re.findall(pattern, text):
            yield "focal_gamma", value
    for pattern in WITH_NAME:
        yield from re.findall(pattern, text)
    for table in re.findall(r"(?m)^\|(?:[^\n]*\|\n)+(?:\|[^\n]*\|\n?)*", text):
        lines = table.strip().splitlines()
        head, *rest = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
        column = {cell.lower(): i for i, cell in enumerate(head)}.get("default")
        for row in rest:
            name = re.fullmatch(r"`(\w+)`", row[0])
            if column is not None and name and len(row) > column:
                yield name[1], row[column].strip("`")
            elif len(row) > 1 and (value := re.fullmatch(r"`([^`]+)`, the default", row[0])):
                yield head[0].strip("`"), value[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages(page):
    for name, value in stated(page.read_text(encoding="utf-8")):
        if name in OURS:
            assert ast.literal_eval(value) == OURS[name], f"{name} by default, {page.name} says {value}"


def test_some_page_states_each_of_the_estimators_defaults():
    """And the patterns find what they look for."""
    found = {name for page in PAGES for name, _ in stated(page.read_text(encoding="utf-8"))}
    assert {"focal_gamma", "focal_alpha", "margin_loss"} <= found
    text = "## The γ\n\nThe default is 3.\n\nγ is 2 by default. The default γ of 1.5: `rounds=7`, the default.\n"
    values = [("focal_gamma", "2"), ("focal_gamma", "1.5"), ("focal_gamma", "3"), ("rounds", "7")]
    assert [*stated(text)] == values
    table = "| Parameter | Default |\n|---|---|\n| `rounds` | 4 |\n"
    assert [*stated(table)] == [("rounds", "4")]


def public():
    """Yield every public class and function."""
    for name in focal_gbm.__all__:
        if not name.startswith("__"):
            yield name, getattr(focal_gbm, name)
    for module in ("focal_gbm.xgboost", "focal_gbm.lightgbm"):
        for name in import_module(module).__all__:
            yield f"{module}.{name}", getattr(import_module(module), name)


@pytest.mark.parametrize(("name", "of"), [*public()], ids=lambda one: one if isinstance(one, str) else "")
def test_docstrings(name, of):
    try:
        parameters = inspect.signature(of).parameters
    except (TypeError, ValueError):
        pytest.skip("no signature")
    documented = inspect.getdoc(of) or ""
    section = re.split(r"\n\s*(?:Returns|Attributes|Notes|Raises|Examples)\n\s*---", documented)[0]
    for names, default in re.findall(r"(?m)^(\w[\w, ]*) : .*?\bdefault=(.+?)\s*$", section):
        for each in names.split(", "):
            if each in parameters:
                expected = parameters[each].default
                assert str(expected) == default or repr(expected) == default.replace('"', "'"), (name, each)
