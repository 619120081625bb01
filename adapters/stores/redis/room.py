"""Whether Redis has safe room for creations, as Redis says about once a second."""

from collections.abc import Iterable, Mapping

SHARE = 0.85
"""Of `maxmemory`: above it nothing new is accepted, so that what was accepted can still commit."""


def evicts(info: Mapping[str, str]) -> str | None:
    """What is wrong with a Redis that makes room by throwing keys away, in a sentence, or None."""
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return None
    return (
        f"Redis would throw executions away when its memory is full (maxmemory-policy {policy}): "
        "set maxmemory-policy to noeviction"
    )


def full(infos: Iterable[Mapping[str, str]]) -> str | None:
    """The sentence that creations are refused with, or None. `infos` are the primaries' INFO.

    A Redis that has come to evict since the store was opened is given nothing more to lose.
    """
    for info in infos:
        if (evicting := evicts(info)) is not None:
            return evicting
        limit = int(info.get("maxmemory", 0))
        used = int(info.get("used_memory", 0))
        if limit and used > SHARE * limit:
            return (
                f"Redis uses {used * 100 // limit} % of its memory ({limit} bytes), and the rest is kept for "
                "the executions that were accepted before: remove old executions, or raise maxmemory"
            )
    return None
