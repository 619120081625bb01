"""Whose fault a failure is decides what opens: outcomes of all kinds go through evidence and windows, and the
breakers of a function and of its place are judged by what was counted.
"""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.failover.breaker import Breaker, Counts, Phase, judge
from core.failover.evidence import Against, against
from core.failover.outcome import Executed, Outcome, Scope
from core.failover.settings import DEFAULTS
from core.failover.window import Streak, Window
from tests.failover.breakers import START

outcomes = st.builds(
    Outcome,
    executed=st.sampled_from(Executed),
    scope=st.sampled_from(Scope),
    ok=st.booleans(),
    partial=st.booleans(),
    retry_here=st.booleans(),
)


class Tracked:
    """One key's window and streak, fed as its breaker wants it."""

    def __init__(self) -> None:
        self.window = Window(DEFAULTS.window_seconds)
        self.streak = Streak()

    def heard(self, sent: int, says: Against, bad: Sequence[Against]) -> None:
        self.window.sent(sent)
        self.window.ended(sent, says)
        if says in bad:
            self.streak.failed(sent)
        elif says in {Against.NOBODY, Against.FUNCTION}:
            self.streak.succeeded(sent)


class Place:
    """A place with functions, each call of which ends at once, counted as the rules of evidence say."""

    def __init__(self, functions: int) -> None:
        self.functions = [Tracked() for _ in range(functions)]
        self.whole = Tracked()
        self.breaker = Breaker()
        self.own = [Breaker() for _ in range(functions)]
        self.opened: set[int] = set()
        self.place_opened = False

    def ended(self, function: int, sent: int, outcome: Outcome) -> None:
        says = against(outcome)
        self.functions[function].heard(sent, says, (Against.PROVIDER, Against.FUNCTION))
        # At the place, whatever came back is proof that it lives.
        alive = says if says in {Against.PROVIDER, Against.UNKNOWN} else Against.NOBODY
        self.whole.heard(sent, alive, (Against.PROVIDER,))
        self.judge(sent)

    def judge(self, now: int) -> None:
        failing = active = 0
        for index, known in enumerate(self.functions):
            counted = known.window.counts(now)
            active += counted.calls > 0
            failing += counted.failures > 0 and 2 * counted.failures >= counted.calls
            own = Counts(
                calls=counted.calls, failures=counted.failures + counted.faults, streak=known.streak.length
            )
            self.own[index] = judge(self.own[index], own, now, DEFAULTS)
            if self.own[index].phase is Phase.OPEN:
                self.opened.add(index)
        counted = self.whole.window.counts(now)
        whole = Counts(
            calls=counted.calls,
            failures=counted.failures,
            streak=self.whole.streak.length,
            failing=failing,
            active=active,
        )
        self.breaker = judge(self.breaker, whole, now, DEFAULTS)
        self.place_opened |= self.breaker.phase is Phase.OPEN


def _seen(kinds: st.SearchStrategy[Outcome]) -> st.SearchStrategy[list[tuple[int, int, Outcome]]]:
    """Calls in a row: the function, the milliseconds since the last, and how it ended."""
    one = st.tuples(st.integers(0, 3), st.integers(0, 300), kinds)
    # Bursts of one kind, which are what opens breakers.
    bursts = st.tuples(one, st.integers(1, 30)).map(lambda burst: [burst[0]] * burst[1])
    return st.lists(bursts, max_size=12).map(lambda lists: [call for calls in lists for call in calls])


def _run(seen: list[tuple[int, int, Outcome]]) -> Place:
    place, now = Place(4), START
    for function, passed, outcome in seen:
        now += passed
        place.ended(function, now, outcome)
    return place


@given(seen=_seen(outcomes.filter(lambda outcome: outcome.ok or outcome.scope is not Scope.PROVIDER)))
@settings(max_examples=300, deadline=None)
def test_only_a_providers_own_failures_open_its_breaker(seen: list[tuple[int, int, Outcome]]) -> None:
    place = _run(seen)
    assert not place.place_opened
    assert place.breaker == Breaker()


HARMLESS = [
    Outcome(executed=Executed.YES, ok=True),
    Outcome(executed=Executed.YES, scope=Scope.FUNCTION, error="KeyError"),
    Outcome(executed=Executed.NO, scope=Scope.CALLER),
    Outcome(executed=Executed.NO, scope=Scope.SATURATION),
    Outcome(executed=Executed.MAYBE, scope=Scope.NONE, signal="interrupted"),
]


@given(seen=_seen(st.sampled_from(HARMLESS)))
@settings(max_examples=200, deadline=None)
def test_bugs_wrong_requests_throttles_and_dead_owners_open_nothing(
    seen: list[tuple[int, int, Outcome]],
) -> None:
    place = _run(seen)
    assert not place.opened
    assert not place.place_opened
    assert place.own == [Breaker()] * 4


@pytest.mark.parametrize("scope", [Scope.FUNCTION, Scope.CREDENTIALS])
def test_a_bad_deploy_opens_its_function_and_nothing_else(scope: Scope) -> None:
    bad = Outcome(executed=Executed.NO, scope=scope)
    fine = Outcome(executed=Executed.YES, ok=True)
    place = _run([(index % 4, 10, bad if index % 4 == 2 else fine) for index in range(200)])
    assert place.opened == {2}
    assert not place.place_opened


def test_a_provider_that_refuses_every_function_opens_and_one_that_refuses_one_does_not() -> None:
    refused = Outcome(executed=Executed.NO, scope=Scope.PROVIDER)
    fine = Outcome(executed=Executed.YES, ok=True)
    assert _run([(index % 4, 10, refused) for index in range(20)]).place_opened
    one = _run([(index % 4, 10, refused if index % 4 == 1 else fine) for index in range(200)])
    assert not one.place_opened
    assert one.opened == {1}


def test_throttled_calls_neither_hide_an_outage_nor_make_one() -> None:
    refused = Outcome(executed=Executed.MAYBE, scope=Scope.PROVIDER)
    throttled = Outcome(executed=Executed.NO, scope=Scope.SATURATION)
    mixed = [(0, 10, throttled if index % 2 else refused) for index in range(60)]
    assert _run(mixed).opened == {0}
    assert not _run([(0, 10, throttled)] * 60).opened
