"""A Sphinx extension: formulas as SVG, drawn while the pages are built, so that a reader needs no network.

Glyphs are paths of a font that comes with ziamath: every browser shows the same, in the colour of the text.
"""

import html
import re
from functools import cache
from typing import Any

import ziamath
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError

#: Pixels an em that a formula is drawn with; it is shown in ems, as large as the text around it.
_EM = 16.0


@cache
def svg(latex: str, inline: bool) -> str:
    """Return a formula as an SVG element whose baseline is that of the text.

    Raises
    ------
    ExtensionError
        If the formula holds a command that is not known, which would be drawn as it stands.
    """
    if "\\" in re.sub(r"<annotation.*?</annotation>", "", convert(latex), flags=re.DOTALL):
        raise ExtensionError(f"A formula holds a command that cannot be drawn: {latex}")
    drawn: str = ziamath.Latex(latex, size=_EM, color="currentColor", inline=inline).svg()
    opening = drawn[: drawn.index(">")]
    _, top, width, height = map(float, re.search(r'viewBox="([^"]+)"', opening)[1].split())
    size = f"width:{width / _EM:.3f}em;height:{height / _EM:.3f}em;vertical-align:{-(top + height) / _EM:.3f}em"
    label = html.escape(latex.strip(), quote=True)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" style="{size}" ', 1)


def draw_inline(self: Any, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    self.body.append(f'<span class="formula">{svg(node.astext(), inline=True)}</span>')
    raise nodes.SkipNode


def draw_block(self: Any, node: nodes.math_block) -> None:
    """Write a formula in a line of its own."""
    self.body.append(f'<div class="formula">{svg(node.astext(), inline=False)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_html_math_renderer("svg", inline_renderers=(draw_inline, None), block_renderers=(draw_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
