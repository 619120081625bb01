"""Which store a URL names, and what is said of one that names none."""

import pytest

from adapters.clock import SystemClock
from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import SqliteStore
from api.bootstrap import open_store
from core.errors import ConfigurationError


@pytest.mark.parametrize(
    "url", ["", "sqlite:", "sqlite:/", "sqlite://", "sqlite:///", "sqlite:/..", "sqlite:a\0b", "other:x"]
)
def test_a_url_that_names_no_file_is_refused_in_a_sentence_that_says_what_to_write(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:PATH"):
        open_store(url, SystemClock())


def test_a_password_in_a_wrong_url_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_store("mysql://user:hunter2@host/db", SystemClock())
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "kind"),
    [("memory:", MemoryStore), ("sqlite:store.db", SqliteStore), ("sqlite:///tmp/store.db", SqliteStore)],
)
def test_a_url_that_names_a_store_makes_that_store(url: str, kind: type) -> None:
    assert isinstance(open_store(url, SystemClock()), kind)
