"""The contract of the health link: every link passes it.

A binding has a fixture `host`, whatever links of one host share, open. All that `make` returns are replicas
to one another; what `after_a_restart` returns is the first link of a new process on the same store::

    class TestMyLink(LinkContract):
        @pytest_asyncio.fixture
        async def host(self):
            ...

        def clock(self, host): ...
        def make(self, host): ...
        async def pass_time(self, host, units): ...
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from core.errors import InvalidInput, StoreUnavailable
from core.failover.breaker import Breaker, Phase
from core.failover.health import DRAINED, FORCED_OPEN, Place
from core.graph.model import Target
from core.ports.clock import Clock
from core.ports.link import (
    MOST_OVERRIDES,
    Beat,
    HealthEvent,
    HealthLink,
    Kept,
    Key,
    News,
    NumberedEvent,
    Override,
    Tally,
)

CHARGE = Target("AWS", "arn:aws:lambda:eu-west-1:1:function:charge", "eu-west-1")
MAIL = Target("GCP", "mail")
PLACE: Place = ("AWS", "eu-west-1")
WINDOW = 10
_HEARS_SECONDS = 2.0


def event(kind: str = "BREAKER_OPENED", why: str = "5 of 5 failed", at: int = 1) -> HealthEvent:
    """An event of AWS."""
    return HealthEvent(at=at, kind=kind, provider="AWS", region="eu-west-1", why=why, replica="a")


def kept(key: Key = CHARGE, version: int = 1, by: str = "a", phase: Phase = Phase.OPEN) -> Kept:
    """A breaker that opened."""
    breaker = Breaker(phase=phase, since=5, why="5 of 5 failed", openings=(5,), times=1, until=9_000)
    return Kept(key=key, version=version, breaker=breaker, by=by)


class Heard:
    """What a link's subscriber heard."""

    def __init__(self, link: HealthLink) -> None:
        self.news: list[News] = []
        self._more = asyncio.Event()
        self.end = link.subscribe(self._hear)

    def _hear(self, news: News) -> None:
        self.news.append(news)
        self._more.set()

    async def until(self, check: Callable[[list[News]], bool]) -> None:
        """Wait until what was heard passes."""
        async with asyncio.timeout(_HEARS_SECONDS):
            while not check(self.news):
                self._more.clear()
                await self._more.wait()


