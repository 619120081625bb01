"""Which store a URL names, and what is said of one that names none."""

import pytest

from adapters.clock import SystemClock
from adapters.stores.memory import MemoryStore
from adapters.stores.redis.store import RedisStore
from adapters.stores.sqlite import SqliteStore
from api.bootstrap import check_shared, open_store
from api.settings import RedisSection, Settings
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


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@127.0.0.1:6379/3",
        "rediss://ada:hunter2@cache.example:6380",
        "unix:///run/redis.sock",
        "redis+sentinel://:hunter2@127.0.0.1:26379,127.0.0.1:26380/main",
        "redis+cluster://127.0.0.1:7000,127.0.0.1:7001",
    ],
)
def test_each_way_to_a_redis_makes_its_store_and_calls_nobody(url: str) -> None:
    store = open_store(url, SystemClock(), RedisSection(prefix="mine", shards=8, timeout_ms=500))
    assert isinstance(store, RedisStore)
    assert "hunter2" not in repr(store)


@pytest.mark.parametrize(
    "url",
    [
        "redis:",
        "redis:hunter2",
        "redis://",
        "redis://:hunter2@localhost:port",
        "redis://:hunter2/@localhost:6379",
        "redis://:hunter2@localhost:99999",
        "redis+sentinel://:hunter2@localhost:26379",
        "redis+cluster://",
        "redis://[hunter2",
        "redis+nothing://hunter2@localhost",
    ],
)
def test_a_wrong_url_of_redis_is_a_sentence_that_says_what_to_write(url: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://") as raised:
        open_store(url, SystemClock())
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("url", ["memory:", "sqlite:a.db", "sqlite:/hunter2/a.db"])
def test_several_processes_are_refused_a_store_for_one(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is for one process") as raised:
        check_shared(url, "A worker of its own")
    assert "hunter2" not in str(raised.value)
    check_shared("redis://localhost", "A worker of its own")


def test_the_settings_do_not_show_the_url_of_their_store() -> None:
    assert "hunter2" not in repr(Settings(store="redis://:hunter2@localhost"))
