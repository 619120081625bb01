"""Fixtures for every folder of tests that needs the clouds: import them in its `conftest.py`."""

from collections.abc import AsyncIterator

import pytest

from localcloud.app import LocalCloud
from localcloud.client import ControlClient, connect
from localcloud.settings import LocalCloudSettings


@pytest.fixture
async def localcloud() -> AsyncIterator[LocalCloud]:
    """A local cloud of its own for each test, on free ports, with the demo's functions."""
    async with LocalCloud(LocalCloudSettings(port=0)) as cloud:
        yield cloud


@pytest.fixture
async def control(localcloud: LocalCloud) -> AsyncIterator[ControlClient]:
    """A client of that cloud's control API."""
    async with connect(localcloud.control_url) as client:
        yield client
