"""Which call comes next after an attempt, and why. Pure.

Which target a call goes to is choosing.py's; here is what an outcome leads to. The order of the questions is
the policy, and stands once, in `route`:

1. Nothing executed (`NO`). A caller's error fails the step: no other cloud would take the request. Otherwise
   the provider may have asked for one more try here (throttled, short conflict, expired token); then the
   next target, at once, whatever the step's effects are; without one, one more try here after a moment.
   The engine's own tries at the same target need room in the retry budget, and a target that nobody suspects.
2. Ambiguous (it may have run, or its answer was lost). The step settles it: `onAmbiguous` is `park`, `fail`,
   or `failover`, and then the same round goes on at the next target, or, where only our own process died, at
   the same one. A step that is `atMostOnce` is never called again.
3. The function's own error. It ran and said so: the next target only where the step asks for that
   (`failoverOn: ["functionError"]`).
4. When no target is left, the step's own `retries`, from its first usable target. A function's own error
   proves that the round is over, so the retry starts the next one, unless another attempt of the round may
   still have run; anything else stays in its round.
5. Without those, where the provider was known to fail: another turn at all targets later on, until the
   deadline. That an outage goes on is no news.

Every answer carries its reason in words: it goes into the journal.
"""

import msgspec

from core.failover.breaker import Phase
from core.failover.choosing import Chosen, Full, Nowhere, choose, is_well, others
from core.failover.entropy import uniform
from core.failover.health import WELL, Health, place_of
from core.failover.outcome import Executed, Outcome, Scope
from core.failover.roles import RETRY, STATIC
from core.failover.words import cut, joined
from core.graph.model import ANY_ERROR, RetryPolicy, TaskStep

RETRY_HERE_LOW_MS = 50
RETRY_HERE_HIGH_MS = 1_000
"""A retry at the same provider waits 50 ms to 1 s, drawn uniformly (failover: "full jitter")."""

TURN_LONGEST_MS = 30_000
"""The longest pause between turns at targets that are known to fail; it begins at 1 s and doubles."""

RETRY_AFTER_CAP_MS = 2_000
"""How long a provider's Retry-After is honoured where another target could answer instead."""

_OUT = frozenset({Phase.OPEN.value, Phase.HALF_OPEN.value, Phase.RAMPING.value})

INTERRUPTIONS = 10
"""After so many owners in a row that ended with a visit's attempt open, a person has to look."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a visit stands: its target, how often it was tried there, its round and used retries.

    `tried` are the targets that the visit has called since its last retry, `doubt` says that an attempt of
    this round may have run without our knowing, `interruptions` how many owners in a row ended with the
    visit's attempt open, `attempts` how many it has made. `deadline_at` and `now` are Unix epoch
    milliseconds; `label` names the visit for draws.
    """

    target: int
    tries_here: int
    round: int
    retries: tuple[int, ...]
    deadline_at: int
    now: int
    label: str
    tried: tuple[int, ...] = ()
    doubt: bool = False
    interruptions: int = 0
    attempts: int = 0


class Sidestep(msgspec.Struct, frozen=True):
    """Go to the target number `target`, at once, in `role`."""

    target: int
    role: str
    reason: str


class Retry(msgspec.Struct, frozen=True):
    """Call the target number `target` after `delay_ms`, in `round`, using up `policy` where that is set."""

    target: int
    delay_ms: int
    round: int
    reason: str
    policy: int | None = None
    role: str = ""


class Wait(msgspec.Struct, frozen=True):
    """Wait for room at one of these targets, then ask again."""

    targets: tuple[int, ...]
    reason: str


class Park(msgspec.Struct, frozen=True):
    """Leave it to a person."""

    reason: str


class Fail(msgspec.Struct, frozen=True):
    """The step fails with this error; its `catch` may match it."""

    error: str
    cause: str


Verdict = Sidestep | Retry | Wait | Park | Fail


class _Ask(msgspec.Struct, frozen=True):
    """One question of `route`, handed on."""

    step: TaskStep
    at: Position
    outcome: Outcome
    health: Health
    entropy: int


def route(step: TaskStep, at: Position, outcome: Outcome, health: Health, entropy: int) -> Verdict:
    """What follows a failed attempt. `outcome.ok` must be False."""
    ask = _Ask(step, at, outcome, health, entropy)
    what = _told(outcome)
    if outcome.executed is Executed.NO:
        if outcome.scope is Scope.CALLER:
            return Fail(outcome.error, outcome.cause)
        return _retry_here(ask) or _elsewhere(ask, f"{what}; it did not run")
    if outcome.ambiguous:
        return _settle(ask)
    if step.effects == "atMostOnce":
        return Fail(outcome.error, outcome.cause)
    if step.failover_on_function_error:
        return _elsewhere(ask, f"{what}; the step fails over on function errors")
    return _again(ask)


