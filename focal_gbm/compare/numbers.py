"""Numbers as people write them: decimal commas, thousands separators, %, currency signs, units.

A column is read as a whole. "1,234" may be a thousand or a little more than one; what the other values of the
column, and of the file, prove settles it, and where nothing does, the column is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from focal_gbm.compare.errors import TableError, some_of

#: Names of currencies that stand beside a number, apart from the signs that Unicode knows as such.
_CURRENCIES = (
    r"(?:US|A|C|R|HK|NZ|S)?\$|[\u00a2-\u00a5\u20a0-\u20cf]|USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|SEK|NOK|DKK|PLN|CZK|HUF|RON|"
    r"CAD|AUD|NZD|BRL|MXN|ZAR|KRW|TRY|ILS|SGD|HKD|Rs\.?|kr\.?|Fr\.?|z\u0142"
)

#: What may stand between three digits and three: a blank, also one that keeps lines together, or an
#: apostrophe.
_MARKS = " \u00a0\u2009\u202f'\u2019_"

_NUMBER = re.compile(
    rf"""
    (?P<open>\()?\s*
    (?P<sign>[+\-\u2212])?\s*
    (?P<before>{_CURRENCIES})?\s*
    (?P<inner>[+\-\u2212])?\s*
    (?P<digits>[\d.,](?:[\d.,{_MARKS}]*[\d.,])?)
    (?P<power>[eE][+\-]?\d+)?\s*
    (?P<after>[^\W\d_][^\W\d_./\u00b2\u00b3]{{0,9}}(?:/[^\W\d_]{{1,4}})?[\u00b2\u00b3]?|[%\u2030\u00b0]\w?|{_CURRENCIES})?\s*
    (?P<close>\))?(?P<last>-)?
    """,
    flags=re.VERBOSE,
)

#: Groups of three digits with the same separator between; India's have two digits before the last three.
_GROUPS = {
    mark: re.compile(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{2,3}})*{re.escape(mark)}\d{{3}}") for mark in ".,"
}
_MARKED = re.compile(rf"\d{{1,3}}(?:[{_MARKS}]\d{{3}})+")

#: A column in which more rows than this are numbers is a column of numbers with words in it, and not one of
#: words such as the codes "V27" and "250.1".
_MOSTLY = 0.5

#: With so few different numbers ("0", "1" and "2+") a column may well be one of categories.
_FEW_NUMBERS = 3

#: More different units than this are the ends of codes ("12A", "12B", ...).
_MOST_UNITS = 3


@dataclass(frozen=True)
class Writing:
    """How numbers are written, where it was said.

    Attributes
    ----------
    decimal, thousands : str or None
        None finds it out from the values.
    """

    decimal: str | None = None
    thousands: str | None = None

    def __post_init__(self) -> None:
        for name in ("decimal", "thousands"):
            value = getattr(self, name)
            if value is not None and (len(value) != 1 or value.isalnum() or value in "+-"):
                raise TableError(
                    f"{name} must be one character that is no digit, letter or sign, got {value!r}."
                )
        if self.decimal is not None and self.decimal == self.thousands:
            raise TableError(f"decimal and thousands must differ, got {self.decimal!r} for both.")

    @property
    def is_open(self) -> bool:
        """Whether the values decide."""
        return self.decimal is None and self.thousands is None

    def mark(self) -> str:
        """Return the decimal sign that was said, or follows from the thousands separator."""
        if self.decimal is not None:
            return self.decimal
        return "," if self.thousands == "." else "."


class _Number(NamedTuple):
    """A text that may be a number: its sign, digits and separators, its power of ten, its unit."""

    negative: bool
    digits: str
    power: str
    unit: str


class Reading(NamedTuple):
    """The values of a column as numbers.

    Attributes
    ----------
    numbers : dict of {str: float}
        By text; empty where they are rather categories.
    note : str or None
        What is not plain about them.
    """

    numbers: dict[str, float]
    note: str | None


def _taken_apart(text: str) -> _Number | None:
    found = _NUMBER.fullmatch(text)
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    signs = [one for one in (found["sign"], found["inner"], found["last"]) if one]
    if len(signs) + bool(found["open"]) > 1 or (found["before"] and found["after"]):
        return None
    negative = bool(found["open"]) or (bool(signs) and signs[0] != "+")
    return _Number(negative, found["digits"], found["power"] or "", found["before"] or found["after"] or "")


def decimal_sign_of(digits: str) -> str | None:
    """Return the decimal sign that a number proves, "" where it proves none, None where it is no number.

    Examples
    --------
    >>> [decimal_sign_of(text) for text in ("1.5", "1,5", "1.234,5", "1,234,567", "1,234", "12", "1,2,3")]
    ['.', ',', ',', '.', '', '', None]
    """
    if any(mark in digits for mark in _MARKS):
        whole, sign, part = _split_last(digits)
        if _MARKED.fullmatch(whole) and (part.isdigit() or not sign):
            return sign
        return None
    dots, commas = digits.count("."), digits.count(",")
    if not dots and not commas:
        return ""
    if dots and commas:
        sign = max(".,", key=digits.rindex)
        whole, _, part = digits.rpartition(sign)
        other = "." if sign == "," else ","
        return sign if _GROUPS[other].fullmatch(whole) and (part.isdigit() or not part) else None
    sign, other = (".", ",") if dots else (",", ".")
    if dots + commas > 1:
        return other if _GROUPS[sign].fullmatch(digits) else None
    if _GROUPS[sign].fullmatch(digits) and not digits.startswith("0"):
        return ""  # a thousand, or a little more than one
    return sign if len(digits) > 1 else None


def _split_last(digits: str) -> tuple[str, str, str]:
    sign = next((one for one in reversed(digits) if one in ".,"), "")
    whole, _, part = digits.rpartition(sign) if sign else (digits, "", "")
    return whole, sign, part


def _value_of(number: _Number, decimal: str, thousands: str | None) -> float | None:
    """Return a number read with a decimal sign; None where it is not written that way."""
    whole, sign, part = number.digits.rpartition(decimal)
    if not sign:
        whole, part = number.digits, ""
    marks = ["." if decimal == "," else ",", *_MARKS] if thousands is None else [thousands]
    for mark in marks:
        groups = whole.split(mark)
        if len(groups) > 1:
            if not (groups[0].isdigit() and len(groups[0]) <= 3 and len(groups[-1]) == 3
                    and all(len(one) in (2, 3) for one in groups[1:])):  # fmt: skip
                return None
            whole = "".join(groups)
    if not (whole + part).isdigit() or not (whole + part).isascii():
        return None
    value = float(f"{whole or '0'}.{part or '0'}{number.power}")
    return -value if number.negative else value


def proofs(texts: Iterable[str]) -> dict[str, str]:
    """Return the decimal signs that texts prove, each with the text that proves it first."""
    found: dict[str, str] = {}
    written = [text for text in texts if "." in text or "," in text]
    may_be_comma = any("," in text or text.count(".") > 1 for text in written)
    for text in written:
        number = _taken_apart(text)
        sign = decimal_sign_of(number.digits) if number else None
        if sign:
            found.setdefault(sign, text)
            if len(found) == 2 or not may_be_comma:
                break
    return found


def read_numbers(
    counts: pd.DataFrame, name: str, writing: Writing, of_file: dict[str, str]
) -> Reading | None:
    """Return the values of a column as numbers; None where they are all texts.

    Parameters
    ----------
    counts : DataFrame of int, by str
        In how many "rows" each text is, and which row is the "first", in the order of the rows.
    name : str
        Of the column.
    writing : Writing
        As it was asked for.
    of_file : dict of {str: str}
        The decimal signs that any column of the file proves, and by which of them.

    Raises
    ------
    TableError
        For a stray text among numbers, for different units, and for numbers that can be read in two ways.
    """
    texts: list[str] = counts.index.tolist()
    plain = pd.to_numeric(pd.Series(texts, dtype="object"), errors="coerce").to_numpy(np.float64)
    if writing.is_open and not np.isnan(plain).any():
        _refuse_other_convention(texts, name, of_file)
        return Reading(dict(zip(texts, plain.tolist(), strict=True)), _leading_zeros(texts, name))
    apart = {text: number for text in texts if (number := _taken_apart(text))}
    units = Counter(number.unit for number in apart.values())
    if len(units) > _MOST_UNITS:
        apart = {text: number for text, number in apart.items() if not number.unit}
        units = Counter({"": len(apart)})
    if not apart:
        return None
    decimal = writing.mark() if not writing.is_open else _decimal_sign(apart, name, of_file)
    numbers = {
        text: value for text, number in apart.items()
        if (value := _value_of(number, decimal, writing.thousands)) is not None
    }  # fmt: skip
    strays = [text for text in texts if text not in numbers]
    if strays:
        _refuse_otherwise_written(apart, numbers, decimal, name)
        _refuse_strays(counts, strays, len(set(numbers.values())), name)
        return Reading({}, _note_on_words(apart, numbers, strays, name))
    if len(units) > 1:
        raise TableError(
            f"column {name!r} has numbers with different units ({some_of(list(units))}): write them in one, "
            f"or take the column as categories (--categorical {name!r}) or leave it out (--drop {name!r})."
        )
    return Reading(numbers, _note(apart, numbers, decimal, next(iter(units)), name))


def _decimal_sign(apart: dict[str, _Number], name: str, of_file: dict[str, str]) -> str:
    proven = proofs(apart)
    if len(proven) == 2:
        raise TableError(
            f"column {name!r} has numbers with a decimal point ({proven['.']!r}) and with a decimal comma "
            f"({proven[',']!r}): correct it, or take it as categories (--categorical {name!r})."
        )
    if proven:
        return next(iter(proven))
    example = next((text for text, one in apart.items() if "," in one.digits or "." in one.digits), None)
    if example is None:
        return "."
    if len(of_file) == 1:
        return next(iter(of_file))
    if not of_file and all("," not in one.digits and not one.unit for one in apart.values()):
        return "."  # as programs write numbers
    raise TableError(
        f"column {name!r}: {example!r} can be read with a decimal sign and with a thousands separator, and "
        "nothing in the file tells which: say it (--decimal , or --thousands ,)."
    )


def _refuse_other_convention(texts: list[str], name: str, of_file: dict[str, str]) -> None:
    """Refuse "1.234" in a file whose other columns have decimal commas."""
    if set(of_file) != {","}:
        return
    example = next((text for text in texts if "." in text), None)
    if example is not None:
        raise TableError(
            f"column {name!r}: {example!r} is a thousand and more if the point separates thousands, as "
            f"another column has decimal commas ({of_file[',']}); say it (--decimal , or --decimal .)."
        )


def _refuse_otherwise_written(
    apart: dict[str, _Number], numbers: dict[str, float], decimal: str, name: str
) -> None:
    """Refuse what is a number with another decimal sign than that of the column."""
    for text, one in apart.items():
        if text not in numbers and decimal_sign_of(one.digits) is not None:
            raise TableError(
                f"column {name!r}: {text!r} is no number with the decimal sign {decimal!r} (--decimal, "
                "--thousands)."
            )


def _refuse_strays(counts: pd.DataFrame, strays: list[str], n_numbers: int, name: str) -> None:
    """Refuse words among numbers where numbers are the most."""
    rows = int(counts.rows[strays].sum())
    if n_numbers < _FEW_NUMBERS or rows > (1 - _MOSTLY) * int(counts.rows.sum()):
        return
    more = f" and {len(strays) - 1:,} other texts stand" if strays[1:] else " stands"
    row = int(counts["first"].to_dict()[strays[0]])
    raise TableError(
        f"row {row}, column {name!r}: {strays[0]!r}{more} among numbers. Correct it, or say that it means "
        f"missing (--na {strays[0]!r}), or that the column holds categories (--categorical {name!r})."
    )


def _note_on_words(
    apart: dict[str, _Number], numbers: dict[str, float], words: list[str], name: str
) -> str | None:
    number = next((text for text in numbers if not apart[text].unit), None)  # "11th" is rather a word
    if number is None:
        return None
    return f"column {name!r} holds numbers ({number!r}) and words ({words[0]!r}): taken as categories."


def _leading_zeros(texts: list[str], name: str) -> str | None:
    example = next((text for text in texts if len(text) > 1 and text[0] == "0" and text.isdigit()), None)
    if example is None:
        return None
    return f"column {name!r} is read as numbers, {example!r} too: codes are kept by --categorical {name!r}."


def _note(
    apart: dict[str, _Number], numbers: dict[str, float], decimal: str, unit: str, name: str
) -> str | None:
    changed = next((text for text in apart if _plain(text) != numbers[text]), None)
    if changed is None:
        return None
    ways = ["a decimal comma"] if decimal == "," and any("," in one.digits for one in apart.values()) else []
    ways += [f"{unit!r}"] if unit else []
    with_what = f", with {' and '.join(ways)}" if ways else ""
    return f"column {name!r} is read as numbers{with_what}: {changed!r} is {numbers[changed]:g}."


def _plain(text: str) -> float | None:
    """Return the number that a program reads in a text."""
    try:
        return float(text)
    except ValueError:
        return None
