"""Asking for the result of a call that was accepted.

A question changes nothing where it is asked, so it is repeated for as long as the attempt has time: whatever
the provider or the network does on the way is waited out, and neither fails the attempt nor tells against its
target. Only the function ends it: with its result, with an error of its own, or by refusing the question.
"""

import asyncio
import logging
from collections.abc import Mapping

from msgspec.structs import replace

from core.engine.patience import Patience
from core.failover.outcome import Executed, Outcome, Scope
from core.machine.run import Poll
from core.ports.provider import Provider

log = logging.getLogger("sidestep.engine")

FIRST_MS = 1_000
LONGEST_MS = 60_000
"""Between two questions, where the function says nothing of that: 1 s, doubled each time, up to a minute."""

SHORTEST_ASKED_MS = 200
LONGEST_ASKED_MS = 3_600_000
"""Between these, a function's own wish (Retry-After) is honoured."""

GRACE = 2.0
"""Seconds after which an adapter that ignores its time limit is given up."""

_ENDS = frozenset({Scope.FUNCTION, Scope.CALLER})
"""Whose failure it is that asking again would not mend."""


def first_poll_at(outcome: Outcome, now: int) -> int:
    """When to ask first, after a call was accepted with `outcome` (Unix epoch, milliseconds)."""
    return now + _pause(outcome, 0)


def next_poll_at(outcome: Outcome, polls: int, now: int) -> int:
    """When to ask again, after `polls` questions before this one."""
    return now + _pause(outcome, polls + 1)


def _pause(outcome: Outcome, polls: int) -> int:
    asked = outcome.retry_after_ms
    if asked is not None:
        return max(SHORTEST_ASKED_MS, min(asked, LONGEST_ASKED_MS))
    return int(min(LONGEST_MS, FIRST_MS * 2 ** min(polls, 10)))


async def ask(providers: Mapping[str, Provider], poll: Poll) -> Outcome:
    """What came of one question. Never raises but for cancellation."""
    provider = providers.get(poll.target.provider)
    if provider is None:
        return _trouble("it is not configured here")
    try:
        async with Patience(poll.timeout_ms / 1000 + GRACE, GRACE):
            return await provider.poll(poll.target, poll.location, poll.timeout_ms)
    except TimeoutError:
        return _trouble("the adapter did not answer within its time limit")
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return _trouble("the adapter gave the question up")
    except Exception as error:
        log.exception("the %s adapter raised when it asked for a result", provider.name)
        return _trouble(f"the adapter raised {type(error).__name__}")


def ended(outcome: Outcome) -> Outcome | None:
    """The attempt's outcome, where this answer ends it; None where it is asked again."""
    if outcome.ok:
        return None if outcome.accepted else outcome
    if outcome.own_error:
        return outcome
    if outcome.scope in _ENDS and outcome.signal != "unusable-target":
        # The question was refused. What was accepted may have run all the same.
        cause = f"it was accepted, and its result cannot be had: {outcome.cause}"
        return replace(outcome, executed=Executed.MAYBE, scope=Scope.FUNCTION, cause=cause, retry_here=False)
    return None


def _trouble(cause: str) -> Outcome:
    return Outcome(
        executed=Executed.NO,
        scope=Scope.PROVIDER,
        signal="adapter",
        error="Sidestep.AdapterError",
        cause=cause,
    )
