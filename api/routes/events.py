"""An execution's history as it happens: Server-Sent Events (WHATWG HTML, section 9.2)."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from http import HTTPStatus

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from api.limits import Limits
from api.problems import RETRY_AFTER, Refusal
from api.routes.executions import MAX_SEQ
from api.runtime import Runtime
from api.schemas import openapi as docs
from api.schemas.headers import last_event_id
from api.schemas.queries import Query
from api.services import limits_of, runtime_of
from core.engine.view import HistoryEvent
from core.errors import SidestepError

log = logging.getLogger("sidestep.api")

Events = AsyncGenerator[HistoryEvent | None, None]

router = APIRouter(tags=["executions"])


@router.get("/executions/{execution_id}/events", **docs.EVENTS)
async def stream_events(request: Request, execution_id: str) -> Response:
    """The history from the beginning or after an event, then what comes, until the execution ends."""
    query = Query(request)
    after = query.whole("after", 0, 0, MAX_SEQ)
    query.done()
    resumed = last_event_id(request)
    runtime = runtime_of(request)
    streams: asyncio.Semaphore = request.app.state.streams
    if streams.locked():
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "too-many-streams",
            "Too many event streams",
            f"This server carries {limits_of(request).streams} event streams at once. Try again in a moment, "
            "or read GET /executions/{id}/history?after=.",
            headers=RETRY_AFTER,
        )
    # No stream waits here: a free place was seen, and nothing else ran since.
    await streams.acquire()
    events = runtime.executions.events(execution_id, after if resumed is None else resumed)
    try:
        first = await anext(events)
    except BaseException as ended:
        streams.release()
        await events.aclose()
        if isinstance(ended, StopAsyncIteration):
            # 204 tells an EventSource that there is nothing more to come back for.
            return Response(status_code=HTTPStatus.NO_CONTENT)
        raise
    return EventStream(runtime, limits_of(request), streams, first, events)


class EventStream(Response):
    """Writes events at the pace of its reader, holds one at a time, and frees its place at the end."""

    def __init__(
        self,
        runtime: Runtime,
        limits: Limits,
        place: asyncio.Semaphore,
        first: HistoryEvent | None,
        events: Events,
    ) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self.headers["x-accel-buffering"] = "no"
        self._runtime = runtime
        self._limits = limits
        self._place = place
        self._first = first
        self._events = events

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Write until the execution ends, the reader hangs up, or the server stops."""
        pump = asyncio.create_task(self._pump(send))
        ends = [asyncio.create_task(_hung_up(receive)), asyncio.create_task(self._runtime.closing.wait())]
        try:
            await asyncio.wait((pump, *ends), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pump, *ends):
                task.cancel()
            outcomes = await asyncio.gather(pump, *ends, return_exceptions=True)
            await self._events.aclose()
            self._place.release()
        await self._finish(outcomes[0], send)

    async def _finish(self, ended: object, send: Send) -> None:
        """Close the body properly, so that the reader sees an end and comes back with Last-Event-ID."""
        if isinstance(ended, SidestepError):
            log.warning("an event stream ends early: %s", ended)
        elif isinstance(ended, Exception):
            log.error("an event stream ends early", exc_info=ended)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await _write(send, b"retry: 1000\n\n")
        clock = self._runtime.clock
        spoke = clock.monotonic()
        event = self._first
        while True:
            if event is not None:
                await _write(send, _told(event))
                spoke = clock.monotonic()
            elif clock.monotonic() - spoke >= self._limits.keep_alive_seconds:
                await _write(send, b": still here\n\n")
                spoke = clock.monotonic()
            try:
                event = await anext(self._events)
            except StopAsyncIteration:
                return


async def _write(send: Send, chunk: bytes) -> None:
    """Returns once the connection takes more; a reader that stalls is the connection's to hang up on."""
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


def _told(event: HistoryEvent) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), msgspec.json.encode(event))


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
