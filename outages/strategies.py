"""The baselines: what is commonly done instead, each as simple as it is commonly written.

None of them knows whether a step may run twice: that is no part of a retry library or a circuit breaker.

Retry only: three more tries at the primary, after 100, 200 and 400 ms, whatever the failure was.

Naive fallback: after any failure one call of the fallback.

Five in a row: a breaker for each provider. Five failures in a row open it for 5 s; then one call finds out
whether it is well again. While it is open, and after any failure, the fallback is called.

A call's timeout is the step's, 10 s; a step's deadline is kept.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

from core.failover.outcome import Outcome
from core.graph.model import Target
from core.ports.provider import Call
from outages.cases import Case
from outages.clouds import EPOCH_MS, Clouds
from outages.orders import DEADLINE_MS, TIMEOUT_MS, WORKFLOWS, targets
from outages.seen import CLOSED, HALF_OPEN, OPENED, Happening, Told
from outages.seen import Call as Sent

_TRIES: Final = 3
_FIRST_PAUSE: Final = 0.1
_IN_A_ROW: Final = 5
_OPEN_SECONDS: Final = 5.0


class Baseline:
    """What all of them share: executions of three steps, one call after another. `_tries` says which."""

    def __init__(self, case: Case, clouds: Clouds) -> None:
        self._case = case
        self._clouds = clouds
        self._told: dict[str, Told] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._happenings: list[Happening] = []

    async def start(self) -> None:
        """As the protocol says."""

    async def submit(self, number: int) -> str:
        """As the protocol says."""
        name = f"e{number:06}"
        told = self._told[name] = Told(name, "RUNNING", now(), now())
        task = asyncio.create_task(self._execute(told, number % len(WORKFLOWS)))
        self._tasks.append(task)
        return name

    async def stop(self, seconds: float) -> None:
        """As the protocol says."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        open_ones = [task for task in self._tasks if not task.done()]
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
        for task in self._tasks:
            if not task.cancelled():
                task.result()  # a mistake in a strategy is none of its figures

    async def executions(self) -> Mapping[str, Told]:
        """As the protocol says."""
        return self._told

    async def happenings(self) -> list[Happening]:
        """As the protocol says."""
        return self._happenings

    async def _execute(self, told: Told, workflow: int) -> None:
        for step_id, function, _ in WORKFLOWS[workflow][1]:
            (provider, name), (other, there) = targets(self._case, workflow, function)
            ok = False
            deadline = now() + DEADLINE_MS
            number = 0
            async for target in self._tries(
                Target(provider=provider, function_id=name), Target(provider=other, function_id=there)
            ):
                left = deadline - now()
                if left <= 0:
                    break
                number += 1
                ok = (await self._call(told, step_id, target, number, min(TIMEOUT_MS, int(left)))).ok
                if ok:
                    break
            if not ok:
                told.status, told.ended = "FAILED", now()
                return
        told.status, told.ended = "COMPLETED", now()

    def _tries(self, primary: Target, fallback: Target) -> AsyncIterator[Target]:
        """The targets to call until one of them answers."""
        raise NotImplementedError

    def _ended(self, target: Target, outcome: Outcome) -> None:
        """Learn from how a call ended."""

    async def _call(self, told: Told, step_id: str, target: Target, number: int, timeout_ms: int) -> Outcome:
        visit = f"{told.execution_id}/{step_id}"
        sent = Sent(visit, step_id, number, target.provider, target.function_id, "", now())
        told.calls.append(sent)
        call = Call(
            target=target,
            payload={},
            idempotency_key=f"{visit}/0",
            attempt=number,
            timeout_ms=max(1, timeout_ms),
            not_after_ms=int(now()) + timeout_ms + 1_000,
            traceparent="",
        )
        outcome = await self._clouds.providers[target.provider].invoke(call)
        sent.ended, sent.status = now(), "COMPLETED" if outcome.ok else "FAILED"
        sent.executed, sent.scope = outcome.executed.value, outcome.scope.value
        sent.signal = outcome.signal
        self._ended(target, outcome)
        return outcome


class RetryOnly(Baseline):
    """Three more tries at the primary."""

    async def _tries(self, primary: Target, fallback: Target) -> AsyncIterator[Target]:  # noqa: ARG002 - there is no fallback in it
        yield primary
        for number in range(_TRIES):
            await asyncio.sleep(_FIRST_PAUSE * 2**number)
            yield primary


class NaiveFallback(Baseline):
    """Any failure, one hop."""

    async def _tries(self, primary: Target, fallback: Target) -> AsyncIterator[Target]:
        yield primary
        yield fallback


class FiveInARow(Baseline):
    """A breaker that opens on five failures in a row, as they end."""

    def __init__(self, case: Case, clouds: Clouds) -> None:
        super().__init__(case, clouds)
        self._row: dict[str, int] = {}
        self._open_until: dict[str, float] = {}
        self._probing: set[str] = set()

    async def _tries(self, primary: Target, fallback: Target) -> AsyncIterator[Target]:
        for target in (primary, fallback):
            if self._lets(target.provider):
                yield target

    def _lets(self, provider: str) -> bool:
        until = self._open_until.get(provider)
        if until is None:
            return True
        if now() < until or provider in self._probing:
            return False
        self._probing.add(provider)
        self._happenings.append(Happening(now(), HALF_OPEN, provider, None))
        return True

    def _ended(self, target: Target, outcome: Outcome) -> None:
        name = target.provider
        if outcome.ok:
            self._row[name] = 0
            if name in self._probing:
                self._open_until.pop(name, None)
                self._probing.discard(name)
                self._happenings.append(Happening(now(), CLOSED, name, None))
            return
        self._row[name] = self._row.get(name, 0) + 1
        probed = name in self._probing
        if probed or (self._row[name] >= _IN_A_ROW and name not in self._open_until):
            self._probing.discard(name)
            self._open_until[name] = now() + _OPEN_SECONDS * 1000
            why = "a probe failed" if probed else "five failures in a row"
            self._happenings.append(Happening(now(), OPENED, name, None, why))


BASELINES: Final = {
    "retry only": RetryOnly,
    "naive fallback": NaiveFallback,
    "five in a row": FiveInARow,
}


def now() -> float:
    """Epoch milliseconds of the running virtual loop."""
    return EPOCH_MS + asyncio.get_running_loop().time() * 1000
