"""Random machines of every kind of step under random words, requests and deaths: none is stuck or spins."""

from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.data.flow import Answer
from core.engine.facts import fits, left_by_former_owner
from core.engine.inbox import heard
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Workflow
from core.graph.reading import read_workflow
from core.machine import events as ev
from core.machine import snapshot
from core.machine.decide import Decision, decide
from core.machine.evolve import evolve, fold
from core.machine.journal import Envelope, decode, encode
from core.machine.run import Asked, Poll, Rules, Tell
from core.machine.state import State, blank
from core.machine.tasks import Send
from core.machine.transitions import PARKED, PAUSED
from core.ports.store import Message

ASKED = "{% $uppercase($string(n)) & '' %}"
"""Something that has to be evaluated elsewhere."""

RULES = Rules(data_limit=4_000, data_budget=20_000)

MOVES = (
    *("answer", "answer", "fail", "accept", "callback", "polled", "child", "signal", "wake", "told") * 3,
    *("heartbeat", "interrupt", "pause", "resume", "resume", "cancel", "resolve", "resolve", "redrive"),
    *("jump", "stop", "large", "refuse"),
)


class Author:
    """Draws a definition, step by step."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.steps: list[dict[str, Any]] = []
        self.undoing = False

    def name(self) -> str:
        return f"s{len(self.steps)}"

    def chain(self, depth: int) -> str:
        """A few steps in a row; returns the name of the first."""
        first = before = None
        for _ in range(self.draw(st.integers(1, 2))):
            name = self.step(depth)
            if before is not None:
                before["next"] = name["id"]
            before = name
            first = first or name["id"]
            if name["type"] in {"FAIL", "SUCCEED"}:
                break
        assert first is not None
        return str(first)

    def fail_after(self, start: str) -> None:
        """Fail where the chain that begins with `start` ends."""
        by_id = {step["id"]: step for step in self.steps}
        last = by_id[start]
        while "next" in last:
            last = by_id[last["next"]]
        if last["type"] != "FAIL":
            last["next"] = self.name()
            self.steps.append({"id": last["next"], "type": "FAIL", "error": "Planned"})

    def step(self, depth: int) -> dict[str, Any]:
        kinds = ["TASK"] * 4 + ["PASS", "WAIT", "WAIT", "WORKFLOW", "FAIL"]
        kinds += ["PARALLEL", "MAP", "MAP"] if depth else []
        kind = self.draw(st.sampled_from(kinds))
        step: dict[str, Any] = {"id": self.name(), "type": kind}
        self.steps.append(step)
        flip = st.booleans()
        match kind:
            case "TASK":
                self.task(step)
            case "PASS":
                step["output" if self.draw(flip) else "result"] = {"n": 2}
                if "output" in step and self.draw(flip):
                    step["output"] = {"n": ASKED}
            case "WAIT":
                end = self.draw(st.sampled_from(("seconds", "signal", "callback")))
                step[end] = {"seconds": 5, "signal": "go", "callback": True}[end]
                if end != "seconds" and self.draw(flip):
                    step["timeoutSeconds"] = 20
                if end != "seconds" and self.draw(flip):
                    step["output"] = {"w": ASKED}
            case "WORKFLOW":
                step["workflowId"] = "child"
                if self.draw(flip):
                    step["timeoutSeconds"] = 30
                self.again(step)
            case "PARALLEL":
                step["branches"] = [self.chain(depth - 1) for _ in range(self.draw(st.integers(1, 2)))]
                self.again(step)
            case "MAP":
                step["items"] = "list"
                step["each"] = self.chain(depth - 1)
                step["maxConcurrency"] = self.draw(st.sampled_from((0, 1, 2)))
                step["results"] = self.draw(st.sampled_from(("inline", "reference")))
                if self.draw(flip):
                    step["toleratedFailures"] = 1
                self.again(step)
            case _:
                step["error"] = "Planned"
        if kind in {"TASK", "WORKFLOW", "PARALLEL", "MAP"} and not self.undoing and self.draw(flip):
            self.undoing = True
            step["compensate"] = self.chain(self.draw(st.integers(0, 1)))
            self.undoing = False
        if kind in {"TASK", "WAIT", "WORKFLOW", "PARALLEL", "MAP"} and self.draw(st.integers(0, 3)) == 0:
            over = {"id": self.name(), "type": "PASS", "result": {"caught": True}}
            self.steps.append(over)
            step["catch"] = [{"next": over["id"]}]
        return step

    def task(self, step: dict[str, Any]) -> None:
        effects = self.draw(st.sampled_from(("pure", "idempotent", "atMostOnce")))
        step |= {"provider": "GCP", "functionId": "f", "effects": effects}
        if self.draw(st.booleans()):
            step["fallbackProvider"] = "AZURE"
        awaits = self.draw(st.sampled_from(("", "", "callback", "poll")))
        if awaits:
            step["await"] = awaits
            step["timeout"] = 40_000
        if awaits == "callback":
            step["heartbeatSeconds"] = 15
        if self.draw(st.booleans()):
            step["input"] = {"n": self.draw(st.sampled_from((ASKED, "$.n", "$.nothing.there")))}
        if self.draw(st.integers(0, 3)) == 0:
            step["output"] = {"made": self.draw(st.sampled_from((ASKED, "$.nothing.there")))}
        self.again(step)

    def again(self, step: dict[str, Any]) -> None:
        if self.draw(st.integers(0, 2)) == 0:
            step["retries"] = [{"maxAttempts": 1, "intervalSeconds": self.draw(st.sampled_from((0, 1)))}]


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    """A definition with any of the steps, nested twice at most."""
    author = Author(draw)
    start = author.chain(2)
    if draw(st.booleans()):
        # What was done is undone in the end.
        author.fail_after(start)
    ids = {step["id"] for step in author.steps}
    assert len(ids) == len(author.steps)
    return {
        "id": "w",
        "startAt": start,
        "steps": author.steps,
        "timeoutSeconds": draw(st.sampled_from((60, 600))),
    }


OUTCOMES = (
    Outcome(executed=Executed.NO, scope=Scope.PROVIDER, signal="refused", error="Sidestep.Refused"),
    Outcome(executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="reset", error="Sidestep.Reset"),
    Outcome(executed=Executed.YES, scope=Scope.FUNCTION, signal="raised", error="Boom"),
)


class Life:
    """One execution, driven as the shell does it, in an order that a test draws."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.now = 1_000_000
        self.wake_at: int | None = None
        self.stopping = False
        self.refusing = False
        self.sent: dict[tuple[str, int], int] = {}
        self.polls: dict[tuple[str, int], Poll] = {}
        self.tells: dict[str, Tell] = {}
        self.keys: dict[str, object] = {}
        self.queued: Any = ()
        self.state = blank("x1", workflow)
        self.journal: list[ev.AnyEvent] = []
        self.messages = 0
        first = ev.WorkflowCreated(
            workflow_id="w",
            digest="d",
            input={"n": 1, "list": [1, 2, 3]},
            visit_budget=50,
            deadline_at=self.now + (workflow.timeout_ms or 0),
            parent="p1",
            parent_visit="call",
            size=30,
        )
        self.tell(first)
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

    def answers(self, wanted: Any) -> dict[Asked, Answer]:
        return dict.fromkeys(wanted, self.made())

    def made(self) -> Answer:
        if self.refusing:
            return Answer(error="Sidestep.ExpressionFailed", cause="it took too long")
        return Answer(value={"made": 1})

    def decide(self) -> None:
        answers: dict[Asked, Answer] = {}
        for _ in range(200):
            decision = decide(
                self.state,
                self.now,
                entropy=3,
                rules=RULES,
                sent=self.sent,
                stopping=self.stopping,
                answers=answers,
            )
            self.take(decision)
            if not decision.wanted:
                break
            answers |= self.answers(decision.wanted)
        else:
            raise AssertionError("it asks without end")
        self.wake_at, self.queued = decision.wake_at, decision.queued
        self.check()

    def take(self, decision: Decision) -> None:
        assert fold(self.state, decision.events) == decision.state
        assert decision.events or not any(isinstance(one, Send) for one in decision.commands)
        self.state = decision.state
        self.journal += decision.events
        for command in decision.commands:
            match command:
                case Send():
                    started = command.started
                    assert not self.stopping
                    self.sent[started.visit, started.attempt] = self.now
                    intent = self.keys.setdefault(started.key, command.payload)
                    assert intent == command.payload, "one key for two intents"
                case Poll():
                    key = (command.visit, command.attempt)
                    assert key not in self.polls, "a result is asked for twice at once"
                    self.polls[key], self.sent[key] = command, self.now
                case Tell():
                    self.tells[command.name] = command
                case _:
                    self.sent.pop((command.visit, command.attempt), None)
                    self.polls.pop((command.visit, command.attempt), None)

    def check(self) -> None:
        state = self.state
        held = [one for visit in state.visits.values() for one in visit.open if one.accepted_at is None]
        assert state.in_flight == len(held)
        assert state.parked == sum(visit.status == PARKED for visit in state.visits.values())
        for name in ("ready", "waiting", "listening", "answered", "watched"):
            live = {path for path, visit in state.visits.items() if visit.status != PARKED}
            assert set(getattr(state, name)) <= live, f"{name} names what is not live"
        for visit in state.visits.values():
            if visit.scope:
                assert visit.scope in state.scopes
            if visit.child is not None and state.status != PAUSED:
                assert visit.status == "RUNNING"
        if state.terminal:
            assert not state.visits
            return
        if state.status not in {PAUSED, PARKED}:
            children = any(visit.child is not None for visit in state.visits.values())
            somebody = (
                state.in_flight or self.wake_at is not None or self.polls or state.listening or children
            )
            assert somebody, "nobody would take it up"
            again = decide(state, self.now, entropy=3, rules=RULES, sent=self.sent, stopping=self.stopping)
            assert not [one for one in again.events if not isinstance(one, ev.WorkflowParked)]
            assert not [one for one in again.commands if isinstance(one, Send | Poll)]
        assert snapshot.restore(snapshot.dump(state), state.workflow) == state

    def move(self, move: str, pick: int) -> None:
        state = self.state
        calls = [
            (path, one.number)
            for path, visit in sorted(state.visits.items())
            for one in visit.open
            if one.accepted_at is None
        ]
        path, number = calls[pick % len(calls)] if calls else ("", 0)
        live = sorted(state.visits)
        some = live[pick % len(live)] if live else ""
        names: dict[str, Any] = {"visit": path, "attempt": number}
        awaits = ""
        if path:
            step = state.step_of(state.visits[path])
            names["step_id"] = step.id
            awaits = getattr(step, "awaits", "")
        match move:
            case "answer" | "large" if path and awaits != "callback":
                output: Any = {"o": pick} if move == "answer" else {"o": "x" * 6_000}
                size = 8 if move == "answer" else 6_010
                self.tell(ev.AttemptSucceeded(output=output, size=size, **names))
            case "fail" if path:
                self.tell(ev.AttemptFailed(outcome=OUTCOMES[pick % 3], **names))
            case "accept" if path and awaits in {"callback", "poll"}:
                if awaits == "poll":
                    names |= {"location": "http://x/1", "poll_at": self.now + 1_000}
                self.tell(ev.AttemptAccepted(at=self.now, **names))
            case "callback" | "heartbeat":
                word = "heartbeat" if move == "heartbeat" else ("success", "failure")[pick % 2]
                self.hear("callback", {"visit": some, "status": word, "output": {"c": 2}})
            case "wake" if self.wake_at is not None:
                self.now = max(self.now, self.wake_at)
            case "jump":
                self.now += 25_000
            case "interrupt":
                self.die()
            case "stop":
                self.stopping = True
                self.decide()
                self.stopping = False
                self.die()
            case "refuse":
                self.refusing = not self.refusing
            case _:
                self.listen(move, pick)

    def listen(self, move: str, pick: int) -> None:
        match move:
            case "polled" if self.polls:
                self.answer_poll(sorted(self.polls)[pick % len(self.polls)], pick)
            case "child":
                self.end_child(pick)
            case "told" if self.tells:
                self.told(pick)
            case "signal":
                self.hear("signal", {"name": "go", "payload": pick})
            case "pause" | "resume" | "cancel" | "redrive":
                self.hear(move, {})
            case "resolve":
                self.resolve(pick)
            case _:
                pass

    def die(self) -> None:
        """Its owner is gone; the next one has the journal only."""
        self.sent.clear()
        self.polls.clear()
        self.tells.clear()
        assert self.replayed() == self.state
        for fact in left_by_former_owner(self.state, self.now):
            self.tell(fact)

    def replayed(self) -> State:
        envelope = Envelope(seq=1, at=1, epoch=1, actor="a", commit="c", events=tuple(self.journal))
        return fold(blank("x1", self.workflow), decode(encode(envelope)).events)

    def resolve(self, pick: int) -> None:
        parked = [visit for _, visit in sorted(self.state.visits.items()) if visit.status == PARKED]
        if not parked:
            return
        visit = parked[pick % len(parked)]
        verdict = ("completed", "failed", "retry", "failover")[pick % 4]
        body = {"visit": visit.path, "attempts": visit.attempts, "verdict": verdict, "output": {"r": 1}}
        self.hear("resolve", body)

    def end_child(self, pick: int) -> None:
        waiting = [visit for _, visit in sorted(self.state.visits.items()) if visit.child is not None]
        if not waiting:
            return
        visit = waiting[pick % len(waiting)]
        status = ("COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")[pick % 4]
        body = {
            "visit": visit.path,
            "childId": visit.child,
            "status": status,
            "output": {"k": 1},
            "error": "Bad",
        }
        self.hear("child", body)

    def told(self, pick: int) -> None:
        name = sorted(self.tells)[pick % len(self.tells)]
        self.tells.pop(name)
        self.tell(ev.MessagesSent(names=[name]))

    def answer_poll(self, key: tuple[str, int], pick: int) -> None:
        poll = self.polls.pop(key)
        self.sent.pop(key, None)
        names: dict[str, Any] = {"visit": poll.visit, "step_id": poll.step_id, "attempt": poll.attempt}
        if pick % 3 == 0:
            self.tell(ev.AttemptSucceeded(output={"p": 3}, size=7, **names))
        elif pick % 3 == 1:
            self.tell(ev.AttemptPolled(poll_at=self.now + 1_000, **names))
        else:
            self.tell(ev.AttemptFailed(outcome=OUTCOMES[2], **names))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(machines(), st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 50)), min_size=10, max_size=60))
def test_any_machine_under_any_news_folds_and_comes_to_an_end(
    document: dict[str, Any], moves: list[tuple[str, int]]
) -> None:
    life = Life(read_workflow(document))
    for move, pick in moves:
        life.move(move, pick)
        life.decide()
    event(f"after the moves: {life.state.status}")
    life.refusing = False
    for turn in range(600):
        if life.state.terminal:
            break
        match life.state.status:
            case "PAUSED":
                life.move("resume", 0)
            case "PARKED":
                life.move("resolve", turn % 2)
            case _ if life.state.in_flight:
                life.move("fail", 2) if turn % 2 else life.move("answer", 0)
                life.move("accept", 0)
            case _ if any(visit.child for visit in life.state.visits.values()):
                life.move("child", 0)
            case _ if life.polls:
                life.move("polled", 0)
            case _:
                life.move("callback", turn)
                life.move("signal", turn)
                life.move("wake", 0)
        life.decide()
    event(f"in the end: {life.state.status}")
    assert life.state.terminal, "it does not come to an end"
    assert life.replayed() == life.state
    for name in sorted(life.state.outbox):
        life.tell(ev.MessagesSent(names=[name]))
    assert not life.state.outbox
