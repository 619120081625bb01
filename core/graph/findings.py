"""Collecting what is wrong with a document: pointers, order, and 'did you mean'."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Final

from core.errors import Problem
from core.graph.limits import Limits
from core.graph.model import Json

Place = tuple[str | int, ...]
"""Where something stands in a document: member names and indexes from the root."""

SHOWN: Final = 80
"""Characters of a caller's text that a problem repeats."""

SIMILAR: Final = 0.6
"""The least similarity (difflib's ratio and its default cutoff) at which a name is suggested."""

SUGGESTION_WORK: Final = 4_000_000
"""What one document's suggestions may cost: each comparison the product of both lengths, and
`COMPARISON_WORK`. About half a second of CPU at worst."""

COMPARISON_WORK: Final = 100

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def pointer(place: Place) -> str:
    """The JSON Pointer (RFC 6901) of `place`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def shown(value: Json) -> str:
    """A value as a problem quotes it.

    Strings are quoted, bounded and without control characters; lists and objects are named by their kind.
    """
    match value:
        case str():
            text = value if len(value) <= SHOWN else value[: SHOWN - 3] + "..."
            return "'" + _CONTROL.sub(_escaped, text) + "'"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            text = repr(value)
            return text if len(text) <= SHOWN else "a very large number"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return "an object" if value else "an empty object"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


@dataclass(slots=True)
class Findings:
    """The problems of one document, as they are found.

    Belongs to one reading, in one thread. `quiet` leaves out hints and suggestions. Errors and hints are
    bounded apart, so that hints never crowd an error out. `expressions` and `expression_characters` are what
    expressions.py has looked at so far.
    """

    limits: Limits
    providers: tuple[str, ...] | None
    quiet: bool = False
    errors: int = 0
    hints: int = 0
    expressions: dict[str, str | None] = field(default_factory=dict)
    expression_characters: int = 0
    _found: list[tuple[Place, Problem]] = field(default_factory=list)
    _work: int = SUGGESTION_WORK

    def error(self, place: Place, code: str, detail: str, mend: str = "") -> None:
        """Note an error at `place`."""
        self.errors += 1
        if self.errors <= self.limits.problems:
            self._found.append((place, Problem(pointer(place), code, detail, mend)))

    def hint(self, place: Place, code: str, detail: str, mend: str = "") -> None:
        """Note something that refuses nothing."""
        if self.quiet:
            return
        self.hints += 1
        if self.hints <= self.limits.problems:
            self._found.append((place, Problem(pointer(place), code, detail, mend, severity="hint")))

    def closest(self, name: str, known: Iterable[str]) -> str | None:
        """The known name that was probably meant, if any.

        A match but for upper and lower case wins. The work over a whole document is bounded, so that a
        hostile one gets no suggestions rather than all of the CPU.
        """
        if self.quiet or self._work < 0 or self.errors >= self.limits.problems:
            return None
        wanted = name.casefold()
        best, best_ratio = None, SIMILAR
        matcher = SequenceMatcher(autojunk=False)
        matcher.set_seq2(wanted)
        for candidate in known:
            folded = candidate.casefold()
            if folded == wanted:
                return candidate
            self._work -= len(wanted) * len(folded) + COMPARISON_WORK
            if self._work < 0:
                break
            matcher.set_seq1(folded)
            if matcher.real_quick_ratio() >= best_ratio and matcher.quick_ratio() >= best_ratio:
                ratio = matcher.ratio()
                if ratio > best_ratio or (best is None and ratio >= best_ratio):
                    best, best_ratio = candidate, ratio
        return best

    def did_you_mean(self, name: str, known: Iterable[str], otherwise: str) -> str:
        """The mend for an unknown name."""
        meant = self.closest(name, known)
        return f"Did you mean '{meant}'?" if meant is not None else otherwise

    def in_order(self, document: Json) -> tuple[Problem, ...]:
        """What was found, in the document's order; what is missing from an object comes first in it."""
        ranks = _Ranks(document)
        ordered = [problem for _, problem in sorted(self._found, key=lambda entry: ranks.of(entry[0]))]
        for severity, count in (("error", self.errors), ("hint", self.hints)):
            unlisted = count - self.limits.problems
            if unlisted > 0:
                detail = f"{unlisted} more {severity}{'s are' if unlisted > 1 else ' is'} not listed."
                mend = "Mend the listed ones and validate again."
                ordered.append(Problem("", f"too-many-{severity}s", detail, mend, severity))
        return tuple(ordered)


class _Ranks:
    """Positions of places in a document, each object's members numbered once."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._members: dict[Place, dict[str, int]] = {}

    def of(self, place: Place) -> tuple[int, ...]:
        ranks = []
        here = self._document
        for depth, part in enumerate(place):
            if isinstance(here, Mapping) and isinstance(part, str):
                members = self._members.get(place[:depth])
                if members is None:
                    members = {name: rank for rank, name in enumerate(here)}
                    self._members[place[:depth]] = members
                ranks.append(members.get(part, -1))
                here = here.get(part)
            elif isinstance(here, list) and isinstance(part, int) and part < len(here):
                ranks.append(part)
                here = here[part]
            else:
                ranks.append(-1)
                here = None
        return tuple(ranks)
