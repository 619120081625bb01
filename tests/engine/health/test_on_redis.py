"""Two replicas over a real Redis: what one finds dead, the other does not call."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from adapters.clock import SystemClock
from adapters.stores.redis.client import Redis
from adapters.stores.redis.health import RedisLink
from core.engine.health.board import Board
from core.machine.events import AttemptStarted
from tests.engine.health.rig import REFUSED, aws, gcp
from tests.redis_servers import Node, start_node


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with start_node() as node:
        yield node


@asynccontextmanager
async def replica(node: Node, name: str) -> AsyncIterator[Board]:
    clock = SystemClock()
    redis = Redis(node.url)
    await redis.open()
    board = Board({}, clock, RedisLink(redis, clock), replica=name)
    await board.start()
    try:
        yield board
    finally:
        await board.stop()
        await redis.close()


def started(number: int) -> AttemptStarted:
    return AttemptStarted(
        visit="v",
        step_id="s",
        attempt=1,
        round=0,
        target=aws(f"f{number}"),
        key=f"k{number}",
        timeout_ms=10_000,
        not_after=0,
    )


async def test_an_opening_and_a_persons_word_reach_the_other_replica(node: Node) -> None:
    async with replica(node, "one") as one, replica(node, "other") as other:
        for number in range(5):
            one.sent(started(number)).ended(REFUSED, 1)
        assert one.view().of(aws("f0")).state == "OPEN"
        async with asyncio.timeout(20):
            while other.view().of(aws("f0")).state != "OPEN":
                await asyncio.sleep(0)
            until = SystemClock().now_ms() + 60_000
            await other.override("GCP", "DRAINED", reason="works", actor="ann", until_ms=until)
            while one.view().of(gcp()).state != "DRAINED":
                await asyncio.sleep(0)
            while one.report().replicas != 2:
                await asyncio.sleep(0.01)
            # An opening is an event once it is sure not to be taken back.
            while len(await one.events(None, 10)) != 2:
                await asyncio.sleep(0.05)
        assert [said.event.kind for said in await one.events(None, 10)] == ["BREAKER_OPENED", "OVERRIDE_SET"]
    async with replica(node, "late") as late:
        assert late.view().of(aws("f0")).state in ("OPEN", "HALF_OPEN")
        assert late.view().of(gcp()).state == "DRAINED"
