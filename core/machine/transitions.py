"""The legality table: the only place that says which event may follow which status.

`docs/explanation/states.md` draws it; a test draws it again and compares.
"""

from collections.abc import Mapping

from core.errors import IllegalEvent

PENDING = "PENDING"
RUNNING = "RUNNING"
COMPLETED = "COMPLETED"
FAILED = "FAILED"
CANCELLED = "CANCELLED"
TIMED_OUT = "TIMED_OUT"
PAUSED = "PAUSED"
PARKED = "PARKED"
SKIPPED = "SKIPPED"
NEW = "NEW"
"""Before the first event; no execution is ever seen in it."""

TERMINAL = frozenset({COMPLETED, FAILED, CANCELLED, TIMED_OUT})

EXECUTION_STATUSES = (PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, TIMED_OUT, PAUSED, PARKED)
STEP_STATUSES = (PENDING, RUNNING, COMPLETED, FAILED, SKIPPED, CANCELLED, PARKED)

_WHILE_RUNNING = dict.fromkeys(
    (
        "STEP_STARTED",
        "ATTEMPT_STARTED",
        "ATTEMPT_SUCCEEDED",
        "ATTEMPT_FAILED",
        "ATTEMPT_INTERRUPTED",
        "ATTEMPT_ABANDONED",
        "FAILED_OVER",
        "RETRY_SCHEDULED",
        "STEP_COMPLETED",
        "STEP_FAILED",
        "STEP_PARKED",
        "STEP_CANCELLED",
        "STEP_RESOLVED",
        "CANCEL_REQUESTED",
        "REQUEST_IGNORED",
        "ATTEMPT_ACCEPTED",
        "ATTEMPT_POLLED",
        "HEARTBEAT_RECEIVED",
        "CALLBACK_RECEIVED",
        "SIGNAL_RECEIVED",
        "ITEM_STARTED",
        "CHILD_STARTED",
        "CHILD_ENDED",
        "MESSAGES_SENT",
        "COMPENSATION_STARTED",
    ),
    RUNNING,
)

_HEARD = (
    "ATTEMPT_ACCEPTED",
    "ATTEMPT_POLLED",
    "HEARTBEAT_RECEIVED",
    "CALLBACK_RECEIVED",
    "SIGNAL_RECEIVED",
    "CHILD_ENDED",
    "MESSAGES_SENT",
)
"""What is taken note of while nothing new may start."""


def _after(status: str) -> dict[str, str]:
    """What may still follow an end: requests that came too late, and telling others of it."""
    return {"REQUEST_IGNORED": status, "MESSAGES_SENT": status}


EXECUTION: Mapping[str, Mapping[str, str]] = {
    NEW: {"WORKFLOW_CREATED": PENDING},
    PENDING: {
        "WORKFLOW_STARTED": RUNNING,
        "CANCEL_REQUESTED": PENDING,
        "REQUEST_IGNORED": PENDING,
        "SIGNAL_RECEIVED": PENDING,
        "PAUSE_REQUESTED": PAUSED,
        "WORKFLOW_CANCELLED": CANCELLED,
        "WORKFLOW_TIMED_OUT": TIMED_OUT,
    },
    RUNNING: {
        **_WHILE_RUNNING,
        # After a pause or a redrive that came before the start.
        "WORKFLOW_STARTED": RUNNING,
        "PAUSE_REQUESTED": PAUSED,
        "WORKFLOW_PARKED": PARKED,
        "WORKFLOW_COMPLETED": COMPLETED,
        "WORKFLOW_FAILED": FAILED,
        "WORKFLOW_CANCELLED": CANCELLED,
        "WORKFLOW_TIMED_OUT": TIMED_OUT,
    },
    PAUSED: {
        **dict.fromkeys(_HEARD, PAUSED),
        "ATTEMPT_SUCCEEDED": PAUSED,
        "ATTEMPT_FAILED": PAUSED,
        "ATTEMPT_INTERRUPTED": PAUSED,
        "ATTEMPT_ABANDONED": PAUSED,
        "STEP_COMPLETED": PAUSED,
        "STEP_RESOLVED": PAUSED,
        "FAILED_OVER": PAUSED,
        "STEP_CANCELLED": PAUSED,
        "CANCEL_REQUESTED": PAUSED,
        "REQUEST_IGNORED": PAUSED,
        "WORKFLOW_RESUMED": RUNNING,
        "COMPENSATION_STARTED": RUNNING,
        "WORKFLOW_CANCELLED": CANCELLED,
    },
    PARKED: {
        **dict.fromkeys(_HEARD, PARKED),
        "STEP_RESOLVED": RUNNING,
        "CANCEL_REQUESTED": PARKED,
        "REQUEST_IGNORED": PARKED,
        "STEP_CANCELLED": PARKED,
        "PAUSE_REQUESTED": PAUSED,
        "COMPENSATION_STARTED": RUNNING,
        "WORKFLOW_CANCELLED": CANCELLED,
    },
    COMPLETED: {**_after(COMPLETED)},
    FAILED: {"WORKFLOW_REDRIVEN": RUNNING, **_after(FAILED)},
    CANCELLED: {"WORKFLOW_REDRIVEN": RUNNING, **_after(CANCELLED)},
    TIMED_OUT: {"WORKFLOW_REDRIVEN": RUNNING, **_after(TIMED_OUT)},
}
"""Execution status, then event kind, to the next status."""

STEP: Mapping[str, Mapping[str, str]] = {
    PENDING: {"STEP_STARTED": RUNNING, "STEP_CANCELLED": CANCELLED},
    RUNNING: {
        "ATTEMPT_STARTED": RUNNING,
        "ATTEMPT_SUCCEEDED": RUNNING,
        "ATTEMPT_FAILED": RUNNING,
        "ATTEMPT_INTERRUPTED": RUNNING,
        "ATTEMPT_ABANDONED": RUNNING,
        "FAILED_OVER": RUNNING,
        "RETRY_SCHEDULED": RUNNING,
        "ATTEMPT_ACCEPTED": RUNNING,
        "ATTEMPT_POLLED": RUNNING,
        "HEARTBEAT_RECEIVED": RUNNING,
        "CALLBACK_RECEIVED": RUNNING,
        "ITEM_STARTED": RUNNING,
        "CHILD_STARTED": RUNNING,
        "CHILD_ENDED": RUNNING,
        "STEP_COMPLETED": COMPLETED,
        "STEP_FAILED": FAILED,
        "STEP_PARKED": PARKED,
        "STEP_CANCELLED": CANCELLED,
    },
    PARKED: {"STEP_RESOLVED": RUNNING, "STEP_CANCELLED": CANCELLED},
    COMPLETED: {},
    FAILED: {"WORKFLOW_REDRIVEN": PENDING},
    SKIPPED: {},
    CANCELLED: {"WORKFLOW_REDRIVEN": PENDING},
}
"""Step status (of one visit), then event kind, to the next status."""


def next_status(table: Mapping[str, Mapping[str, str]], status: str, kind: str) -> str:
    """The status after `kind`. Raises IllegalEvent where the table has no such entry."""
    try:
        return table[status][kind]
    except KeyError:
        raise IllegalEvent(f"{kind} cannot follow {status}") from None
