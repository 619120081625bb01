"""What is done to the stores is really done, and over when it is said to be."""

import asyncio
import time
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from chaos.hosts import ClusterHost, NodeHost, SentinelHost, SqliteHost, fill, relieve
from chaos.plan import Fault
from chaos.programs import Program
from chaos.rows import ROWS, Kind
from tests.redis_servers import Node, start_cluster, start_node, start_sentinel

ROW = {row.name: row for row in ROWS}


def fault(kind: Kind, seconds: float = 0.2) -> Fault:
    return Fault(0.0, kind, 1, seconds)


@pytest.mark.parametrize("kind", [Kind.KILL_REDIS, Kind.END_REDIS])
async def test_a_redis_comes_back_as_another_process_with_its_data(kind: Kind) -> None:
    with start_node() as node:
        node.command("SET", "kept", "yes")
        before = node.pid
        back = await NodeHost(node, ROW["everysec"]).suffer(fault(kind))
        assert back is not None
        assert back <= time.time()
        assert node.pid != before
        assert node.command("GET", "kept") == "yes"


def test_a_full_redis_refuses_writes_until_it_is_relieved() -> None:
    with start_node() as node:
        fill(node)
        with pytest.raises(RedisError, match="maxmemory"):
            node.command("SET", "one more", "." * 1_000_000)
        relieve(node)
        node.command("SET", "one more", "." * 1_000_000)
        assert node.command("KEYS", "*") == ["one more"]


async def test_a_killed_sentinel_primary_is_replaced_and_returns_as_a_replica() -> None:
    with start_sentinel() as group:
        old = group.primary()
        back = await SentinelHost(group, ROW["sentinel"]).suffer(fault(Kind.KILL_PRIMARY))
        assert back is not None
        assert group.primary() is not old
        await asyncio.to_thread(until_it_follows, old)


async def test_a_killed_cluster_primary_is_replaced_and_returns_as_a_replica() -> None:
    with start_cluster() as cluster:
        old = cluster.primaries()[1]
        back = await ClusterHost(cluster, ROW["cluster"]).suffer(fault(Kind.KILL_PRIMARY))
        assert back is not None
        assert len(cluster.primaries()) == 3
        assert old not in cluster.primaries()
        assert old.running


async def test_a_program_whose_files_may_not_grow_can_be_given_room_again(tmp_path: Path) -> None:
    program = Program("localcloud", ["localcloud", "--port", "0"], tmp_path, {})
    program.start()
    try:
        await program.document()
        host = SqliteHost(tmp_path, lambda: program)
        limits = Path(f"/proc/{program.pid}/limits")
        before = limits.read_text()  # noqa: ASYNC240 - a file of the kernel's
        suffering = asyncio.create_task(host.suffer(fault(Kind.FILL_SQLITE)))
        async with asyncio.timeout(10):
            while limits.read_text() == before:  # noqa: ASYNC240 - same
                await asyncio.sleep(0.01)
        await suffering
        assert limits.read_text() == before  # noqa: ASYNC240 - same
    finally:
        await program.end()
    assert not program.up


def until_it_follows(node: Node) -> None:
    until = time.monotonic() + 20
    while node.command("ROLE")[0] != "slave":
        assert time.monotonic() < until, "the old primary never became a replica"
        time.sleep(0.05)
