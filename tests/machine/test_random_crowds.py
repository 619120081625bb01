"""Branches that compete for little room in an outage, under random facts: none is forgotten, none spins."""

from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.failover.health import Health, Standing
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.reading import read_workflow
from core.machine import events as ev
from core.machine.transitions import PARKED, PAUSED
from tests.machine.test_random_facts import Run

OUTCOMES = st.sampled_from(
    (
        None,
        Outcome(executed=Executed.NO, scope=Scope.PROVIDER, signal="refused", error="Sidestep.Refused"),
        Outcome(executed=Executed.NO, scope=Scope.SATURATION, error="Sidestep.Throttled", retry_here=True),
        Outcome(executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="reset", error="Sidestep.Reset"),
        Outcome(executed=Executed.YES, scope=Scope.FUNCTION, signal="raised", error="Boom"),
    )
)

STANDINGS = st.builds(
    Standing,
    state=st.sampled_from(("CLOSED", "SUSPECT", "OPEN", "OPEN", "HALF_OPEN")),
    why=st.just("so it stands"),
    p95_ms=st.none() | st.just(20.0),
    room=st.integers(0, 1),
    static_room=st.integers(0, 1),
    retry=st.booleans(),
)

HEALTHS = st.builds(
    lambda aws, gcp, hedges: Health(places={("AWS", None): aws, ("GCP", None): gcp}, hedges=hedges),
    STANDINGS,
    STANDINGS,
    st.booleans(),
)

MOVES = st.sampled_from(
    ("answer",) * 5 + ("wake", "look", "stop", "interrupt", "pause", "resume", "cancel", "late")
)


@st.composite
def branches(draw: st.DrawFn) -> dict[str, Any]:
    """A PARALLEL of two or three tasks, each at AWS with a fallback at GCP, and what catches its error."""
    names = [f"s{number}" for number in range(draw(st.integers(2, 3)))]
    tasks = []
    for name in names:
        effects = draw(st.sampled_from(("pure", "idempotent", "atMostOnce")))
        task: dict[str, Any] = {
            "id": name,
            "type": "TASK",
            "provider": "AWS",
            "functionId": name,
            "fallbackProvider": "GCP",
            "effects": effects,
            "timeout": 1_000,
            "deadline": 2_000,
        }
        if draw(st.booleans()):
            task["retries"] = [{"maxAttempts": 2, "intervalSeconds": draw(st.sampled_from((0, 0.05)))}]
        tasks.append(task)
    fan: dict[str, Any] = {"id": "fan", "type": "PARALLEL", "branches": names, "next": "after"}
    if draw(st.booleans()):
        fan["catch"] = [{"next": "after"}]
    after = {"id": "after", "type": "TASK", "provider": "AWS", "functionId": "f", "fallbackProvider": "GCP"}
    return {"id": "crowd", "startAt": "fan", "steps": [fan, *tasks, after]}


def _move(run: Run, data: st.DataObject, health: Health) -> bool:
    """One thing that can happen; False where nobody decides after it."""
    move = data.draw(MOVES)
    match move:
        case "answer":
            left = run.open()
            for path, step_id, number in left[: data.draw(st.integers(1, 2))]:
                outcome = data.draw(OUTCOMES)
                run.tell(
                    [
                        ev.AttemptSucceeded(visit=path, step_id=step_id, attempt=number, output={})
                        if outcome is None
                        else ev.AttemptFailed(visit=path, step_id=step_id, attempt=number, outcome=outcome)
                    ]
                )
        case "wake":
            run.now = max(run.now, run.wake_at or 0)
        case "late":
            run.now += 5_000
        case "stop":
            run.stop(health, data.draw(st.integers(0, 9)))
            return False
        case "interrupt":
            run.tell(run.interruptions())
        case "pause" | "resume" | "cancel":
            run.ask(move, {})
        case _:
            run.now += 10
    return True


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=branches(), data=st.data())
def test_what_waits_for_room_is_never_forgotten_and_holds_up_nothing(
    document: dict[str, Any], data: st.DataObject
) -> None:
    run = Run(read_workflow(document), None, 150)
    run.decide(data.draw(HEALTHS), 0)
    for _ in range(data.draw(st.integers(1, 20))):
        if run.state.terminal:
            break
        health = data.draw(HEALTHS)
        if _move(run, data, health):
            run.decide(health, data.draw(st.integers(0, 9)))
    for _ in range(60):
        if run.state.terminal or run.state.status == PARKED:
            break
        if run.state.status == PAUSED:
            run.ask("resume", {})
        elif left := run.open():
            path, step_id, number = left[0]
            run.tell([ev.AttemptSucceeded(visit=path, step_id=step_id, attempt=number, output={})])
        elif run.wake_at is not None:
            run.now = max(run.now, run.wake_at)
        run.decide(Health(), 3)
    event(f"in the end: {run.state.status}")
    assert run.state.terminal or run.state.status == PARKED
    run.replay()
