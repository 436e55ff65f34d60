"""Files that are whole or not there, and text for terminals that lack a character."""

from __future__ import annotations

import codecs
import contextlib
import os
import tempfile
import unicodedata
from pathlib import Path
from typing import TextIO

#: What is printed in place of a character that an encoding lacks.
_PLAIN = {
    "γ": "gamma", "α": "alpha", "±": "+-", "−": "-", "–": "-", "—": "-", "×": "x", "≥": ">=", "≤": "<=",
    "↑": "^", "↓": "v", "→": "->", "•": "*", "“": '"', "”": '"', "‘": "'", "’": "'", "…": "...", "€": "EUR",
    "─": "-", "━": "-", "│": "|", "┃": "|", "║": "|", "═": "=", "█": "#", "✓": "x",
}  # fmt: skip

#: The name of the error handler of codecs.
PLAIN = "focal_gbm_plain"


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(one) or _closest(one) for one in text), error.end


def _closest(character: str) -> str:
    """Return "+" for the corners of tables, a letter without its accent, and "?" otherwise."""
    if "\u2500" <= character <= "\u257f":
        return "+"
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"


def never_fail(stream: TextIO) -> None:
    """Make a stream print something near to what its encoding lacks, instead of raising an error.

    Parameters
    ----------
    stream : TextIO
        ``sys.stdout``; what cannot be changed is left as it is.
    """
    codecs.register_error(PLAIN, _plainly)
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors=PLAIN)


def refuse_unwritable(path: Path, option: str) -> None:
    """Refuse a file that could not be written, before anything is computed for it.

    Raises
    ------
    ValueError
        For a folder, a folder that is not there, or one that cannot be written to.
    """
    if path.is_dir():
        raise ValueError(f"{path} ({option}) is a folder: name a file in it, such as {path / 'report.html'}.")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ValueError(f"the folder of {path} ({option}) does not exist.")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"the folder of {path} ({option}) cannot be written to.")


def write_whole(path: Path, text: str) -> None:
    """Write a file, which has its old content until the new one is complete.

    Parameters
    ----------
    path : Path
    text : str
        Written as UTF-8.
    """
    path = path.resolve()  # a link stays one
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # as a new file would have them; mkstemp's are the user's alone
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
