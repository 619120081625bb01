"""What folds each event: nothing is forgotten, and nothing gets an event that it does not know."""

from typing import get_args, get_type_hints

from core.machine.events import KINDS, AnyEvent
from core.machine.evolve import FOLDS


def test_every_event_is_folded_and_has_a_name() -> None:
    assert set(FOLDS) == set(KINDS) == set(get_args(AnyEvent))
    assert len(set(KINDS.values())) == len(KINDS)


def test_every_fold_is_given_the_events_that_it_says_it_takes() -> None:
    for event, apply in FOLDS.items():
        taken = [hint for name, hint in get_type_hints(apply).items() if name.endswith("event")]
        assert len(taken) == 1, apply
        assert event in (get_args(taken[0]) or taken), f"{apply.__name__} is given {event.__name__}"
