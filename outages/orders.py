"""The executions: four workflows of three steps, over six functions.

Of 100 executions a second each function gets 50 calls, so that a few healthy seconds give it the 200
answers from which its time to be overdue is known.
"""

from itertools import pairwise
from typing import Any, Final

from outages.cases import Case

TIMEOUT_MS: Final = 10_000
DEADLINE_MS: Final = 30_000
WORK_MS: Final = 5
"""How long `slow-func` takes; the other functions take as long or less."""

OTHERS: Final = {"AWS": ("GCP", "AZURE"), "GCP": ("AWS", "AZURE"), "AZURE": ("AWS", "GCP")}
"""A primary's fallback; the second one is that of one workflow in four."""

Effects = str
Planned = tuple[str, str, Effects]
"""A step: its id, its function, its effects."""

WORKFLOWS: Final[tuple[tuple[str, tuple[Planned, ...]], ...]] = (
    (
        "pure",
        (("greet", "my-func", "pure"), ("look", "echo-meta", "pure"), ("price", "slow-func", "pure")),
    ),
    (
        "idempotent",
        (
            ("reserve", "reserve-stock", "idempotent"),
            ("pack", "slow-func", "idempotent"),
            ("ship", "ship-order", "idempotent"),
        ),
    ),
    (
        "at-most-once",
        (
            ("once-charge", "charge-card", "atMostOnce"),
            ("once-reserve", "reserve-stock", "atMostOnce"),
            ("once-ship", "ship-order", "atMostOnce"),
        ),
    ),
    (
        "mixed",
        (
            ("greet", "my-func", "pure"),
            ("note", "echo-meta", "idempotent"),
            ("once-charge", "charge-card", "atMostOnce"),
        ),
    ),
)


def once(step_id: str) -> bool:
    """Whether a step of this id must never run twice."""
    return step_id.startswith("once-")


def targets(case: Case, workflow: int, function: str) -> tuple[tuple[str, str], ...]:
    """The primary and the fallback of a step, each a provider and a function."""
    first, second = OTHERS[case.primary]
    fallback = second if WORKFLOWS[workflow][0] == "mixed" else first
    name = case.swaps.get(function, function)
    return (case.primary, name), (fallback, name)


def order(case: Case, number: int) -> dict[str, Any]:
    """The body of the POST of execution `number`."""
    workflow = number % len(WORKFLOWS)
    name, planned = WORKFLOWS[workflow]
    steps = [_task(case, workflow, one) for one in planned]
    for step, following in pairwise(steps):
        step["next"] = following["id"]
    return {
        "workflow": {"id": f"outage-{name}", "startAt": steps[0]["id"], "steps": steps},
        "input": {"order": number, "orderId": f"order-{number}", "delayMs": WORK_MS},
    }


def _task(case: Case, workflow: int, planned: Planned) -> dict[str, Any]:
    name, function, effects = planned
    primary, fallback = targets(case, workflow, function)
    step: dict[str, Any] = {
        "id": name,
        "type": "TASK",
        "provider": primary[0],
        "functionId": primary[1],
        "fallbacks": [{"provider": fallback[0], "functionId": fallback[1]}],
        "effects": effects,
        "timeout": TIMEOUT_MS,
        "deadline": DEADLINE_MS,
    }
    if case.on_function_error and effects != "atMostOnce":
        step["failoverOn"] = ["functionError"]
    return step
