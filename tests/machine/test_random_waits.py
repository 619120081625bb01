"""Random orders of accepting, calling back, polling, signalling and dying: all of them fold, and end."""

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from core.engine.facts import fits, left_by_former_owner
from core.engine.inbox import heard
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.graph.model import Catcher, ParallelStep, PassStep, RetryPolicy, Step, TaskStep, WaitStep
from core.machine import events as ev
from core.machine import snapshot
from core.machine.decide import decide
from core.machine.evolve import evolve, fold
from core.machine.journal import Envelope, decode, encode
from core.machine.run import Poll
from core.machine.state import State, blank
from core.machine.tasks import Send
from core.machine.transitions import PARKED, PAUSED
from core.ports.store import Message
from tests.machine.helpers import AWS, GCP, RAISED, REFUSED, TIMED_OUT, workflow

PATHS = ("all/0/call", "all/1/poll", "all/2/wait", "all/3/ask", "all/4/timed")

MOVES = st.sampled_from(
    [
        *("accept", "callback", "wake", "signal") * 2,
        *("answer", "fail", "heartbeat", "polled", "interrupt", "pause", "resume", "resume", "jump"),
        *("accept", "heartbeat", "callback", "polled", "polled", "cancel"),
    ]
)

CAUGHT = (Catcher(errors=("*",), next="over"),)
"""A branch that fails does not end the others."""

WORDS = st.sampled_from(("success", "failure", "heartbeat"))


def flow(effects: Any, *, alone: bool, retries: bool) -> tuple[Step, ...]:
    policies = (RetryPolicy(max_attempts=1, jitter="none"),) if retries else ()
    task: dict[str, Any] = {
        "targets": (AWS,) if alone else (AWS, GCP),
        "effects": effects,
        "on_ambiguous": "park" if effects == "atMostOnce" else "failover",
        "retries": policies,
        "timeout_ms": 60_000,
        "deadline_ms": 200_000,
        "catch": CAUGHT,
    }
    return (
        ParallelStep(id="all", branches=("call", "poll", "wait", "ask", "timed")),
        TaskStep(id="call", awaits="callback", heartbeat_ms=20_000, **task),
        TaskStep(id="poll", awaits="poll", **task),
        WaitStep(id="wait", signal="go", timeout_ms=90_000, catch=CAUGHT),
        WaitStep(id="ask", callback=True, timeout_ms=90_000, catch=CAUGHT),
        PassStep(id="over"),
        WaitStep(id="timed", signal="go", timeout_ms=120_000, catch=CAUGHT),
    )


