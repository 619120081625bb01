"""Which target a call goes to, and why not to those before it. Pure.

Targets are asked in order. A person's word comes first (drained, forced), then the breakers: an open one is
passed over, a half open one takes a single probe (never of an `atMostOnce` step), one that ramps back takes
its share by a draw. A fallback that bears no more calls at once is passed over too; where only such are left,
the call waits for room. Where every target is known to fail, the least bad is tried all the same, throttled
(fail static): refusing all would turn a wrong judgement of ours into an outage of our own making.
"""

from collections.abc import Iterable

import msgspec

from core.failover.breaker import Phase
from core.failover.entropy import uniform
from core.failover.health import DRAINED, FORCED_CLOSED, FORCED_OPEN, Health, Standing
from core.failover.roles import PROBE, REHEARSAL, SIDESTEP, STATIC
from core.failover.words import few
from core.graph.model import TaskStep

_LEAST_BAD = {Phase.RAMPING.value: 0, Phase.HALF_OPEN.value: 1, DRAINED: 2, Phase.OPEN.value: 3}
"""The order in which known-bad targets are tried where nothing else is left; one forced open never is."""

_WELL = {Phase.CLOSED.value, Phase.SUSPECT.value, FORCED_CLOSED}


class Chosen(msgspec.Struct, frozen=True):
    """Call the target number `target`; `role` is empty or one of roles.py, `reasons` tell why it is it."""

    target: int
    role: str = ""
    reasons: tuple[str, ...] = ()


class Full(msgspec.Struct, frozen=True):
    """Wait for room at one of these targets."""

    targets: tuple[int, ...]
    reasons: tuple[str, ...] = ()


class Nowhere(msgspec.Struct, frozen=True):
    """No target can be called at all."""

    reasons: tuple[str, ...] = ()


Choice = Chosen | Full | Nowhere


def others(step: TaskStep, target: int, tried: tuple[int, ...]) -> tuple[int, ...]:
    """The targets after number `target`, then those before it: each that this visit has not tried."""
    in_order = (*range(target + 1, len(step.targets)), *range(target))
    return tuple(index for index in in_order if index not in tried)


def choose(step: TaskStep, order: Iterable[int], health: Health, entropy: int, label: str) -> Choice:
    """The first target of `order` that may be called now. `label` names the attempt for the draws."""
    passed: list[str] = []
    bad: list[int] = []
    full: list[int] = []
    for index in order:
        target = step.targets[index]
        refusal = health.refusal(target)
        if refusal is not None:
            passed.append(f"passed over {target}: {refusal}")
            continue
        standing = health.of(target)
        role = _way_in(step, index, standing, entropy, label)
        if role is None:
            passed.append(f"passed over {target}: {standing.why or standing.state}")
            if standing.state != FORCED_OPEN:
                bad.append(index)
        elif index and standing.room is not None and standing.room <= 0:
            passed.append(f"passed over {target}: it has as many sidestepped calls as it bears")
            full.append(index)
        else:
            probing = (f"a probe: {standing.why}",) if role == PROBE else ()
            return Chosen(index, role, few((*passed, *probing)))
    if full:
        return Full(tuple(full), few(tuple(passed)))
    return _static(step, bad, health, few(tuple(passed)))


def rehearsal(step: TaskStep, health: Health, entropy: int, label: str) -> Chosen | None:
    """The first fallback, now and then on a healthy day, for a `pure` step."""
    if not health.rehearse or step.effects != "pure" or len(step.targets) == 1:
        return None
    if uniform(entropy, f"{label}/rehearsal") >= health.rehearse:
        return None
    target = step.targets[1]
    standing = health.of(target)
    room = standing.room is None or standing.room > 0
    if health.refusal(target) is not None or standing.state != Phase.CLOSED.value or not room:
        return None
    return Chosen(1, REHEARSAL, (f"a rehearsal: {health.rehearse:.1%} of pure steps go to their fallback",))


def is_well(standing: Standing) -> bool:
    """True where nothing keeps ordinary calls from a target."""
    return standing.state in _WELL


def _way_in(step: TaskStep, index: int, standing: Standing, entropy: int, label: str) -> str | None:
    """The role in which a call may go to a target that stands so; None where it may not."""
    ordinary = SIDESTEP if index else ""
    if is_well(standing):
        return ordinary
    if standing.state == Phase.HALF_OPEN.value:
        return PROBE if standing.probe and step.effects != "atMostOnce" else None
    if standing.state == Phase.RAMPING.value:
        return ordinary if uniform(entropy, f"{label}/ramp/{index}") < standing.share else None
    return None


def _static(step: TaskStep, bad: list[int], health: Health, passed: tuple[str, ...]) -> Choice:
    ranked = sorted(bad, key=lambda index: _LEAST_BAD.get(health.of(step.targets[index]).state, 9))
    if not ranked:
        return Nowhere(passed)
    for index in ranked:
        if health.of(step.targets[index]).static_room > 0:
            why = f"fail static: no target is well, and {step.targets[index]} is the least bad"
            return Chosen(index, STATIC, (*passed, why))
    return Full(tuple(ranked), passed)
