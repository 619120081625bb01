"""Reading the client's URLs, and what errors of Redis are taken for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.stores.redis.address import Kind, parse
from adapters.stores.redis.client import Redis, ScriptRefused
from adapters.stores.redis.facts import facts_of, parse_info
from adapters.stores.redis.line import LONGEST_PAUSE, Backoff
from adapters.stores.redis.replies import judge
from core.errors import ConfigurationError, StoreError, StoreFull, StoreUnavailable


def test_each_form_of_url_is_read() -> None:
    one = parse("redis://me:p%40ss@cache.example:7000/3")
    assert (one.kind, one.node.host, one.node.port, one.node.db) == (Kind.SINGLE, "cache.example", 7000, 3)
    assert (one.node.username, one.node.password, one.node.tls) == ("me", "p@ss", None)
    assert parse("redis://cache.example").node.port == 6379
    assert parse("redis://:p@h").node.username is None
    assert parse("redis://[::1]:7").node.host == "::1"
    assert parse("redis://[::1]:7").node.where == "[::1]:7"
    assert parse("rediss://cache.example").node.tls is not None
    assert parse("unix:///run/redis.sock?db=2").node.path == "/run/redis.sock"
    assert parse("unix:///run/redis.sock?db=2").node.db == 2
    watched = parse("redis+sentinel://:p@a:1,b/main?db=4&sentinel_password=q")
    assert (watched.kind, watched.name, watched.node.db) == (Kind.SENTINEL, "main", 4)
    assert [(dial.host, dial.port, dial.db) for dial in watched.dials] == [("a", 1, 0), ("b", 26379, 0)]
    assert (watched.dials[0].password, watched.node.password) == ("q", "p")
    spread = parse("rediss+cluster://:p@a:1,b:2")
    assert [dial.where for dial in spread.dials] == ["a:1", "b:2"]
    assert all(dial.tls and dial.password == "p" for dial in spread.dials)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://:s3cret@host",
        "redis://:s3cret@",
        "redis://:s3cret@host:99999",
        "redis://:s3cret@host:port",
        "redis://:s3cret@host/s3cret",
        "redis://:s3cret@host/-1",
        "redis://:s3cret@one,two",
        "redis://:s3cret@host?s3cret=1",
        "redis://:s3cret@host?ca=/s3cret",
        "rediss://:s3cret@host?ca=/s3cret",
        "redis://:s3cret@[host",
        "redis+sentinel://:s3cret@host",
        "redis+sentinel://:s3cret@host/a/b",
        "redis+cluster://:s3cret@host/1",
        "redis+cluster://:s3cret@host?db=1",
        "unix://:s3cret@host",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Redis(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(st.text(max_size=60))
def test_any_text_is_either_a_url_or_a_mistake_of_configuration(text: str) -> None:
    for url in (text, f"redis://{text}", f"redis+sentinel://{text}", f"redis+cluster://{text}"):
        try:
            place = parse(url)
        except ConfigurationError:
            continue
        assert place.dials


def test_a_place_never_shows_its_secrets() -> None:
    assert "s3cret" not in repr(parse("redis+sentinel://:s3cret@a/main?sentinel_password=s3cret"))


@pytest.mark.parametrize(
    "text",
    [
        "LOADING Redis is loading the dataset in memory",
        "READONLY You can't write against a read only replica.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "NOREPLICAS Not enough good replicas to write.",
        "BUSY Redis is busy running a script.",
        "UNKILLABLE Sorry the script already executed write commands against the dataset.",
        "MISCONF Errors writing to the AOF file: No space left on device",
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        "NOPERM this user has no permissions to run the 'evalsha' command",
        "ERR max number of clients reached",
        # Redis 6.2 wraps what a call inside a script met.
        (
            "ERR Error running script (call to f_6b1bf486c81ceb7edf3c093f4c48582e38c0e791): @user_script:1:"
            " @user_script: 1: -READONLY You can't write against a read only replica."
        ),
        "ERR Error running script (call to f_6b1b): @user_script:1: @user_script: 1: -NOREPLICAS Not enough.",
    ],
)
def test_what_passes_is_unavailable(text: str) -> None:
    error = judge(text, "h:1")
    assert type(error) is StoreUnavailable
    assert str(error).startswith("Redis at h:1 ")


@pytest.mark.parametrize(
    "text",
    [
        "OOM command not allowed when used memory > 'maxmemory'.",
        (
            "ERR Error running script (call to f_6b1b): @user_script:1: @user_script: 1: -OOM command not"
            " allowed when used memory > 'maxmemory'."
        ),
    ],
)
def test_a_full_memory_is_full(text: str) -> None:
    assert type(judge(text, "h:1")) is StoreFull


def test_a_refusal_and_a_mistake_are_apart() -> None:
    refused = judge("SIDESTEP_OWNER 7", "h:1")
    assert isinstance(refused, ScriptRefused)
    assert (refused.code, refused.detail) == ("SIDESTEP_OWNER", "7")
    mistake = judge("WRONGTYPE Operation against a key holding the wrong kind of value" + "x" * 5000, "h:1")
    assert type(mistake) is StoreError
    assert len(str(mistake)) < 300


def test_pauses_grow_to_a_limit_and_begin_again() -> None:
    backoff = Backoff()
    first, *_, last = [backoff.pause() for _ in range(20)]
    assert first < 0.05
    assert LONGEST_PAUSE / 2 <= last <= LONGEST_PAUSE
    backoff.reset()
    assert backoff.pause() < 0.05


def test_valkey_is_known_by_its_own_version() -> None:
    facts = facts_of(
        parse_info(b"# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\nused_memory:5\r\n")
    )
    assert (facts.product, facts.version, facts.used_memory, facts.append_only) == (
        "Valkey",
        (8, 0, 1),
        5,
        False,
    )
