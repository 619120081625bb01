"""What is counted of a case, from calls that are written down by hand. The load takes 10 s."""

from dataclasses import replace

import pytest

from outages.cases import Case, Promise, Spell
from outages.figures import Figures, count
from outages.promises import broken
from outages.seen import OPENED, Call, Happening, Seen, Told

BEGAN = 1_000_000.0
CASE = Case("x", "x", "outage", frozenset(), (Spell("AWS", "refused", 0.4, 0.8),))


def call(at: float, provider: str = "AWS", took: float = 10, **more: object) -> Call:
    started = BEGAN + at * 1000
    plain = Call("e/s", "s", 1, provider, "f", "", started, started + took, "COMPLETED", "YES", "none")
    for name, value in more.items():
        setattr(plain, name, value)
    return plain


def told(name: str, at: float, *calls: Call, took: float = 20, status: str = "COMPLETED") -> Told:
    return Told(name, status, BEGAN + at * 1000, BEGAN + at * 1000 + took, list(calls))


def seen(*executions: Told, happenings: list[Happening] | None = None) -> Seen:
    return Seen(
        began=BEGAN,
        seconds=10.0,
        submitted=len(executions),
        acknowledged=frozenset(one.execution_id for one in executions),
        executions={one.execution_id: one for one in executions},
        ran={},
        happenings=happenings if happenings is not None else [],
    )


def opened(at: float, provider: str = "AWS", function: str | None = None, kind: str = OPENED) -> Happening:
    return Happening(BEGAN + at * 1000, kind, provider, function)


def test_what_is_acknowledged_and_has_not_ended_is_lost() -> None:
    found = seen(told("a", 1), told("b", 1, status="RUNNING"), told("c", 1, status="PARKED"))
    found.acknowledged = found.acknowledged | {"d"}
    assert count(CASE, found).lost == ("b (RUNNING)", "d (not in the store)")


def test_a_key_that_ran_twice_counts_apart_for_steps_that_must_not() -> None:
    found = seen(told("a", 1))
    found.ran = {
        "a/ship/0": [("AWS", 1), ("GCP", 2)],
        "a/look/0": [("AWS", 1)],
        "a/once-charge/0": [("AWS", 1)],
        # Another round of the same visit is a second run all the same.
        "a/once-charge/1": [("GCP", 2)],
    }
    figures = count(CASE, found)
    assert (figures.twice, figures.once_twice) == (1, ("a/once-charge",))


def test_added_latency_compares_the_outage_with_the_healthy_part_of_the_same_run() -> None:
    healthy = [told(f"h{n}", 3, took=20) for n in range(10)]
    during = [told(f"d{n}", 5, took=30) for n in range(10)]
    figures = count(CASE, seen(*healthy, *during, happenings=[opened(5.5)]))
    assert (figures.healthy_median, figures.added_median) == (20.0, 10.0)
    # None of them began while the breaker was open.
    assert figures.open_added is None
    after = [told(f"o{n}", 6.5, took=22) for n in range(10)]
    assert count(CASE, seen(*healthy, *during, *after, happenings=[opened(5.5)])).open_added == 2.0


def test_the_time_to_open_is_from_the_onset() -> None:
    assert count(CASE, seen(happenings=[opened(4.25), opened(5)])).to_open == 250.0
    assert count(CASE, seen(happenings=[opened(4.25, "GCP")])).to_open is None


def test_a_call_of_the_dead_side_that_hangs_is_stuck() -> None:
    calls = [
        call(4.1, took=600),
        call(4.1, took=100),
        call(4.1, took=600, role="probe"),
        call(4.1, "GCP", took=600),
        call(4.2, ended=None),
        call(3.7, took=700),
        call(8.5, took=700),
    ]
    assert count(CASE, seen(told("a", 4, *calls))).stuck == 3


def test_moves_are_changes_of_the_target_that_gets_most_first_calls() -> None:
    calls = [told(f"{n}", n, call(n, "GCP" if 4 <= n < 6 else "AWS")) for n in range(9)]
    assert count(CASE, seen(*calls)).moves == 2
    # What ends after the load is no move.
    assert count(CASE, seen(*calls, told("last", 9.9, call(10.1, "AZURE")))).moves == 2


