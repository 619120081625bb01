"""Steps and requests, short to say."""

from typing import Any

from core.graph.model import (
    TaskStep,
)
from core.machine import events as ev
from core.machine.requests import parked_visit
from tests.machine.helpers import AWS, Machine


def task(name: str, following: str | None = None, **changes: Any) -> TaskStep:
    given: dict[str, Any] = {
        "targets": (AWS,),
        "timeout_ms": 3_000,
        "deadline_ms": 10_000,
        "next": following,
        **changes,
    }
    return TaskStep(id=name, **given)


def once(name: str, following: str | None = None, **changes: Any) -> TaskStep:
    return task(name, following, effects="atMostOnce", on_ambiguous="park", **changes)


def pause(machine: Machine) -> None:
    machine.tell(ev.PauseRequested(message_id="p", at=machine.now, actor="ann", reason="a look"))
    machine.decide()


def resume(machine: Machine) -> None:
    machine.tell(ev.WorkflowResumed(message_id="r", at=machine.now, actor="ann"))
    machine.decide()


def redrive(machine: Machine, deadline_at: int | None = None) -> None:
    machine.tell(ev.WorkflowRedriven(message_id="again", actor="ann", deadline_at=deadline_at))
    machine.decide()


def resolve(machine: Machine, verdict: str, **more: Any) -> None:
    visit = parked_visit(machine.state, None, verdict)
    assert not isinstance(visit, str), visit
    machine.tell(
        ev.StepResolved(
            visit=visit.path,
            step_id=visit.step_id,
            message_id="s",
            at=machine.now,
            verdict=verdict,
            actor="ann",
            reason="I looked",
            deadline_at=machine.now + 10_000,
            **more,
        )
    )
