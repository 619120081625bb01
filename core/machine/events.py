"""What can happen to an execution: the journal's vocabulary, and the types of the public history.

An event carries everything that its folding needs besides the definition: no clock, no random draw and no
routing happens again when a journal is read. `kind` is stable for ever; fields may be added with a default.
`visit` is the path of a visit (see paths.py), `step_id` the step in the definition. Times are Unix epoch
milliseconds, durations milliseconds.
"""

from typing import Any

import msgspec

from core.failover.outcome import Outcome
from core.graph.model import Json, Target


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", rename="camel", omit_defaults=True):
    """The base of all events; it is never written itself."""


class WorkflowCreated(Event, frozen=True, kw_only=True, tag="WORKFLOW_CREATED"):
    """The execution was accepted: from here on it is not lost.

    A rerun names the execution that it repeats, and who asked for it, and why.
    """

    workflow_id: str
    digest: str
    input: dict[str, Json]
    visit_budget: int
    deadline_at: int | None = None
    caller: str = ""
    rerun_of: str | None = None
    actor: str = ""
    reason: str = ""


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
    """A visit began. `deadline_at` bounds a TASK, `wake_at` ends a WAIT."""

    visit: str
    step_id: str
    deadline_at: int | None = None
    wake_at: int | None = None


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
    """The visit ended well. `next` is set where the step chose it (a CHOICE)."""

    visit: str
    step_id: str
    next: str | None = None


class StepFailed(Event, frozen=True, kw_only=True, tag="STEP_FAILED"):
    """The visit ended with an error. With `next` it was caught, and goes on there."""

    visit: str
    step_id: str
    error: str
    cause: str = ""
    next: str | None = None
    result_path: str | None = None


class StepParked(Event, frozen=True, kw_only=True, tag="STEP_PARKED"):
    """It may have run and must not run twice: a person has to settle it."""

    visit: str
    step_id: str
    reason: str
    at: int | None = None


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


def kind(event: Event) -> str:
    """The stable name of the event's type, for instance `STEP_STARTED`."""
    return str(event.__struct_config__.tag)
