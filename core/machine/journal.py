"""The journal's bytes: a versioned envelope around the events of one commit.

Stores keep these bytes and never look inside. A reader that meets a version it does not know leaves the
journal alone (JournalUnreadable): a newer worker will take it.
"""

from collections.abc import Iterator

import msgspec

from core.errors import JournalUnreadable
from core.machine.events import AnyEvent

SCHEMA_VERSION = 1


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The events that one commit appended: they happened together, at `at` (Unix epoch, milliseconds).

    `seq` is the number of the first event in the journal, from 1. `epoch` and `actor` say who wrote it, and
    `commit` is the id of the commit.
    """

    v: int = SCHEMA_VERSION
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
    """The envelope as UTF-8 JSON."""
    return _encoder.encode(envelope)


def decode(data: bytes) -> Envelope:
    """What `encode` wrote. Raises JournalUnreadable for a newer version and for damaged bytes."""
    try:
        envelope = _decoder.decode(data)
    except msgspec.DecodeError as error:
        _refuse_newer(data)
        raise JournalUnreadable(f"the journal is damaged: {error}") from error
    if envelope.v > SCHEMA_VERSION:
        _refuse_newer(data)
    return envelope


def _refuse_newer(data: bytes) -> None:
    try:
        version = _version.decode(data).v
    except msgspec.DecodeError:
        return
    if version > SCHEMA_VERSION:
        raise JournalUnreadable(
            f"the journal has schema version {version}, and this program reads up to {SCHEMA_VERSION}"
        )


def numbered(envelope: Envelope) -> Iterator[tuple[int, AnyEvent]]:
    """Each event with its number in the journal."""
    return enumerate(envelope.events, start=envelope.seq)
