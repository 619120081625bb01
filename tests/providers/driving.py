"""Helpers of the providers' tests: calls, open providers, single answers."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from core.failover.outcome import Outcome
from core.graph.model import Target
from core.ports.provider import Call, Provider
from core.testing.contracts.provider_server import Answer, ProviderServer, answers


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