def _settle(ask: _Ask) -> Verdict:
    step, at, outcome = ask.step, ask.at, ask.outcome
    what = f"{_told(outcome)}; it may have run"
    # A definition cannot ask an atMostOnce step to fail over; a journal of long ago still must not.
    wish = "park" if step.effects == "atMostOnce" and step.on_ambiguous == "failover" else step.on_ambiguous
    match wish:
        case "park":
            return Park(f"{what}, and the step is {step.effects}{_known(ask)}")
        case "fail":
            return Fail(outcome.error, outcome.cause)
        case _:
            reason = f"{what}, and the step is {step.effects}"
    if at.interruptions >= INTERRUPTIONS:
        return Park(
            f"{at.interruptions} workers in a row ended with this call open: it may be what ends them"
        )
    if outcome.signal == "interrupted":
        here = choose(step, (at.target,), ask.health, ask.entropy, at.label)
        if isinstance(here, Chosen) and here.role != STATIC:
            return Retry(at.target, 0, at.round, reason)
    return _elsewhere(ask, reason)


def _retry_here(ask: _Ask) -> Retry | None:
    step, at, outcome = ask.step, ask.at, ask.outcome
    standing = ask.health.of(step.targets[at.target])
    if not outcome.retry_here or at.tries_here > 1 or not standing.retry:
        return None
    asked = outcome.retry_after_ms
    if _other_is_well(ask):
        if asked is not None and asked > RETRY_AFTER_CAP_MS:
            return None
        if standing.state not in {Phase.CLOSED.value, "FORCED_CLOSED"}:
            return None
    delay = asked if asked is not None else _soon_ms(at, ask.entropy)
    if at.now + delay >= at.deadline_at:
        return None
    reason = f"{_told(outcome)}; one more try at the same target"
    return Retry(at.target, delay, at.round, reason, role=RETRY)


def _other_is_well(ask: _Ask) -> bool:
    order = others(ask.step, ask.at.target, ask.at.tried)
    other = choose(ask.step, order, ask.health, ask.entropy, ask.at.label)
    return isinstance(other, Chosen) and other.role != STATIC


def _elsewhere(ask: _Ask, reason: str) -> Verdict:
    step, at = ask.step, ask.at
    choice = choose(step, others(step, at.target, at.tried), ask.health, ask.entropy, at.label)
    reason = f"{reason}{_known(ask)}"
    match choice:
        case Chosen():
            return Sidestep(choice.target, choice.role, joined(reason, *choice.reasons))
        case Full():
            return Wait(choice.targets, joined(reason, *choice.reasons))
        case Nowhere():
            verdict = _once_more(ask) or _again(ask)
            return (_another_turn(ask) or verdict) if isinstance(verdict, Fail) else verdict


def _known(ask: _Ask) -> str:
    """What the breakers say of the target that failed, as a clause; empty while they say nothing."""
    standing = ask.health.of(ask.step.targets[ask.at.target])
    return f"; {cut(standing.why)}" if standing.why and standing.state != Phase.CLOSED.value else ""


def _once_more(ask: _Ask) -> Retry | None:
    """One more try where a provider took nothing, to our surprise, and there is nowhere else to go."""
    at, outcome = ask.at, ask.outcome
    delay = _soon_ms(at, ask.entropy)
    standing = ask.health.of(ask.step.targets[at.target])
    passing = outcome.executed is Executed.NO and outcome.scope is Scope.PROVIDER
    allowed = standing.retry and is_well(standing)
    if not passing or not allowed or at.tries_here > 1 or at.now + delay >= at.deadline_at:
        return None
    reason = f"{_told(outcome)}; one more try, there is no other target"
    return Retry(at.target, delay, at.round, reason, role=RETRY)


