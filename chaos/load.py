"""The client: executions at a steady rate, each with a key, sent again until they are acknowledged.

Its own list of what was acknowledged is the truth that the audit starts from.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import aiohttp

from chaos.orders import order

_CREATED: Final = 201
_BUSY: Final = frozenset({429, 503})
_POST_SECONDS: Final = 10.0
_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 1.0
_MAX_OPEN: Final = 1_000


class Load:
    """Sends order after order to `apis` (base URLs) in turn, through `session`; `ordered` makes the bodies.

    `acknowledged` maps numbers of orders to execution ids, `acks` holds the epoch seconds of every
    acknowledgement, `wrong` the answers that are neither a 201 nor a request to come back.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        apis: Sequence[str],
        prefix: str,
        ordered: Callable[[int], dict[str, Any]] = order,
    ) -> None:
        self.submitted = 0
        self.acknowledged: dict[int, str] = {}
        self.acks: list[float] = []
        self.wrong: list[str] = []
        self.again: Counter[str] = Counter()
        self._session = session
        self._apis = tuple(apis)
        self._prefix = prefix
        self._ordered = ordered
        self._open: set[asyncio.Task[None]] = set()

    async def send(self, count: int, seconds: float) -> None:
        """Send `count` executions over `seconds`, however slowly they are answered."""
        began = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number * seconds / count - time.monotonic()))
            while len(self._open) >= _MAX_OPEN:
                await asyncio.wait(self._open, return_when=asyncio.FIRST_COMPLETED)
            self.submitted += 1
            task = asyncio.create_task(self._one(number))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def drain(self, seconds: float) -> None:
        """Wait for the requests that are not acknowledged yet, at most `seconds`; then give them up."""
        if self._open:
            await asyncio.wait(set(self._open), timeout=seconds)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _one(self, number: int) -> None:
        body = json.dumps(self._ordered(number)).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{self._prefix}-{number}"}
        turn = number
        while number not in self.acknowledged:
            pause = _PAUSE
            try:
                async with self._session.post(
                    f"{self._apis[turn % len(self._apis)]}/executions",
                    data=body,
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=_POST_SECONDS),
                ) as answer:
                    told: Any = await answer.json(content_type=None)
                    if answer.status == _CREATED:
                        self.acknowledged[number] = str(told["executionId"])
                        self.acks.append(time.time())
                        return
                    if answer.status not in _BUSY:
                        self.wrong.append(f"order {number}: {answer.status} {str(told)[:300]}")
                    self.again[str(answer.status)] += 1
                    with suppress(ValueError):
                        pause = min(_LONGEST_PAUSE, float(answer.headers.get("Retry-After", _PAUSE)))
            except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
                self.again[type(problem).__name__] += 1
            turn += 1
            await asyncio.sleep(pause)
