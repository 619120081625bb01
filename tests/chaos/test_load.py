"""The client that the audit believes: it sends again, under the same key, until it has an answer."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from chaos.load import Load


class Flaky:
    """An API that hangs up, then asks to come back, then answers; the last by `status`."""

    def __init__(self, status: int = 201) -> None:
        self.keys: Counter[str] = Counter()
        self._status = status

    async def create(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        self.keys[key] += 1
        if self.keys[key] == 1:
            assert request.transport is not None
            request.transport.close()
        if self.keys[key] == 2:
            return web.json_response({}, status=503, headers={"Retry-After": "0"})
        if self.keys[key] == 3 and self._status != 201:
            return web.json_response({"error": "odd"}, status=self._status)
        return web.json_response({"executionId": f"id-of-{key}"}, status=201)


@asynccontextmanager
async def served(flaky: Flaky) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/executions", flaky.create)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_request_is_sent_again_under_its_key_until_it_is_acknowledged() -> None:
    flaky = Flaky()
    async with served(flaky) as url, aiohttp.ClientSession() as session:
        load = Load(session, [url], "test")
        await load.send(2, 0.01)
        await load.drain(30)
    assert load.acknowledged == {0: "id-of-test-0", 1: "id-of-test-1"}
    assert flaky.keys == {"test-0": 3, "test-1": 3}
    assert load.again["503"] == 2
    assert load.wrong == []


async def test_an_answer_that_is_neither_yes_nor_later_is_told() -> None:
    async with served(Flaky(status=500)) as url, aiohttp.ClientSession() as session:
        load = Load(session, [url], "test")
        await load.send(1, 0.01)
        await load.drain(30)
    assert load.wrong == ["order 0: 500 {'error': 'odd'}"]
    assert load.acknowledged == {0: "id-of-test-0"}


async def test_what_is_never_acknowledged_is_given_up_with_the_drain() -> None:
    async with aiohttp.ClientSession() as session:
        load = Load(session, ["http://127.0.0.1:1"], "test")
        await load.send(1, 0.01)
        await load.drain(0.1)
    assert (load.submitted, load.acknowledged) == (1, {})
