"""One call of `decide`: the state as it grows, what was decided so far, and what every kind of step needs."""

from collections.abc import Mapping

import msgspec

from core.data.evaluating import Unbounded, answer
from core.data.flow import RUNTIME_ERROR, Answer, Request
from core.failover.routing import matches
from core.graph.model import Target
from core.machine import events as ev
from core.machine.evolve import evolve
from core.machine.state import Failure, Outgoing, State, Visit
from core.machine.tasks import Moment, Send
from core.machine.transitions import PARKED

INPUTS = 8
"""What templates make of the same data again and again may have so many times the bytes of all outputs."""


class Rules(msgspec.Struct, frozen=True):
    """Settings that decisions need.

    `skew_ms` is added to an attempt's `not_after` for clocks that differ. `data_budget` bounds the bytes that
    all outputs of an execution may have together: it is read and shown whole. `data_limit` bounds those of
    one step's input or output (AWS Step Functions: 256 KiB). `secret` signs callbacks' tokens.
    """

    skew_ms: int = 1_000
    data_budget: int = 16 * 1024 * 1024
    data_limit: int = 256 * 1024
    secret: bytes = b""


class Abort(msgspec.Struct, frozen=True):
    """Give up the attempt in flight: close its connection and drop its answer."""

    visit: str
    attempt: int


class Poll(msgspec.Struct, frozen=True):
    """Ask for the result of an accepted attempt, at `location`; `polls` times it was asked for in vain."""

    visit: str
    step_id: str
    attempt: int
    target: Target
    location: str
    timeout_ms: int
    polls: int = 0


class Tell(msgspec.Struct, frozen=True):
    """Say something to another execution, in the name of the execution `sender`.

    `name` is its name in the outbox. It may be handed out more often than once.
    """

    name: str
    message: Outgoing
    sender: str
    depth: int
    caller: str


Command = Send | Abort | Poll | Tell

Asked = tuple[str, str, int]
"""What names a request: the visit's path, the kind of question, and a number (of an item, a catcher)."""


class Run:
    """One call of `decide`. Functions of the modules beside this one act on it, a kind of step each."""

    def __init__(
        self,
        state: State,
        at: Moment,
        rules: Rules,
        *,
        stopping: bool,
        answers: Mapping[Asked, Answer],
    ) -> None:
        self.state = state
        self.at = at
        self.now = at.now
        self.rules = rules
        self.stopping = stopping
        self.small = min(rules.data_limit, rules.data_budget)
        """Up to so many bytes of data nothing has to be measured."""
        self.answers = answers
        self.wanted: dict[Asked, Request] = {}
        self.held: set[str] = set()
        """Ready visits that go no further in this call."""
        self.queued: dict[str, tuple[Target, ...]] = {}
        self.looks: list[int] = []
        self.polled: dict[str, int | None] = {}
        """Visits for whose result is asked now, and when their time is over."""
        self.events: list[ev.AnyEvent] = []
        self.commands: list[Command] = []

    def emit(self, event: ev.AnyEvent) -> None:
        """Fold the event into the state, to be appended."""
        self.state = evolve(self.state, event)
        self.events.append(event)

    def ask(self, asked: Asked, request: Request) -> Answer | None:
        """What comes of the request; None where somebody else has to be asked first: the visit waits."""
        known = self.answers.get(asked)
        if known is not None:
            return known
        try:
            return answer(request)
        except Unbounded:
            self.wanted[asked] = request
            self.held.add(asked[0])
            return None

    def too_much_data(self) -> Failure | None:
        """The failure of an execution whose outputs are too large together.

        What undoes them has a budget of its own.
        """
        budget = self.rules.data_budget * (1 if self.state.ending is None else 2)
        if self.state.data_bytes <= budget:
            return None
        cause = f"the outputs of this execution have more than {self.rules.data_budget} bytes together"
        return Failure("Sidestep.DataLimitExceeded", cause)

    def too_much_given(self, size: int) -> Failure | None:
        """The failure of a step with which templates would have given more to steps than the journal bears:
        `INPUTS` times as much as the outputs may have.
        """
        most = INPUTS * self.rules.data_budget * (1 if self.state.ending is None else 2)
        if self.state.given_bytes + size <= most:
            return None
        cause = f"the inputs that were made for steps of this execution have more than {most} bytes together"
        return Failure("Sidestep.DataLimitExceeded", cause)

    def too_large(self, what: str, value: object) -> Failure | None:
        """The failure of a step whose input or output is too large.

        It is measured only where the outputs of the whole execution together could be. What undoes sees the
        context and the output that is undone: only the execution's budget bounds it, so that nothing stays
        done for its size.
        """
        limit = self.rules.data_limit if self.state.ending is None else self.rules.data_budget
        if self.state.data_bytes <= limit:
            return None
        size = len(msgspec.json.encode(value))
        if size <= limit:
            return None
        cause = f"the {what} has {size} bytes of JSON, and the limit is {limit}"
        return Failure("Sidestep.DataLimitExceeded", cause)

    def stands_still(self) -> bool:
        """Whether nothing but what is parked is left, so that a person has to act."""
        state = self.state
        if not state.parked or state.in_flight or state.waiting or state.listening:
            return False
        if self.queued or self.held:
            return False
        return all(visit.child is None for visit in state.visits.values())

    def catcher_of(self, visit: Visit, error: str) -> int | None:
        """The number of the visit's first catcher for this error; what AWS lets nobody catch has none."""
        if error == RUNTIME_ERROR and self.state.workflow.language == "states":
            return None
        catchers = enumerate(self.state.step_of(visit).catch)
        return next((index for index, one in catchers if matches(one.errors, error)), None)

    def stop_visits(self, prefix: str, reason: str) -> None:
        """Cancel the live visits whose path begins with `prefix`, innermost first."""
        paths = [path for path in self.state.visits if path.startswith(prefix)]
        for path in sorted(paths, key=lambda one: (-one.count("/"), one)):
            visit = self.state.visits[path]
            self.abandon(visit, reason)
            self.queued.pop(path, None)
            self.held.discard(path)
            for asked in [asked for asked in self.wanted if asked[0] == path]:
                del self.wanted[asked]
            at = self.now if visit.status == PARKED else None
            self.emit(ev.StepCancelled(visit=path, step_id=visit.step_id, reason=reason, at=at))

    def abort_poll(self, path: str, attempt: int) -> None:
        """Give up asking for a result, where that is under way."""
        if (path, attempt) in self.at.sent:
            self.commands.append(Abort(path, attempt))

    def abandon(self, visit: Visit, reason: str) -> None:
        """Give up the visit's attempts in flight."""
        for attempt in visit.open:
            self.emit(
                ev.AttemptAbandoned(
                    visit=visit.path, step_id=visit.step_id, attempt=attempt.number, reason=reason
                )
            )
            self.commands.append(Abort(visit.path, attempt.number))
