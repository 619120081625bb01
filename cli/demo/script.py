"""What the demo does, and when: the order workflow, and the outages as a share of the demo's length."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PROVIDERS: Final = ("AWS", "GCP", "AZURE")
STEPS: Final = ("reserve-stock", "charge-card", "ship-order")

DEFAULT_SECONDS: Final = 30.0
LEAST_SECONDS: Final = 5.0
DEFAULT_RATE: Final = 12.0

TIMEOUT_MS: Final = 700
"""How long an attempt may take: what a black hole costs a step before it goes on elsewhere."""

SENDING_SHARE: Final = 26 / 30
"""The part of the demo in which orders are sent; the rest is for the last ones to end, and the audit."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Part of the demo: its title, what is out meanwhile (provider to rule), and its weight in time."""

    name: str
    title: str
    weight: float
    out: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def state(self, provider: str) -> str:
        """How `provider` is: `up`, or what ails it in a word or two."""
        rule = self.out.get(provider)
        return "up" if rule is None else _SAID.get(str(rule["kind"]), str(rule["kind"]))


_SAID: Final = {"blackhole": "black hole", "503": "answers 503", "refused": "refuses"}

PHASES: Final = (
    Phase("healthy", "All clouds are up", 3.5),
    Phase("refused", "AWS refuses connections", 4.5, {"AWS": {"kind": "refused"}}),
    Phase("back", "AWS is back", 2.0),
    Phase(
        "black hole",
        "AWS is a black hole: it takes calls and never answers",
        5.5,
        {"AWS": {"kind": "blackhole"}},
    ),
    Phase("back", "AWS is back", 2.0),
    Phase("503", "AWS answers 503 to everything", 3.0, {"AWS": {"kind": "503"}}),
    Phase(
        "503 + GCP refused",
        "AWS answers 503, and Google Cloud refuses connections",
        3.0,
        {"AWS": {"kind": "503"}, "GCP": {"kind": "refused"}},
    ),
    Phase("back", "All clouds are up again", 2.5),
)


def lengths(seconds: float) -> tuple[float, ...]:
    """How many seconds each of `PHASES` takes in a demo of `seconds`."""
    total = sum(phase.weight for phase in PHASES)
    return tuple(seconds * SENDING_SHARE * phase.weight / total for phase in PHASES)


def order_workflow() -> dict[str, Any]:
    """Three steps in a line, each at AWS, else at Google Cloud, else at Azure."""
    steps: list[dict[str, Any]] = [
        {
            "id": name,
            "type": "TASK",
            "provider": "AWS",
            "functionId": name,
            "fallbacks": [{"provider": "GCP"}, {"provider": "AZURE"}],
            "effects": "idempotent",
            "timeout": TIMEOUT_MS,
            "retries": 2,
        }
        for name in STEPS
    ]
    for step, following in zip(steps, STEPS[1:], strict=False):
        step["next"] = following
    return {"id": "order", "name": "The demo's order", "startAt": STEPS[0], "steps": steps}
