"""The client against one real node: answers, errors, deaths and pauses of the server."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from adapters.stores.redis.client import Redis, ScriptRefused
from adapters.stores.redis.facts import facts_of
from core.errors import ConfigurationError, StoreError, StoreFull, StoreUnavailable
from tests.redis_servers import Node, start_node, wait_until
from tests.stores.redis_calls import BROKEN, ECHO, REFUSE, SET, client, until, until_served


@pytest.fixture(scope="module")
def shared() -> Iterator[Node]:
    with start_node() as node:
        yield node


@pytest.fixture
def node(shared: Node) -> Node:
    shared.command("FLUSHALL")
    return shared


@pytest.fixture
def mortal() -> Iterator[Node]:
    """A node of this test's own, to be killed."""
    with start_node(appendfsync="always") as node:
        yield node


async def test_calls_of_one_turn_leave_together_and_each_gets_its_own_reply(node: Node) -> None:
    async with client(node.url) as redis:
        before = node.command("INFO", "stats")["total_connections_received"]
        replies = await asyncio.gather(*(redis.script(ECHO, ["k"], [str(n)]) for n in range(500)))
        assert replies == [str(n).encode() for n in range(500)]
        after = node.command("INFO", "stats")["total_connections_received"]
        assert after - before == 1  # the question itself


async def test_a_script_that_redis_has_forgotten_is_sent_in_full(node: Node) -> None:
    async with client(node.url) as redis:
        assert await redis.script(SET, ["k"], ["1"]) == 1
        assert await redis.script(SET, ["k"], ["1"]) == 2
        node.command("SCRIPT", "FLUSH")
        replies = await asyncio.gather(*(redis.script(SET, ["k"], ["1"]) for _ in range(20)))
        assert sorted(replies) == list(range(3, 23))


async def test_a_refusal_of_a_script_keeps_its_code(node: Node) -> None:
    async with client(node.url) as redis:
        with pytest.raises(ScriptRefused) as caught:
            await redis.script(REFUSE, ["k"], [])
        assert (caught.value.code, caught.value.detail) == ("SIDESTEP_GONE", "it has ended")


async def test_a_mistake_in_a_command_is_neither_away_nor_a_refusal(node: Node) -> None:
    async with client(node.url) as redis:
        for attempt in (redis.call("k", "NONSENSE"), redis.script(BROKEN, ["k"], [])):
            with pytest.raises(StoreError) as caught:
                await attempt
            assert type(caught.value) is StoreError
        assert await redis.script(ECHO, ["k"], [b"\x00\xff"]) == b"\x00\xff"


async def test_a_big_value_comes_back_whole_and_a_bigger_one_is_refused_before_it_is_sent(node: Node) -> None:
    big = bytes(range(256)) * 80_000
    async with client(node.url) as redis:
        replies: tuple[object, ...] = await asyncio.gather(
            redis.script(ECHO, ["k"], [big]), redis.script(ECHO, ["k"], ["small"]), redis.call("k", "PING")
        )
        assert list(replies) == [big, b"small", b"PONG"]
        with pytest.raises(StoreError, match="above the limit"):
            await redis.call("k", "SET", "k", bytes(64 * 1024 * 1024), write=True)
        assert await redis.call("k", "EXISTS", "k") == 0


async def test_a_full_memory_is_told_apart_in_commands_and_in_scripts() -> None:
    with start_node(maxmemory="3mb") as small:
        async with client(small.url) as redis:
            with pytest.raises(StoreFull):  # noqa: PT012 - which of them is the one too many is not ours to say
                for n in range(100):
                    await redis.call("k", "SET", f"k{n}", bytes(100_000), write=True)
            with pytest.raises(StoreFull):
                await redis.script(SET, ["more"], [bytes(100_000)])
            (facts,) = [facts_of(info) for info in await redis.info()]
            assert facts.maxmemory == 3 * 1024 * 1024
            assert facts.used_memory > facts.maxmemory * 0.9


async def test_facts_name_version_policy_and_persistence(node: Node) -> None:
    async with client(node.url) as redis:
        (facts,) = [facts_of(info) for info in await redis.info()]
    assert facts.product == "Redis"
    assert facts.version >= (6, 2)
    assert (facts.policy, facts.append_only) == ("noeviction", True)
    assert facts.where == f"127.0.0.1:{node.port}"


