"""``focal-gbm`` and ``python -m focal_gbm``: the command line, where its libraries are installed."""

from __future__ import annotations

import codecs
import sys
from importlib.util import find_spec
from typing import Any

#: Of the extra `cli`.
_LIBRARIES = ("typer", "rich", "jinja2", "matplotlib", "pandas", "pyarrow")

#: What is printed in place of characters that a terminal's encoding lacks.
_PLAIN = {
    "γ": "gamma", "α": "alpha", "η": "eta", "±": "+-", "−": "-", "≥": ">=", "↑": "^", "↓": "v", "•": "*",
    "“": '"', "”": '"', "…": "...", "\u00a0": " ",
}  # fmt: skip


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(one, "?") for one in error.object[error.start : error.end]), error.end


def never_fail(stream: Any) -> None:
    """Make a text stream print something near to what its encoding lacks, instead of raising an error."""
    codecs.register_error("focal_gbm_plain", _plainly)
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="focal_gbm_plain")


def main() -> None:
    """Run the command line, or say in one line what to install."""
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        sys.exit(f"focal-gbm: the command line needs {', '.join(missing)}: pip install 'focal-gbm[cli]'")
    from focal_gbm.cli import app

    never_fail(sys.stdout)
    never_fail(sys.stderr)
    app(prog_name="focal-gbm")


if __name__ == "__main__":
    main()
