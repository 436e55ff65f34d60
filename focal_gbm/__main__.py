"""``focal-gbm`` and ``python -m focal_gbm``: the command line, where its libraries are installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

#: Of the extra `cli`.
_LIBRARIES = ("typer", "rich", "jinja2", "matplotlib", "pandas", "pyarrow")


def main() -> None:
    """Run the command line, or say in one line what to install."""
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        sys.exit(f"focal-gbm: the command line needs {', '.join(missing)}: pip install 'focal-gbm[cli]'")
    from focal_gbm.cli import app
    from focal_gbm.compare.output import never_fail

    for stream in (sys.stdout, sys.stderr):
        never_fail(stream)
    app(prog_name="focal-gbm")


if __name__ == "__main__":
    main()
