"""What a message in an execution's inbox does to it: the events that an owner folds when it takes it up.

A request that came too late to make sense is told in the journal as REQUEST_IGNORED, so that whoever asked
can see what became of it.
"""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from core.engine.words import called_back, is_superfluous, signalled
from core.graph.model import TaskStep
from core.machine import events as ev
from core.machine.requests import RESOLVED_AS_FAILED, VERDICTS, parked_visit, refused
from core.machine.state import State, Visit
from core.ports.store import Message

log = logging.getLogger("sidestep.engine")


def portion(messages: tuple[Message, ...], budget: int) -> tuple[Message, ...]:
    """The oldest of these messages, up to the one that passes `budget` bytes of JSON: what they bring stands
    in one commit. The others stay in the inbox until the next.
    """
    size = 0
    for number, message in enumerate(messages[:-1], start=1):
        size += len(msgspec.json.encode(message.body))
        if size > budget:
            return messages[:number]
    return messages


def heard(state: State, message: Message, now: int) -> tuple[ev.AnyEvent, ...]:
    """The message as events that fit the state; `now` is host time (Unix epoch, milliseconds)."""
    body: Mapping[str, Any] = message.body if isinstance(message.body, dict) else {}
    why = refused(message.kind, state)
    if why is not None:
        return (_ignored(message, why),)
    said: dict[str, str] = {
        "message_id": message.message_id,
        "actor": message.actor,
        "reason": str(body.get("reason", "")),
    }
    match message.kind:
        case "cancel":
            return (ev.CancelRequested(**said),)
        case "pause":
            return (ev.PauseRequested(at=now, **said),)
        case "resume":
            return (ev.WorkflowResumed(at=now, **said),)
        case "redrive":
            limit = state.workflow.timeout_ms
            return (ev.WorkflowRedriven(deadline_at=None if limit is None else now + limit, **said),)
        case "child":
            return (_child_ended(state, message, body),)
        case "signal":
            return (_or_ignored(message, signalled(state, message, body, now)),)
        case "callback" if is_superfluous(state, message, body, now):
            return ()
        case "callback":
            return (_or_ignored(message, called_back(state, message, body, now)),)
        case "resolve":
            return _resolved(state, message, body, said, now)
        case _:
            log.warning("a message of the unknown kind %r was ignored", message.kind)
            return (_ignored(message, "this version does not know such a request"),)


def _resolved(
    state: State, message: Message, body: Mapping[str, Any], said: dict[str, str], now: int
) -> tuple[ev.AnyEvent, ...]:
    verdict = str(body.get("verdict", ""))
    if verdict not in VERDICTS:
        return (_ignored(message, f"this version does not know the verdict {verdict!r}"),)
    visit = parked_visit(state, str(body.get("visit", "")), verdict)
    if isinstance(visit, str):
        return (_ignored(message, visit),)
    if visit.attempts != body.get("attempts"):
        return (_ignored(message, "it was settled before, and is parked anew since"),)
    output = body.get("output") if verdict == "completed" else None
    settled = ev.StepResolved(
        visit=visit.path,
        step_id=visit.step_id,
        at=now,
        verdict=verdict,
        output=output,
        size=len(msgspec.json.encode(output)) if verdict == "completed" else 0,
        error=str(body.get("error") or RESOLVED_AS_FAILED) if verdict == "failed" else "",
        cause=_cause(body, message.actor) if verdict == "failed" else "",
        deadline_at=_deadline(state, visit, now),
        **said,
    )
    step = state.step_of(visit)
    if verdict != "failover" or not isinstance(step, TaskStep):
        return (settled,)
    hop = ev.FailedOver(
        visit=visit.path,
        step_id=visit.step_id,
        from_target=step.targets[visit.target],
        to_target=step.targets[visit.target + 1],
        to_index=visit.target + 1,
        reason=f"{message.actor or 'a person'} settled it so that the next target is called",
    )
    return (settled, hop)


def _child_ended(state: State, message: Message, body: Mapping[str, Any]) -> ev.AnyEvent:
    """A child that nobody waits for any more (its step took too long, or was redriven) is ignored."""
    visit = state.visits.get(str(body.get("visit", "")))
    if visit is None or visit.child is None or visit.child != body.get("childId"):
        return _ignored(message, f"nothing waits for the child {body.get('childId')}")
    output = body.get("output")
    return ev.ChildEnded(
        visit=visit.path,
        step_id=visit.step_id,
        child_id=visit.child,
        status=str(body.get("status", "")),
        message_id=message.message_id,
        output=output,
        size=len(msgspec.json.encode(output)) if output is not None else 0,
        error=str(body.get("error", "")),
        cause=str(body.get("cause", "")),
    )


def _cause(body: Mapping[str, Any], actor: str) -> str:
    return str(body.get("cause") or body.get("reason") or f"{actor or 'a person'} settled it as failed")


def _deadline(state: State, visit: Visit, now: int) -> int | None:
    """As long as the first: the time that nobody decided is not the step's."""
    step = state.step_of(visit)
    return now + step.deadline_ms if isinstance(step, TaskStep) else None


def _or_ignored(message: Message, found: ev.AnyEvent | str) -> ev.AnyEvent:
    return _ignored(message, found) if isinstance(found, str) else found


def _ignored(message: Message, why: str) -> ev.RequestIgnored:
    return ev.RequestIgnored(
        message_id=message.message_id, request=message.kind, why=why, actor=message.actor
    )