def test_flaps_are_openings_after_all_was_well_again() -> None:
    # A failed probe keeps open what was open.
    probed = [opened(5, kind="BREAKER_HALF_OPEN"), opened(5.1), opened(8.2, kind="BREAKER_RAMPING")]
    happenings = [opened(4.1), opened(4.2, function="f"), *probed, opened(8.5)]
    figures = count(CASE, seen(happenings=happenings))
    assert (figures.openings, figures.place_openings, figures.flaps) == (3, 2, 1)


def test_what_an_isolated_replica_takes_back_is_no_opening() -> None:
    isolated = replace(opened(4.2, "", kind="REPLICA_ISOLATED"), replica="b")
    mine, others = (replace(opened(4.1), replica=name) for name in "ba")
    assert count(CASE, seen(happenings=[mine, isolated])).openings == 0
    assert count(CASE, seen(happenings=[others, isolated])).openings == 1
    assert count(CASE, seen(happenings=[isolated, replace(mine, at=mine.at + 500)])).openings == 1


def test_a_sidestep_after_a_functions_own_error_is_a_sidestep_for_a_bug() -> None:
    own = call(5, status="FAILED", executed="YES", scope="function")
    other = call(5.1, "GCP", number=2)
    found = seen(told("a", 5, own, other))
    assert count(CASE, found).bug_sidesteps == 1
    assert count(replace(CASE, on_function_error=True), found).bug_sidesteps == 0
    assert broken(CASE, count(CASE, found)) == ("no user bug causes a sidestep: 1 did",)


def test_a_call_of_what_was_found_dead_is_late_after_200_ms() -> None:
    calls = [call(4.4), call(4.6), call(4.6, role="probe"), call(4.6, "GCP"), call(7.5)]
    found = seen(told("a", 4, *calls), happenings=[opened(4.3), opened(7, kind="BREAKER_RAMPING")])
    assert count(CASE, found).late == 1
    assert count(CASE, seen(told("a", 4, *calls), happenings=[opened(4.3, function="g")])).late == 0


GOOD = count(CASE, seen(told("a", 5), happenings=[]))


@pytest.mark.parametrize(
    ("promise", "bad"),
    [
        (Promise.COMPLETE, replace(GOOD, completed=0)),
        (Promise.OPENS_FAST, replace(GOOD, to_open=None)),
        (Promise.OPENS_FAST, replace(GOOD, to_open=1_000.0)),
        (Promise.CHEAP, replace(GOOD, open_added=5.0)),
        (Promise.CHEAP, replace(GOOD, open_added=None)),
        (Promise.FEW_MOVES, replace(GOOD, moves=4)),
        (Promise.QUIET, replace(GOOD, openings=1)),
        (Promise.QUIET, replace(GOOD, openings=None)),
        (Promise.PLACES_QUIET, replace(GOOD, place_openings=1)),
        (Promise.NO_SIDESTEPS, replace(GOOD, sidesteps=1)),
        (Promise.OTHERS_KNOW, replace(GOOD, late=1)),
        (Promise.OTHERS_KNOW, replace(GOOD, late=None)),
        (Promise.FEW_STUCK, replace(GOOD, stuck=81)),
        (Promise.AS_TOLD, replace(GOOD, proved="YES function")),
    ],
)
def test_a_promise_that_is_broken_is_named_with_the_figure(promise: Promise, bad: Figures) -> None:
    case = replace(CASE, promises=frozenset({promise}))
    good = replace(GOOD, to_open=600.0, open_added=1.0, proved="NO provider", stuck=80)
    assert broken(case, good, 800) == ()
    (said,) = broken(case, bad, 800)
    assert said.startswith(promise.value)


def test_one_function_moves_and_no_other() -> None:
    spell = Spell("AWS", "blackhole", options={"function": "f"})
    case = Case("x", "x", "outage", frozenset({Promise.ONE_FUNCTION}), (spell,))
    assert broken(case, replace(GOOD, moved=("f",))) == ()
    assert broken(case, replace(GOOD, moved=())) != ()
    assert broken(case, replace(GOOD, moved=("f", "g"))) != ()


def test_what_is_lost_or_runs_twice_is_broken_in_every_case() -> None:
    assert broken(CASE, replace(GOOD, lost=("a (RUNNING)",)))
    assert broken(CASE, replace(GOOD, once_twice=("a/once-charge",)))
