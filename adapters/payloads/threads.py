"""Blocking calls beside the event loop: a bounded pool of threads that a place owns."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from core.errors import StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """At most `count` calls run at once; the others wait their turn. Open from the first call to `close`."""

    def __init__(self, name: str, count: int, seconds: float) -> None:
        self._name = name
        self._count = count
        self._seconds = seconds
        self._pool: ThreadPoolExecutor | None = None
        self._turns = asyncio.Semaphore(count)

    def open(self) -> None:
        """Take calls; a second call does nothing."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)

    async def close(self) -> None:
        """Take no more calls, and wait for those under way."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns or raises. Raises StoreUnavailable where it took too long (it may still
        happen), and while closed.
        """
        async with self._turns:  # waiting for a turn is nobody's fault, so it is not timed
            if self._pool is None:
                raise StoreUnavailable(f"{self._name}: the place of the payloads is closed")
            future = asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **kwargs))
            limit = asyncio.timeout(self._seconds)
            try:
                async with limit:
                    return await future
            except TimeoutError as late:
                if not limit.expired():
                    raise
                raise StoreUnavailable(f"{self._name} did not answer within {self._seconds:g} s") from late
