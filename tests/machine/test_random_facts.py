"""Random graphs under random facts: what must hold of the machine after every decision."""

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.engine.inbox import heard
from core.failover.breaker import Phase
from core.failover.health import OVERRIDES, Health, Standing
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import PROVIDERS, Target, TaskStep, Workflow
from core.graph.reading import read_workflow
from core.machine import events as ev
from core.machine import snapshot
from core.machine.decide import Abort, decide
from core.machine.evolve import evolve, fold
from core.machine.journal import Envelope, decode, encode
from core.machine.requests import VERDICTS
from core.machine.state import State, Visit, blank
from core.machine.tasks import Send
from core.machine.transitions import PARKED, PAUSED
from core.ports.store import Message
from tests.strategies import workflows

BUDGET = 150
STEPS = 3 * BUDGET * 40
"""More decisions than any of these graphs can need."""

OUTCOMES = st.builds(
    Outcome,
    executed=st.sampled_from(Executed),
    scope=st.sampled_from([scope for scope in Scope if scope is not Scope.NONE]),
    signal=st.sampled_from(("fault", "interrupted")),
    error=st.sampled_from(("Boom", "Sidestep.Timeout", "Other")),
    retry_here=st.booleans(),
    retry_after_ms=st.none() | st.sampled_from((0, 300, 5_000, 3_600_000)),
    partial=st.booleans(),
)

OUTPUTS = st.sampled_from(({"total": 12}, {"n": 3, "kind": "a"}, {}, None, "text", [1, 2], 2**70, 0.1))

REFUSALS = st.dictionaries(st.sampled_from(PROVIDERS), st.just("it is not configured"), max_size=4)

STANDINGS = st.builds(
    Standing,
    state=st.sampled_from((*(phase.value for phase in Phase), *OVERRIDES)),
    why=st.just("so it stands"),
    share=st.sampled_from((0.01, 0.5, 1.0)),
    probe=st.booleans(),
    p95_ms=st.none() | st.sampled_from((0.4, 20.0)),
    p99_ms=st.none() | st.sampled_from((1.0, 4_000.0)),
    overdue_ms=st.none() | st.sampled_from((0.2, 500.0)),
    room=st.none() | st.integers(0, 3),
    static_room=st.integers(0, 2),
    retry=st.booleans(),
)

CROWDED = st.builds(
    lambda open_, room: Health(
        places={
            ("AWS", None): Standing(state="OPEN" if open_ else "CLOSED", why="so it stands", static_room=0),
            **{(name, None): Standing(room=room, static_room=0) for name in PROVIDERS if name != "AWS"},
        }
    ),
    st.booleans(),
    st.integers(0, 1),
)
"""An outage with fallbacks that bear no more."""

HEALTHS = CROWDED | st.builds(
    Health,
    refused=st.one_of(st.just({}), REFUSALS),
    places=st.dictionaries(st.sampled_from([(name, None) for name in PROVIDERS]), STANDINGS, max_size=4),
    hedges=st.booleans(),
    rehearse=st.sampled_from((0.0, 0.0, 1.0)),
)

REQUESTS = ("pause", "resume", "redrive", "resolve", "cancel", "unknown")

MOVES = st.sampled_from(
    ("answer",) * 6 + ("wake",) * 3 + ("interrupt", "drain", "stop", "jump", "cancel") + ("request",) * 4
)


