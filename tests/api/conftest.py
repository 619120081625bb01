from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.serving import Server, serving, store_url


@pytest.fixture(params=["memory", "sqlite"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    """A server over each of the two stores."""
    async with serving(store_url(request.param, tmp_path)) as running:
        yield running


@pytest.fixture
async def light() -> AsyncIterator[Server]:
    """A server over the memory store, where the store makes no difference."""
    async with serving() as running:
        yield running
