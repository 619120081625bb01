"""The evaluator port: where expressions run whose time is not trivially bounded."""

from typing import Protocol

from core.data.flow import Answer, Request


class Evaluator(Protocol):
    """Child processes that can be killed: an expression cannot be preempted in this one."""

    async def open(self) -> None:
        """Make ready. Raises ConfigurationError where no child process can be had."""
        ...

    async def close(self) -> None:
        """End every child process; requests under way raise asyncio.CancelledError at their callers."""
        ...

    async def evaluate(self, request: Request, *, key: str = "") -> Answer:
        """What comes of `request` (core.data.evaluating.answer, not `bounded`), in `key`'s turn.

        Different keys take turns, and those whose expressions had to be killed cannot take all processes
        from the others.

        One that takes more CPU time or memory than the settings allow, or kills its process, is answered with
        an error: `States.QueryEvaluationError` or the language's own name. Never raises but for cancellation,
        and is answered within a few seconds of its turn.
        """
        ...
