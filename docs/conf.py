"""Sphinx: ``sphinx-build -W docs docs/_build``. Nothing is fetched from the network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import focal_gbm

project = "focal_gbm"
copyright = "the focal_gbm developers"
version = release = focal_gbm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "tables",  # docs/tables.py
]
exclude_patterns = ["_build", "_generated"]
html_theme = "furo"
html_title = "focal_gbm"
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

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "image_srcset": ["2x"],
}
