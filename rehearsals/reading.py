"""Waiting for an API, for executions to end, and reading them all, for an audit."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import aiohttp

from cli.demo.doubles import View

_PAGE: Final = 500
_READERS: Final = 8
_PAUSE: Final = 0.1
_READ_SECONDS: Final = 30.0
_TRIES: Final = 100
_OPEN: Final = ("PENDING", "RUNNING")


def session() -> aiohttp.ClientSession:
    """A client for load and reading."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=200), timeout=aiohttp.ClientTimeout(total=_READ_SECONDS)
    )


async def ready(http: aiohttp.ClientSession, url: str, seconds: float) -> None:
    """Wait until `/readyz` at `url` answers 200. Raises TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            with suppress(aiohttp.ClientError):
                async with http.get(f"{url}/readyz") as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(_PAUSE)


async def settled(http: aiohttp.ClientSession, urls: Sequence[str], seconds: float) -> bool:
    """Wait until every execution has ended or is parked, at most `seconds`; whether that came true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(aiohttp.ClientError, TimeoutError, KeyError, ValueError):
            pages = [await get(http, urls, f"/executions?status={status}&limit=1") for status in _OPEN]
            if not any(page["executions"] for page in pages):
                return True
        await asyncio.sleep(_PAUSE)
    return False


async def views(http: aiohttp.ClientSession, urls: Sequence[str]) -> dict[str, View]:
    """Every execution of the store with its journal, by id, without its data.

    Raises ValueError where a journal is longer than one answer shows, TimeoutError where nobody answers.
    """
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await get(http, urls, f"/executions?limit={_PAGE}" + (f"&cursor={cursor}" if cursor else ""))
        names += [str(one["executionId"]) for one in page["executions"]]
        cursor = page["nextCursor"]
    found: dict[str, View] = {}
    left = list(reversed(names))

    async def read() -> None:
        while left:
            name = left.pop()
            view = await get(http, urls, f"/executions/{name}")
            if view["historyTruncated"] or view["stepsTruncated"]:
                raise ValueError(f"{name} is longer than one answer shows")
            found[name] = {key: value for key, value in view.items() if key not in {"context", "output"}}

    async with asyncio.TaskGroup() as group:
        for _ in range(_READERS):
            group.create_task(read())
    return found


async def get(http: aiohttp.ClientSession, urls: Sequence[str], path: str) -> dict[str, Any]:
    """The JSON at `path`, asked of one API after the other until one has it. Raises TimeoutError."""
    for turn in range(_TRIES):
        with suppress(aiohttp.ClientError, TimeoutError):
            async with http.get(urls[turn % len(urls)] + path) as answer:
                if answer.ok:
                    return dict(await answer.json())
        await asyncio.sleep(_PAUSE)
    raise TimeoutError(f"no API answers GET {path}")
