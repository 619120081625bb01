"""What can happen to an execution: the journal's vocabulary, and the types of the public history.

An event carries everything that its folding needs besides the definition: no clock, no random draw and no
routing happens again when a journal is read. `kind` is stable for ever; fields may be added with a default.
`visit` is the path of a visit (see paths.py), `step_id` the step in the definition. Times are Unix epoch
milliseconds, durations milliseconds.
"""

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from core.failover.outcome import Outcome
from core.graph.model import Json, Target
from core.machine.event import Entry, Event
from core.machine.language_events import (
    AttemptAccepted,
    AttemptPolled,
    CallbackReceived,
    ChildEnded,
    ChildStarted,
    CompensationStarted,
    HeartbeatReceived,
    ItemStarted,
    MessagesSent,
    SignalReceived,
)

__all__ = [
    "KINDS",
    "AnyEvent",
    "AttemptAbandoned",
    "AttemptAccepted",
    "AttemptFailed",
    "AttemptInterrupted",
    "AttemptPolled",
    "AttemptStarted",
    "AttemptSucceeded",
    "CallbackReceived",
    "CancelRequested",
    "ChildEnded",
    "ChildStarted",
    "CompensationStarted",
    "Entry",
    "Event",
    "FailedOver",
    "HeartbeatReceived",
    "ItemStarted",
    "MessagesSent",
    "PauseRequested",
    "RequestIgnored",
    "RetryScheduled",
    "SignalReceived",
    "StepCancelled",
    "StepCompleted",
    "StepFailed",
    "StepParked",
    "StepResolved",
    "StepStarted",
    "WorkflowCancelled",
    "WorkflowCompleted",
    "WorkflowCreated",
    "WorkflowFailed",
    "WorkflowParked",
    "WorkflowRedriven",
    "WorkflowResumed",
    "WorkflowStarted",
    "WorkflowTimedOut",
    "kind",
]


class WorkflowCreated(Event, frozen=True, kw_only=True, tag="WORKFLOW_CREATED"):
    """The execution was accepted: from here on it is not lost.

    A rerun names the execution that it repeats, and who asked for it, and why. A child names the execution
    and the visit that started it, and how many executions stand above it (`depth`). `at` is when it was
    accepted, `size` the input's bytes of JSON.
    """

    workflow_id: str
    digest: str
    input: Json
    visit_budget: int
    deadline_at: int | None = None
    caller: str = ""
    rerun_of: str | None = None
    actor: str = ""
    reason: str = ""
    at: int = 0
    parent: str | None = None
    parent_visit: str | None = None
    depth: int = 0
    size: int = 0


class WorkflowStarted(Event, frozen=True, kw_only=True, tag="WORKFLOW_STARTED"):
    """An owner took it up for the first time."""


class CancelRequested(Event, frozen=True, kw_only=True, tag="CANCEL_REQUESTED"):
    """Somebody asked for it to stop. `message_id` is the inbox message that said so."""

    message_id: str
    actor: str = ""
    reason: str = ""


class PauseRequested(Event, frozen=True, kw_only=True, tag="PAUSE_REQUESTED"):
    """A person paused it at `at`: what is in flight may end, and nothing new starts."""

    message_id: str
    at: int
    actor: str = ""
    reason: str = ""


class WorkflowResumed(Event, frozen=True, kw_only=True, tag="WORKFLOW_RESUMED"):
    """A person let it go on at `at`."""

    message_id: str
    at: int
    actor: str = ""
    reason: str = ""


class WorkflowRedriven(Event, frozen=True, kw_only=True, tag="WORKFLOW_REDRIVEN"):
    """A person had it run again after its end, from what failed or was cancelled, until `deadline_at`."""

    message_id: str
    actor: str = ""
    reason: str = ""
    deadline_at: int | None = None


