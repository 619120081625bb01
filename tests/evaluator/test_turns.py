"""Whose turn it is."""

from adapters.evaluator.turns import BLAMED, Turns


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def taken(turns: Turns[str]) -> list[str]:
    """All that may go, each ended at once."""
    names = []
    while (found := turns.take()) is not None:
        names.append(found[0])
        turns.done(blamed=found[1])
    return names


def test_keys_take_turns_and_each_keeps_its_order() -> None:
    turns: Turns[str] = Turns(2, Clock())
    for key, name in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")]:
        turns.put(key, name)
    assert len(turns) == 6
    assert taken(turns) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert len(turns) == 0


def test_blamed_keys_leave_one_worker_to_the_others() -> None:
    turns: Turns[str] = Turns(2, Clock())
    turns.blame("bad")
    for number in range(3):
        turns.put("bad", f"bad{number}")
    assert turns.take() == ("bad0", True)
    assert turns.take() is None
    turns.put("good", "good0")
    assert turns.take() == ("good0", False)
    turns.done(blamed=True)
    assert turns.take() == ("bad1", True)


def test_what_waits_of_a_key_that_is_blamed_waits_with_the_blamed() -> None:
    turns: Turns[str] = Turns(2, Clock())
    turns.put("bad", "bad0")
    turns.put("bad", "bad1")
    turns.put("good", "good0")
    turns.blame("bad")
    assert turns.take() == ("good0", False)
    assert turns.take() == ("bad0", True)
    assert turns.take() is None


def test_with_one_worker_the_blamed_and_the_others_alternate() -> None:
    turns: Turns[str] = Turns(1, Clock())
    turns.blame("bad")
    for number in range(3):
        turns.put("bad", f"bad{number}")
        turns.put("good", f"good{number}")
    assert taken(turns) == ["good0", "bad0", "good1", "bad1", "good2", "bad2"]


def test_blame_is_forgotten_after_a_while() -> None:
    clock = Clock()
    turns: Turns[str] = Turns(2, clock)
    turns.blame("bad")
    clock.now = BLAMED
    turns.put("bad", "bad0")
    assert turns.take() == ("bad0", False)


def test_what_is_drained_waits_no_more() -> None:
    turns: Turns[str] = Turns(2, Clock())
    turns.put("a", "a0")
    turns.blame("b")
    turns.put("b", "b0")
    assert turns.drain() == ["a0", "b0"]
    assert len(turns) == 0
    assert turns.take() is None
