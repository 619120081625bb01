"""Who waits in this process for an execution to come to rest learns it from the driver, without the store.

An execution rests when it has ended, or is parked or paused, and no message waits in its inbox: nothing moves
then until a person asks for it. Drivers of other processes tell nobody here, so a waiter asks the store, too,
now and then.

Who waited since before the driver began is handed the journal, too, while it is small: most executions are
short, and what was written a moment ago need not be read again.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from core.machine.journal import Envelope
from core.machine.state import State
from core.machine.transitions import PARKED, PAUSED, TERMINAL

RESTING = TERMINAL | {PARKED, PAUSED}
"""Where nothing moves until a person asks for it."""

LARGEST = 65_536
"""Bytes of a journal up to which it is kept for who waits. In memory they are a few times as many."""


class Rested(msgspec.Struct, frozen=True):
    """An execution at rest: its state and, where it is at hand, its journal from the first event on."""

    state: State
    journal: tuple[Envelope, ...] | None = None


class Account:
    """The journal of one execution as its driver writes it, for as long as it is small."""

    __slots__ = ("_envelopes", "_room")

    def __init__(self) -> None:
        self._envelopes: list[Envelope] | None = []
        self._room = LARGEST

    def add(self, envelope: Envelope, size: int) -> None:
        """What was appended, in so many bytes. One that is too much drops all."""
        self._room -= size
        if self._room < 0:
            self._envelopes = None
        elif self._envelopes is not None:
            self._envelopes.append(envelope)

    def whole(self) -> tuple[Envelope, ...] | None:
        """The journal; None where it has become too large."""
        return None if self._envelopes is None else tuple(self._envelopes)


class Endings:
    """Hands the states of executions that come to rest to those who wait for them."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[Rested]]] = {}

    def awaited(self, execution_id: str) -> bool:
        """Whether somebody waits for this execution now."""
        return execution_id in self._waiting

    @contextmanager
    def wait(self, execution_id: str) -> Iterator[asyncio.Future[Rested]]:
        """A future of the state in which the execution comes to rest next, driven by this process; what
        happened before is not told. Leave the context when nobody waits any more: then it is cancelled.
        """
        rest: asyncio.Future[Rested] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(execution_id, []).append(rest)
        try:
            yield rest
        finally:
            rest.cancel()
            left = [one for one in self._waiting.get(execution_id, ()) if one is not rest]
            if left:
                self._waiting[execution_id] = left
            else:
                self._waiting.pop(execution_id, None)

    def rest(self, execution_id: str, rested: Rested) -> None:
        """The execution rests in this state, which is durable, and its inbox was empty then."""
        for waiting in self._waiting.pop(execution_id, ()):
            if not waiting.done():
                waiting.set_result(rested)
