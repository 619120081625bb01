"""Why an attempt went where it did: its role, and what its reasons say of breakers and overrides."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from cli.output import on_line

Json = Mapping[str, Any]

ROLES: Final = {
    "retry": "retry",
    "hedge": "hedge",
    "probe": "probe",
    "static": "static: no target is well",
    "rehearsal": "rehearsal",
}
"""A sidestep is what an arrow shows already."""

MOST: Final = 200
"""Characters of one remark."""

_PASSED: Final = "passed over "
_PHASES: Final = {
    "SUSPECT": "suspect",
    "OPEN": "open",
    "HALF_OPEN": "half open",
    "RAMPING": "ramping back",
}
_SAID: Final = {"DRAINED": "drained", "FORCED_OPEN": "forced open", "FORCED_CLOSED": "forced closed"}
_STATES: Final = "|".join((*_PHASES, *_SAID))
_OWN_ERRORS: Final = "the step fails over on function errors"
_WHO: Final = r"(?:AWS|GCP|AZURE|HTTP)\b[^;(]*?"
_STANDS: Final = re.compile(rf"({_WHO}) is ({_STATES})\b(.*)")
_BETWEEN: Final = re.compile(rf"; (?={_PASSED}|{_OWN_ERRORS}|breaker |{_WHO} is (?:{_STATES})\b)")
_HEDGED: Final = re.compile(r"a hedge: attempt \d+ at .* has been under way for (\d{1,9}) ms")
_UNTRIED: Final = frozenset({"static", "probe"})


def role(call: Json) -> str:
    """What kind of call it was, in a word; empty for the ordinary ones."""
    named = str(call.get("role") or "")
    if named in {"", "sidestep"}:
        return ""
    return ROLES.get(named) or on_line(named)


def hedged_after(call: Json) -> int | None:
    """How many milliseconds the call beside it had been under way when a hedge went out, if that is told."""
    told = (_HEDGED.match(reason) for reason in _texts(call.get("reasons")))
    return next((int(found.group(1)) for found in told if found), None)


def remarks(calls: Sequence[Json]) -> Iterator[list[str]]:
    """For each attempt of a visit what its reasons tell of breakers, overrides, targets that were passed
    over, and own errors that a step fails over on; each is told once. A breaker that is open where an
    attempt before was let through has opened.
    """
    said: set[str] = set()
    tried: list[str] = []
    for call in calls:
        fresh = []
        for part in (part for reason in _texts(call.get("reasons")) for part in _parts(reason)):
            what, told = _told(part, tried)
            if what not in said:
                said.add(what)
                fresh.append(told if len(told) <= MOST else told[: MOST - 3].rstrip() + "...")
        if call.get("role") not in _UNTRIED:
            names = (call.get(name) for name in ("provider", "region", "functionId"))
            tried.append(on_line(" ".join(str(name) for name in names if name)) + " ")
        yield fresh


def _texts(reasons: Any) -> Iterable[str]:
    return [on_line(str(reason)) for reason in reasons] if isinstance(reasons, list | tuple) else ()


def _parts(reason: str) -> Iterator[str]:
    """Those parts of a reason that people are told."""
    for part in _BETWEEN.split(reason):
        if part.startswith(_PASSED):
            _, _, why = part.partition(": ")
            yield why if why.startswith("breaker ") or _STANDS.match(why) else part
        elif part == _OWN_ERRORS or part.startswith("breaker ") or _STANDS.match(part):
            yield part


def _told(part: str, tried: Iterable[str]) -> tuple[str, str]:
    """What a part is about, and its words."""
    stands = _STANDS.match(part)
    if stands is None:
        return part, part
    who, state, rest = stands.groups()
    if state in _SAID:
        return f"{who} {state}", f"{who} is {_SAID[state]}{rest}"
    opened = state == "OPEN" and any(name.startswith(f"{who} ") for name in tried)
    return f"{who} {state}", f"breaker {who} {'opened' if opened else _PHASES[state]}{rest}"
