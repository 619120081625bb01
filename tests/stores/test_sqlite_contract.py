from pathlib import Path

import pytest

from adapters.stores.sqlite import SqliteStore
from core.ports.store import Store
from core.testing.clock import ManualClock
from core.testing.contracts.store import StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def unopened(self, clock: ManualClock, tmp_path: Path) -> Store:
        return SqliteStore(tmp_path / "store.db", clock)
