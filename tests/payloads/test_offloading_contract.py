from pathlib import Path

import pytest

from adapters.payloads.folder import FolderPayloads
from adapters.stores.memory import MemoryStore
from adapters.stores.offload import OffloadingStore
from adapters.stores.sqlite import SqliteStore
from core.ports.store import Store
from core.testing.clock import ManualClock
from core.testing.contracts.store import StoreContract

THRESHOLD = 3
"""Bytes; nearly every batch of the contract has more."""


class TestOffloadingMemoryStore(StoreContract):
    @pytest.fixture
    def unopened(self, clock: ManualClock, tmp_path: Path) -> Store:
        return OffloadingStore(MemoryStore(clock), FolderPayloads(tmp_path / "payloads"), clock, THRESHOLD)


class TestOffloadingSqliteStore(StoreContract):
    @pytest.fixture
    def unopened(self, clock: ManualClock, tmp_path: Path) -> Store:
        store = SqliteStore(tmp_path / "store.db", clock)
        return OffloadingStore(store, FolderPayloads(tmp_path / "payloads"), clock, THRESHOLD)


class TestStoreWithPayloadsInside(StoreContract):
    @pytest.fixture
    def unopened(self, clock: ManualClock) -> Store:
        return OffloadingStore(MemoryStore(clock), None, clock, THRESHOLD)
