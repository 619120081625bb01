"""Sending orders at a steady rate, and waiting for each one's end."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import httpx

from cli.client import encode, segment
from cli.demo.board import Board, Finished
from cli.demo.script import Phase, order_workflow
from cli.follow import SETTLED

WAIT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 30.0
_PAUSE: Final = 0.25


class Load:
    """Orders, sent to the server at `url` through `http`. What becomes of them goes to `board`."""

    def __init__(self, http: httpx.AsyncClient, board: Board) -> None:
        self._http = http
        self._board = board
        self._workflow = order_workflow()
        self._open: set[asyncio.Task[None]] = set()

    async def send(self, rate: float, seconds: float) -> None:
        """Send `rate` orders a second for `seconds`, however slowly they are answered."""
        began = time.monotonic()
        for number in range(max(1, round(rate * seconds))):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            self._board.submitted += 1
            task = asyncio.create_task(self._order(self._board.submitted, self._board.phase))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def drain(self, seconds: float) -> None:
        """Wait for the orders that are open, at most `seconds`; then give them up."""
        if self._open:
            await asyncio.wait(set(self._open), timeout=seconds)
        await self.stop()

    async def stop(self) -> None:
        """Give up what is open."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _order(self, number: int, phase: Phase) -> None:
        sent = time.monotonic()
        view = await self._submit(number)
        execution_id = str(view["executionId"])
        self._board.acknowledged[execution_id] = sent
        while view.get("status") not in SETTLED or "steps" not in view:
            await asyncio.sleep(_PAUSE)
            view = await self._call("GET", f"/executions/{segment(execution_id)}")
        elapsed = (time.monotonic() - sent) * 1000
        self._board.finish(execution_id, Finished(view, elapsed, phase))

    async def _submit(self, number: int) -> Mapping[str, Any]:
        """Create the order; sent again with its key until it is acknowledged, it is still one order."""
        order = {"orderId": f"order-{number:04}", "amount": 10 + number % 90}
        return await self._call(
            "POST",
            "/executions",
            content=encode({"workflow": self._workflow, "input": order}),
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": f"demo-{number}",
                "Prefer": f"wait={WAIT_SECONDS}",
            },
        )

    async def _call(self, method: str, path: str, **request: Any) -> Mapping[str, Any]:
        """The answer to a call that is repeated until it succeeds; the drain ends what never does."""
        while True:
            with suppress(httpx.HTTPError, ValueError):
                answer = await self._http.request(method, path, **request)
                if answer.is_success:
                    return dict(answer.json())
            await asyncio.sleep(_PAUSE)