@pytest.mark.asyncio
class LinkContract:
    """Every sentence of `core.ports.link`, as a test. `unit` is a second, or less where it must be waited
    for.
    """

    unit: float = 1.0

    def clock(self, host: Any) -> Clock:
        """The clock that the host's links have."""
        raise NotImplementedError

    def make(self, host: Any) -> HealthLink:
        """A link that was not opened yet, another replica to all others of this host."""
        raise NotImplementedError

    def after_a_restart(self, host: Any) -> HealthLink:
        """A link on the same store that shares nothing else with the others."""
        return self.make(host)

    async def pass_time(self, host: Any, units: float) -> None:
        """Let that many units go by."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def link(self, host: Any) -> AsyncIterator[HealthLink]:
        link = self.make(host)
        await link.open()
        yield link
        await link.close()

    @pytest_asyncio.fixture
    async def other(self, host: Any, link: HealthLink) -> AsyncIterator[HealthLink]:
        other = self.make(host)
        assert other is not link
        await other.open()
        yield other
        await other.close()

    def second(self, host: Any) -> int:
        return self.clock(host).now_ms() // 1000

    def override(
        self, host: Any, state: str = DRAINED, region: str | None = None, units: float = 10_000.0
    ) -> Override:
        now = self.clock(host).now_ms()
        return Override(
            provider="AWS",
            state=state,
            reason="a drill",
            actor="ann",
            at=now,
            until=now + round(1000 * units * self.unit),
            region=region,
        )

    # Tallies

    async def test_a_beat_tells_the_others_sums_without_mine(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        third, now = self.make(host), self.second(host)
        await third.open()
        try:
            mine = {now: {CHARGE: Tally(calls=9, failures=9, faults=9)}}
            assert (await link.beat("a", mine, WINDOW)).tallies == {}
            await other.beat("b", {now: {CHARGE: Tally(calls=5, failures=3), MAIL: Tally(calls=2)}}, WINDOW)
            await third.beat("c", {now: {CHARGE: Tally(calls=1, faults=1)}}, WINDOW)
            assert (await link.beat("a", {}, WINDOW)).tallies == {
                now: {CHARGE: Tally(calls=6, failures=3, faults=1), MAIL: Tally(calls=2)}
            }
        finally:
            await third.close()

    async def test_what_is_said_of_a_second_again_is_added(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        now = self.second(host)
        await link.beat("a", {now: {CHARGE: Tally(calls=3)}}, WINDOW)
        await link.beat("a", {now: {CHARGE: Tally(calls=2, failures=4, faults=1)}}, WINDOW)
        beat = await other.beat("b", {now: {CHARGE: Tally(calls=100)}}, WINDOW)
        assert beat.tallies == {now: {CHARGE: Tally(calls=5, failures=4, faults=1)}}
        assert (await link.beat("a", {}, WINDOW)).tallies == {now: {CHARGE: Tally(calls=100)}}

    async def test_what_is_taken_back_is_negative(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        now = self.second(host)
        await link.beat("a", {now: {CHARGE: Tally(calls=3, failures=3, faults=1)}}, WINDOW)
        await link.beat("a", {now: {CHARGE: Tally(failures=-2, faults=-1)}}, WINDOW)
        beat = await other.beat("b", {}, WINDOW)
        assert beat.tallies == {now: {CHARGE: Tally(calls=3, failures=1)}}
        assert (await link.beat("a", {}, WINDOW)).tallies == {}

    async def test_a_beat_tells_of_the_window_and_no_second_before(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        now = self.second(host)
        said = {now - ago: {CHARGE: Tally(calls=1 + ago)} for ago in (0, 5, 8, 10, 11, 3_600)}
        await link.beat("a", said, WINDOW)
        heard = (await other.beat("b", {}, WINDOW)).tallies
        # A second may have begun meanwhile.
        assert {now, now - 5, now - 8} == heard.keys()
        assert heard[now - 8] == {CHARGE: Tally(calls=9)}

    async def test_the_window_is_that_of_who_asks(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        now = self.second(host)
        said = {now: {CHARGE: Tally(calls=1)}, now - 5: {CHARGE: Tally(calls=2)}}
        await link.beat("a", said, WINDOW)
        assert (await other.beat("b", {}, 4)).tallies.keys() == {now}

    async def test_what_is_far_ahead_is_not_heard(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        ahead = {self.second(host) + 3_600: {CHARGE: Tally(calls=1)}}
        await link.beat("a", ahead, WINDOW)
        assert (await other.beat("b", {}, WINDOW)).tallies == {}

    async def test_replicas_that_beat_lately_are_counted(self, link: HealthLink, other: HealthLink) -> None:
        assert (await link.beat("a", {}, WINDOW)).replicas == 1
        assert (await other.beat("b", {}, WINDOW)).replicas == 2
        assert (await link.beat("a", {}, WINDOW)).replicas == 2

    async def test_any_text_is_a_functions_name(self, host: Any, link: HealthLink, other: HealthLink) -> None:
        odd = Target("HTTP", 'https://x.test/ä?"\\\n{}[]:|', 'a b"')
        now = self.second(host)
        await link.beat("a", {now: {odd: Tally(calls=1)}}, WINDOW)
        await link.move(kept(odd), None)
        beat = await other.beat("b", {}, WINDOW)
        assert beat.tallies == {now: {odd: Tally(calls=1)}}
        assert beat.breakers == (kept(odd),)

    # Breakers

    async def test_a_breaker_that_moved_is_in_every_beat(self, link: HealthLink, other: HealthLink) -> None:
        assert await link.move(kept(), event()) == kept()
        assert await link.move(kept(PLACE), event()) == kept(PLACE)
        for one, replica in ((link, "a"), (other, "b"), (other, "b")):
            beat = await one.beat(replica, {}, WINDOW)
            assert sorted(beat.breakers, key=str) == sorted((kept(), kept(PLACE)), key=str)

    async def test_a_beat_has_what_changed_since_the_last(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        assert (await link.beat("a", {}, WINDOW)).breakers == ()
        for version in (1, 2):
            await other.move(kept(version=version), None)
            assert (await link.beat("a", {}, WINDOW)).breakers == (kept(version=version),)
        override = self.override(host)
        await other.put_override(override, event("OVERRIDE_SET"))
        assert (await link.beat("a", {}, WINDOW)).overrides == (override,)
        await other.lift_override("AWS", None, event("OVERRIDE_LIFTED"))
        assert (await link.beat("a", {}, WINDOW)).overrides == ()

    async def test_only_a_higher_version_moves_a_breaker(self, link: HealthLink, other: HealthLink) -> None:
        assert await link.move(kept(version=1, by="a"), event(why="won")) == kept(version=1, by="a")
        assert await other.move(kept(version=1, by="b"), event(why="lost")) == kept(version=1, by="a")
        ahead = kept(version=7, by="b", phase=Phase.HALF_OPEN)
        assert await other.move(ahead, event(why="ahead")) == ahead
        assert await link.move(kept(version=2), event(why="late")) == ahead
        assert (await link.beat("a", {}, WINDOW)).breakers == (ahead,)
        assert [each.event.why for each in await link.events(None, 10)] == ["ahead", "won"]

    async def test_of_two_that_move_a_breaker_at_once_one_wins(
        self, link: HealthLink, other: HealthLink
    ) -> None:
        for version in range(1, 21):
            one, two = await asyncio.gather(
                link.move(kept(version=version, by="a"), event()),
                other.move(kept(version=version, by="b"), event()),
            )
            assert one == two
            assert (one.version, one.by) in ((version, "a"), (version, "b"))
        assert len(await link.events(None, 500)) == 20

    async def test_the_version_of_a_closed_breaker_does_not_go_back(
        self, link: HealthLink, other: HealthLink
    ) -> None:
        await link.move(kept(version=1), None)
        closed = Kept(key=CHARGE, version=2, breaker=Breaker(since=7, why="all is well"), by="a")
        assert await link.move(closed, event(kind="BREAKER_CLOSED")) == closed
        assert await other.move(kept(version=1, by="b"), None) == closed
        assert await other.move(kept(version=2, by="b"), None) == closed
        assert await other.move(kept(version=3, by="b"), None) == kept(version=3, by="b")

    async def test_news_of_a_breaker_reaches_the_others(self, link: HealthLink, other: HealthLink) -> None:
        heard, mine = Heard(other), Heard(link)
        await link.move(kept(), event())
        await heard.until(lambda news: news == [News(breaker=kept())])
        # Its own comes back from the other: by then a link that heard itself would have done so.
        await other.move(kept(version=2, by="b"), event())
        await mine.until(lambda news: News(breaker=kept(version=2, by="b")) in news)
        assert mine.news == [News(breaker=kept(version=2, by="b"))]

    async def test_what_lost_is_no_news(self, link: HealthLink, other: HealthLink) -> None:
        await link.move(kept(version=3), None)
        heard = Heard(link)
        await other.move(kept(version=2, by="b"), event())
        await other.move(kept(version=4, by="b"), event())
        await heard.until(lambda news: len(news) > 0)
        assert heard.news == [News(breaker=kept(version=4, by="b"))]

    async def test_a_subscription_that_was_ended_hears_nothing(
        self, link: HealthLink, other: HealthLink
    ) -> None:
        ended, heard = Heard(other), Heard(other)
        ended.end()
        ended.end()
        await link.move(kept(), None)
        await heard.until(lambda news: len(news) == 1)
        assert ended.news == []

    # Permits

    async def test_a_permit_is_one_replicas_alone(self, link: HealthLink, other: HealthLink) -> None:
        assert await link.permit(CHARGE, "a", 60)
        assert not await other.permit(CHARGE, "b", 60)
        assert await link.permit(CHARGE, "a", 60)
        assert await other.permit(PLACE, "b", 60)
        assert await other.permit(MAIL, "b", 60)
        assert not await link.permit(PLACE, "a", 60)

    async def test_of_many_that_ask_at_once_one_gets_the_permit(
        self, link: HealthLink, other: HealthLink
    ) -> None:
        got = await asyncio.gather(
            *((link if n % 2 else other).permit(CHARGE, f"replica{n}", 60) for n in range(20))
        )
        assert sum(got) == 1

    async def test_a_permit_ends_by_itself(self, host: Any, link: HealthLink, other: HealthLink) -> None:
        assert await link.permit(CHARGE, "a", 2 * self.unit)
        assert not await other.permit(CHARGE, "b", 2 * self.unit)
        await self.pass_time(host, 2.5)
        assert await other.permit(CHARGE, "b", 2 * self.unit)

    async def test_a_permit_is_given_up_by_its_owner_only(self, link: HealthLink, other: HealthLink) -> None:
        assert await link.permit(CHARGE, "a", 60)
        await other.give_up(CHARGE, "b")
        assert not await other.permit(CHARGE, "b", 60)
        await link.give_up(CHARGE, "a")
        await link.give_up(CHARGE, "a")
        assert await other.permit(CHARGE, "b", 60)

    # Overrides

    async def test_an_override_replaces_one_of_the_same_provider_and_region(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        everywhere, there = self.override(host), self.override(host, region="eu-west-1")
        assert await link.put_override(everywhere, event("OVERRIDE_SET")) == (everywhere,)
        assert set(await link.put_override(there, event("OVERRIDE_SET"))) == {everywhere, there}
        anew = self.override(host, state=FORCED_OPEN)
        assert set(await other.put_override(anew, event("OVERRIDE_SET"))) == {anew, there}
        assert set((await link.beat("a", {}, WINDOW)).overrides) == {anew, there}
        assert [each.event.kind for each in await link.events(None, 10)] == ["OVERRIDE_SET"] * 3

    async def test_news_of_overrides_has_all_of_them(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        heard = Heard(other)
        everywhere, there = self.override(host), self.override(host, region="eu-west-1")
        await link.put_override(everywhere, event("OVERRIDE_SET"))
        await link.put_override(there, event("OVERRIDE_SET"))
        await link.lift_override("AWS", None, event("OVERRIDE_LIFTED"))
        await heard.until(lambda news: len(news) == 3)
        assert [set(news.overrides or ()) for news in heard.news] == [
            {everywhere},
            {everywhere, there},
            {there},
        ]
        await link.lift_override("AWS", "eu-west-1", event("OVERRIDE_LIFTED"))
        await heard.until(lambda news: news[-1] == News(overrides=()))

    async def test_lifting_what_is_not_there_is_told_and_no_event(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        await link.put_override(self.override(host), event("OVERRIDE_SET"))
        lifted = event("OVERRIDE_LIFTED")
        assert not await link.lift_override("AWS", "eu-west-1", lifted)
        assert not await link.lift_override("GCP", None, lifted)
        assert await other.lift_override("AWS", None, lifted)
        assert not await link.lift_override("AWS", None, lifted)
        assert (await link.beat("a", {}, WINDOW)).overrides == ()
        kinds = [each.event.kind for each in await link.events(None, 10)]
        assert kinds == ["OVERRIDE_LIFTED", "OVERRIDE_SET"]

    async def test_an_override_holds_until_its_end_and_one_replica_tells_of_it(
        self, host: Any, link: HealthLink, other: HealthLink
    ) -> None:
        await link.put_override(self.override(host, units=2), event("OVERRIDE_SET"))
        assert len((await other.beat("b", {}, WINDOW)).overrides) == 1
        await self.pass_time(host, 2.5)
        assert (await other.beat("b", {}, WINDOW)).overrides == ()
        assert not await link.lift_override("AWS", None, event("OVERRIDE_LIFTED"))
        over = event("OVERRIDE_EXPIRED")
        told = await asyncio.gather(*(each.lift_override("AWS", None, over) for each in (link, other, link)))
        assert sorted(told) == [False, False, True]

    async def test_one_that_holds_does_not_expire(self, host: Any, link: HealthLink) -> None:
        await link.put_override(self.override(host), event("OVERRIDE_SET"))
        assert not await link.lift_override("AWS", None, event("OVERRIDE_EXPIRED"))
        assert len((await link.beat("a", {}, WINDOW)).overrides) == 1

    async def test_overrides_and_events_outlive_every_process(self, host: Any, link: HealthLink) -> None:
        everywhere = self.override(host)
        await link.put_override(everywhere, event("OVERRIDE_SET"))
        before = await link.events(None, 10)
        await link.close()
        new = self.after_a_restart(host)
        await new.open()
        try:
            assert (await new.beat("a", {}, WINDOW)).overrides == (everywhere,)
            assert await new.events(None, 10) == before
            await new.note(event("REPLICA_ISOLATED"))
            assert (await new.events(None, 10))[1:] == before
            assert await new.lift_override("AWS", None, event("OVERRIDE_LIFTED"))
        finally:
            await new.close()

    async def test_there_are_so_many_overrides_and_no_more(self, host: Any, link: HealthLink) -> None:
        for number in range(MOST_OVERRIDES):
            await link.put_override(self.override(host, region=str(number)), event("OVERRIDE_SET"))
        with pytest.raises(InvalidInput):
            await link.put_override(self.override(host, region="one more"), event("OVERRIDE_SET"))
        anew = await link.put_override(self.override(host, FORCED_OPEN, "7"), event("OVERRIDE_SET"))
        assert len(anew) == MOST_OVERRIDES

    # Events

    async def test_events_are_newest_first_and_paged_by_id(self, link: HealthLink, other: HealthLink) -> None:
        for number in range(23):
            await (link if number % 3 else other).note(event(why=str(number), at=number))
        found: list[NumberedEvent] = []
        before = None
        while page := await other.events(before, 5):
            found += page
            before = page[-1].event_id
        assert [each.event for each in found] == [event(why=str(n), at=n) for n in reversed(range(23))]
        ids = [each.event_id for each in found]
        assert ids == sorted(set(ids), reverse=True)
        assert await link.events(None, 1) == (found[0],)
        assert await link.events("0-0", 5) == ()

    @pytest.mark.parametrize("limit", [0, -1, 501])
    async def test_a_limit_out_of_bounds_is_refused(self, link: HealthLink, limit: int) -> None:
        with pytest.raises(InvalidInput):
            await link.events(None, limit)

    @pytest.mark.parametrize("before", ["", "x", "1", "1-", "-", "(1-1", "1-1 ", "9" * 40 + "-1"])
    async def test_a_cursor_that_is_none_is_refused(self, link: HealthLink, before: str) -> None:
        with pytest.raises(InvalidInput):
            await link.events(before, 1)

    async def test_a_thousand_events_are_kept(self, host: Any, link: HealthLink) -> None:
        for first in range(0, 1_200, 100):
            await asyncio.gather(*(link.note(event(at=number)) for number in range(first, first + 100)))
        await link.close()
        again = self.after_a_restart(host)
        await again.open()
        try:
            ats: list[int] = []
            before = None
            while page := await again.events(before, 500):
                ats += [each.event.at for each in page]
                before = page[-1].event_id
            assert set(range(200, 1_200)) <= set(ats)
        finally:
            await again.close()

    # Closing

    async def test_a_link_that_is_not_open_refuses(self, host: Any, link: HealthLink) -> None:
        new = self.make(host)
        await link.close()
        await link.close()
        acts: list[Callable[[HealthLink], Any]] = [
            lambda one: one.beat("a", {}, WINDOW),
            lambda one: one.move(kept(), event()),
            lambda one: one.permit(CHARGE, "a", 1),
            lambda one: one.give_up(CHARGE, "a"),
            lambda one: one.put_override(self.override(host), event()),
            lambda one: one.lift_override("AWS", None, event()),
            lambda one: one.note(event()),
            lambda one: one.events(None, 1),
        ]
        for one in (link, new):
            for act in acts:
                with pytest.raises(StoreUnavailable):
                    await act(one)

    async def test_a_link_that_was_closed_opens_again(self, link: HealthLink, other: HealthLink) -> None:
        await link.move(kept(), None)
        await link.close()
        await link.open()
        heard = Heard(link)
        await other.move(kept(version=2), None)
        await heard.until(lambda news: len(news) == 1)
        beat: Beat = await link.beat("a", {}, WINDOW)
        assert beat.breakers == (kept(version=2),)
