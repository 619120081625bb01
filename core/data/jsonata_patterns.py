r"""Regular expressions of JSONata, which are ECMAScript's, in Python's spelling.

Translated are named groups, references to them, `$` (which in Python also matches before a last newline),
`\d` and `\w` (which in Python know all of Unicode), and what Python warns of in a set. Compiling takes time
in proportion to the text, but searching may take for ever: only a process that can be killed searches.
"""

import re
from typing import Final, Literal

_PIECES: Final = re.compile(
    r"\\k<(?P<back>\w+)>|\(\?<(?P<group>\w+)>|\\(?P<escaped>.)|(?P<other>.)", re.DOTALL
)
_OUTSIDE: Final = {"d": "[0-9]", "D": "[^0-9]", "w": "[A-Za-z0-9_]", "W": "[^A-Za-z0-9_]"}
_INSIDE: Final = {"d": "0-9", "w": "A-Za-z0-9_"}


class PatternRefused(Exception):
    """Why a regular expression cannot be compiled, in a sentence."""


def compile_pattern(pattern: str, *, ignore_case: bool = False, multiline: bool = False) -> re.Pattern[str]:
    """The compiled pattern. Raises PatternRefused."""
    flags = (re.IGNORECASE if ignore_case else 0) | (re.MULTILINE if multiline else 0)
    try:
        return re.compile(_translated(pattern, multiline=multiline), flags)
    except (re.error, OverflowError) as refused:
        raise PatternRefused(
            f"The regular expression /{pattern[:80]}/ cannot be read: {refused}."
        ) from refused


def _translated(pattern: str, *, multiline: bool) -> str:
    made = []
    in_set = False
    hyphens = _Hyphens()
    for piece in _PIECES.finditer(pattern):
        escaped, other = piece["escaped"], piece["other"]
        if in_set:
            made.append(hyphens.written(_of_set(piece.group(), escaped, other), other))
            in_set = other != "]"
        elif piece["back"]:
            made.append(f"(?P={piece['back']})")
        elif piece["group"]:
            made.append(f"(?P<{piece['group']}>")
        elif escaped:
            made.append(_OUTSIDE.get(escaped, piece.group()))
        else:
            in_set = other == "["
            hyphens = _Hyphens()
            made.append(r"\Z" if other == "$" and not multiline else other)
    return "".join(made)


class _Hyphens:
    """Tells a set's hyphens that make ranges from those that stand for themselves.

    The latter are escaped: Python warns of two in a row, since they may mean a difference of sets one day.
    """

    def __init__(self) -> None:
        self._before: Literal["start", "atom", "range"] = "start"
        self._empty = True

    def written(self, text: str, other: str | None) -> str:
        """The next piece of the set, as Python is to read it."""
        negates = self._empty and other == "^"
        self._empty = False
        if other == "]" or negates:
            return text
        if other == "-" and self._before == "atom":
            self._before = "range"
            return text
        self._before = "start" if self._before == "range" else "atom"
        return "\\-" if other == "-" else text


def _of_set(text: str, escaped: str | None, other: str | None) -> str:
    if escaped:
        return _INSIDE.get(escaped, text)
    if other and other in "[&~|":
        # Python keeps these for sets of sets, and warns where one might be meant.
        return "\\" + other
    return text
