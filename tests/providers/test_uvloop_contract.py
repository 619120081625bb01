"""The same contract on uvloop, on which the server runs: connecting and closing differ there."""

import asyncio
import inspect

import pytest
import uvloop

from core.testing.contracts.provider import ProviderContract
from tests.providers import test_http_contract as binding  # the module: its class would be collected here

CASES = [
    name
    for name, method in inspect.getmembers(binding.TestHttp, inspect.iscoroutinefunction)
    if name.startswith("test_")
]


@pytest.mark.parametrize("name", CASES)
def test_the_contract_holds_on_uvloop(name: str) -> None:
    suite: ProviderContract = binding.TestHttp()

    async def on_uvloop() -> None:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        await getattr(suite, name)()

    uvloop.run(on_uvloop())
