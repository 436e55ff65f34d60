"""Sphinx: ``sphinx-build -W docs docs/_build``. Nothing is fetched from the network."""

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import focal_gbm

project = "focal_gbm"
copyright = "the focal_gbm developers"
version = release = focal_gbm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_gallery.gen_gallery",
    "formulas",  # docs/formulas.py
    "result_tables",  # docs/result_tables.py
]
exclude_patterns = ["_build", "_generated"]
html_theme = "furo"
html_title = f"focal_gbm {version}"  # stands above the sidebar
html_static_path = ["_static"]
html_css_files = ["formulas.css"]
html_math_renderer = "svg"
html_show_copyright = False

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

# A single backtick is a name of ours where one is known, and code otherwise.
default_role = "py:obj"
autodoc_member_order = "bysource"
_routed = ("fit", "predict", "predict_proba", "decision_function", "score")
autodoc_default_options = {  # scikit-learn writes these, with links into its own pages
    "exclude-members": ", ".join(f"set_{method}_request" for method in _routed)
}
autodoc_typehints = "none"  # numpydoc's types say more
numpydoc_show_class_members = False
suppress_warnings = ["ref.python"]  # `classes_` is an attribute of several estimators

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"external_memory|make_payments",  # programs of their own, for the guide
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,  # a page that loads scripts from the network
    "image_srcset": ["2x"],
}


def formulas_as_they_stand(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep the line breaks of the formulas that stand indented in docstrings, above the first section."""
    text = "\n".join(lines)
    summary = re.split(r"\n\S+( \S+)*\n-{3,}\n", text)[0]
    formula = re.compile(r"(?<=[^:]\n\n)(?= {4}\S)")
    starts = [m.start() for m in formula.finditer(summary)]
    for start in reversed(starts):
        before = text[:start].rstrip("\n").rpartition("\n")[2]
        if not before.startswith((" ", "-")):
            text = text[:start] + "::\n\n" + text[start:]
    lines[:] = text.split("\n")


def setup(app: Any) -> None:
    """Tell Sphinx; before numpydoc, which comes at 500."""
    app.connect("autodoc-process-docstring", formulas_as_they_stand, priority=400)
