"""The rows of the table of promises, each played on a store of its own."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

Host = Literal["sqlite", "node", "sentinel", "cluster"]


class Kind(StrEnum):
    """What can be done to a row. The values stand in the report."""

    KILL_WORKER = "kill -9 worker"
    STOP_WORKER = "SIGSTOP worker past its lease"
    END_WORKER = "SIGTERM worker"
    CLOCK = "jump of a worker's clock"
    KILL_API = "kill -9 API"
    KILL_REDIS = "kill -9 Redis"
    END_REDIS = "SIGTERM Redis"
    FILL_REDIS = "Redis at maxmemory"
    KILL_PRIMARY = "kill -9 primary"
    CUT_REPLICA = "replica cut off"
    FILL_SQLITE = "SQLite cannot grow"
    CLOUD = "cloud out"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what it promises in a phrase, its store, and the faults of its two tracks.

    `owners` are done to what drives executions, a lease and more apart, so that each takeover can be told
    from the next; `hosts` to the store. The first of each are the ones that a short run keeps.
    """

    name: str
    title: str
    promise: str
    host: Host
    owners: tuple[Kind, ...]
    hosts: tuple[Kind, ...]
    appendfsync: Literal["everysec", "always"] = "everysec"
    min_replicas: int = 0

    @property
    def alone(self) -> bool:
        """Whether one process is API and worker."""
        return self.host == "sqlite"


_OWNERS: Final = (Kind.KILL_WORKER, Kind.STOP_WORKER, Kind.END_WORKER, Kind.CLOCK)
_NODE: Final = (Kind.KILL_REDIS, Kind.FILL_REDIS, Kind.END_REDIS)

ROWS: Final = (
    Row(
        "sqlite",
        "SQLite, `synchronous=FULL`, one process",
        "survives the death of the process",
        "sqlite",
        (Kind.KILL_WORKER, Kind.CLOCK, Kind.STOP_WORKER, Kind.KILL_WORKER, Kind.END_WORKER),
        (Kind.FILL_SQLITE,),
    ),
    Row(
        "everysec",
        "Redis, append-only every second",
        "survives the death of any process, Redis included",
        "node",
        _OWNERS,
        _NODE,
    ),
    Row(
        "always",
        "Redis, append-only always",
        "survives the death of any process (and its node's power loss, which is not played here)",
        "node",
        _OWNERS,
        _NODE,
        appendfsync="always",
    ),
    Row(
        "sentinel",
        "Redis, Sentinel, `MIN_REPLICAS=1`",
        "survives the death of the primary",
        "sentinel",
        _OWNERS,
        (Kind.KILL_PRIMARY, Kind.CUT_REPLICA),
        min_replicas=1,
    ),
    Row(
        "cluster",
        "Redis, Cluster of 3 + 3, `MIN_REPLICAS=1`",
        "survives the death of a primary",
        "cluster",
        _OWNERS,
        (Kind.KILL_PRIMARY, Kind.CUT_REPLICA),
        min_replicas=1,
    ),
)
"""As design.md's table has them; memory promises nothing."""
