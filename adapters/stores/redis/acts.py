"""The scripts by name, run where their shard is.

While an operator moves a slot of a Cluster from node to node, some of its keys are here and some there, and a
script that ran on either would miss some. Scripts build the names of most keys themselves, so Redis could not
see that; hence each is given a second key that never exists. Redis then answers TRYAGAIN until the slot has
moved (Redis Cluster specification, "Multiple keys operations"), which is StoreUnavailable, and never a wrong
answer.
"""

import asyncio
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from adapters.stores.redis.client import Redis, Script
from adapters.stores.redis.keys import Keys
from core.errors import StoreError, StoreUnavailable

Argument = bytes | str | float


def read_scripts() -> dict[str, Script]:
    """Every script that is shipped beside this module, by its file's name without `.lua`."""
    folder = resources.files(__package__) / "scripts"
    return {
        file.name.removesuffix(".lua"): Script(file.name.removesuffix(".lua"), file.read_text("utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".lua")
    }


class Acts:
    """Runs scripts, and makes consumer groups that an operator's accident took away."""

    def __init__(self, redis: Redis, keys: Keys, scripts: Mapping[str, Script]) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts

    @property
    def ring(self) -> str:
        """What scripts are told of rings for tickets: on one node a blocking read hears of them unasked."""
        return "1" if self._redis.is_cluster else ""

    async def run(self, name: str, base: str, *args: Argument, write: bool = True) -> Any:
        """One act in one slot. Raises StoreUnavailable, StoreFull."""
        try:
            return await self._redis.script(self._scripts[name], self._guarded(base), args, write=write)
        except StoreError as error:
            await self.mend(error)
            raise

    async def everywhere(
        self,
        name: str,
        args: Sequence[Argument],
        each: Sequence[Argument] = (),
        *,
        shards: Sequence[int] | None = None,
        write: bool = True,
        partly: bool = False,
    ) -> list[Any]:
        """One act in every shard, or in `shards`: a single call on one node, a call a shard on a cluster.
        `each` holds one more argument for each shard. What came back, call by call.

        With `partly`, the answer of a shard that is away is its StoreUnavailable, where others answered.
        """
        script, bases = self._scripts[name], self._keys.bases
        if shards is not None:
            bases = tuple([bases[shard] for shard in shards])
        try:
            if not self._redis.is_cluster:
                return [await self._redis.script(script, bases, (*args, *each), write=write)]
            said = await asyncio.gather(
                *(
                    self._redis.script(
                        script, self._guarded(base), (*args, *each[place : place + 1]), write=write
                    )
                    for place, base in enumerate(bases)
                ),
                return_exceptions=True,
            )
            _raise_failure(said, partly=partly)
        except StoreError as error:
            await self.mend(error)
            raise
        return said

    def _guarded(self, base: str) -> tuple[str, ...]:
        return (base, f"{base}moving") if self._redis.is_cluster and base.endswith("}:") else (base,)

    async def make_groups(self) -> None:
        """Make the consumer groups that are missing; a shard that is away gets its own when it is missed.

        No replica is waited for: a group that a failover loses is made anew as well.
        """
        await self.everywhere("groups", (), write=False, partly=True)

    async def mend(self, error: StoreError) -> None:
        """Make the groups anew where `error` says that one is missing, and raise StoreUnavailable then."""
        if "NOGROUP" in str(error):
            await self.make_groups()
            raise StoreUnavailable("the tickets' consumer group was missing and was made anew") from error


def _raise_failure(said: Sequence[Any], *, partly: bool) -> None:
    """Raise what is among the answers; with `partly`, what is worse than some shards away."""
    failed = [answer for answer in said if isinstance(answer, BaseException)]
    for error in failed:
        if not (partly and isinstance(error, StoreUnavailable) and len(failed) < len(said)):
            raise error
