"""What a node says of itself (INFO), as far as the store cares."""

from collections.abc import Mapping
from dataclasses import dataclass


def parse_info(text: bytes) -> dict[str, str]:
    """INFO's lines `name:value` as a dict; headings are left out."""
    pairs = (line.split(":", 1) for line in text.decode(errors="replace").splitlines() if ":" in line)
    return {name: value for name, value in pairs if not name.startswith("#")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One primary. Sizes are bytes; `maxmemory` 0 means no limit."""

    where: str
    product: str
    version: tuple[int, ...]
    used_memory: int
    maxmemory: int
    policy: str
    append_only: bool
    replicas: int


def facts_of(info: Mapping[str, str]) -> Facts:
    """Read what `Redis.info` returned for a node. Valkey names its own version; it also claims to be a Redis
    7.2, which is what it is compatible with.
    """
    product, version = "Redis", info.get("redis_version", "0")
    if "valkey_version" in info:
        product, version = "Valkey", info["valkey_version"]
    return Facts(
        where=info.get("sidestep_where", "?"),
        product=product,
        version=tuple(int(part) for part in version.split("-")[0].split(".") if part.isdigit()),
        used_memory=int(info.get("used_memory", 0)),
        maxmemory=int(info.get("maxmemory", 0)),
        policy=info.get("maxmemory_policy", ""),
        append_only=info.get("aof_enabled") == "1",
        replicas=int(info.get("connected_slaves", 0)),
    )
