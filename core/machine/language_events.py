"""The events of calls that are answered later, of signals, map items, children and compensation.

As all events (see events.py): `kind` is stable for ever, and fields may be added with a default.
"""

from typing import Any

import msgspec

from core.machine.event import Event


class AttemptAccepted(Event, frozen=True, kw_only=True, tag="ATTEMPT_ACCEPTED"):
    """The function has taken the call on, at `at`, and its result comes later: by a callback, or from
    `location`, which is asked at `poll_at`. The attempt stays open, and needs no owner until then.
    """

    visit: str
    step_id: str
    attempt: int
    at: int
    duration_ms: float = 0
    location: str | None = None
    poll_at: int | None = None


class AttemptPolled(Event, frozen=True, kw_only=True, tag="ATTEMPT_POLLED"):
    """It is not done yet, or could not be asked (`why`); it is asked again at `poll_at`."""

    visit: str
    step_id: str
    attempt: int
    poll_at: int
    why: str = ""


class HeartbeatReceived(Event, frozen=True, kw_only=True, tag="HEARTBEAT_RECEIVED"):
    """Who has taken the attempt on lives, and said so at `at`."""

    visit: str
    step_id: str
    attempt: int
    message_id: str
    at: int


class CallbackReceived(Event, frozen=True, kw_only=True, tag="CALLBACK_RECEIVED"):
    """The result of the attempt, or of a WAIT (`attempt` 0), came at `at`: `output`, or an `error`."""

    visit: str
    step_id: str
    attempt: int
    message_id: str
    at: int
    output: Any = None
    size: int = 0
    error: str | None = None
    cause: str = ""
    actor: str = ""


class SignalReceived(Event, frozen=True, kw_only=True, tag="SIGNAL_RECEIVED"):
    """Somebody sent the signal `name` with `payload`, of `size` bytes; the first WAIT for it takes it."""

    name: str
    message_id: str
    at: int
    payload: Any = None
    size: int = 0
    actor: str = ""


class ItemStarted(Event, frozen=True, kw_only=True, tag="ITEM_STARTED"):
    """The walk for item number `index` of a MAP began, with `input` (`size` bytes of JSON) where that is not
    the item itself.
    """

    visit: str
    step_id: str
    index: int
    input: Any = msgspec.UNSET
    size: int = 0


class ChildStarted(Event, frozen=True, kw_only=True, tag="CHILD_STARTED"):
    """The child execution `child_id` of the visit will be created once this is durable."""

    visit: str
    step_id: str
    child_id: str
    workflow_id: str
    workflow_version: int | None = None
    at: int = 0


class ChildEnded(Event, frozen=True, kw_only=True, tag="CHILD_ENDED"):
    """The child ended with `status`, and `output` (`size` bytes) or `error`; or it could not be created."""

    visit: str
    step_id: str
    child_id: str
    status: str
    message_id: str = ""
    output: Any = None
    size: int = 0
    error: str = ""
    cause: str = ""


class MessagesSent(Event, frozen=True, kw_only=True, tag="MESSAGES_SENT"):
    """What stood in the outbox under these names was delivered (or can never be)."""

    names: list[str]


class CompensationStarted(Event, frozen=True, kw_only=True, tag="COMPENSATION_STARTED"):
    """The execution will end with `status`; before that, completed steps are undone, newest first.

    `doubtful` are the visits that failed or were given up and may have done what is not undone.
    """

    status: str
    error: str = ""
    cause: str = ""
    step_id: str | None = None
    reason: str = ""
    actor: str = ""
    doubtful: tuple[str, ...] = ()
