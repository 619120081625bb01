"""Expressions of a trial: asked of the process's own evaluator, on its own loop."""

import asyncio

from core.data.flow import Answer, Request
from core.engine.trial.loop import MovedLoop
from core.ports.evaluator import Evaluator


class Outside(Evaluator):
    """An evaluator whose work takes real time, and none of the trial's.

    `home` is the loop to which `evaluator` belongs.
    """

    def __init__(self, evaluator: Evaluator | None, home: asyncio.AbstractEventLoop, loop: MovedLoop) -> None:
        self._evaluator = evaluator
        self._home = home
        self._loop = loop

    async def open(self) -> None:
        """It is open already."""

    async def close(self) -> None:
        """It is not the trial's."""

    async def evaluate(self, request: Request, *, key: str = "") -> Answer:
        """As the port says."""
        if self._evaluator is None:
            raise RuntimeError("an expression was met where there is no evaluator")
        with self._loop.standing_still():
            there = asyncio.run_coroutine_threadsafe(self._evaluator.evaluate(request, key=key), self._home)
            return await asyncio.wrap_future(there)
