"""Windows and streaks beside models that keep every call and count anew each time."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from core.failover.evidence import Against
from core.failover.window import Counted, Streak, Window

SECONDS = 4


@dataclass(slots=True)
class Call:
    sent: int
    ended: Against | None = None
    dropped: bool = False


@dataclass(slots=True)
class Model:
    """Every call that was ever sent."""

    calls: list[Call]
    now: int
    since: int = 0

    def counts(self) -> Counted:
        return self.within(lambda second: self.now // 1000 - SECONDS < second <= self.now // 1000)

    def within(self, wanted: Callable[[int], bool]) -> Counted:
        known = [
            call
            for call in self.calls
            if not call.dropped
            and wanted(call.sent // 1000)
            and call.ended not in {Against.SATURATION, Against.UNKNOWN}
        ]
        return Counted(
            len(known),
            sum(call.ended is Against.PROVIDER for call in known),
            sum(call.ended is Against.FUNCTION for call in known),
        )


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 6_000)),
        st.tuples(st.just("end"), st.tuples(st.integers(0, 50), st.sampled_from(Against))),
        st.tuples(st.just("withdraw"), st.integers(0, 50)),
        st.tuples(st.just("mend"), st.integers(0, 50)),
        st.tuples(st.just("wait"), st.integers(0, 6_000)),
        st.tuples(st.just("forget"), st.just(0)),
    ),
    max_size=80,
)


def _pick(calls: list[Call], index: int) -> Call | None:
    return calls[index % len(calls)] if calls else None


@given(steps=steps, start=st.integers(0, 20_000))
@settings(max_examples=300, deadline=None)
def test_a_windows_sums_are_those_of_a_list_of_calls(steps: list[tuple[str, object]], start: int) -> None:
    window, model = Window(SECONDS), Model([], start)
    for step in steps:
        match step:
            case ("send", int(late)):
                sent = max(0, model.now - late)
                window.sent(sent)
                # What was forgotten, or has left the window, is not counted when it is told late.
                gone = sent < model.since or sent // 1000 <= model.now // 1000 - SECONDS
                model.calls.append(Call(sent, dropped=gone))
            case ("end", (int(index), Against() as how)):
                call = _pick([c for c in model.calls if c.ended is None], index)
                if call is not None:
                    window.ended(call.sent, how)
                    call.ended = how
            case ("withdraw", int(index)):
                call = _pick([c for c in model.calls if c.ended is None], index)
                if call is not None:
                    window.uncount(call.sent)
                    model.calls.remove(call)
            case ("mend", int(index)):
                failed = [c for c in model.calls if c.ended in {Against.PROVIDER, Against.FUNCTION}]
                call = _pick(failed, index)
                if call is not None and call.ended is not None:
                    window.uncount(call.sent, call.ended)
                    call.ended = Against.NOBODY
            case ("wait", int(passed)):
                model.now += passed
            case _:
                model.now += 1
                window.forget(model.now)
                model.since = model.now
                for call in model.calls:
                    call.dropped = True
        assert window.counts(model.now) == model.counts()
    for second in range(model.now // 1000 - SECONDS - 2, model.now // 1000 + 2):
        if second > model.now // 1000 - SECONDS:
            assert window.second(second) == model.within(second.__eq__)
        else:
            assert window.second(second) == Counted()


def test_a_late_success_of_a_call_that_was_taken_for_failed_is_uncounted() -> None:
    window = Window(10)
    for at in (1_000, 1_100, 1_200):
        window.sent(at)
    window.ended(1_100, Against.PROVIDER)
    assert window.counts(2_000) == Counted(3, 1, 0)
    window.uncount(1_100, Against.PROVIDER)
    assert window.counts(2_000) == Counted(3, 0, 0)


def test_a_call_counts_in_the_second_in_which_it_was_sent_however_late_it_fails() -> None:
    window = Window(10)
    window.sent(1_999)
    window.sent(9_000)
    window.ended(1_999, Against.PROVIDER)
    assert window.second(1) == Counted(1, 1, 0)
    assert window.counts(10_999) == Counted(2, 1, 0)
    assert window.counts(11_000) == Counted(1, 0, 0)


def test_an_ending_that_comes_after_its_call_has_left_the_window_changes_nothing() -> None:
    window = Window(10)
    window.sent(1_000)
    window.sent(20_000)
    window.ended(1_000, Against.PROVIDER)
    window.ended(1_000, Against.UNKNOWN)
    assert window.counts(20_000) == Counted(1, 0, 0)


def test_a_call_that_is_told_of_after_it_has_left_the_window_is_not_counted() -> None:
    window = Window(10)
    window.sent(20_000)
    window.sent(10_999)
    window.sent(11_000)
    assert window.counts(20_000) == Counted(2, 0, 0)


def test_failures_never_outnumber_calls_though_an_ending_is_told_twice() -> None:
    window = Window(10)
    window.sent(1_000)
    for against in (Against.PROVIDER, Against.FUNCTION, Against.PROVIDER, Against.SATURATION):
        window.ended(1_000, against)
    assert window.counts(1_000) == Counted(1, 1, 0)


def test_what_is_forgotten_without_an_instant_is_what_was_sent_before_the_newest_call() -> None:
    window = Window(10)
    window.sent(1_000)
    window.sent(1_500)
    window.forget()
    window.sent(1_500)
    window.ended(1_000, Against.PROVIDER)
    assert window.counts(1_600) == Counted(1, 0, 0)


@given(
    told=st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=80),
    longest=st.integers(1, 30),
)
@settings(max_examples=300, deadline=None)
def test_a_streak_is_the_failures_sent_after_the_newest_sent_success(
    told: list[tuple[bool, int]], longest: int
) -> None:
    streak = Streak(longest)
    failures: list[int] = []
    successes: list[int] = []
    for ok, sent in told:
        if ok:
            streak.succeeded(sent)
            successes.append(sent)
        else:
            streak.failed(sent)
            failures.append(sent)
        newest = max(successes, default=-1)
        assert streak.length == min(longest, sum(sent > newest for sent in failures))
        assert streak.newest_success == (newest if successes else None)


def test_a_success_in_the_middle_ends_the_failures_sent_before_it_only() -> None:
    streak = Streak()
    for sent in (50, 10, 40, 20):
        streak.failed(sent)
    assert streak.length == 4
    streak.succeeded(30)
    assert (streak.length, streak.newest_success) == (2, 30)
    streak.failed(25)
    streak.succeeded(5)
    assert (streak.length, streak.newest_success) == (2, 30)


def test_a_streak_that_is_forgotten_heeds_only_what_was_sent_since() -> None:
    streak = Streak()
    streak.succeeded(5)
    streak.failed(10)
    streak.forget(20)
    assert (streak.length, streak.newest_success) == (0, 5)
    streak.failed(19)
    streak.failed(20)
    assert streak.length == 1
