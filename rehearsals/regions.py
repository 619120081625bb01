"""A region: a Redis, APIs and workers. The first one's Redis is followed from afar by the second one's."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from redis.exceptions import RedisError

from chaos.programs import Program, free_port
from tests.redis_servers import Config, Node, wait_until

WORKERS: Final = 2
_SYNC_SECONDS: Final = 30.0

_QUICK: Final[Config] = {
    # So that a replica is fed at once; what a production server would wait for is other replicas to come.
    "repl_diskless_sync": "yes",
    "repl_diskless_sync_delay": 0,
    "repl_ping_replica_period": 1,
}


class Store:
    """One Redis of a region, which can be made a primary and a replica."""

    def __init__(self, follows: int | None = None) -> None:
        # Read at every start: what is set here is what a configuration file would say.
        self._config: Config = dict(_QUICK)
        self._follow(follows)
        self.node = Node(self._config)

    async def start(self) -> None:
        """Start it, and wait until it is in step with what it follows, if anything."""
        await asyncio.to_thread(self.node.start)
        await self.in_step()

    async def promote(self) -> None:
        """Make it a primary, for good: also its configuration, so that no restart undoes it."""
        self._follow(None)
        await asyncio.to_thread(self.node.command, "REPLICAOF", "NO", "ONE")

    async def follow(self, port: int) -> None:
        """Make it a replica of what is reached at `port`, started if it does not run, and wait for step."""
        self._follow(port)
        if self.node.running:
            await asyncio.to_thread(self.node.command, "REPLICAOF", "127.0.0.1", port)
        else:
            await asyncio.to_thread(self.node.restart)
        await self.in_step()

    async def in_step(self) -> None:
        """Wait until it has all of what it follows. Raises TimeoutError."""
        if "replicaof" in self._config:
            up = "master_link_status"
            await asyncio.to_thread(
                wait_until, lambda: self._facts().get(up) == "up", "the first copy", _SYNC_SECONDS
            )

    async def caught_up(self, primary: "Store") -> None:
        """Wait until it has all that a `primary` which takes no more writes has. Raises TimeoutError."""

        def same() -> bool:
            # Both count the bytes of the same stream; the pings between them count too.
            behind = primary.offset() - self.offset()
            return self._facts().get("master_link_status") == "up" and behind <= 0

        await asyncio.to_thread(wait_until, same, "the last bytes", _SYNC_SECONDS)

    def offset(self) -> int:
        """How many bytes of the stream of writes it has."""
        facts = self._facts()
        return int(facts.get("slave_repl_offset", facts["master_repl_offset"]))

    async def refuses_writes(self) -> bool:
        """Whether a write is refused, as a replica does."""
        try:
            await asyncio.to_thread(self.node.command, "SET", "rehearsal:fence", "1")
        except RedisError as refusal:
            return "READONLY" in str(refusal).upper() or "read only" in str(refusal)
        return False

    def _facts(self) -> dict[str, Any]:
        with self.node.client() as client:
            return dict(client.info("replication"))

    def _follow(self, port: int | None) -> None:
        if port is None:
            self._config.pop("replicaof", None)
        else:
            self._config["replicaof"] = f"127.0.0.1 {port}"


class Region:
    """The processes of Sidestep in a region, and the store that they use."""

    def __init__(self, name: str, store: Store, folder: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.store = store
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = {**settings, "SIDESTEP_STORE": store.node.url}
        api = ["serve", "--no-worker", "--port", str(port)]
        self._programs = (
            Program(f"{name}-api", api, folder, environment),
            *(
                Program(f"{name}-worker-{number}", ["worker"], folder, environment)
                for number in range(WORKERS)
            ),
        )

    async def start(self) -> None:
        """Start them and wait until they are up. Raises NotStarted."""
        for program in self._programs:
            program.start()
        for program in self._programs:
            await program.document()

    def die(self) -> None:
        """Kill -9 of everything, the store first."""
        self.store.node.kill()
        for program in self._programs:
            program.kill()

    async def stop(self) -> None:
        """SIGTERM of the processes, the API first; what workers hold is given back. The store stays."""
        for program in self._programs:
            await program.terminate()

    async def end(self) -> None:
        """End the processes for good, and the store."""
        for program in self._programs:
            await program.end()
        await asyncio.to_thread(self.store.node.close)

    def problems(self) -> list[str]:
        """What went wrong with the processes besides."""
        return [one for program in self._programs for one in program.ended_by_itself]
