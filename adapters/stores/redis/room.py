"""Whether there is memory left for creations, as Redis says about once a second."""

from collections.abc import Iterable, Mapping

SHARE = 0.85
"""Of `maxmemory`: above it nothing new is accepted, so that what was accepted can still commit."""


def full(infos: Iterable[Mapping[str, str]]) -> str | None:
    """The sentence that creations are refused with, or None. `infos` are the primaries' INFO."""
    for info in infos:
        limit = int(info.get("maxmemory", 0))
        used = int(info.get("used_memory", 0))
        if limit and used > SHARE * limit:
            return (
                f"Redis uses {used * 100 // limit} % of its memory ({limit} bytes), and the rest is kept for "
                "the executions that were accepted before: remove old executions, or raise maxmemory"
            )
    return None
