"""Which call comes next after an attempt, and why. Pure.

The order of the questions is the policy, and stands once, in `route`:

1. Nothing executed (`NO`). A caller's error fails the step: no other cloud would take the request. Otherwise
   the provider may have asked for one more try here (throttled, short conflict, expired token); then the
   next target, at once, whatever the step's effects are; without one, one more try here after a moment.
2. Ambiguous (it may have run, or its answer was lost). The step settles it: `onAmbiguous` is `park`, `fail`,
   or `failover`, and then the same round goes on at the next target, or, where only our own process died, at
   the same one. A step that is `atMostOnce` is never called again.
3. The function's own error. It ran and said so: the next target only where the step asks for that
   (`failoverOn: ["functionError"]`).
4. When no target is left, the step's own `retries`, from its first usable target. A function's own error
   proves that the round is over, so the retry starts the next one, unless another attempt of the round may
   still have run; anything else stays in its round.

Every answer carries its reason in words: it goes into the journal.
"""

import msgspec

from core.failover.entropy import uniform
from core.failover.health import Health
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import ANY_ERROR, RetryPolicy, TaskStep

RETRY_HERE_LOW_MS = 50
RETRY_HERE_HIGH_MS = 1_000
"""A retry at the same provider waits 50 ms to 1 s, drawn uniformly (failover: "full jitter")."""

RETRY_AFTER_CAP_MS = 2_000
"""How long a provider's Retry-After is honoured where another target could answer instead."""

INTERRUPTIONS = 10
"""After so many owners in a row that ended with a visit's attempt open, a person has to look."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a visit stands: its target, how often it was tried there, its round and used retries.

    `doubt` says that an attempt of this round may have run without our knowing, `interruptions` how many
    owners in a row ended with the visit's attempt open. `deadline_at` and `now` are Unix epoch milliseconds;
    `label` names the visit for the draw of delays.
    """

    target: int
    tries_here: int
    round: int
    retries: tuple[int, ...]
    deadline_at: int
    now: int
    label: str
    doubt: bool = False
    interruptions: int = 0


class Sidestep(msgspec.Struct, frozen=True):
    """Go to the target number `target`, at once."""

    target: int
    reason: str


class Retry(msgspec.Struct, frozen=True):
    """Call the target number `target` after `delay_ms`, in `round`, using up `policy` where that is set."""

    target: int
    delay_ms: int
    round: int
    reason: str
    policy: int | None = None


class Park(msgspec.Struct, frozen=True):
    """Leave it to a person."""

    reason: str


class Fail(msgspec.Struct, frozen=True):
    """The step fails with this error; its `catch` may match it."""

    error: str
    cause: str


Verdict = Sidestep | Retry | Park | Fail


def first_target(step: TaskStep, health: Health, start: int = 0) -> tuple[int | None, tuple[str, ...]]:
    """The first usable target from number `start` on (None: none is), and why others were passed over."""
    passed: list[str] = []
    for index in range(start, len(step.targets)):
        refusal = health.refusal(step.targets[index])
        if refusal is None:
            return index, tuple(passed)
        passed.append(f"{step.targets[index]}: {refusal}")
    return None, tuple(passed)


def route(step: TaskStep, at: Position, outcome: Outcome, health: Health, entropy: int) -> Verdict:
    """What follows a failed attempt. `outcome.ok` must be False."""
    what = _told(outcome)
    if outcome.executed is Executed.NO:
        if outcome.scope is Scope.CALLER:
            return Fail(outcome.error, outcome.cause)
        here = _retry_here(step, at, outcome, health, entropy)
        return here or _elsewhere(step, at, outcome, health, entropy, f"{what}; it did not run")
    if outcome.ambiguous:
        return _settle(step, at, outcome, health, entropy)
    if step.effects == "atMostOnce":
        return Fail(outcome.error, outcome.cause)
    if step.failover_on_function_error:
        return _elsewhere(
            step, at, outcome, health, entropy, f"{what}; the step fails over on function errors"
        )
    return _again(step, at, outcome, health, entropy)


