"""A small client of the control API, for the command line, the demo and tests."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import quote

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=10.0)


class ControlError(Exception):
    """The control API refused a call. `problems` lists every reason, a sentence each."""

    def __init__(self, status: int, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.status = status
        self.problems = problems


class ControlClient:
    """Made by `connect`. A call raises ControlError where refused, aiohttp.ClientError where out of reach."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def describe(self) -> dict[str, Any]:
        """The providers: port, listening or not, functions, active outages."""
        return await self._call("GET", "/")

    async def outages(self) -> dict[str, Any]:
        """The active rules of every provider."""
        return await self._call("GET", "/outages")

    async def set_outage(self, provider: str, kind: str, **options: Any) -> dict[str, Any]:
        """Start a rule; it is in force when this returns. Options: see `localcloud.rules.Rule`."""
        return await self._call("PUT", f"/outages/{quote(provider, safe='')}", body={"kind": kind, **options})

    async def replace_outages(self, rules: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
        """Make these all rules of all providers, at once; they are in force when this returns.

        A provider that is not named has none afterwards, and a rule that is active just so goes on.
        """
        return await self._call("PUT", "/outages", body={name: list(own) for name, own in rules.items()})

    async def clear(self, provider: str | None = None, rule: str | None = None) -> int:
        """End one rule, a provider's, or all; returns how many ended."""
        path = "/outages" + "".join(f"/{quote(part, safe='')}" for part in (provider, rule) if part)
        return cast("int", (await self._call("DELETE", path))["ended"])

    async def ledger(self, **filters: str | int) -> list[dict[str, Any]]:
        """Every run that matches, oldest first. Filters: provider, function, key, after."""
        runs: list[dict[str, Any]] = []
        query = {name: str(value) for name, value in filters.items()}
        while True:
            page = await self._call("GET", "/ledger", query={"limit": "5000", **query})
            runs += page["entries"]
            if page["next"] is None:
                return runs
            query["after"] = str(page["next"])

    async def runs_by_key(self, **filters: str | int) -> dict[str, list[dict[str, Any]]]:
        """The runs that match by idempotency key, each key's oldest first; those without one are left out."""
        by_key: dict[str, list[dict[str, Any]]] = {}
        for run in await self.ledger(**filters):
            if run["idempotencyKey"] is not None:
                by_key.setdefault(run["idempotencyKey"], []).append(run)
        return by_key

    async def summary(self) -> dict[str, Any]:
        """Exact counts by provider and function, and the keys that ran more than once."""
        return await self._call("GET", "/ledger/summary")

    async def clear_ledger(self) -> None:
        """Forget every run."""
        await self._call("DELETE", "/ledger")

    async def _call(
        self, method: str, path: str, *, body: object = None, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        async with self._session.request(method, self._url + path, json=body, params=query) as response:
            answer: dict[str, Any] = await response.json()
            if response.status >= 400:  # noqa: PLR2004 - the HTTP classes
                raise ControlError(response.status, answer["problems"])
            return answer


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[ControlClient]:
    """Open a client of the control API at `url`."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        yield ControlClient(session, url)