class Run:
    """One execution, driven as the shell does it, in the order that a test draws."""

    def __init__(self, *steps: Step) -> None:
        self.now = 1_000_000
        self.wake_at: int | None = None
        self.sent: dict[tuple[str, int], int] = {}
        self.polls: dict[tuple[str, int], Poll] = {}
        self.state = blank("x1", workflow(*steps))
        self.journal: list[ev.AnyEvent] = []
        self.messages = 0
        self.tell(ev.WorkflowCreated(workflow_id="w", digest="d", input={}, visit_budget=100))
        self.decide()

    def tell(self, fact: ev.AnyEvent) -> None:
        if fits(self.state, fact):
            self.state = evolve(self.state, fact)
            self.journal.append(fact)

    def hear(self, kind: str, body: dict[str, Any]) -> None:
        self.messages += 1
        message = Message(message_id=f"m{self.messages}", kind=kind, body=body, sent_at_ms=self.now)
        for fact in heard(self.state, message, self.now):
            self.state = evolve(self.state, fact)
            self.journal.append(fact)
            event(f"{kind}: {ev.kind(fact)}")

    def decide(self) -> None:
        decision = decide(self.state, self.now, entropy=3, sent=self.sent)
        assert fold(self.state, decision.events) == decision.state
        self.state, self.wake_at = decision.state, decision.wake_at
        self.journal += decision.events
        for command in decision.commands:
            match command:
                case Send():
                    self.sent[command.started.visit, command.started.attempt] = self.now
                case Poll():
                    key = (command.visit, command.attempt)
                    assert key not in self.polls, "a result is asked for twice at once"
                    self.polls[key], self.sent[key] = command, self.now
                case _:
                    self.sent.pop((command.visit, command.attempt), None)  # type: ignore[union-attr]
                    self.polls.pop((command.visit, command.attempt), None)  # type: ignore[union-attr]
        again = decide(self.state, self.now, entropy=3, sent=self.sent)
        assert not again.events
        assert not again.commands
        self.check(decision.state)

    def check(self, state: State) -> None:
        held = [one for visit in state.visits.values() for one in visit.open if one.accepted_at is None]
        assert state.in_flight == len(held)
        assert set(state.listening) <= set(state.visits)
        assert set(state.waiting) <= set(state.visits)
        for visit in state.visits.values():
            if any(one.accepted_at is not None for one in visit.open):
                assert visit.path in state.waiting, "nobody would look after an accepted call"
        if not state.terminal and state.status not in {PAUSED, PARKED}:
            somebody = state.in_flight or self.wake_at is not None or self.polls or state.listening
            assert somebody, "nobody would take it up"
        assert snapshot.restore(snapshot.dump(state), state.workflow) == state

    def move(self, move: str, said: str, pick: int) -> None:
        state = self.state
        calls = [
            (path, one.number)
            for path, visit in sorted(state.visits.items())
            for one in visit.open
            if one.accepted_at is None
        ]
        path, number = calls[pick % len(calls)] if calls else ("", 0)
        names: dict[str, Any] = {"visit": path, "step_id": path.rpartition("/")[2], "attempt": number}
        match move:
            case "accept" if path:
                if "poll" in path:
                    names |= {"location": "http://x/1", "poll_at": self.now + 1_000}
                self.tell(ev.AttemptAccepted(at=self.now, **names))
            case "answer" if path and "poll" in path:
                self.tell(ev.AttemptSucceeded(output={"n": 1}, size=7, **names))
            case "fail" if path:
                outcome = (REFUSED, TIMED_OUT, RAISED)[pick % 3]
                self.tell(ev.AttemptFailed(outcome=outcome, **names))
            case "callback" | "heartbeat":
                word = "heartbeat" if move == "heartbeat" else said
                self.hear("callback", {"visit": PATHS[pick % len(PATHS)], "status": word, "output": {"n": 2}})
            case "polled" if self.polls:
                key = sorted(self.polls)[pick % len(self.polls)]
                self.answer_poll(key, pick)
            case "wake" if self.wake_at is not None:
                self.now = max(self.now, self.wake_at)
            case "jump":
                self.now += 30_000
            case "interrupt":
                self.sent.clear()
                self.polls.clear()
                for fact in left_by_former_owner(self.state, self.now):
                    self.tell(fact)
            case "pause" | "resume" | "cancel":
                self.hear(move, {})
            case "signal":
                self.hear("signal", {"name": "go", "payload": pick})
            case _:
                pass

    def answer_poll(self, key: tuple[str, int], pick: int) -> None:
        poll = self.polls.pop(key)
        self.sent.pop(key, None)
        names: dict[str, Any] = {"visit": poll.visit, "step_id": poll.step_id, "attempt": poll.attempt}
        if pick % 3 == 0:
            self.tell(ev.AttemptSucceeded(output=succeeded({"n": 3}).output, size=7, **names))
        elif pick % 3 == 1:
            self.tell(ev.AttemptPolled(poll_at=self.now + 1_000, **names))
        else:
            gone = Outcome(executed=Executed.MAYBE, scope=Scope.FUNCTION, signal="x", error="Gone")
            self.tell(ev.AttemptFailed(outcome=gone, **names))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(("pure", "idempotent", "atMostOnce")),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(MOVES, WORDS, st.integers(0, 50)), min_size=15, max_size=80),
)
def test_any_order_of_words_polls_and_deaths_folds_and_ends(
    effects: str, alone: bool, retries: bool, moves: list[tuple[str, str, int]]
) -> None:
    run = Run(*flow(effects, alone=alone, retries=retries))
    for move, said, pick in moves:
        run.move(move, said, pick)
        run.decide()
        if run.state.terminal:
            break
    event(f"after the moves: {run.state.status}")
    run.hear("resume", {})
    for _ in range(400):
        if run.state.terminal or run.state.status == PARKED:
            break
        run.move("interrupt", "", 0)
        run.decide()
        while any(one.accepted_at is None for visit in run.state.visits.values() for one in visit.open):
            run.move("fail", "", 1)
            run.decide()
        run.move("wake", "", 0)
        run.decide()
    assert run.state.terminal or run.state.status == PARKED, "it never ended"
    event(f"in the end: {run.state.status}")
    envelope = Envelope(seq=1, at=0, epoch=1, actor="a", commit="c", events=tuple(run.journal))
    again = fold(blank("x1", run.state.workflow), decode(encode(envelope)).events)
    assert again == run.state
