"""Why an attempt went where it did: its role, and what its reasons say of breakers and overrides."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cli.output import on_line

ROLES: Final = {
    "retry": "retry",
    "hedge": "hedge",
    "probe": "probe",
    "static": "static: every target is open",
    "rehearsal": "rehearsal",
}
"""A sidestep is what an arrow shows already."""

MOST: Final = 200
"""Characters of one remark."""

_PASSED: Final = "passed over "
_BREAKER: Final = "breaker "
_OPENED: Final = re.compile(r"breaker .+ (?:opened|closed|reopened)\b")
_BETWEEN: Final = re.compile(rf"; (?={_PASSED}|{_BREAKER})")


def role(call: Mapping[str, Any]) -> str:
    """What kind of call it was, in a word; empty for the ordinary ones."""
    named = str(call.get("role") or "")
    if named in {"", "sidestep"}:
        return ""
    return ROLES.get(named) or on_line(named)


def remarks(call: Mapping[str, Any], said: set[str]) -> list[str]:
    """What an attempt's reasons tell of breakers and of targets that were passed over, each once: what is in
    `said` is left out, and what is told is added there.

    A breaker that is told to have opened is not told to be open as well.
    """
    found = [part for reason in _texts(call.get("reasons")) for part in _parts(reason)]
    opened = {_names(part) for part in found if _OPENED.match(part)}
    fresh = []
    for part in found:
        if part in said:
            continue
        said.add(part)
        if _OPENED.match(part) or _names(part) not in opened:
            fresh.append(part if len(part) <= MOST else part[: MOST - 3].rstrip() + "...")
    return fresh


def _texts(reasons: Any) -> Iterable[str]:
    return [on_line(str(reason)) for reason in reasons] if isinstance(reasons, list | tuple) else ()


def _parts(reason: str) -> Iterable[str]:
    """Those parts of a reason that are about breakers, or about targets that could not be called."""
    for part in _BETWEEN.split(reason):
        if part.startswith(_BREAKER):
            yield part
        elif part.startswith(_PASSED):
            _, _, why = part.partition(": ")
            yield why if why.startswith(_BREAKER) else part


def _names(part: str) -> str:
    """Whose breaker it is: `AWS eu-west-1`."""
    return re.split(r" (?:opened|closed|reopened|open|is|was|half|ramping|suspect)\b", part, maxsplit=1)[0]