def _settle(step: TaskStep, at: Position, outcome: Outcome, health: Health, entropy: int) -> Verdict:
    what = f"{_told(outcome)}; it may have run"
    # A definition cannot ask an atMostOnce step to fail over; a journal of long ago still must not.
    wish = "park" if step.effects == "atMostOnce" and step.on_ambiguous == "failover" else step.on_ambiguous
    match wish:
        case "park":
            return Park(f"{what}, and the step is {step.effects}")
        case "fail":
            return Fail(outcome.error, outcome.cause)
        case _:
            reason = f"{what}, and the step is {step.effects}"
    if at.interruptions >= INTERRUPTIONS:
        return Park(
            f"{at.interruptions} workers in a row ended with this call open: it may be what ends them"
        )
    if outcome.signal == "interrupted" and health.refusal(step.targets[at.target]) is None:
        return Retry(at.target, 0, at.round, reason)
    return _elsewhere(step, at, outcome, health, entropy, reason)


def _retry_here(step: TaskStep, at: Position, outcome: Outcome, health: Health, entropy: int) -> Retry | None:
    if not outcome.retry_here or at.tries_here > 1:
        return None
    asked = outcome.retry_after_ms
    other, _ = first_target(step, health, at.target + 1)
    if asked is not None and asked > RETRY_AFTER_CAP_MS and other is not None:
        return None
    delay = asked if asked is not None else _soon_ms(at, entropy)
    if at.now + delay >= at.deadline_at:
        return None
    return Retry(at.target, delay, at.round, f"{_told(outcome)}; one more try at the same target")


def _elsewhere(
    step: TaskStep, at: Position, outcome: Outcome, health: Health, entropy: int, reason: str
) -> Verdict:
    other, passed = first_target(step, health, at.target + 1)
    if other is None:
        return _once_more(at, outcome, entropy) or _again(step, at, outcome, health, entropy)
    return Sidestep(other, "; ".join((reason, *(f"passed over {one}" for one in passed))))


def _once_more(at: Position, outcome: Outcome, entropy: int) -> Retry | None:
    """One more try where a provider took nothing and there is nowhere else to go."""
    delay = _soon_ms(at, entropy)
    passing = outcome.executed is Executed.NO and outcome.scope is Scope.PROVIDER
    if not passing or at.tries_here > 1 or at.now + delay >= at.deadline_at:
        return None
    return Retry(at.target, delay, at.round, f"{_told(outcome)}; one more try, there is no other target")


def _soon_ms(at: Position, entropy: int) -> int:
    return RETRY_HERE_LOW_MS + int((RETRY_HERE_HIGH_MS - RETRY_HERE_LOW_MS) * uniform(entropy, at.label))


def _again(step: TaskStep, at: Position, outcome: Outcome, health: Health, entropy: int) -> Verdict:
    """The step's own retries, or the end."""
    for index, policy in enumerate(step.retries):
        if not matches(policy.errors, outcome.error):
            continue
        used = at.retries[index] if at.retries else 0
        first, _ = first_target(step, health)
        if used >= policy.max_attempts or first is None:
            break
        delay = _delay_ms(policy, used, uniform(entropy, at.label))
        if at.now + delay >= at.deadline_at:
            return Fail(
                outcome.error, f"{outcome.cause} (the step's deadline leaves no time for a retry)".strip()
            )
        round_ = at.round + 1 if outcome.own_error and not at.doubt else at.round
        reason = f"{_told(outcome)}; retry {used + 1} of {policy.max_attempts}"
        return Retry(first, delay, round_, reason, index)
    return Fail(outcome.error, outcome.cause)


def _delay_ms(policy: RetryPolicy, used: int, draw: float) -> int:
    try:
        longest = policy.interval_seconds * policy.backoff_rate**used
    except OverflowError:
        longest = policy.max_delay_seconds
    longest = min(policy.max_delay_seconds, longest)
    return int(longest * 1000 * (draw if policy.jitter == "full" else 1.0))


def matches(errors: tuple[str, ...], error: str) -> bool:
    """True when a retry policy or a catcher for `errors` takes `error`."""
    return ANY_ERROR in errors or error in errors


def _told(outcome: Outcome) -> str:
    """The outcome in a few words: its error name, and the vendor's status where there was one."""
    name = outcome.error or outcome.signal
    return f"{name} (HTTP {outcome.status})" if outcome.status is not None else name
