"""Messages of functions, people and programs that steps wait for, as events: callbacks and signals."""

from collections.abc import Mapping
from typing import Any

import msgspec

from core.graph.model import TaskStep, WaitStep
from core.machine import events as ev
from core.machine.answerable import FAILED_BY_CALLBACK, SAID, callback_visit, signal_refusal
from core.machine.state import State, Visit
from core.machine.transitions import PARKED
from core.ports.store import Message

BEATS_APART_MS = 10_000
"""Heartbeats that are less far apart than this, and than a tenth of the time within which one is needed, are
not written down.
"""


def signalled(state: State, message: Message, body: Mapping[str, Any], now: int) -> ev.SignalReceived | str:
    """The signal that a message brings, or why it is not kept."""
    name = body.get("name")
    if not isinstance(name, str) or not name:
        return "it has no name"
    payload = body.get("payload")
    size = len(msgspec.json.encode(payload))
    why = signal_refusal(state, name, size)
    if why is not None:
        return why
    return ev.SignalReceived(
        name=name, message_id=message.message_id, at=now, payload=payload, size=size, actor=message.actor
    )


def called_back(
    state: State, message: Message, body: Mapping[str, Any], now: int
) -> ev.CallbackReceived | ev.HeartbeatReceived | ev.StepResolved | str:
    """What a callback says, or why it comes to nothing.

    Of a parked visit it settles what a person would have to find out.
    """
    said = body.get("status")
    if said not in SAID:
        return f"this version does not know the callback {said!r}"
    visit = callback_visit(state, str(body.get("visit", "")), said)
    if isinstance(visit, str):
        return visit
    # It counts from when it came in, however long nobody was there to take it up.
    at = min(now, message.sent_at_ms or now)
    if said == "heartbeat":
        return ev.HeartbeatReceived(
            visit=visit.path,
            step_id=visit.step_id,
            attempt=visit.open[-1].number,
            message_id=message.message_id,
            at=at,
        )
    output = body.get("output") if said == "success" else None
    size = 0 if output is None else len(msgspec.json.encode(output))
    error = None if said == "success" else str(body.get("error") or FAILED_BY_CALLBACK)
    cause = str(body.get("cause", "")) if error is not None else ""
    if visit.status == PARKED:
        return ev.StepResolved(
            visit=visit.path,
            step_id=visit.step_id,
            message_id=message.message_id,
            at=now,
            verdict="completed" if error is None else "failed",
            actor=message.actor or "a callback",
            reason="its callback came",
            output=output,
            size=size,
            error=error or "",
            cause=cause,
        )
    return ev.CallbackReceived(
        visit=visit.path,
        step_id=visit.step_id,
        attempt=_attempt(state, visit),
        message_id=message.message_id,
        at=at,
        output=output,
        size=size,
        error=error,
        cause=cause,
        actor=message.actor,
    )


def is_superfluous(state: State, message: Message, body: Mapping[str, Any], now: int) -> bool:
    """Whether it is a heartbeat so soon after another one that it is not worth a line in the journal.

    Whoever holds a token may send them without end.
    """
    visit = state.visits.get(str(body.get("visit", "")))
    if body.get("status") != "heartbeat" or visit is None or not visit.open:
        return False
    attempt, step = visit.open[-1], state.step_of(visit)
    if attempt.beat_at is None or attempt.beat_at <= (attempt.accepted_at or 0):
        return False
    every = step.heartbeat_ms if isinstance(step, TaskStep) else None
    pause = BEATS_APART_MS if every is None else min(BEATS_APART_MS, every // 10)
    return min(now, message.sent_at_ms or now) - attempt.beat_at < pause


def _attempt(state: State, visit: Visit) -> int:
    """The attempt that the word ends, else the last one; 0 of a WAIT."""
    if isinstance(state.step_of(visit), WaitStep):
        return 0
    return visit.open[-1].number if visit.open else visit.attempts
