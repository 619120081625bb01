"""The state of an execution: the fold of its journal, and of nothing else.

Everything is immutable and shares structure with what it was made from, so that the cost of an event does not
grow with what has been done already. Visits that ended are not in it: the journal has them.
"""

from collections.abc import Mapping

import msgspec
from immutables import Map

from core.failover.outcome import Outcome
from core.graph.model import Json, Step, Target, Workflow
from core.machine.transitions import NEW, PENDING, TERMINAL

ROOT = ""
"""The path of the execution's own scope."""


class Failure(msgspec.Struct, frozen=True):
    """An error that is on its way up: a name, and a cause for people."""

    error: str
    cause: str = ""
    step_id: str | None = None


class OpenAttempt(msgspec.Struct, frozen=True):
    """An attempt that was started, at `at` (Unix epoch, milliseconds), and has no outcome yet."""

    number: int
    target: Target
    at: int = 0
    role: str = ""


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A live visit of a step.

    `target` indexes the step's targets; `tries_here` counts attempts there since the visit came to it, and
    `tried` are those that it has called since the step's own last retry; `retries` counts what each of the
    step's retry policies has used. `role` is that of the next attempt, where it has one. `outcome` is of the
    last attempt that ended and waits to be acted upon. `doubt` is set while an attempt of the round may have
    run without our knowing, and `interruptions` counts the owners in a row that ended with its attempt open.
    Of a PARALLEL, `pending` counts the branches under way, `results` holds those of the others by index, and
    `failure` is the first branch's that failed.
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
    results: Map[int, dict[str, Json]] = Map()
    failure: Failure | None = None
    fallen: "Map[int, Fallen]" = Map()


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Where steps share data: the execution itself, or one branch of a visit.

    `data` is what its steps see; `result` is what they have added to it, merged in order. `parent` is the
    visit that opened it (None for the root), `index` its place among that visit's scopes.
    """

    path: str
    parent: str | None
    index: int
    data: Mapping[str, Json]
    result: Mapping[str, Json] = {}


class Fallen(msgspec.Struct, frozen=True):
    """A branch that failed or was cancelled: its scope (without data, which its opener's scope has), and the
    visit that fell in it, of which only the name, the numbers and what it holds of its own branches is kept.
    """

    scope: Scope
    visit: Visit


class Paused(msgspec.Struct, frozen=True):
    """Since when (Unix epoch, milliseconds), by whom and why."""

    at: int
    actor: str = ""
    reason: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """An execution after `version` events.

    `ready` holds the paths of visits that need a decision now, `waiting` of those that need one at a time.
    `entered` counts visits by base path, `visits_total` all of them; `data_bytes` adds up the sizes of the
    outputs. `in_flight` and `parked` count open attempts and parked visits; `watched` holds the paths of
    visits whose one open attempt may be hedged or cut short. `failure` is what ended the root
    scope, where something did, and `fallen` the root's visit that failed or was cancelled. `answered` holds
    the paths of ready visits that have their result. `held_at` is since when the time limit stands still,
    `redrives` how often it was run again after its end.
    """

    execution_id: str
    workflow: Workflow
    status: str = NEW
    version: int = 0
    input: Mapping[str, Json] = {}
    scopes: Map[str, Scope] = Map()
    visits: Map[str, Visit] = Map()
    ready: Map[str, None] = Map()
    waiting: Map[str, int] = Map()
    entered: Map[str, int] = Map()
    visits_total: int = 0
    data_bytes: int = 0
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

    @property
    def terminal(self) -> bool:
        """True when nothing can happen any more."""
        return self.status in TERMINAL

    def step_of(self, visit: Visit) -> Step:
        """The definition of the step that is visited."""
        return self.workflow.steps[visit.step_id]

    @property
    def context(self) -> Mapping[str, Json]:
        """The root scope's data: what the API shows as `context`."""
        root = self.scopes.get(ROOT)
        return self.input if root is None else root.data


def blank(execution_id: str, workflow: Workflow) -> State:
    """The state before the first event."""
    return State(execution_id=execution_id, workflow=workflow)
