"""What must hold in a case, and a sentence for each promise that was broken."""

from collections.abc import Iterator
from typing import Final, assert_never

from outages.cases import Case, Promise
from outages.figures import Figures, expected

FAST_MS: Final = 1_000.0
CHEAP_MS: Final = 5.0
MOVES: Final = 3
FEWER: Final = 10


def broken(case: Case, figures: Figures, baseline_stuck: int | None = None) -> tuple[str, ...]:
    """The promises that were broken, each with the figure that shows it. `baseline_stuck`: how many calls
    the breaker on five consecutive failures left stuck in the same case, where that is known.
    """
    found = []
    if figures.lost:
        found.append(f"nothing acknowledged is lost: {len(figures.lost)} are, {', '.join(figures.lost[:3])}")
    if figures.once_twice:
        them = ", ".join(figures.once_twice[:3])
        found.append(f"no atMostOnce step runs twice: {len(figures.once_twice)} did, {them}")
    if figures.bug_sidesteps:
        found.append(f"no user bug causes a sidestep: {figures.bug_sidesteps} did")
    for promise in sorted(case.promises, key=list(Promise).index):
        found += [f"{promise.value}: {why}" for why in _broken(promise, case, figures, baseline_stuck)]
    return tuple(found)


def _broken(promise: Promise, case: Case, seen: Figures, baseline_stuck: int | None) -> Iterator[str]:
    match promise:
        case Promise.COMPLETE:
            if seen.completed + seen.parked < seen.submitted:
                yield f"{seen.completed} completed and {seen.parked} parked, of {seen.submitted}"
        case Promise.OPENS_FAST:
            if seen.to_open is None:
                yield "it did not open, or nobody can tell"
            elif seen.to_open >= FAST_MS:
                yield f"it took {seen.to_open:.0f} ms"
        case Promise.CHEAP:
            if seen.open_added is None:
                yield "nothing completed while it was open, or nobody can tell"
            elif seen.open_added >= CHEAP_MS:
                yield f"{seen.open_added:.1f} ms"
        case Promise.FEW_MOVES:
            if seen.moves > MOVES:
                yield f"there were {seen.moves}"
        case Promise.QUIET:
            if seen.openings != 0:
                yield f"there were {_told(seen.openings)} openings"
        case Promise.PLACES_QUIET:
            if seen.place_openings != 0:
                yield f"there were {_told(seen.place_openings)} openings"
        case Promise.NO_SIDESTEPS:
            if seen.sidesteps:
                yield f"there were {seen.sidesteps}"
        case Promise.ONE_FUNCTION:
            wanted = tuple(sorted({str(one.options["function"]) for one in case.spells}))
            if seen.moved != wanted:
                yield f"moved: {', '.join(seen.moved) or 'none'}"
        case Promise.OTHERS_KNOW:
            if seen.late != 0:
                yield f"{_told(seen.late)} calls"
        case Promise.FEW_STUCK:
            if baseline_stuck is not None and seen.stuck * FEWER > baseline_stuck:
                yield f"{seen.stuck}, and {baseline_stuck} there"
        case Promise.AS_TOLD:
            if seen.proved != expected(case):
                yield f"most proved {seen.proved or 'nothing'!r}, the table says {expected(case)!r}"
        case _:
            assert_never(promise)


def _told(count: int | None) -> str:
    return "an unknown number of" if count is None else str(count)
