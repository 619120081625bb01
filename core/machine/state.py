"""The state of an execution: the fold of its journal, and of nothing else.

Everything is immutable and shares structure with what it was made from, so that the cost of an event does not
grow with what has been done already. Visits that ended are not in it: the journal has them. What is made of
values that were there before can be in no cycle, so the collector need not look at it (`gc=False`).
"""

from collections.abc import Mapping

import msgspec
from immutables import Map
from msgspec.structs import replace

from core.failover.outcome import Outcome
from core.graph.model import Json, Step, Target, TaskStep, Workflow
from core.graph.native_policies import default_deadline
from core.machine.event import Entry
from core.machine.transitions import NEW, PENDING, TERMINAL

ROOT = ""
"""The path of the execution's own scope."""


class Failure(msgspec.Struct, frozen=True):
    """An error that is on its way up: a name, and a cause for people."""

    error: str
    cause: str = ""
    step_id: str | None = None


class OpenAttempt(msgspec.Struct, frozen=True, gc=False):
    """An attempt that was started, at `at` (Unix epoch, milliseconds), and has no outcome yet.

    One that was accepted at `accepted_at` needs no owner: its result comes by a callback, or is asked for at
    `poll_at` from `location`, where it was asked for in vain `polls` times. `beat_at` is when it last gave a
    sign of life, `ends_at` when its time is over.
    """

    number: int
    target: Target
    at: int = 0
    role: str = ""
    accepted_at: int | None = None
    location: str | None = None
    poll_at: int | None = None
    beat_at: int | None = None
    ends_at: int | None = None
    polls: int = 0