def _another_turn(ask: _Ask) -> Retry | None:
    """A provider that was known to fail has failed, and no target is left: all of them again, in a while.

    A step has until its deadline; that an outage goes on is no news, and must not end what it could outlast.
    """
    step, at, outcome = ask.step, ask.at, ask.outcome
    count = len(step.targets)
    # Of several that are equally bad, each has its turn.
    in_turn = ((at.target + further) % count for further in range(1, count + 1))
    first = next((one for one in in_turn if ask.health.refusal(step.targets[one]) is None), None)
    if not _outage(ask):
        return None
    longest = min(TURN_LONGEST_MS, RETRY_HERE_HIGH_MS * 2 ** min(at.attempts // count, 10))
    delay = RETRY_HERE_LOW_MS + int((longest - RETRY_HERE_LOW_MS) * uniform(ask.entropy, at.label))
    if first is None or at.now + delay >= at.deadline_at:
        return None
    reason = f"{_told(outcome)}{_known(ask)}; there is no other target, and another turn is waited for"
    return Retry(first, delay, at.round, reason, role=STATIC)


def _outage(ask: _Ask) -> bool:
    """True where the step failed because of an outage that was known: at the target that was called last, or
    at another one whose whole provider is out, so that what the last one lacks (it is not deployed there, its
    credentials are refused) is not what keeps the step from going on.
    """
    step, at, outcome = ask.step, ask.at, ask.outcome
    if outcome.scope is Scope.PROVIDER and not is_well(ask.health.of(step.targets[at.target])):
        return True
    if outcome.own_error:
        return False
    places = (ask.health.places.get(place_of(target), WELL) for target in step.targets)
    return any(place.state in _OUT for place in places)


def _soon_ms(at: Position, entropy: int) -> int:
    return RETRY_HERE_LOW_MS + int((RETRY_HERE_HIGH_MS - RETRY_HERE_LOW_MS) * uniform(entropy, at.label))


def _again(ask: _Ask) -> Verdict:
    """The step's own retries, or the end."""
    step, at, outcome = ask.step, ask.at, ask.outcome
    policy = own_retry(step.retries, at.retries, outcome.error, uniform(ask.entropy, at.label))
    first = _first_callable(ask)
    if policy is None or first is None:
        return Fail(outcome.error, outcome.cause)
    if at.now + policy.delay_ms >= at.deadline_at:
        return Fail(
            outcome.error, f"{outcome.cause} (the step's deadline leaves no time for a retry)".strip()
        )
    round_ = at.round + 1 if outcome.own_error and not at.doubt else at.round
    return Retry(first, policy.delay_ms, round_, f"{_told(outcome)}; {policy.told}", policy.index)


class OwnRetry(msgspec.Struct, frozen=True):
    """One more try by the step's policy number `index`, after `delay_ms`; `told` is which of how many."""

    index: int
    delay_ms: int
    told: str


def own_retry(
    policies: tuple[RetryPolicy, ...], used: tuple[int, ...], error: str, draw: float
) -> OwnRetry | None:
    """The retry that the first policy for `error` has left; `draw` (0 to 1) is for its jitter."""
    for index, policy in enumerate(policies):
        if matches(policy.errors, error):
            spent = used[index] if used else 0
            if spent >= policy.max_attempts:
                return None
            told = f"retry {spent + 1} of {policy.max_attempts}"
            return OwnRetry(index, _delay_ms(policy, spent, draw), told)
    return None


def _first_callable(ask: _Ask) -> int | None:
    """Where a retry of the step's own begins; which target it calls is chosen when it is due."""
    targets = enumerate(ask.step.targets)
    return next((index for index, target in targets if ask.health.refusal(target) is None), None)


def _delay_ms(policy: RetryPolicy, used: int, draw: float) -> int:
    try:
        longest = policy.interval_seconds * policy.backoff_rate**used
    except OverflowError:
        longest = policy.max_delay_seconds
    longest = min(policy.max_delay_seconds, longest)
    return int(longest * 1000 * (draw if policy.jitter == "full" else 1.0))


def matches(errors: tuple[str, ...], error: str) -> bool:
    """True when a retry policy or a catcher for `errors` takes `error`.

    `States.ALL` takes all but what ends an execution of the States Language, `States.TaskFailed` all that
    `States.ALL` takes but a timeout, and `States.Timeout` a heartbeat that did not come too (AWS, "Handling
    errors in Step Functions workflows").
    """
    if ANY_ERROR in errors or error in errors:
        return True
    if "States.Timeout" in errors and error == "States.HeartbeatTimeout":
        return True
    if "States.ALL" in errors:
        return error not in _TERMINAL
    return "States.TaskFailed" in errors and error not in _TERMINAL and error != "States.Timeout"


_TERMINAL = frozenset({"States.Runtime", "States.DataLimitExceeded"})


def _told(outcome: Outcome) -> str:
    """The outcome in a few words: its error name, and the vendor's status where there was one."""
    name = cut(outcome.error or outcome.signal, 200)
    return f"{name} (HTTP {outcome.status})" if outcome.status is not None else name
