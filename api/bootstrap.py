"""The composition root: the one module that imports adapters and wires them to the engine."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from adapters.clock import HostClock, SystemClock
from adapters.evaluator.pool import EvaluatorPool, EvaluatorSettings
from adapters.payloads.build import open_payloads
from adapters.providers.build import build as build_providers
from adapters.stores.memory import MemoryStore
from adapters.stores.offload import OffloadingStore
from adapters.stores.sqlite import SqliteStore
from api.roles import Role
from api.runtime import Runtime
from api.settings import RedisSection, Settings
from core.engine.health.board import Board
from core.engine.health.local_link import LocalLink
from core.engine.housekeeping import Pace, Sweep
from core.engine.trial.trials import Trials
from core.errors import ConfigurationError
from core.ports.clock import Clock
from core.ports.evaluator import Evaluator
from core.ports.link import HealthLink
from core.ports.store import Store


def build(settings: Settings, role: Role = Role.BOTH) -> Runtime:
    """The services that `settings` describe, not yet started. Raises ConfigurationError."""
    if role is not Role.BOTH:
        check_shared(
            settings.store, "An API without its own worker" if role.serves else "A worker of its own"
        )
    # Processes that share a store go by its time, so that they agree although their machines do not.
    clock = SystemClock() if _kind(settings.store) in FOR_ONE else HostClock()
    bare = open_store(settings.store, clock, settings.redis)
    store = offloading(bare, settings, clock)
    providers = build_providers(settings.providers.plain(), facts=store)
    evaluator = evaluator_of(settings)
    return Runtime(
        clock=clock,
        store=store,
        providers=providers,
        board=Board(
            settings.providers.missing(),
            clock,
            link_of(bare, clock, settings.redis.prefix),
            settings=settings.failover.plain(),
            providers=providers,
            canaries=settings.providers.canaries(),
            homes=settings.providers.homes(),
            replica=f"{role.value}-{secrets.token_hex(6)}",
            probing=role.works,
        ),
        settings=settings.engine(),
        evaluator=evaluator,
        public_url=settings.base_url(),
        secret=settings.signing_secret(),
        trials=trials_of(settings, clock, evaluator) if role.serves else None,
        retention=settings.keep(),
        sweeps=sweeps_of(store),
        role=role,
        memory_limit=settings.memory_limit,
    )


def evaluator_of(settings: Settings) -> Evaluator:
    """Where expressions run that have to be killed when they take too long; not yet open."""
    return EvaluatorPool(EvaluatorSettings(**dict(settings.expressions)))


def trials_of(settings: Settings, clock: Clock, evaluator: Evaluator | None = None) -> Trials:
    """Where workflows are tried; `evaluator` is the process's own, which somebody else opens and closes."""
    return Trials(MemoryStore, clock, evaluator, settings.engine(), settings.trials())


@contextlib.asynccontextmanager
async def trying(settings: Settings) -> AsyncIterator[Trials]:
    """Trials without a server, and what they need, until the block ends. Raises ConfigurationError."""
    evaluator = evaluator_of(settings)
    trials = trials_of(settings, SystemClock(), evaluator)
    await evaluator.open()
    try:
        yield trials
    finally:
        trials.close()
        await evaluator.close()


FOR_ONE = ("memory", "sqlite")
"""The stores that one process has for itself."""


def check_shared(url: str, why: str) -> None:
    """Refuse a store that only one process can use; `why` says what needs more. Raises ConfigurationError."""
    kind = _kind(url)
    if kind in FOR_ONE:
        raise ConfigurationError(
            f"{why} needs a store that processes can share, and {kind!r} is for one process that is API and "
            "worker in one; set SIDESTEP_STORE to 'redis://HOST:PORT', or run a plain 'sidestep serve'."
        )


def _kind(url: str) -> str:
    return url.partition(":")[0]


def open_store(url: str, clock: Clock | None = None, settings: RedisSection | None = None) -> Store:
    """The store that `url` names, not yet open: `memory:`, `sqlite:PATH`, or a Redis by one of the URLs that
    docs/reference/stores.md lists. Raises ConfigurationError, and never repeats the URL.
    """
    clock = clock or SystemClock()
    kind, _, path = url.partition(":")
    match kind:
        case "memory" if not path:
            return MemoryStore(clock)
        case "sqlite" if _can_be_a_file(path):
            return SqliteStore(path, clock)
        case "redis" | "rediss" | "unix" | "redis+sentinel" | "redis+cluster" if path.startswith("//"):
            return _redis(url, clock, settings or RedisSection())
        case _:
            # The URL may hold a password; it is not repeated.
            raise ConfigurationError(
                "SIDESTEP_STORE names no store that there is; set it to 'sqlite:PATH' (for instance "
                "'sqlite:sidestep.db'), 'redis://HOST:PORT' or 'memory:'."
            )


def link_of(store: Store, clock: Clock, prefix: str) -> HealthLink:
    """What carries health between the processes that share this store."""
    if isinstance(store, MemoryStore | SqliteStore):
        return LocalLink(store, clock)
    from adapters.stores.redis.health import RedisLink  # noqa: PLC0415 - see _redis
    from adapters.stores.redis.store import RedisStore  # noqa: PLC0415 - see _redis

    if not isinstance(store, RedisStore):
        raise TypeError("a store without a health link")
    return RedisLink(store.redis, clock, prefix)


def offloading(store: Store, settings: Settings, clock: Clock) -> Store:
    """The same store, with large payloads where the settings want them. Raises ConfigurationError."""
    kind, _, path = settings.store.partition(":")
    if kind == "memory":
        if settings.payloads not in (None, "store"):
            raise ConfigurationError(
                "A store in memory keeps large payloads itself; leave SIDESTEP_PAYLOADS unset, or keep "
                "executions in another store."
            )
        return store
    beside = f"file:{path}.payloads" if kind == "sqlite" else "file:sidestep-payloads"
    place = open_payloads(beside if settings.payloads is None else settings.payloads)
    return OffloadingStore(store, place, clock, settings.payloads_over)


COLLECT_EVERY = 1_800.0
"""Seconds between two looks for payloads that nothing refers to."""


def sweeps_of(store: Store) -> tuple[Sweep, ...]:
    """What the housekeeper does for this store beside what it does for all."""
    if not isinstance(store, OffloadingStore):
        return ()

    async def collect(pace: Pace) -> str | None:
        return await store.sweep(pace.turn)

    return (Sweep("payloads", collect, every=COLLECT_EVERY),)


def _redis(url: str, clock: Clock, settings: RedisSection) -> Store:
    # Whoever has no Redis does not wait for its client to be loaded.
    from adapters.stores.redis.client import Redis  # noqa: PLC0415 - see above
    from adapters.stores.redis.store import RedisStore  # noqa: PLC0415 - see above

    try:
        redis = Redis(url, min_replicas=settings.min_replicas, timeout=settings.timeout_ms / 1000)
    except ValueError:
        # Such messages quote pieces of the URL, and one of them may be the password.
        raise ConfigurationError(
            "SIDESTEP_STORE is no URL that can be read; set it to 'redis://HOST:PORT', with what is neither "
            "letter nor digit in a password written as %XX."
        ) from None
    return RedisStore(redis, clock, shards=settings.shards, prefix=settings.prefix)


def _can_be_a_file(path: str) -> bool:
    """Whether a path ends in a name: not where it is empty, the root folder, or no path at all."""
    try:
        return bool(path and Path(path).resolve().name)
    except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL
        return False