class Visit(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A live visit of a step.

    `target` indexes the step's targets; `tries_here` counts attempts there since the visit came to it, and
    `tried` are those that it has called since the step's own last retry; `retries` counts what each of the
    step's retry policies has used. `role` is that of the next attempt, where it has one. `outcome` is of the
    last attempt that ended and waits to be acted upon. `doubt` is set while an attempt of the round may have
    run without our knowing, and `interruptions` counts the owners in a row that ended with its attempt open.
    Of a PARALLEL or MAP, `pending` counts the branches or items under way, `results` holds those of the
    others by index, and `failure` is the first one's that failed; of a MAP, `started` counts the items that
    were begun, `failed` those that failed, and `redo` are those that a redrive has yet to begin again.
    `entry` is what was evaluated for the visit at its beginning, at `entered_at`; `retry` says that it
    repeats the whole step. `child` is the execution that a WORKFLOW waits for. `settled` is set once a
    person said how the visit ends.
    """

    path: str
    step_id: str
    scope: str
    status: str = PENDING
    deadline_at: int | None = None
    wake_at: int | None = None
    round: int = 1
    attempts: int = 0
    target: int = 0
    tries_here: int = 0
    tried: tuple[int, ...] = ()
    role: str = ""
    retries: tuple[int, ...] = ()
    open: tuple[OpenAttempt, ...] = ()
    outcome: Outcome | None = None
    doubt: bool = False
    interruptions: int = 0
    reasons: tuple[str, ...] = ()
    pending: int = 0
    results: Map[int, Json] = Map()
    failure: Failure | None = None
    fallen: "Map[int, Fallen]" = Map()
    entry: Entry | None = None
    entered_at: int = 0
    started: int = 0
    failed: int = 0
    redo: tuple[int, ...] = ()
    retry: bool = False
    child: str | None = None
    settled: bool = False


class Scope(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Where steps share data: the execution itself, or one branch or item of a visit.

    `data` is what its next step sees; natively, `result` is what its steps have added to it, merged in order.
    `variables` are those that can be seen in it. `parent` is the visit that opened it (None for the root),
    `index` its place among that visit's scopes. `entered` counts visits by step. `undoes` is the path of the
    visit that is undone in it. `given` is, natively, what the walk of an item began with where the MAP says
    so, and not its opener's scope.
    """

    path: str
    parent: str | None
    index: int
    data: Json
    result: Mapping[str, Json] = {}
    variables: Mapping[str, Json] = {}
    entered: Map[str, int] = Map()
    undoes: str | None = None
    given: Json = msgspec.UNSET


class Fallen(msgspec.Struct, frozen=True):
    """A branch that failed or was cancelled: its scope (without data, which its opener's scope has), and the
    visit that fell in it, of which only the name, the numbers and what it holds of its own branches is kept.
    """

    scope: Scope
    visit: Visit


class Signal(msgspec.Struct, frozen=True):
    """A signal that nobody has waited for yet."""

    message_id: str
    payload: Json = None
    size: int = 0


class Outgoing(msgspec.Struct, frozen=True):
    """What has to be said to another execution, until it was: `create` a child, `cancel` it, tell the parent
    how it `ended`. The name in the outbox is the message's id there, so that it counts once.

    `data` is a child's input, or the output of one that ended with `status` (else `error` and `cause`).
    `visit` and `step_id` are the parent's.
    """

    kind: str
    execution_id: str
    visit: str = ""
    step_id: str = ""
    workflow_id: str = ""
    workflow_version: int | None = None
    data: Json = None
    status: str = ""
    error: str = ""
    cause: str = ""


class Undo(msgspec.Struct, frozen=True):
    """A completed visit that is to be undone if the execution fails: what its scope added to the context,
    and what the step gave.
    """

    visit: str
    step_id: str
    seen: Mapping[str, Json]
    output: Json


class Ending(msgspec.Struct, frozen=True):
    """How an execution will end once what its steps did is undone.

    `number` is that of the Undo under way; `undone` counts those that are done, `given_up` those that a
    person, or the budget of visits, gave up.
    """

    status: str
    failure: Failure | None = None
    reason: str = ""
    actor: str = ""
    number: int | None = None
    undone: int = 0
    given_up: int = 0


class Paused(msgspec.Struct, frozen=True):
    """Since when (Unix epoch, milliseconds), by whom and why."""

    at: int
    actor: str = ""
    reason: str = ""


class State(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An execution after `version` events.

    `ready` holds the paths of visits that need a decision now, `waiting` of those that need one at a time.
    `seen` are the steps that were entered, `runaway` is one that was too often; `data_bytes` adds up the
    sizes of the input and the outputs, `given_bytes` those of what templates made for steps. `in_flight` and
    `parked` count open attempts that somebody has to hold (none that was accepted), and parked visits;
    `watched` holds the paths of visits whose one open attempt may be hedged or cut short. `failure` is what
    ended the root scope, where something did, and `fallen` the root's visit that failed or was cancelled.
    `answered` holds the paths of ready visits that have their result. `held_at` is since when the time limit
    stands still, `redrives` how often it was run again after its end. `retried` counts the retries of each
    step, and of all under the empty name. `listening` holds the paths of WAITs that wait for a word from
    outside: the signal's name, or nothing for a callback. `signals`
    wait for a WAIT, `outbox` for being sent, and `undo`, by the order of completion, for a failure; while
    they are undone, and for ever after, `ending` says what comes after it. `doubtful` are visits that ended
    without our knowing whether what would be undone was done.
    """

    execution_id: str
    workflow: Workflow
    status: str = NEW
    version: int = 0
    input: Json = msgspec.field(default_factory=dict)
    scopes: Map[str, Scope] = Map()
    visits: Map[str, Visit] = Map()
    ready: Map[str, None] = Map()
    waiting: Map[str, int] = Map()
    begun: bool = False
    seen: Map[str, None] = Map()
    runaway: str | None = None
    data_bytes: int = 0
    given_bytes: int = 0
    visit_budget: int = 10_000
    deadline_at: int | None = None
    in_flight: int = 0
    watched: Map[str, None] = Map()
    parked: int = 0
    root_ended: bool = False
    failure: Failure | None = None
    fallen: Visit | None = None
    answered: Map[str, None] = Map()
    paused: Paused | None = None
    held_at: int | None = None
    rerun_of: str | None = None
    cancel: tuple[str, str] | None = None
    failed_over: bool = False
    redrives: int = 0
    current_step: str | None = None
    started_at: int = 0
    workflow_id: str = ""
    parent: str | None = None
    parent_visit: str | None = None
    depth: int = 0
    caller: str = ""
    retried: Map[str, int] = Map()
    signals: Map[str, tuple[Signal, ...]] = Map()
    listening: Map[str, str] = Map()
    outbox: Map[str, Outgoing] = Map()
    undo: Map[int, Undo] = Map()
    ending: Ending | None = None
    doubtful: Map[str, None] = Map()

    @property
    def terminal(self) -> bool:
        """True when nothing can happen any more."""
        return self.status in TERMINAL

    def step_of(self, visit: Visit) -> Step:
        """The definition of the step that is visited, with what was evaluated for this visit."""
        step = self.workflow.steps[visit.step_id]
        entry = visit.entry
        if entry is None or not isinstance(step, TaskStep):
            return step
        if entry.function is not None:
            primary = replace(step.targets[0], function_id=entry.function)
            step = replace(step, targets=(primary, *step.targets[1:]))
        if entry.timeout_ms is not None:
            deadline_ms = default_deadline(entry.timeout_ms, len(step.targets), step.retries)
            step = replace(step, timeout_ms=entry.timeout_ms, deadline_ms=deadline_ms)
        return step if entry.heartbeat_ms is None else replace(step, heartbeat_ms=entry.heartbeat_ms)

    @property
    def context(self) -> Json:
        """The root scope's data: what the API shows as `context`."""
        root = self.scopes.get(ROOT)
        return self.input if root is None else root.data


def blank(execution_id: str, workflow: Workflow) -> State:
    """The state before the first event."""
    return State(execution_id=execution_id, workflow=workflow)