class StepResolved(Event, frozen=True, kw_only=True, tag="STEP_RESOLVED"):
    """A person settled the parked visit at `at`: it is `completed` with `output` (`size` bytes of JSON) or
    `failed` with `error`, or goes on by a `retry` or a `failover`, with a new `deadline_at`.
    """

    visit: str
    step_id: str
    message_id: str
    at: int
    verdict: str
    actor: str = ""
    reason: str = ""
    output: Any = None
    size: int = 0
    error: str = ""
    cause: str = ""
    deadline_at: int | None = None


class RequestIgnored(Event, frozen=True, kw_only=True, tag="REQUEST_IGNORED"):
    """A request of the kind `request` was taken up too late to make sense; `why` says how."""

    message_id: str
    request: str
    why: str
    actor: str = ""


class StepStarted(Event, frozen=True, kw_only=True, tag="STEP_STARTED"):
    """A visit began, at `at`. `deadline_at` bounds a TASK, `wake_at` ends a WAIT (or what it waits for).

    `entry` is what was evaluated for it, of `size` bytes of JSON. With `retry` it is a whole PARALLEL, MAP or
    WORKFLOW once more. It belongs to the compensation of the visit `undoes`, where there is one.
    """

    visit: str
    step_id: str
    deadline_at: int | None = None
    wake_at: int | None = None
    at: int = 0
    entry: Entry | None = None
    retry: bool = False
    undoes: str | None = None
    size: int = 0


class AttemptStarted(Event, frozen=True, kw_only=True, tag="ATTEMPT_STARTED"):
    """An attempt will be sent once this is durable. `reasons` say why this target, and why now.

    `at` is when it was decided. `role` is empty for a call of the primary, else one of
    core.failover.roles.
    """

    visit: str
    step_id: str
    attempt: int
    round: int
    target: Target
    key: str
    timeout_ms: int
    not_after: int
    reasons: tuple[str, ...] = ()
    at: int = 0
    role: str = ""


class AttemptSucceeded(Event, frozen=True, kw_only=True, tag="ATTEMPT_SUCCEEDED"):
    """The function answered with `output`, of `size` bytes of JSON."""

    visit: str
    step_id: str
    attempt: int
    output: Any = None
    duration_ms: float = 0
    size: int = 0


class AttemptFailed(Event, frozen=True, kw_only=True, tag="ATTEMPT_FAILED"):
    """The attempt ended otherwise; the outcome says what it proved.

    `deadline_at` is the visit's new deadline where the answer had to wait for us to be recorded.
    """

    visit: str
    step_id: str
    attempt: int
    outcome: Outcome
    duration_ms: float = 0
    deadline_at: int | None = None


class AttemptInterrupted(Event, frozen=True, kw_only=True, tag="ATTEMPT_INTERRUPTED"):
    """The owner that sent it ended before it had an answer: it may have run.

    `deadline_at` is the visit's new deadline: the time that the control plane was away is not the step's.
    """

    visit: str
    step_id: str
    attempt: int
    deadline_at: int | None = None


class AttemptAbandoned(Event, frozen=True, kw_only=True, tag="ATTEMPT_ABANDONED"):
    """Its answer is no longer wanted (a cancel, a deadline, a failed sibling): it may have run."""

    visit: str
    step_id: str
    attempt: int
    reason: str = ""


class FailedOver(Event, frozen=True, kw_only=True, tag="FAILED_OVER"):
    """The visit sidesteps to its target number `to_index`; `evidence` is the outcome that led to it."""

    visit: str
    step_id: str
    from_target: Target
    to_target: Target
    to_index: int
    reason: str
    evidence: Outcome | None = None


class RetryScheduled(Event, frozen=True, kw_only=True, tag="RETRY_SCHEDULED"):
    """The visit tries again at `wake_at`, at its target number `target_index`, in `round`.

    `policy` is the index of the step's retry policy that this uses up, or None for a retry of the engine's
    own (a throttled call, an interrupted one). `role` is that of the attempt which follows, where it has one.
    `deadline_at` is the visit's new deadline where no worker was there when its time came.
    """

    visit: str
    step_id: str
    wake_at: int
    target_index: int
    round: int
    reason: str
    policy: int | None = None
    role: str = ""
    deadline_at: int | None = None


