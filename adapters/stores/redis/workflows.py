"""Registered workflows and definitions in Redis."""

import asyncio

from adapters.stores import rules
from adapters.stores.redis.acts import Acts
from adapters.stores.redis.client import Redis
from adapters.stores.redis.keys import Keys
from core.ports.store import WorkflowVersion


class Workflows:
    """Versions, under a hash tag of their own: one hash a workflow, one of all definitions."""

    def __init__(self, redis: Redis, acts: Acts, keys: Keys) -> None:
        self._redis = redis
        self._acts = acts
        self._keys = keys
        self._base = keys.workflows
        self._definitions = f"{keys.workflows}d"

    async def put(self, workflow_id: str, digest: str, definition: bytes, at_ms: int) -> WorkflowVersion:
        """As the port's `put_workflow` says."""
        rules.check_text(workflow_id, digest)
        said = await self._acts.run("register", self._base, workflow_id, digest, definition, at_ms)
        return WorkflowVersion(
            workflow_id=workflow_id,
            version=int(said[0]),
            digest=said[1].decode(),
            definition=definition,
            created_at_ms=int(said[2]),
        )

    async def get(self, workflow_id: str, version: int | None) -> WorkflowVersion:
        """As the port's `get_workflow` says."""
        rules.check_text(workflow_id)
        key = f"{self._base}v:{workflow_id}"
        number = version
        if number is None:
            number = int(await self._redis.call(key, "HGET", key, "n") or 0)
        digest, at_ms = await self._redis.call(key, "HMGET", key, f"{number}d", f"{number}a")
        if digest is None:
            asked = "" if version is None else f" in version {version}"
            raise rules.unknown_workflow(f"{workflow_id!r}{asked}")
        return WorkflowVersion(
            workflow_id=workflow_id,
            version=number,
            digest=digest.decode(),
            definition=await self._redis.call(self._definitions, "HGET", self._definitions, digest),
            created_at_ms=int(at_ms),
        )

    async def versions(self, workflow_id: str) -> tuple[WorkflowVersion, ...]:
        """As the port's `workflow_versions` says."""
        newest = await self.get(workflow_id, None)
        older = await asyncio.gather(*(self.get(workflow_id, n) for n in range(newest.version - 1, 0, -1)))
        return (newest, *older)

    async def page(self, cursor: str | None, limit: int) -> tuple[WorkflowVersion, ...]:
        """As the port's `workflows` says."""
        rules.check_limit(limit)
        rules.check_text(cursor)
        key = f"{self._base}ids"
        lower = "-" if cursor is None else f"({cursor}"
        ids = await self._redis.call(key, "ZRANGEBYLEX", key, lower, "+", "LIMIT", 0, limit)
        return tuple(await asyncio.gather(*(self.get(name.decode(), None) for name in ids)))

    async def definition(self, digest: str, execution_id: str | None) -> bytes:
        """As the port says. Without an execution all shards are asked, where no workflow has it."""
        rules.check_text(digest, execution_id)
        if execution_id is not None:
            key = f"{self._keys.base(execution_id)}d:{digest}"
            found = await self._redis.call(key, "GET", key)
            if found is not None:
                return bytes(found)
        found = await self._redis.call(self._definitions, "HGET", self._definitions, digest)
        if found is None and execution_id is None:
            places = [f"{base}d:{digest}" for base in self._keys.bases]
            copies = await asyncio.gather(*(self._redis.call(place, "GET", place) for place in places))
            found = next((copy for copy in copies if copy is not None), None)
        if found is None:
            raise rules.unknown_workflow(f"with digest {digest!r}")
        return bytes(found)
