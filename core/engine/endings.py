"""Who waits in this process for an execution to come to rest learns it from the driver, without the store.

An execution rests when it has ended, or is parked or paused, and no message waits in its inbox: nothing moves
then until a person asks for it. Drivers of other processes tell nobody here, so a waiter asks the store, too,
now and then.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from core.machine.state import State
from core.machine.transitions import PARKED, PAUSED, TERMINAL

RESTING = TERMINAL | {PARKED, PAUSED}
"""Where nothing moves until a person asks for it."""


class Endings:
    """Hands the states of executions that come to rest to those who wait for them."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[State]]] = {}

    @contextmanager
    def wait(self, execution_id: str) -> Iterator[asyncio.Future[State]]:
        """A future of the state in which the execution comes to rest next, driven by this process; what
        happened before is not told. Leave the context when nobody waits any more: then it is cancelled.
        """
        rest: asyncio.Future[State] = asyncio.get_running_loop().create_future()
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

    def rest(self, execution_id: str, state: State) -> None:
        """The execution rests in this state, which is durable, and its inbox was empty then."""
        for waiting in self._waiting.pop(execution_id, ()):
            if not waiting.done():
                waiting.set_result(state)
