"""The outages of one provider that are active now, and what each does to the next request.

Time is the loop's monotonic clock, passed in as a callable. Whether a percentage hits is drawn from
a generator seeded by the rule, so that the same rule hits the same calls of a sequence.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from localcloud.rules import Rule

MAX_RULES = 100


class TooManyRulesError(ValueError):
    """A provider has 100 rules already."""


class Verdict(NamedTuple):
    """What happens to one request: hold it back for `delay` seconds, then do what `rule` says."""

    delay: float
    rule: Rule | None


@dataclass(slots=True)
class _Active:
    rule: Rule
    since: float
    random: random.Random
    hits: int = field(default=0)

    def ended(self, now: float) -> bool:
        return self.rule.for_seconds is not None and now >= self.since + self.rule.for_seconds

    def on(self, now: float) -> bool:
        if self.rule.flap is None:
            return True
        on, off = self.rule.flap
        return (now - self.since) % (on + off) < on

    def next_change(self, now: float) -> float | None:
        changes = []
        if self.rule.for_seconds is not None:
            changes.append(self.since + self.rule.for_seconds)
        if self.rule.flap is not None:
            on, off = self.rule.flap
            phase = (now - self.since) % (on + off)
            changes.append(now + (on - phase if phase < on else on + off - phase))
        return min(changes, default=None)

    def delay(self, now: float) -> float:
        full = self.rule.delay_ms / 1000
        if self.rule.ramp_seconds <= 0:
            return full
        return full * min(1.0, (now - self.since) / self.rule.ramp_seconds)


class Outages:
    """One provider's rules, in the order in which they were made. The first that hits decides.

    `slow` rules do not decide: they add up, and the request goes on to the next rule.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._active: dict[str, _Active] = {}

    def put(self, rule: Rule) -> None:
        """Start a rule. One with the same id is replaced and starts anew.

        Raises TooManyRulesError where 100 are active.
        """
        self._expire()
        if rule.id not in self._active and len(self._active) >= MAX_RULES:
            raise TooManyRulesError(f"{MAX_RULES} rules are active; delete some")
        self._active.pop(rule.id, None)
        # The same calls are hit for the same seed; nothing here is secret.
        self._active[rule.id] = _Active(rule, self._clock(), random.Random(rule.seed))  # noqa: S311

    def remove(self, rule_id: str) -> bool:
        """End one rule; False if there is none of that id."""
        return self._active.pop(rule_id, None) is not None

    def clear(self) -> int:
        """End all rules and return how many there were."""
        count = len(self._active)
        self._active.clear()
        return count

    def listed(self) -> list[dict[str, Any]]:
        """The rules as the control API shows them, with `on` (flapping) and `hits`."""
        now = self._expire()
        return [active.rule.as_json() | {"on": active.on(now), "hits": active.hits} for active in self._all()]

    def refused(self) -> bool:
        """Whether the provider's socket is to be closed now."""
        now = self._expire()
        return any(active.rule.kind == "refused" and active.on(now) for active in self._all())

    def next_refusal_change(self) -> float | None:
        """Seconds until `refused` may answer otherwise; None if it cannot without a new rule."""
        now = self._expire()
        changes = [active.next_change(now) for active in self._all() if active.rule.kind == "refused"]
        return min((change - now for change in changes if change is not None), default=None)

    def meet(self, function: str | None) -> Verdict:
        """What happens to a request; `function` is None for the management and token plane."""
        if not self._active:
            return Verdict(0.0, None)
        now = self._expire()
        delay = 0.0
        for active in self._all():
            rule = active.rule
            if rule.kind == "refused" or not _concerns(rule, function) or not active.on(now):
                continue
            if active.random.random() * 100 >= rule.percent:
                continue
            active.hits += 1
            if rule.kind != "slow":
                return Verdict(delay, rule)
            delay += active.delay(now)
        return Verdict(delay, None)

    def _all(self) -> tuple[_Active, ...]:
        return tuple(self._active.values())

    def _expire(self) -> float:
        now = self._clock()
        for rule_id in [key for key, active in self._active.items() if active.ended(now)]:
            del self._active[rule_id]
        return now


def _concerns(rule: Rule, function: str | None) -> bool:
    if function is None:
        return rule.plane in ("control", "all") and rule.function is None
    return rule.plane in ("invoke", "all") and rule.function in (None, function)