class Run:
    """One execution whose every decision is checked as it is made."""

    def __init__(self, workflow: Workflow, deadline_at: int | None, budget: int) -> None:
        self.workflow = workflow
        self.now = 1_000_000
        self.wake_at: int | None = None
        self.queued: tuple[Target, ...] = ()
        self.journal: list[ev.AnyEvent] = []
        self.state = blank("x1", workflow)
        self.started: dict[tuple[str, int], ev.AttemptStarted] = {}
        self.may_have_run: set[str] = set()
        self.completed: set[str] = set()
        self.messages = 0
        self.decisions = 0
        created = ev.WorkflowCreated(
            workflow_id=workflow.id,
            digest=workflow.digest,
            input={},
            visit_budget=budget,
            deadline_at=deadline_at,
        )
        self.tell([created])

    def tell(self, facts: Sequence[ev.AnyEvent]) -> None:
        """What the shell folds before it asks for a decision."""
        for fact in facts:
            self.state = evolve(self.state, fact)
            self.note(fact)

    def note(self, fact: ev.AnyEvent) -> None:
        self.journal.append(fact)
        match fact:
            case ev.AttemptStarted():
                step = self.workflow.steps[fact.step_id]
                assert isinstance(step, TaskStep)
                assert (fact.visit, fact.attempt) not in self.started, "an attempt number was used twice"
                assert fact.target in step.targets
                event(f"an attempt as {fact.role or 'primary'}")
                assert fact.visit not in self.completed, "what completed is kept"
                assert 1 <= fact.timeout_ms <= step.timeout_ms
                assert fact.not_after > self.now
                if step.effects == "atMostOnce":
                    assert fact.visit not in self.may_have_run, "it may have run, and would run again"
                self.started[fact.visit, fact.attempt] = fact
            case ev.StepCompleted():
                assert fact.visit not in self.completed, "a step completed twice"
                self.completed.add(fact.visit)
            case ev.StepResolved():
                # A person's word allows one more send, and a redrive one more of each that fell.
                self.may_have_run.discard(fact.visit)
            case ev.WorkflowRedriven():
                self.may_have_run.clear()
            case ev.AttemptSucceeded() | ev.AttemptInterrupted() | ev.AttemptAbandoned():
                self.may_have_run.add(fact.visit)
            case ev.AttemptFailed() if fact.outcome.executed is not Executed.NO:
                self.may_have_run.add(fact.visit)
            case _:
                pass

    def decide(self, health: Health, entropy: int) -> None:
        self.decisions += 1
        before = self.state
        decision = decide(before, self.now, health, entropy)
        assert fold(before, decision.events) == decision.state
        for one in decision.events:
            self.note(one)
        self.state, self.wake_at, self.queued = decision.state, decision.wake_at, decision.queued
        if decision.queued:
            event("something waits for room")
        started = [one for one in decision.events if isinstance(one, ev.AttemptStarted)]
        dropped = [one for one in decision.events if isinstance(one, ev.AttemptAbandoned | ev.AttemptFailed)]
        sends = [one.started for one in decision.commands if isinstance(one, Send)]
        aborts = [one for one in decision.commands if isinstance(one, Abort)]
        assert sends == started, "what is sent is what the journal says"
        assert [(one.visit, one.attempt) for one in aborts] == [(one.visit, one.attempt) for one in dropped]
        again = decide(self.state, self.now, _spent(health), entropy)
        assert not again.events, "a decision leaves nothing to decide"
        assert not again.commands
        self.check()

    def stop(self, health: Health, entropy: int) -> None:
        """The worker stops: it decides what has come in, sends nothing, and keeps nothing in hand."""
        decision = decide(self.state, self.now, health, entropy, stopping=True)
        assert fold(self.state, decision.events) == decision.state
        assert not any(isinstance(one, Send) for one in decision.commands)
        assert not decision.queued
        for one in decision.events:
            self.note(one)
        self.state, self.wake_at = decision.state, decision.wake_at
        idle = not self.state.terminal and self.state.status not in {PAUSED, PARKED}
        assert not idle or self.state.in_flight or self.wake_at is not None, "nobody would take it up"

    def check(self) -> None:
        """The counts and indexes of the state are what its visits say."""
        state, live = self.state, self.state.visits
        assert state.status == PAUSED or all(map(self.waits_for_room, state.ready))
        assert sorted(state.watched) == sorted(path for path, visit in live.items() if self.watched(visit))
        assert not state.answered
        assert (state.paused is not None) == (state.status == PAUSED)
        assert (state.held_at is not None) == bool(state.paused or state.parked)
        assert state.in_flight == sum(len(visit.open) for visit in live.values())
        assert state.parked == sum(visit.status == PARKED for visit in live.values())
        assert all(live[path].wake_at == at for path, at in state.waiting.items())
        assert not any(live[path].open for path in state.waiting)
        if state.terminal:
            assert not live
            assert self.wake_at is None
        elif state.status == PAUSED:
            assert self.wake_at is None
        elif state.status == PARKED:
            assert state.parked
            assert not state.in_flight
            assert self.wake_at is None
        else:
            assert state.in_flight or self.wake_at is not None, "nothing would ever bring it back"
            assert self.wake_at is None or self.wake_at > self.now, "it would be decided again at once"
        if not state.terminal and not state.root_ended and live:
            # A scope is open for as long as one visit is live in it, and for no longer.
            assert sorted(state.scopes) == sorted(visit.scope for visit in live.values())

    def watched(self, visit: Visit) -> bool:
        step = self.workflow.steps[visit.step_id]
        if not isinstance(step, TaskStep) or len(step.targets) == 1:
            return False
        moves = step.effects == "pure" or (step.effects == "idempotent" and step.on_ambiguous == "failover")
        return moves and len(visit.open) == 1 and visit.open[0].role != "hedge" and visit.outcome is None

    def waits_for_room(self, path: str) -> bool:
        visit = self.state.visits[path]
        step = self.workflow.steps[visit.step_id]
        fails = visit.outcome is None or not visit.outcome.ok
        return (
            isinstance(step, TaskStep) and fails and not visit.open and bool({*step.targets} & {*self.queued})
        )

    def open(self) -> list[tuple[str, str, int]]:
        return [
            (path, visit.step_id, attempt.number)
            for path, visit in sorted(self.state.visits.items())
            for attempt in visit.open
        ]

    def interruptions(self) -> list[ev.AnyEvent]:
        """What a new owner records first."""
        return [
            ev.AttemptInterrupted(visit=path, step_id=step_id, attempt=number, deadline_at=self.now + 5_000)
            for path, step_id, number in self.open()
        ]

    def ask(self, kind: str, body: dict[str, Any]) -> list[ev.AnyEvent]:
        """A person's request, as an owner takes it up."""
        self.messages += 1
        message = Message(message_id=f"m{self.messages}", kind=kind, body=body, actor="ann")
        facts = list(heard(self.state, message, self.now))
        self.tell(facts)
        return facts

    def replay(self) -> None:
        """The journal's bytes fold to the state that was reached, from the start and from a snapshot."""
        blob = encode(
            Envelope(seq=1, at=self.now, epoch=1, actor="a", commit="1.1", events=tuple(self.journal))
        )
        events = decode(blob).events
        assert events == tuple(self.journal)
        half = len(events) // 2
        first = fold(blank("x1", self.workflow), events[:half])
        kept = snapshot.restore(snapshot.dump(first), self.workflow)
        assert kept == first
        assert fold(kept, events[half:]) == self.state