async def test_replies_are_never_mixed_while_connections_are_killed(node: Node) -> None:
    dice = random.Random(7)  # noqa: S311 - seeded, so that it can be run again
    answered = lost = 0

    async with client(node.url) as redis:

        async def caller(name: int) -> None:
            nonlocal answered, lost
            for n in range(150):
                said = f"{name}:{n}:" + "x" * dice.choice((0, 10, 1000, 70_000))
                try:
                    if n % 3:
                        assert await redis.script(ECHO, ["k"], [said]) == said.encode()
                    else:
                        assert await redis.call("k", "ECHO", said) == said.encode()
                    answered += 1
                except StoreUnavailable:
                    lost += 1
                    await asyncio.sleep(0.01)
                if n % 17 == 0:
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(redis.script(ECHO, ["k"], ["given up"]), 0)

        async def killer() -> None:
            while True:
                await asyncio.sleep(0.05)
                await asyncio.to_thread(node.command, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        kills = asyncio.create_task(killer())
        await asyncio.gather(*(caller(name) for name in range(40)))
        kills.cancel()
        await asyncio.gather(kills, return_exceptions=True)
    assert answered > 1000
    assert lost > 0


async def test_each_call_answers_or_is_unknown_when_redis_is_killed_and_service_resumes(mortal: Node) -> None:
    acknowledged = 0
    stop = False

    async with client(mortal.url) as redis:

        async def caller(name: int) -> None:
            nonlocal acknowledged
            while not stop:
                try:
                    await redis.script(SET, [f"k{name}"], ["v"])
                    acknowledged += 1
                except StoreUnavailable:
                    await asyncio.sleep(0.01)

        callers = [asyncio.create_task(caller(name)) for name in range(20)]
        for _ in range(3):
            seen = acknowledged
            await until(lambda seen=seen: acknowledged > seen + 200)  # type: ignore[misc]  # bound at once
            await asyncio.to_thread(mortal.restart)
            assert await until_served(redis) < 2.0
        stop = True
        await asyncio.gather(*callers)
        kept = 0
        for name in range(20):
            kept += int(await redis.call("k", "GET", f"k{name}:n"))
    assert kept >= acknowledged


async def test_a_dead_server_is_told_at_once(mortal: Node) -> None:
    async with client(mortal.url) as redis:
        mortal.kill()
        with pytest.raises(StoreUnavailable):  # noqa: PT012 - the first may be sent before the end is seen
            while True:
                await redis.call("k", "PING")
        async with asyncio.timeout(0.5):
            for _ in range(100):
                with pytest.raises(StoreUnavailable, match="away"):
                    await redis.call("k", "PING")


async def test_a_stopped_server_holds_nobody_beyond_the_timeout(mortal: Node) -> None:
    async with client(mortal.url, timeout=0.4) as redis:
        listener: list[bytes] = []
        await redis.subscribe("c", listener.append)
        blocked = asyncio.create_task(redis.block("q", "BLPOP", "q", 30, timeout=30))
        await until(lambda: mortal.command("INFO", "clients")["blocked_clients"] == 1)
        with mortal.stop_signal():
            calls = [redis.script(SET, ["k"], ["v"]) for _ in range(50)]
            async with asyncio.timeout(2.0):
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
                assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
                with pytest.raises(StoreUnavailable):
                    await blocked
        assert await until_served(redis) < 2.0


async def test_a_server_that_is_away_when_it_opens_is_unavailable_and_can_be_opened_later(
    mortal: Node,
) -> None:
    mortal.kill()
    redis = Redis(mortal.url)
    with pytest.raises(StoreUnavailable):
        await redis.open()
    with pytest.raises(StoreUnavailable):
        await redis.call("k", "PING")
    mortal.restart()
    await redis.open()
    assert await redis.call("k", "PING") == b"PONG"
    await redis.close()
    await redis.close()


@pytest.mark.parametrize("secret", ["", "wr0ng-s3cret"])
async def test_a_refused_password_is_a_mistake_of_configuration_and_never_shown(secret: str) -> None:
    with start_node(requirepass="r1ght-s3cret") as locked:
        async with client(locked.url) as redis:
            assert await redis.call("k", "PING") == b"PONG"
        redis = Redis(f"redis://:{secret}@127.0.0.1:{locked.port}/0")
        with pytest.raises(ConfigurationError, match="password") as caught:
            await redis.open()
        assert "s3cret" not in str(caught.value) + repr(caught.value.__cause__) + repr(redis.__dict__)


async def test_a_password_that_no_one_asked_for_is_refused(node: Node) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await Redis(f"redis://me:s3cret@127.0.0.1:{node.port}").open()
    assert "s3cret" not in str(caught.value)


async def test_databases_are_apart_and_one_that_is_not_there_is_named(node: Node) -> None:
    root = f"redis://127.0.0.1:{node.port}"
    async with client(f"{root}/3") as three, client(root) as zero:
        await three.call("k", "SET", "k", "3")
        assert await zero.call("k", "GET", "k") is None
    with pytest.raises(ConfigurationError, match="database 99"):
        await Redis(f"{root}/99").open()


async def test_a_replica_is_not_taken_for_a_primary(node: Node) -> None:
    with (
        start_node(replicaof=f"127.0.0.1 {node.port}") as replica,
        pytest.raises(StoreUnavailable, match="replica"),
    ):
        await Redis(replica.url).open()


async def test_a_primary_that_becomes_a_replica_is_left(mortal: Node, node: Node) -> None:
    async with client(mortal.url) as redis:
        mortal.command("REPLICAOF", "127.0.0.1", node.port)
        with pytest.raises(StoreUnavailable, match="replica"):
            await redis.script(SET, ["k"], ["v"])
        with pytest.raises(StoreUnavailable):  # a replica would answer this, with what it has by now
            await redis.call("k", "GET", "k")
        mortal.command("REPLICAOF", "NO", "ONE")
        assert await until_served(redis) < 2.0


def acknowledged(primary: Node) -> int:
    """How far the one replica has come by its own word; 0 where that is not all there is."""
    told = primary.command("INFO", "replication")
    there = told["slave0"]["offset"]
    return int(there) if there >= told["master_repl_offset"] else 0


async def test_a_short_count_of_replicas_is_unknown_and_reads_go_on(mortal: Node) -> None:
    mortal.command("CONFIG", "SET", "repl-diskless-sync-delay", 0)
    with start_node(replicaof=f"127.0.0.1 {mortal.port}") as replica:
        wait_until(lambda: mortal.command("INFO", "replication")["connected_slaves"] == 1, "the replica")
        wait_until(lambda: replica.command("INFO", "replication")["master_link_status"] == "up", "the link")
        # Redis 7 sends a replica nothing before it has answered for the first time.
        mortal.command("SET", "first", "1")
        wait_until(lambda: acknowledged(mortal) > 0, "the replica's answer")
        async with client(mortal.url, min_replicas=1, timeout=1.0) as redis:
            replies = await asyncio.gather(*(redis.script(SET, ["k"], ["v"]) for _ in range(50)))
            assert sorted(replies) == list(range(1, 51))
            with replica.stop_signal():
                with pytest.raises(StoreUnavailable, match="unknown"):
                    await redis.script(SET, ["k"], ["v"])
                assert await redis.call("k", "GET", "k") == b"v"
                mixed = await asyncio.gather(
                    redis.call("k", "GET", "k"), redis.script(SET, ["k"], ["v"]), return_exceptions=True
                )
                assert all(isinstance(each, StoreUnavailable) for each in mixed)
            assert await until_served(redis) < 3.0


async def test_what_comes_while_replicas_are_waited_for_goes_together(mortal: Node) -> None:
    mortal.command("CONFIG", "SET", "repl-diskless-sync-delay", 0)
    with start_node(replicaof=f"127.0.0.1 {mortal.port}") as replica:
        wait_until(lambda: replica.command("INFO", "replication")["master_link_status"] == "up", "the link")
        async with client(mortal.url, min_replicas=1, timeout=20.0) as redis:
            await redis.script(SET, ["k"], ["v"])
            before = mortal.command("INFO", "commandstats")["cmdstat_wait"]["calls"]
            with replica.stop_signal():
                calls = [asyncio.create_task(redis.script(SET, ["k"], ["v"]))]
                await until(lambda: mortal.command("INFO", "clients")["blocked_clients"] == 1)
                for _ in range(50):  # each in a turn of the loop of its own
                    calls.append(asyncio.create_task(redis.script(SET, ["k"], ["v"])))
                    await asyncio.sleep(0)
            async with asyncio.timeout(10):
                assert sorted(await asyncio.gather(*calls)) == list(range(2, 53))
            assert mortal.command("INFO", "commandstats")["cmdstat_wait"]["calls"] - before == 2


async def test_a_blocking_command_holds_up_nobody_and_its_connection_is_used_again(node: Node) -> None:
    async with client(node.url) as redis:
        connections = []
        for _ in range(3):
            blocked = asyncio.create_task(redis.block("q", "BLPOP", "q", 5, timeout=5))
            await until(lambda: node.command("INFO", "clients")["blocked_clients"] == 1)
            async with asyncio.timeout(1):
                assert await redis.call("q", "RPUSH", "q", "v", write=True) == 1
            assert await blocked == [b"q", b"v"]
            connections.append(node.command("INFO", "clients")["connected_clients"])
        assert len(set(connections)) == 1


async def test_a_cancelled_blocking_command_leaves_no_reply_for_the_next(node: Node) -> None:
    async with client(node.url, blocking=1) as redis:
        blocked = asyncio.create_task(redis.block("q", "BLPOP", "q", 5, timeout=5))
        await until(lambda: node.command("INFO", "clients")["blocked_clients"] == 1)
        blocked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await blocked
        assert await redis.block("q", "ECHO", "mine", timeout=1) == b"mine"
        await until(lambda: node.command("INFO", "clients")["blocked_clients"] == 0)


async def test_rings_go_on_after_a_reconnection_and_end_when_they_are_ended(mortal: Node) -> None:
    async with client(mortal.url, timeout=0.5) as redis:
        one: list[bytes] = []
        two: list[bytes] = []
        end = await redis.subscribe("c", one.append)
        await redis.subscribe("c", two.append)
        assert await redis.call("", "PUBLISH", "c", "first") == 1
        await until(lambda: one == two == [b"first"])
        await asyncio.to_thread(mortal.restart)
        async with asyncio.timeout(5):
            heard = 0
            while not heard:
                try:
                    heard = await redis.call("", "PUBLISH", "c", "second")
                except StoreUnavailable:
                    await asyncio.sleep(0.01)
        await until(lambda: one == two == [b"first", b"second"])
        await end()
        await end()
        await redis.call("", "PUBLISH", "c", "third")
        await until(lambda: two == [b"first", b"second", b"third"])
        assert one == [b"first", b"second"]


async def test_a_listener_that_raises_does_not_silence_the_others(node: Node) -> None:
    def fails(payload: bytes) -> None:
        raise RuntimeError(payload)

    async with client(node.url) as redis:
        heard: list[bytes] = []
        await redis.subscribe("c", fails)
        await redis.subscribe("c", heard.append)
        await redis.call("", "PUBLISH", "c", "v")
        await until(lambda: heard == [b"v"])


async def test_a_peer_that_is_no_redis_is_unavailable() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with suppress(ConnectionError):
                await reader.read()
        finally:
            writer.transport.abort()
            ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(StoreUnavailable):
            await Redis(f"redis://127.0.0.1:{port}").open()
        await ended.wait()


async def test_too_many_connections_are_away_and_not_a_mistake(mortal: Node) -> None:
    mortal.command("CONFIG", "SET", "maxclients", 1)
    async with client(mortal.url) as redis:
        with pytest.raises(StoreUnavailable):
            await Redis(mortal.url).open()
        assert await redis.call("k", "PING") == b"PONG"


async def test_a_unix_socket_serves_as_well(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "r.sock"
    with start_node(unixsocket=str(path)):
        async with client(f"unix://{path}") as redis:
            assert await redis.call("k", "PING") == b"PONG"
