"""The executions: five steps each, over all four providers, with every kind of effect among them.

Two steps hold their call open for a while, so that what dies dies with calls under way. One execution in
fifty ends by a function's own error: FAILED is its right end.
"""

from itertools import pairwise
from typing import Any, Final

AT_MOST_ONCE: Final = "charge"
"""The step that must never run twice."""

FAILING: Final = "chaos-failing"
"""The workflow whose last function fails by its own fault."""

_FAILING_EVERY: Final = 50
_ROUTES: Final = (("AWS", "GCP", "AZURE"), ("GCP", "AWS", "AZURE"), ("AWS", "AZURE", "GCP"))
_TIMEOUT_MS: Final = 2_500
_DEADLINE_MS: Final = 300_000
"""Longer than any pause of the control plane here: no execution fails for the store's sake."""


def order(number: int) -> dict[str, Any]:
    """The body of the POST of order `number`."""
    route = number % len(_ROUTES)
    first, second, third = _ROUTES[route]
    failing = number % _FAILING_EVERY == _FAILING_EVERY - 1
    last = "buggy-func" if failing else "ship-order"
    steps = [
        _task("price", first, "my-func", [second, third], "pure"),
        _task("reserve", second, "slow-func", [first, third], "idempotent"),
        # With one outage at a time there is a target that refuses nothing: what parks is what may have run.
        _task(AT_MOST_ONCE, first, "slow-func", [second, third], "atMostOnce"),
        _task("notify", "HTTP", "notify", [("AZURE", "echo-meta"), (first, "echo-meta")], "idempotent"),
        _task("ship", third, last, [first, second], "idempotent"),
    ]
    for step, following in pairwise(steps):
        step["next"] = following["id"]
    return {
        "workflow": {
            "id": FAILING if failing else f"chaos-{route}",
            "startAt": "price",
            "steps": steps,
        },
        "input": {"order": number, "orderId": f"order-{number}", "delayMs": 60 + number % 7 * 60},
    }


def _task(name: str, provider: str, function: str, fallbacks: list[Any], effects: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "TASK",
        "provider": provider,
        "functionId": function,
        "fallbacks": [
            {"provider": one, "functionId": function}
            if isinstance(one, str)
            else {"provider": one[0], "functionId": one[1]}
            for one in fallbacks
        ],
        "effects": effects,
        # A function's own error is retried once; the failing workflow's is not worth more.
        "retries": 1 if function == "buggy-func" else 4,
        "timeout": _TIMEOUT_MS,
        "deadline": _DEADLINE_MS,
    }