def _move(run: Run, data: st.DataObject) -> bool:
    """One thing that can happen; False where nobody decides after it (the owner is draining)."""
    move: str = data.draw(MOVES)
    match move:
        case "answer" | "drain":
            left = run.open()
            chosen = data.draw(st.permutations(left)) if left else []
            facts: list[ev.AnyEvent] = []
            for path, step_id, number in chosen[: data.draw(st.integers(1, 3))]:
                outcome = data.draw(st.none() | OUTCOMES)
                facts.append(
                    ev.AttemptSucceeded(
                        visit=path, step_id=step_id, attempt=number, output=data.draw(OUTPUTS)
                    )
                    if outcome is None
                    else ev.AttemptFailed(visit=path, step_id=step_id, attempt=number, outcome=outcome)
                )
            run.tell(facts)
            run.now += data.draw(st.integers(0, 50))
            return move == "answer"
        case "stop":
            run.stop(data.draw(HEALTHS), data.draw(st.integers(0, 2**64 - 1)))
            return False
        case "interrupt":
            run.now += data.draw(st.sampled_from((0, 10_000, 3_600_000)))
            run.tell(run.interruptions())
        case "cancel":
            run.ask("cancel", {})
        case "request":
            for _ in range(data.draw(st.integers(1, 3))):
                _request(run, data)
            return data.draw(st.integers(0, 5)) > 0
        case "jump":
            run.now += data.draw(st.sampled_from((1, 1_000, 100_000, 10**9)))
        case _:
            run.now = max(run.now, run.wake_at or 0)
    return True


def _request(run: Run, data: st.DataObject) -> None:
    fitting = (
        "redrive"
        if run.state.terminal
        else "resume"
        if run.state.status == PAUSED
        else "resolve"
        if run.state.parked
        else "pause"
    )
    kind = data.draw(st.sampled_from((*REQUESTS, *(fitting,) * 10)))
    body: dict[str, Any] = {"reason": "because"}
    if kind == "resolve":
        parked = sorted(path for path, visit in run.state.visits.items() if visit.status == PARKED)
        path = data.draw(st.sampled_from(parked)) if parked else "nowhere"
        known = run.state.visits.get(path)
        body |= {
            "visit": path,
            "attempts": (known.attempts if known else 0) + data.draw(st.sampled_from((0, 0, 0, 1))),
            "verdict": data.draw(st.sampled_from((*VERDICTS, "shrug"))),
            "output": data.draw(OUTPUTS),
            "error": data.draw(st.none() | st.just("Lost")),
        }
    event(f"{kind}: {ev.kind(run.ask(kind, body)[0])}")


def _finish(run: Run) -> None:
    """From any state: when every call is answered and time goes on, it ends or is parked."""
    for _ in range(STEPS):
        run.decide(Health(), 3)
        if run.state.terminal or run.state.status == PARKED:
            return
        if run.state.status == PAUSED:
            run.ask("resume", {})
            continue
        if left := run.open():
            path, step_id, number = left[0]
            run.tell([ev.AttemptSucceeded(visit=path, step_id=step_id, attempt=number, output={})])
        else:
            assert run.wake_at is not None
            run.now = run.wake_at
    raise AssertionError("it never ends")


def _spent(health: Health) -> Health:
    """The same knowledge, after a decision has taken all that budgets and limits gave."""
    places = {
        place: replace(standing, probe=False, room=None if standing.room is None else 0, static_room=0)
        for place, standing in health.places.items()
    }
    return replace(health, places=places, hedges=False)


def _settled(state: State) -> bool:
    return state.terminal or state.status == PARKED


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(document=workflows(), data=st.data())
def test_after_every_decision_something_brings_the_execution_back_or_it_has_ended(
    document: dict[str, Any], data: st.DataObject
) -> None:
    limit = data.draw(st.none() | st.sampled_from((1_000_000, 1_000_500, 1_060_000)))
    run = Run(read_workflow(document), limit, data.draw(st.sampled_from((3, BUDGET))))
    run.decide(data.draw(HEALTHS), 0)
    for _ in range(data.draw(st.integers(0, 25))):
        if run.state.terminal:
            _request(run, data)
            run.decide(data.draw(HEALTHS), 0)
        elif _move(run, data):
            run.decide(data.draw(HEALTHS), data.draw(st.integers(0, 2**64 - 1)))
    event(f"after the facts: {run.state.status}")
    _finish(run)
    event(f"in the end: {run.state.status}")
    assert _settled(run.state)
    run.replay()