class StepCompleted(Event, frozen=True, kw_only=True, tag="STEP_COMPLETED"):
    """The visit ended well. `next` is set where the step chose it (a CHOICE).

    `output`, where it is set, is the scope's new data (in a native definition what is merged into it), of
    `size` bytes; with `whole` it is the step's result as it is, which stands in earlier events. `assigned`
    are the variables that it sets. `signal` is the message that a WAIT took.
    """

    visit: str
    step_id: str
    next: str | None = None
    output: Any = msgspec.UNSET
    whole: bool = False
    size: int = 0
    assigned: dict[str, Json] | None = None
    signal: str | None = None


class StepFailed(Event, frozen=True, kw_only=True, tag="STEP_FAILED"):
    """The visit ended with an error. With `next` it was caught, and goes on there.

    `output` and `assigned` are as for STEP_COMPLETED, where the catcher has a flow.
    """

    visit: str
    step_id: str
    error: str
    cause: str = ""
    next: str | None = None
    result_path: str | None = None
    output: Any = msgspec.UNSET
    size: int = 0
    assigned: dict[str, Json] | None = None


class StepParked(Event, frozen=True, kw_only=True, tag="STEP_PARKED"):
    """It may have run and must not run twice, or it was to undo something and failed with `error`: a person
    has to settle it.
    """

    visit: str
    step_id: str
    reason: str
    at: int | None = None
    error: str = ""
    cause: str = ""


class StepCancelled(Event, frozen=True, kw_only=True, tag="STEP_CANCELLED"):
    """The visit was given up because of something outside it; one that was parked says when, in `at`."""

    visit: str
    step_id: str
    reason: str = ""
    at: int | None = None


class WorkflowParked(Event, frozen=True, kw_only=True, tag="WORKFLOW_PARKED"):
    """Nothing moves until a person settles what is parked."""


class WorkflowCompleted(Event, frozen=True, kw_only=True, tag="WORKFLOW_COMPLETED"):
    """Every step that had to run has run."""


class WorkflowFailed(Event, frozen=True, kw_only=True, tag="WORKFLOW_FAILED"):
    """An error that nothing caught."""

    error: str
    cause: str = ""
    step_id: str | None = None


class WorkflowCancelled(Event, frozen=True, kw_only=True, tag="WORKFLOW_CANCELLED"):
    """It was stopped on request."""

    reason: str = ""
    actor: str = ""


class WorkflowTimedOut(Event, frozen=True, kw_only=True, tag="WORKFLOW_TIMED_OUT"):
    """Its own time limit passed."""


AnyEvent = (
    WorkflowCreated
    | WorkflowStarted
    | CancelRequested
    | PauseRequested
    | WorkflowResumed
    | WorkflowRedriven
    | RequestIgnored
    | StepStarted
    | AttemptStarted
    | AttemptSucceeded
    | AttemptFailed
    | AttemptInterrupted
    | AttemptAbandoned
    | AttemptAccepted
    | AttemptPolled
    | HeartbeatReceived
    | CallbackReceived
    | SignalReceived
    | ItemStarted
    | ChildStarted
    | ChildEnded
    | MessagesSent
    | CompensationStarted
    | FailedOver
    | RetryScheduled
    | StepCompleted
    | StepFailed
    | StepParked
    | StepResolved
    | StepCancelled
    | WorkflowParked
    | WorkflowCompleted
    | WorkflowFailed
    | WorkflowCancelled
    | WorkflowTimedOut
)


KINDS: Final[Mapping[type, str]] = {one: str(one.__struct_config__.tag) for one in get_args(AnyEvent)}
"""The stable name of each type of event, for instance `STEP_STARTED`."""


def kind(event: Event) -> str:
    """The stable name of the event's type."""
    return KINDS[type(event)]
