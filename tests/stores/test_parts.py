"""The parts that stores share: timers, the desk's bookkeeping, the doorbell, messages as bytes."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.stores.desk import Desk
from adapters.stores.doorbell import InProcessDoorbell
from adapters.stores.rules import decode_message, encode_message
from adapters.stores.timers import NOWHERE, Due, Timers
from core.ports.doorbell import Topic
from core.ports.store import Message
from core.testing.clock import ManualClock


class Index:
    """All timers, as a host's index has them, and a window on the nearest."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.rows: dict[str, int] = {}
        self.timers = Timers(window)

    def refill(self) -> None:
        horizon = self.timers.horizon
        if horizon is None:
            return
        rows = sorted((wake, id_) for id_, wake in self.rows.items() if (wake, id_) > horizon)
        read = [Due(id_, wake, 0) for wake, id_ in rows[: self.window // 2]]
        self.timers.refill(read, horizon, (), complete=len(rows) <= self.window // 2)

    def pop_due(self, now: int) -> list[str]:
        found: list[str] = []
        while True:
            found += [due.execution_id for due in self.timers.pop_due(now)]
            for id_ in found:
                self.rows.pop(id_, None)
            if not self.timers.exhausted:
                return found
            self.refill()


@given(
    st.integers(2, 6),
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), st.integers(0, 9), st.integers(0, 30)),
            st.tuples(st.just("discard"), st.integers(0, 9), st.just(0)),
            st.tuples(st.just("pop"), st.integers(0, 30), st.just(0)),
            st.tuples(st.just("refill"), st.just(0), st.just(0)),
        ),
        max_size=60,
    ),
)
def test_a_window_on_the_timers_fires_what_all_of_them_would(
    window: int, acts: list[tuple[str, int, int]]
) -> None:
    index = Index(window)
    for act, number, wake in acts:
        id_ = f"x{number}"
        if act == "set":
            index.rows[id_] = wake
            earliest = index.timers.set(Due(id_, wake, 0))
            if earliest:
                assert (wake, id_) == min((wake, id_) for id_, wake in index.rows.items())
        elif act == "discard":
            index.rows.pop(id_, None)
            index.timers.discard(id_)
        elif act == "pop":
            expected = [id_ for wake, id_ in sorted((w, i) for i, w in index.rows.items()) if wake <= number]
            assert index.pop_due(number) == expected
            if index.rows:
                assert index.timers.next_ms() == min(index.rows.values())
        else:
            index.refill()
        assert len(index.timers) <= window


def test_setting_and_discarding_far_timers_for_ever_does_not_grow() -> None:
    timers = Timers()
    for i in range(10_000):
        timers.set(Due("x", 1_000_000 + i, 0))
        timers.discard("x")
    assert len(timers._heap) < 200


def test_a_refill_that_was_overtaken_is_ignored() -> None:
    timers = Timers(window=4)
    timers.refill([Due("a", 1, 0), Due("b", 2, 0)], NOWHERE, (), complete=False)
    timers.refill([Due("z", 0, 0)], NOWHERE, (), complete=True)
    assert [due.execution_id for due in timers.pop_due(100)] == ["a", "b"]
    assert timers.exhausted


def test_a_refill_leaves_out_what_has_a_ticket() -> None:
    timers = Timers(window=4)
    timers.refill([Due("a", 1, 0), Due("b", 2, 0)], NOWHERE, {"a"}, complete=True)
    assert [due.execution_id for due in timers.pop_due(100)] == ["b"]


def test_leases_that_are_renewed_for_ever_do_not_grow_the_desk() -> None:
    clock = ManualClock()
    desk = Desk(clock, Timers())
    desk.issue("x", 0)
    claims = desk.claim("o", 1, 10.0)
    for _ in range(10_000):
        clock.advance(3)
        claims = desk.renew(claims, 10.0)
        assert desk.claim("other", 1, 10.0) == ()
    assert len(desk._leases) == 1
    assert len(desk._ready) == 0


def test_a_doorbell_rings_who_listens_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    doorbell = InProcessDoorbell()
    heard: list[str] = []
    end = doorbell.subscribe(Topic.WORK, heard.append)
    end_again = doorbell.subscribe(Topic.WORK, heard.append)
    doorbell.subscribe(Topic.INBOX, lambda id_: heard.append(f"inbox {id_}"))
    doorbell.ring(Topic.WORK, "a")
    end()
    end()
    doorbell.ring(Topic.WORK, "b")
    end_again()
    doorbell.ring(Topic.WORK, "c")
    doorbell.ring(Topic.INBOX, "d")
    doorbell.ring(Topic.JOURNAL, "e")
    assert heard == ["a", "a", "b", "inbox d"]
    assert not caplog.records


def test_who_wants_some_statuses_is_rung_for_those_and_where_none_is_known() -> None:
    doorbell = InProcessDoorbell()
    some: list[str] = []
    every: list[str] = []
    doorbell.subscribe(Topic.JOURNAL, some.append, "x", {"ENDED"})
    doorbell.subscribe(Topic.JOURNAL, every.append, "x")
    for status in ("GOING", "ENDED", None):
        doorbell.ring(Topic.JOURNAL, "x", status)
    assert (some, every) == (["x"] * 2, ["x"] * 3)


def test_a_listener_that_raises_is_logged_and_the_others_hear(caplog: pytest.LogCaptureFixture) -> None:
    doorbell = InProcessDoorbell()
    heard: list[str] = []
    doorbell.subscribe(Topic.WORK, lambda id_: [][len(id_)])
    doorbell.subscribe(Topic.WORK, heard.append)
    with caplog.at_level(logging.ERROR):
        doorbell.ring(Topic.WORK, "a")
    assert heard == ["a"]
    assert "a listener of work failed" in caplog.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.text(), st.text())
def test_any_json_body_is_kept_as_it_is(body: object, id_: str, actor: str) -> None:
    said = Message(message_id=id_, kind="signal", body=body, actor=actor, sent_at_ms=5)
    assert decode_message(encode_message(said)) == said
