"""The outages of one provider that are active now, and what each does to the next request.

Time is the loop's monotonic clock, passed in as a callable. Whether a percentage hits is drawn from
a generator seeded by the rule, so that the same rule hits the same calls of a sequence.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from localcloud.instances import Instances
from localcloud.rules import BEFORE_REQUESTS, CUTTING, LOOKUPS, SLOWER, Kind, Rule

MAX_RULES = 100


class TooManyRulesError(ValueError):
    """A provider has 100 rules already."""


class Verdict(NamedTuple):
    """What happens to one request: hold it back for `delay` seconds, then do what `rule` says.

    An execution enters all of `instances`; its answer takes `factor` times as long as it took.
    """

    delay: float
    rule: Rule | None
    factor: float = 1.0
    instances: tuple[Instances, ...] = ()


_UNTOUCHED = Verdict(0.0, None)


@dataclass(slots=True)
class _Active:
    rule: Rule
    since: float
    random: random.Random
    instances: Instances
    hits: int = field(default=0)

    def ended(self, now: float) -> bool:
        return self.rule.for_seconds is not None and now >= self.since + self.rule.for_seconds

    def on(self, now: float) -> bool:
        if self.rule.flap is None:
            return True
        on, off = self.rule.flap
        return (now - self.since) % (on + off) < on

    @property
    def cuts(self) -> bool:
        return self.rule.kind in CUTTING and self.rule.close_connections

    def next_change(self, now: float) -> float | None:
        changes = []
        if self.rule.for_seconds is not None:
            changes.append(self.since + self.rule.for_seconds)
        if self.rule.flap is not None:
            on, off = self.rule.flap
            phase = (now - self.since) % (on + off)
            changes.append(now + (on - phase if phase < on else on + off - phase))
        return min(changes, default=None)

    def hit(self, now: float) -> bool:
        """Draw whether it hits; count it where it does."""
        if not self.on(now) or self.random.random() * 100 >= self.rule.percent:
            return False
        if self.rule.kind != "cold-start":  # that counts the instances made
            self.hits += 1
        return True

    def grown(self, now: float) -> float:
        """How much of a slow rule is there already, from 0 to 1."""
        if self.rule.ramp_seconds <= 0:
            return 1.0
        return min(1.0, (now - self.since) / self.rule.ramp_seconds)

    def as_json(self, now: float) -> dict[str, Any]:
        return self.rule.as_json() | {"on": self.on(now), "hits": self.hits + self.instances.made}


class Outages:
    """One provider's rules, in the order in which they were made. The first that hits decides.

    `slow` and `cold-start` rules do not decide: they add up, and the request goes on to the next rule.
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
        self._active[rule.id] = self._begun(rule)

    def replace(self, rules: Sequence[Rule]) -> None:
        """Make these the rules, in this order, at once. One that is active just so goes on as it is.

        Raises TooManyRulesError for more than 100.
        """
        if len(rules) > MAX_RULES:
            raise TooManyRulesError(f"{MAX_RULES} rules can be active; these are {len(rules)}")
        self._expire()
        before = self._active
        self._active = {
            rule.id: before[rule.id]
            if rule.id in before and before[rule.id].rule == rule
            else self._begun(rule)
            for rule in rules
        }

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
        return [active.as_json(now) for active in self._all()]

    def refused(self) -> bool:
        """Whether the provider's socket is to be closed now."""
        now = self._expire()
        return any(active.rule.kind == "refused" and active.on(now) for active in self._all())

    def cutting(self) -> frozenset[tuple[str, float]]:
        """The rules now on at whose beginning open connections are closed, each with its beginning."""
        now = self._expire()
        return frozenset(
            (active.rule.id, active.since) for active in self._all() if active.cuts and active.on(now)
        )

    def next_socket_change(self) -> float | None:
        """Seconds until `refused` or `cutting` may say otherwise; None if they cannot without a new rule."""
        now = self._expire()
        changes = [
            active.next_change(now) for active in self._all() if active.rule.kind == "refused" or active.cuts
        ]
        return min((change - now for change in changes if change is not None), default=None)

    def look_up(self) -> Kind | None:
        """What becomes of one lookup of the provider's name."""
        return self._before_requests(LOOKUPS)

    def forged(self) -> bool:
        """Whether one connection is shown a certificate of a stranger."""
        return self._before_requests(("bad-certificate",)) is not None

    def meet(self, function: str | None) -> Verdict:
        """What happens to a request; `function` is None for the management and token plane."""
        if not self._active:
            return _UNTOUCHED
        now = self._expire()
        delay, factor = 0.0, 1.0
        instances: list[Instances] = []
        for active in self._all():
            rule = active.rule
            if rule.kind in BEFORE_REQUESTS or not _concerns(rule, function) or not active.hit(now):
                continue
            if rule.kind not in SLOWER:
                return Verdict(delay, rule, factor, tuple(instances))
            if rule.kind == "cold-start":
                instances.append(active.instances)
            else:
                grown = active.grown(now)
                delay += grown * rule.delay_ms / 1000
                factor *= 1 + grown * (rule.factor - 1)
        return Verdict(delay, None, factor, tuple(instances))

    def _before_requests(self, kinds: tuple[Kind, ...]) -> Kind | None:
        now = self._expire()
        for active in self._all():
            if active.rule.kind in kinds and active.hit(now):
                return active.rule.kind
        return None

    def _begun(self, rule: Rule) -> _Active:
        instances = Instances(rule.warm, rule.delay_ms / 1000)
        # The same calls are hit for the same seed; nothing here is secret.
        return _Active(rule, self._clock(), random.Random(rule.seed), instances)  # noqa: S311

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
