"""The journal's bytes: a versioned envelope around the events of one commit.

Stores keep these bytes and never look inside. A reader that meets a version it does not know leaves the
journal alone (JournalUnreadable): a newer worker will take it.

A batch bears the lowest version whose readers understand it: 3 where it holds an event of the whole step
language or one with data that was evaluated, 2 where it holds another that version 1 did not have, else 1.
So an older worker can go on with every execution that nobody asked something new of, and
a release can be taken back.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from core.errors import JournalUnreadable
from core.machine import events as ev
from core.machine.events import AnyEvent

SCHEMA_VERSION = 3

_SINCE: Final[Mapping[type, int]] = {
    ev.PauseRequested: 2,
    ev.WorkflowResumed: 2,
    ev.WorkflowRedriven: 2,
    ev.StepResolved: 2,
    ev.RequestIgnored: 2,
    ev.AttemptAccepted: 3,
    ev.AttemptPolled: 3,
    ev.HeartbeatReceived: 3,
    ev.CallbackReceived: 3,
    ev.SignalReceived: 3,
    ev.ItemStarted: 3,
    ev.ChildStarted: 3,
    ev.ChildEnded: 3,
    ev.MessagesSent: 3,
    ev.CompensationStarted: 3,
}
"""The version that brought an event; of the others, the first."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The events that one commit appended: they happened together, at `at` (Unix epoch, milliseconds).

    `seq` is the number of the first event in the journal, from 1. `epoch` and `actor` say who wrote it, and
    `commit` is the id of the commit. `v` is set by `encode`.
    """

    v: int = 1
    seq: int
    at: int
    epoch: int
    actor: str
    commit: str
    events: tuple[AnyEvent, ...]


class _Version(msgspec.Struct):
    v: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)
_version = msgspec.json.Decoder(_Version)


def encode(envelope: Envelope) -> bytes:
    """The envelope as UTF-8 JSON, with the version that its events need."""
    version = max([_version_of(event) for event in envelope.events], default=1)
    return _encoder.encode(envelope if envelope.v == version else replace(envelope, v=version))


def _version_of(event: AnyEvent) -> int:
    type_ = type(event)
    is_new = _NEW.get(type_)
    if is_new is None:
        return _SINCE.get(type_, 1)
    return 3 if is_new(event) else 1


def _new_start(event: ev.StepStarted) -> bool:
    return event.entry is not None or event.retry or event.undoes is not None


def _new_completion(event: ev.StepCompleted) -> bool:
    return event.output is not UNSET or event.whole or bool(event.assigned) or event.signal is not None


def _new_failure(event: ev.StepFailed) -> bool:
    return event.output is not UNSET or bool(event.assigned)


def _new_parking(event: ev.StepParked) -> bool:
    return bool(event.error)


def _new_creation(event: ev.WorkflowCreated) -> bool:
    return event.parent is not None or not isinstance(event.input, dict)


_NEW: Final[Mapping[type, Callable[[Any], bool]]] = {
    ev.StepStarted: _new_start,
    ev.StepCompleted: _new_completion,
    ev.StepFailed: _new_failure,
    ev.StepParked: _new_parking,
    ev.WorkflowCreated: _new_creation,
}
"""Whether an event of the first version says what only the third understands."""


def decode(data: bytes) -> Envelope:
    """What `encode` wrote. Raises JournalUnreadable for a newer version and for damaged bytes."""
    try:
        envelope = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _refuse_newer(data)
        raise JournalUnreadable(f"the journal is damaged: {error}") from error
    if envelope.v > SCHEMA_VERSION:
        _refuse_newer(data)
    return envelope


def _refuse_newer(data: bytes) -> None:
    try:
        version = _version.decode(data).v
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if version > SCHEMA_VERSION:
        raise JournalUnreadable(
            f"the journal has schema version {version}, and this program reads up to {SCHEMA_VERSION}"
        )


def numbered(envelope: Envelope) -> Iterator[tuple[int, AnyEvent]]:
    """Each event with its number in the journal."""
    return enumerate(envelope.events, start=envelope.seq)
