"""The last events of a host that one process has, kept as facts of its store.

A fact is written whole, so the events lie in pages of a few: an event costs one small page instead of all of
them. The pages are a ring; each bears a number that grows, which says in what order they are read again.
"""

import asyncio
import logging
from collections import deque
from itertools import islice

import msgspec

from core.engine.health.event_ids import event_id
from core.ports.clock import Clock
from core.ports.link import HealthEvent, NumberedEvent
from core.ports.store import Store

_log = logging.getLogger("sidestep.health")

PAGE_EVENTS = 50
PAGES = 21
"""Twenty full pages and the one that is being filled: at least 1,000 events where so many were kept."""


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    at_ms: int
    number: int
    event: HealthEvent


class _Page(msgspec.Struct):
    page: int
    entries: list[_Entry]


def fact_of(page: int) -> str:
    """The key of the fact that holds a page."""
    return f"health.events.{page % PAGES}"


class EventBook:
    """Events in memory, newest last, and in the store's facts."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pages: deque[_Page] = deque([_Page(0, [])], maxlen=PAGES)
        self._dirty: dict[int, _Page] = {}
        self._last = (0, -1)
        self._writing = asyncio.Lock()

    async def read(self) -> None:
        """Read what was kept. A page that cannot be read is left out, and said. Raises StoreError."""
        pages = []
        for number in range(PAGES):
            kept = await self._store.get_fact(fact_of(number))
            if kept is None:
                continue
            try:
                pages.append(msgspec.json.decode(kept, type=_Page))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                _log.warning("a page of the providers' events cannot be read and is left out: %s", error)
        if pages:
            pages.sort(key=lambda page: page.page)
            self._pages = deque(pages, maxlen=PAGES)
            self._last = max(
                ((entry.at_ms, entry.number) for page in pages for entry in page.entries), default=self._last
            )

    async def note(self, event: HealthEvent) -> None:
        """Keep an event. Raises StoreError; it is then written with the next one."""
        now, (last_ms, number) = self._clock.now_ms(), self._last
        self._last = (now, 0) if now > last_ms else (last_ms, number + 1)
        page = self._pages[-1]
        if len(page.entries) >= PAGE_EVENTS:
            page = _Page(page.page + 1, [])
            self._pages.append(page)
        page.entries.append(_Entry(*self._last, event))
        self._dirty[page.page] = page
        await self._write()

    def events(self, before: tuple[int, int] | None, limit: int) -> tuple[NumberedEvent, ...]:
        """The newest below `before`, newest first."""
        below = (
            NumberedEvent(event_id=event_id(entry.at_ms, entry.number), event=entry.event)
            for page in reversed(self._pages)
            for entry in reversed(page.entries)
            if before is None or (entry.at_ms, entry.number) < before
        )
        return tuple(islice(below, limit))

    async def _write(self) -> None:
        """Write what is new. Who waits for a writing mostly finds its own event written by it."""
        async with self._writing:
            while self._dirty:
                number = min(self._dirty)
                page = self._dirty.pop(number)
                try:
                    await self._store.put_fact(fact_of(number), msgspec.json.encode(page))
                except BaseException:
                    if number > self._pages[-1].page - PAGES:
                        self._dirty[number] = page
                    raise
