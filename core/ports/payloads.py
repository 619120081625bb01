"""The payload port: a place for bytes that are too large for a store's journals.

A key is `group/name`: all payloads of one execution are one group, so that they can be listed and removed
together. What is written under a key never changes its content (writers put the content's digest into the
name), so two writers of one key cannot harm each other.

Every method may raise StoreUnavailable: the place is away for now, and nothing is known about a write.
"""

import re
from typing import Protocol

import msgspec

from core.errors import InvalidInput

MAX_PART = 200
"""The longest group and the longest name, in characters: what every file system takes."""

_KEY = re.compile(rf"[A-Za-z0-9_=~-][A-Za-z0-9_=~.-]{{0,{MAX_PART - 1}}}")


class Payload(msgspec.Struct, frozen=True):
    """One entry of a listing. `written_at_ms` is the place's own time (Unix epoch, milliseconds) of the
    newest `put` of this key, to the second or better.
    """

    key: str
    written_at_ms: int


class Listing(msgspec.Struct, frozen=True):
    """A page of entries, and where the next one begins (None: there is no more)."""

    entries: tuple[Payload, ...]
    next_cursor: str | None


class Payloads(Protocol):
    """A place for payloads."""

    @property
    def place(self) -> str:
        """Where it is, for sentences; it holds no secret."""
        ...

    def inside(self, area: str) -> "Payloads":
        """A place of its own within this one, not yet open; `area` is letters and digits."""
        ...

    async def open(self) -> None:
        """Make ready. Raises ConfigurationError where it cannot work as it was named."""
        ...

    async def close(self) -> None:
        """Let go of everything; a second call does nothing. A write under way is finished."""
        ...

    async def put(self, key: str, data: bytes) -> None:
        """Keep `data`, durably: after the return it survives what the place survives, whole. Before, a reader
        finds what was there, or nothing, and never a part.

        Idempotent; a repetition renews the entry's time. Raises InvalidInput for what is no key.
        """
        ...

    async def get(self, key: str) -> bytes:
        """What was put. Raises PayloadNotFound only where the place answered that it has no such key."""
        ...

    async def delete(self, key: str) -> None:
        """Take it away; a key that is not there is no error."""
        ...

    async def stamp(self, key: str) -> int:
        """`written_at_ms` of one key. Raises PayloadNotFound."""
        ...

    async def list(self, cursor: str | None, limit: int, group: str | None = None) -> Listing:
        """The next `limit` entries after `cursor` (None: from the beginning), of one group or of all.

        The order is the place's own, and stays the same; a group's entries stand together. What is put or
        deleted meanwhile may be missing or not.
        """
        ...


def check_key(key: str) -> tuple[str, str]:
    """Group and name of a key. Raises InvalidInput where it is none."""
    group, slash, name = key.partition("/")
    if not slash or not _KEY.fullmatch(group) or not _KEY.fullmatch(name):
        raise InvalidInput("a payload's key is group/name, each of 1 to 200 letters, digits and _=~.-")
    return group, name
