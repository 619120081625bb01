"""JSONPath as the States Language has it: text into a compiled path.

The dialect is Jayway's, which AWS runs: RFC 9535's syntax, names in dot notation that hold any characters
but `.[(` and white space, a dot before a bracket (`$.a.['b c']`), and functions at the end
(`$.a.length()`). `$` is the input, `$$` the context object, `$name` a variable. A *definite* path (names and
single indexes only) gives the value, any other a list of what it finds, maybe empty.

A *reference path* is a definite path whose names and indexes are plain; that is what may be assigned to.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, assert_never

import msgspec

if TYPE_CHECKING:
    from jsonpath_rfc9535 import JSONPathQuery

MAX_PATH: Final = 4_096
"""Characters of one path."""

MAX_STEPS: Final = 128
"""Steps of one path."""

Function = Literal["length", "min", "max", "avg", "sum", "stddev", "keys", "first", "last"]

_FUNCTIONS: Final[Mapping[str, Function]] = {
    "length": "length", "min": "min", "max": "max", "avg": "avg", "sum": "sum", "stddev": "stddev",
    "keys": "keys", "first": "first", "last": "last",
}  # fmt: skip


class NotAPath(ValueError):
    """The text is no path; the message says why."""


class Names(msgspec.Struct, frozen=True):
    """Members of an object by name; with several, one object of those that are there."""

    names: tuple[str, ...]


class Indexes(msgspec.Struct, frozen=True):
    """Items of a list by position, counted from the end where negative."""

    positions: tuple[int, ...]


class Slice(msgspec.Struct, frozen=True):
    """Items of a list from `start` to before `stop`."""

    start: int | None
    stop: int | None
    step: int | None


class Every(msgspec.Struct, frozen=True):
    """All members or items."""


class Filter(msgspec.Struct, frozen=True):
    """Items for which `query` (RFC 9535's `$[?...]`) holds; an object is asked about itself."""

    query: "JSONPathQuery"


class Descend(msgspec.Struct, frozen=True):
    """Values at any depth below, this one too: the next step is applied to each."""


class Call(msgspec.Struct, frozen=True):
    """A function at the path's end, of the value that the path names (or the list that it finds)."""

    function: Function


Step = Names | Indexes | Slice | Every | Filter | Descend | Call


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled path. `variable` is None for `$` (the input) and "$" for `$$` (the context)."""

    source: str
    variable: str | None
    steps: tuple[Step, ...]
    definite: bool
    unbounded: bool


_NAME: Final = re.compile(r"[^\s.\[\](),'\"?*]+")
_VARIABLE: Final = re.compile(r"[^\W\d]\w*")
_SPACE: Final = re.compile(r"\s*")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,8})")
_SLICE: Final = re.compile(r"(-?[0-9]{1,9})?\s*:\s*(-?[0-9]{1,9})?\s*(?::\s*(-?[0-9]{1,9})?\s*)?")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@lru_cache(maxsize=4_096)
def compile_path(source: str) -> Path:
    """The path that `source` spells. Raises NotAPath, with a sentence, for any other text."""
    if not source.startswith("$"):
        raise NotAPath("A path starts with '$'.")
    if len(source) > MAX_PATH:
        raise NotAPath(f"A path has at most {MAX_PATH} characters.")
    at = 1
    variable = None
    if source.startswith("$$"):
        variable, at = "$", 2
    elif found := _VARIABLE.match(source, 1):
        variable, at = found.group(), found.end()
    steps = []
    while at < len(source):
        step, at = _step(source, at)
        steps.append(step)
        if len(steps) > MAX_STEPS:
            raise NotAPath(f"A path has at most {MAX_STEPS} steps.")
    for before, step in zip([None, *steps], steps, strict=False):
        if isinstance(before, Call):
            raise NotAPath("Nothing follows a function in a path.")
        if isinstance(before, Descend) and isinstance(step, Descend):
            raise NotAPath("'..' is followed by a name or a bracket.")
    if steps and isinstance(steps[-1], Descend):
        raise NotAPath("A path does not end in a dot.")
    last = len(steps) - 1
    return Path(
        source=source,
        variable=variable,
        steps=tuple(steps),
        definite=all(definite_step(step, index == last) for index, step in enumerate(steps)),
        unbounded=any(isinstance(step, Filter | Descend) for step in steps),
    )


def keys(path: Path) -> tuple[str | int, ...] | None:
    """The names and indexes of a reference path; None for a path that is none."""
    found: list[str | int] = []
    for step in path.steps:
        match step:
            case Names(names=(name,)):
                found.append(name)
            case Indexes(positions=(position,)) if position >= 0:
                found.append(position)
            case _:
                return None
    return tuple(found)


def _step(source: str, at: int) -> tuple[Step, int]:
    if source.startswith("..", at):
        # The second dot is read again as the one before a name or a bracket.
        return Descend(), at + 1
    if source[at] == "[":
        return _bracket(source, at + 1)
    if source[at] != ".":
        raise NotAPath(f"A path goes on with '.' or '[' at character {at}.")
    at += 1
    if source.startswith("[", at):
        return _bracket(source, at + 1)
    if source.startswith("*", at):
        return Every(), at + 1
    found = _NAME.match(source, at)
    if found is None:
        raise NotAPath(f"A name is missing at character {at} of the path.")
    name = found.group()
    if source.startswith("()", found.end()):
        if name not in _FUNCTIONS:
            raise NotAPath(f"Paths have no function '{name[:40]}'.")
        return Call(_FUNCTIONS[name]), found.end() + 2
    return Names((name,)), found.end()


def _bracket(source: str, at: int) -> tuple[Step, int]:
    at = _skip(source, at)
    if source.startswith("*", at):
        return Every(), _closed(source, at + 1)
    if source.startswith("?", at):
        end = _matching(source, at)
        return Filter(_condition(source[at + 1 : end])), end + 1
    if source.startswith(("'", '"'), at):
        names = []
        while True:
            name, at = _quoted(source, at)
            names.append(name)
            at = _skip(source, at)
            if not source.startswith(",", at):
                return Names(tuple(names)), _closed(source, at)
            at = _skip(source, at + 1)
    found = _SLICE.match(source, at)
    if found is not None:
        start, stop, step = (None if part is None else int(part) for part in found.groups())
        if step == 0:
            raise NotAPath("A slice does not step by 0.")
        return Slice(start, stop, step), _closed(source, found.end())
    positions = []
    while True:
        found = _INTEGER.match(source, at)
        if found is None:
            raise NotAPath(f"An index, a quoted name, '*' or '?' is missing at character {at} of the path.")
        positions.append(int(found.group()))
        at = _skip(source, found.end())
        if not source.startswith(",", at):
            return Indexes(tuple(positions)), _closed(source, at)
        at = _skip(source, at + 1)


def _skip(source: str, at: int) -> int:
    found = _SPACE.match(source, at)
    return found.end() if found else at


def _closed(source: str, at: int) -> int:
    at = _skip(source, at)
    if not source.startswith("]", at):
        raise NotAPath(f"A ']' is missing at character {at} of the path.")
    return at + 1


def _quoted(source: str, at: int) -> tuple[str, int]:
    quote = source[at] if at < len(source) else ""
    if quote not in ("'", '"'):
        raise NotAPath(f"A quoted name is missing at character {at} of the path.")
    end = at + 1
    while end < len(source) and source[end] != quote:
        end += 2 if source[end] == "\\" else 1
    if end >= len(source):
        raise NotAPath("A quoted name of the path has no end.")
    return _ESCAPE.sub(_unescape, source[at + 1 : end]), end + 1


def _unescape(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    return _PLAIN.get(found[2], found[2])


def _condition(text: str) -> "JSONPathQuery":
    from core.data.jsonpath_filters import compile_filter  # noqa: PLC0415 - large, and few paths have filters

    try:
        return compile_filter(text)
    except ValueError as refused:
        raise NotAPath(f"The path's filter cannot be read: {refused}.") from refused


def _matching(source: str, at: int) -> int:
    """Where the bracket ends that is open at `at`; quotes hide brackets."""
    depth = 0
    quote = ""
    while at < len(source):
        here = source[at]
        if quote:
            if here == "\\":
                at += 1
            elif here == quote:
                quote = ""
        elif here in "'\"/":
            # A slash opens a regular expression only after `=~`.
            quote = here if here != "/" or source[:at].rstrip().endswith("=~") else ""
        elif here == "[":
            depth += 1
        elif here == "]":
            if depth == 0:
                return at
            depth -= 1
        at += 1
    raise NotAPath("A ']' is missing after the path's filter.")


def definite_step(step: Step, last: bool) -> bool:
    """Whether a step names one value at most; `last` is whether the path ends in it."""
    match step:
        case Names(names=names):
            return len(names) == 1 or last
        case Indexes(positions=positions):
            return len(positions) == 1
        case Call():
            return True
        case Slice() | Every() | Filter() | Descend():
            return False
        case _:
            assert_never(step)
