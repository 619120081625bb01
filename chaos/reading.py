"""Reading through the API what became of the executions."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from cli.demo.doubles import View

_PAGE: Final = 500
_READERS: Final = 8
_PAUSE: Final = 0.25
_TRIES: Final = 20


async def settled(session: aiohttp.ClientSession, urls: Sequence[str], seconds: float) -> None:
    """Wait until every execution has ended or is parked, `seconds` at most: the audit tells which has not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, KeyError, ValueError):
            open_ones = 0
            for status in ("PENDING", "RUNNING"):
                page = await _get(session, urls, f"/executions?status={status}&limit=1")
                open_ones += len(page["executions"])
            if not open_ones:
                return
        await asyncio.sleep(_PAUSE)


async def views_of(session: aiohttp.ClientSession, urls: Sequence[str]) -> dict[str, View]:
    """Every execution of the store, whole, by id."""
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await _get(
            session, urls, f"/executions?limit={_PAGE}" + (f"&cursor={cursor}" if cursor else "")
        )
        names += [str(one["executionId"]) for one in page["executions"]]
        cursor = page["nextCursor"]
    views: dict[str, View] = {}
    left = list(reversed(names))

    async def read(first: int) -> None:
        while left:
            name = left.pop()
            views[name] = _lean(await _get(session, urls, f"/executions/{name}", first))

    await asyncio.gather(*(read(number) for number in range(_READERS)))
    return views


def _lean(view: dict[str, Any]) -> View:
    """What the audit and whoever reads the kept file need of it: thousands are held at once."""
    if view["historyTruncated"] or view["stepsTruncated"]:
        raise ValueError(f"{view['executionId']} is longer than one answer shows")
    return {name: value for name, value in view.items() if name not in {"context", "output"}}


async def _get(
    session: aiohttp.ClientSession, urls: Sequence[str], path: str, first: int = 0
) -> dict[str, Any]:
    """The JSON at `path`, asked of one API after the other, from number `first` on, until one has it."""
    for turn in range(first, first + _TRIES):
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.get(urls[turn % len(urls)] + path) as answer:
                if answer.ok:
                    return dict(await answer.json())
        await asyncio.sleep(_PAUSE)
    raise TimeoutError(f"no API answers GET {path}")
