"""The outage matrix in short: four cases on the wire, some seconds each, at 25 executions a second.

So few calls tell how long a call of a function takes only if fewer answers are asked for: `OVERDUE_SAMPLES`.
What a loaded machine may miss (milliseconds of a median) is left to the whole matrix.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from outages.cases import Case, Promise, Spell
from outages.catalogue import case_of
from outages.figures import count
from outages.playing import Sizes, play
from outages.promises import broken

SIZES = Sizes(rate=25.0, settings=(("SIDESTEP_FAILOVER__OVERDUE_SAMPLES", "15"),))
TIMED = {Promise.CHEAP, Promise.OPENS_FAST, Promise.FEW_STUCK}


def short(name: str, seconds: float, begin: float, end: float) -> Case:
    case = case_of(name)
    spells = tuple(
        Spell(one.provider, one.kind, begin, end, one.options, one.executed, one.scope, one.again)
        for one in case.spells
    )
    return replace(case, seconds=seconds, spells=spells, promises=case.promises - TIMED)


SHORT = [
    short("refused", 5.0, 0.4, 0.9),
    short("black-hole-after", 6.0, 0.5, 0.9),
    short("one-function", 5.0, 0.4, 0.9),
    short("user-bug-everywhere", 4.0, 0.4, 0.9),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.name)
async def test_an_outage_loses_nothing_and_runs_nothing_twice_that_must_not(
    case: Case, tmp_path: Path
) -> None:
    lines: list[str] = []
    played = await play(case, SIZES, tmp_path, lines.append)
    assert played.problems == ()
    assert played.seen is not None
    figures = count(case, played.seen)
    assert broken(case, figures) == ()
    assert figures.acknowledged == figures.submitted > 0
    # The outage met the load, and the breakers saw it.
    if Promise.COMPLETE in case.promises:
        assert figures.sidesteps > 0
        assert figures.openings
    else:
        assert figures.failed_own > 0
