"""What is checked when a Redis store is opened, each refusal one sentence that says what to do."""

import logging
from collections.abc import Mapping

from adapters.stores.redis import room
from adapters.stores.redis.client import Redis
from adapters.stores.redis.keys import meta_key
from core.errors import ConfigurationError, StoreMismatch, StoreUnavailable

_log = logging.getLogger("sidestep.stores.redis")

FORMAT = 1
"""The version of the layout of keys. Another one is never touched."""

DEFAULT_SHARDS = 64
MOST_SHARDS = 4096

_OLDEST = (6, 2)


def check_server(info: Mapping[str, str]) -> None:
    """Refuse a server that could lose work, and warn of one that keeps nothing over a restart.

    Raises StoreMismatch for a Redis older than 6.2, ConfigurationError for one that evicts.
    """
    version = info.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST:
        raise StoreMismatch(f"Redis {version} is too old: upgrade it to 6.2 or later, or use Valkey")
    if (evicts := room.evicts(info)) is not None:
        raise ConfigurationError(evicts)
    if info.get("aof_enabled") == "0":
        _log.warning(
            "Redis does not write an append-only file, so a restart of it loses what happened since its last "
            "snapshot: set appendonly to yes"
        )


async def check_channels(redis: Redis, prefix: str, channel: str) -> None:
    """Refuse a user who may not publish: a script that rings would fail after it has written.

    Users with access lists have no channels unless they are given some, since Redis 7. In a Cluster every
    node takes what is published, so the one is asked that has just been read from: another may be down.
    """
    try:
        await redis.call(meta_key(prefix), "PUBLISH", channel, b"")
    except StoreUnavailable as error:
        if "does not permit" not in str(error):
            raise
        raise ConfigurationError(
            "this user of Redis may not publish on the store's channels: give it the prefix's channels, such "
            "as &sidestep:*, beside its keys"
        ) from None


async def agree_on_shards(redis: Redis, prefix: str, wanted: int | None) -> int:
    """The number of shards of the store under `prefix`, which is fixed by whoever opens it first.

    Raises StoreMismatch where it was made with another number or another layout.
    """
    key = meta_key(prefix)
    if wanted is not None and not 1 <= wanted <= MOST_SHARDS:
        raise ConfigurationError(f"the number of shards must be 1 to {MOST_SHARDS}, not {wanted}")
    layout, shards = await redis.call(key, "HMGET", key, "format", "shards")
    if layout is None or shards is None:
        await redis.call(key, "HSETNX", key, "format", FORMAT, write=True)
        await redis.call(key, "HSETNX", key, "shards", wanted or DEFAULT_SHARDS, write=True)
        layout, shards = await redis.call(key, "HMGET", key, "format", "shards")
    if layout != b"%d" % FORMAT:
        raise StoreMismatch(
            f"the store in Redis has layout {layout.decode()} and this version knows layout {FORMAT}: run "
            "the version that made it, or use another prefix"
        )
    if wanted is not None and int(shards) != wanted:
        raise StoreMismatch(
            f"the store in Redis has {int(shards)} shards, not {wanted}, and that cannot be changed: set "
            f"SIDESTEP_REDIS__SHARDS to {int(shards)} or leave it unset, or choose another "
            "SIDESTEP_REDIS__PREFIX"
        )
    return int(shards)
