"""A Sphinx extension: formulas as MathML, which browsers draw themselves, so that pages need no network."""

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError


def mathml(latex: str, display: str) -> str:
    """Return a formula as MathML.

    Raises
    ------
    ExtensionError
        If the formula holds a command that is not known, which would be shown as it stands.
    """
    converted: str = convert(latex, display=display)
    if "\\" in converted.partition("<annotation")[0]:
        raise ExtensionError(f"A formula holds a command that MathML has not: {latex}")
    return converted


def inline(self: Any, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """Write a formula in a line of its own."""
    self.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
