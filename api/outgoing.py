"""Answers on their way out: how much of the process's memory readers may hold by reading slowly."""

from starlette.types import Message, Send

LARGE = 64 << 10
"""Bytes from which an answer counts: what a connection's buffer takes before it asks to wait. Smaller ones
are bounded by the number of connections.
"""


class Outgoing:
    """The bytes of large answers that have not been taken yet, of all requests together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    def take(self, size: int) -> bool:
        """Whether there is room for so many; a single answer always finds room where there is no other."""
        if self.held and self.held + size > self._most:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        """So many were taken by their readers, or dropped."""
        self.held -= size


async def send_until_taken(message: Message, send: Send) -> None:
    """Send a whole body, and return when what its reader has not taken is little.

    The server under us waits for a slow reader before it takes a further message: so one follows.
    """
    await send({**message, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
