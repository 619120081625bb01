"""Reading a native WAIT: for a time, until an instant, for a signal or for a callback."""

import re
from datetime import UTC, datetime
from typing import Final

from core.graph.draft import Reference
from core.graph.fields import MAX_ID, Fields
from core.graph.findings import shown
from core.graph.model import WaitStep
from core.graph.native_policies import read_catchers
from core.graph.native_templates import read_output
from core.graph.native_ways import read_next

MAX_WAIT_SECONDS: Final = 31_536_000
"""A year, as long as an execution may take."""

ENDS: Final = ("seconds", "until", "signal", "callback")

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_wait(fields: Fields, name: str, references: list[Reference]) -> WaitStep:
    """A WAIT, with exactly one of its ends."""
    seconds = fields.number("seconds", 0, MAX_WAIT_SECONDS, "seconds")
    until = fields.text("until", limit=MAX_ID)
    until_ms = None if until is None else _instant(fields, until)
    signal = fields.identifier("signal")
    callback = fields.flag("callback")
    given = [member for member in ENDS if fields.has(member) and fields.raw(member) is not False]
    if len(given) != 1:
        named = ", ".join(f"'{member}'" for member in given)
        detail = f"has {named} side by side." if given else "has no end."
        fields.findings.error(
            fields.place,
            "wait-without-end",
            f"{fields.subject} {detail}",
            "Give exactly one of 'seconds', 'until', 'signal' and 'callback'.",
        )
    timeout = fields.number("timeoutSeconds", 0.001, MAX_WAIT_SECONDS, "seconds")
    if timeout is not None and len(given) == 1 and given[0] in ("seconds", "until"):
        fields.wrong(
            "timeoutSeconds",
            "contradiction",
            f"'timeoutSeconds' bounds the wait for a signal or a callback; '{given[0]}' ends by itself.",
            "Remove 'timeoutSeconds'.",
        )
    flow = read_output(fields)
    catch, caught = read_catchers(fields)
    following = read_next(fields, references)
    references.extend(caught)
    return WaitStep(
        id=name,
        seconds=seconds,
        until_ms=until_ms,
        signal=signal,
        callback=callback,
        timeout_ms=None if timeout is None else max(1, round(timeout * 1000)),
        flow=flow,
        catch=catch,
        next=following,
    )


def _instant(fields: Fields, text: str) -> int | None:
    if _INSTANT.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            pass
        else:
            since = moment - _EPOCH
            return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    fields.wrong(
        "until",
        "invalid-instant",
        f"{shown(text)} is no instant of RFC 3339 with an offset.",
        "Write it as 2026-03-01T09:00:00Z or with an offset such as +01:00.",
    )
    return None
