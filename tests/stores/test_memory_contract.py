import pytest

from adapters.stores.memory import MemoryStore
from core.ports.store import Store
from core.testing.clock import ManualClock
from core.testing.contracts.store import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def unopened(self, clock: ManualClock) -> Store:
        return MemoryStore(clock)
