"""How much one caller may ask of the server."""

from typing import Final, Self

import msgspec

BODIES: Final = 16
SERVED: Final = 64
"""All bodies may have this part of a process's memory, and this part those that came whole: a body that is
served takes some twelve times its length, as values of the program and as what is written of it.
"""

SMALL: Final = 16 << 10
"""A body up to so many bytes is served beside any others: large ones that wait must not keep it out."""

ANSWERS: Final = 4
"""The part for answers."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the HTTP edge. Sizes are bytes, times seconds.

    `body_bytes` bounds one request's body, `buffered_bytes` all bodies held at once, `served_bytes` those
    of more than SMALL bytes among them that came whole, and `answer_bytes` all large answers that their
    readers have not taken yet. A head must arrive within `head_seconds` and a body within `body_seconds`.
    `requests` bounds requests under way (a stream and a wait count too), `streams` the event streams among
    them; `waits` bounds those that may wait for an execution's end (`Prefer: wait`) at once, each
    `wait_seconds` at most. A reader of a stream that takes nothing for `stall_seconds` is hung up on; a quiet
    stream says something every `keep_alive_seconds`.
    """

    body_bytes: int = 1 << 20
    buffered_bytes: int = 64 << 20
    served_bytes: int = 64 << 20
    answer_bytes: int = 256 << 20
    head_bytes: int = 32 << 10
    head_seconds: float = 10.0
    body_seconds: float = 20.0
    requests: int = 2_000
    streams: int = 200
    waits: int = 500
    wait_seconds: int = 60
    stall_seconds: float = 30.0
    keep_alive_seconds: float = 15.0
    linger_bytes: int = 64 << 20
    linger_seconds: float = 1.0
    """A refused body is read and dropped within these two, so that its sender sees the answer rather than
    a reset connection.
    """

    def within(self, memory: int) -> Self:
        """The same for a process that may have so many bytes of memory: what a burst of requests can hold,
        before anybody has looked, is a part of it. One body, and one answer, always finds room.
        """
        return msgspec.structs.replace(
            self,
            buffered_bytes=min(self.buffered_bytes, max(self.body_bytes, memory // BODIES)),
            served_bytes=min(self.served_bytes, memory // SERVED),
            answer_bytes=min(self.answer_bytes, memory // ANSWERS),
        )
