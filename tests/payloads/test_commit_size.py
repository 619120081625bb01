"""Large answers that come at once do not become one commit that no store can hold."""

from core.engine.facts import Answer
from core.engine.mailbox import Mailbox
from core.machine.events import AttemptSucceeded


def answer(number: int, size: int) -> Answer:
    fact = AttemptSucceeded(
        visit=f"v{number}", step_id="s", attempt=1, output=None, size=size, duration_ms=1.0
    )
    return Answer(fact, 0)


def taken(sizes: list[int], budget: int) -> list[int]:
    """How many answers each turn takes."""
    mailbox = Mailbox()
    for number, size in enumerate(sizes):
        mailbox.put(answer(number, size))
    counts = []
    while not mailbox.empty:
        counts.append(len(mailbox.take(budget)[0]))
    return counts


def test_answers_are_taken_together_up_to_the_budget_and_the_one_that_passes_it() -> None:
    assert taken([40, 40, 40, 40, 40], 100) == [3, 2]


def test_small_answers_are_all_taken_at_once() -> None:
    assert taken([1] * 50, 100) == [50]
