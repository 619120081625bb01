"""The contract of the store port: every adapter passes it.

A binding is a fixture::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def unopened(self, clock):
            return MyStore(clock)
"""

import pytest

from core.testing.contracts.store_claims import ClaimsContract
from core.testing.contracts.store_creation import CreationContract
from core.testing.contracts.store_journal import JournalContract
from core.testing.contracts.store_lists import ListsContract
from core.testing.contracts.store_removal import RemovalContract


@pytest.mark.asyncio
class StoreContract(CreationContract, ClaimsContract, JournalContract, ListsContract, RemovalContract):
    """Every sentence of `core.ports.store`, as a test."""
