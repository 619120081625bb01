"""Helpers of the providers' tests: calls, open providers, single answers."""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from adapters.providers.build import build
from api.settings import load
from core.failover.outcome import Outcome
from core.graph.model import Target
from core.ports.provider import Call, Provider
from core.testing.contracts.provider_server import Answer, ProviderServer, answers
from localcloud.app import LocalCloud


def call_of(target: Target, **changes: Any) -> Call:
    """A call of `target`."""
    values: dict[str, Any] = {
        "target": target,
        "payload": {},
        "idempotency_key": "exec-1/charge/1",
        "attempt": 1,
        "timeout_ms": 5_000,
        "not_after_ms": 1_763_689_200_123,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        **changes,
    }
    return Call(**values)


@contextlib.asynccontextmanager
async def opened(provider: Provider) -> AsyncIterator[Provider]:
    """`provider`, open while the context lasts."""
    await provider.open()
    try:
        yield provider
    finally:
        await provider.close()


async def answered(server: ProviderServer, provider: Provider, target: Target, answer: Answer) -> Outcome:
    """What a call ends in that is answered with `answer`; it is answered once."""
    before = len(server.seen)
    server.behaviour = answers(answer)
    outcome = await provider.invoke(call_of(target))
    assert len(server.seen) == before + 1
    return outcome


def provider_of(name: str, base: str, **wire: Any) -> tuple[Provider, Target]:
    """A provider of that name whose functions live at `base`, and one of them."""
    own: dict[str, dict[str, Any]] = {
        "AWS": {
            "region": "eu-west-1",
            "endpoint_url": base,
            "access_key_id": "AKID",
            "secret_access_key": "secret",
        },
        "GCP": {"base_url": base, "auth": "none"},
        "AZURE": {"base_url": base},
        "HTTP": {"origins": (base,)},
    }
    target = Target(name, f"{base}/charge" if name == "HTTP" else "charge")
    return build({name: {**own[name], "allow_private_origins": (base,), **wire}})[name], target


@contextlib.asynccontextmanager
async def clouds(localcloud: LocalCloud, folder: Path) -> AsyncIterator[dict[str, Provider]]:
    """The providers as a server would have them, configured by localcloud's own environment."""
    async with contextlib.AsyncExitStack() as stack:
        built = build(load(localcloud.environment(), folder=folder).providers.plain())
        for provider in built.values():
            await provider.open()
            stack.push_async_callback(provider.close)
        yield built


async def invoke(
    providers: dict[str, Provider], cloud: str, function: str = "my-func", **changes: Any
) -> Outcome:
    values = {"not_after_ms": int(time.time() * 1000) + 60_000, **changes}
    return await providers[cloud].invoke(call_of(Target(cloud, function), **values))
