"""Reading what a native step says about failure: targets, retries, catch, deadlines."""

from dataclasses import dataclass
from typing import Final, cast

from core.graph.draft import FLOW, Reference
from core.graph.fields import MAX_ID, Fields, object_at
from core.graph.findings import shown
from core.graph.model import ANY_ERROR, Await, Catcher, Json, RetryPolicy, Target
from core.graph.native_conditions import read_path
from core.graph.native_templates import read_output

MAX_FUNCTION_ID: Final = 2_048
MAX_REGION: Final = 64
MAX_FALLBACKS: Final = 16
MAX_RETRIES: Final = 100
MAX_POLICIES: Final = 20
MAX_CATCHERS: Final = 100
MAX_ERRORS: Final = 100
MAX_DELAY: Final = 86_400
MAX_BACKOFF_RATE: Final = 100

DEFAULT_TIMEOUT_MS: Final = 30_000
MAX_TIMEOUT_MS: Final = 86_400_000
"""A day. One call is never that long."""

DEFAULT_AWAIT_MS: Final = 86_400_000
"""A day, for the result of a call that was only accepted."""

MAX_DEADLINE_MS: Final = 31_536_000_000
"""A year, as long as an execution may take; a callback or a poll may take as long."""

MAX_BUDGET: Final = 1_000_000
"""The most retries that `retryBudget` allows together."""

DEADLINE_MARGIN_MS: Final = 1_000
"""What the default deadline adds to the attempts' timeouts (docs/reference/workflow-json.md)."""

COUNTED_INTERVAL: Final = 0.05
COUNTED_MAX_DELAY: Final = 1.0
"""A bare count of retries backs off with full jitter from 50 ms to 1 s."""


def read_targets(fields: Fields) -> tuple[Target, ...]:
    """The primary and its fallbacks, in order; incomplete after a problem."""
    providers = fields.findings.providers
    primary = _provider(fields, "provider", required="Name the provider to call.")
    function = fields.text("functionId", limit=MAX_FUNCTION_ID, required="Name the function to call.")
    region = fields.text("region", limit=MAX_REGION)
    first = _provider(fields, "fallbackProvider")
    entries = fields.items("fallbacks", MAX_FALLBACKS, empty=True)

    seen: dict[Target, str] = {}
    if primary and function:
        seen[Target(primary, function, region)] = "the primary"
    if first and function:
        target = Target(first, function)
        if target in seen:
            fields.wrong(
                "fallbackProvider",
                "duplicate-target",
                f"the fallback {shown(str(target))} is the primary itself.",
                _another(providers, first),
            )
        else:
            seen[target] = "'fallbackProvider'"
    for at, entry in enumerate(entries):
        place = (*fields.place, "fallbacks", at)
        inner = object_at(fields.findings, entry, place, f"{fields.subject}: a fallback")
        if inner is None:
            continue
        provider = _provider(inner, "provider", required="Name the provider to call.")
        own = inner.text("functionId", limit=MAX_FUNCTION_ID) if inner.has("functionId") else function
        where = inner.text("region", limit=MAX_REGION)
        inner.close()
        if not provider or not own:
            continue
        target = Target(provider, own, where)
        if target in seen:
            fields.findings.error(
                place,
                "duplicate-target",
                f"{fields.subject}: the fallback {shown(str(target))} is {seen[target]} again.",
                "Remove it, or name another provider, region or function.",
            )
        else:
            seen[target] = f"fallback {at}"
    return tuple(seen)


def read_retries(fields: Fields) -> tuple[RetryPolicy, ...]:
    """A count, a policy, or a list of policies."""
    value = fields.raw("retries")
    match value:
        case None:
            return ()
        case bool():
            pass
        case int():
            count = fields.whole("retries", 0, MAX_RETRIES, "retries")
            return () if not count else (counted(count),)
        case dict():
            policy = _policy(fields, value, (*fields.place, "retries"))
            return () if policy is None else (policy,)
        case list():
            entries = fields.items("retries", MAX_POLICIES, empty=True)
            read = [
                _policy(fields, entry, (*fields.place, "retries", at)) for at, entry in enumerate(entries)
            ]
            _warn_unreachable(fields, "retries", [policy.errors if policy else () for policy in read])
            return tuple(policy for policy in read if policy is not None)
        case _:
            pass
    detail = f"'retries' must be a count, a policy or a list of policies, not {shown(value)}."
    fields.wrong("retries", "wrong-type", detail, 'Use a count such as 2, or {"maxAttempts": 2}.')
    return ()


def counted(count: int) -> RetryPolicy:
    """The policy that a bare count stands for."""
    return RetryPolicy(
        max_attempts=count, interval_seconds=COUNTED_INTERVAL, max_delay_seconds=COUNTED_MAX_DELAY
    )


@dataclass(frozen=True, slots=True)
class Times:
    """A task's bounds, in milliseconds."""

    timeout_ms: int
    deadline_ms: int


def read_budget(fields: Fields) -> int | None:
    """`retryBudget`: the most retries together, of a step or of the workflow."""
    return fields.whole("retryBudget", 0, MAX_BUDGET, "retries")


def read_times(
    fields: Fields, targets: int, retries: tuple[RetryPolicy, ...], awaits: Await = "answer"
) -> Times:
    """`timeout` and `deadline`, with their defaults.

    The default deadline lets every attempt take its timeout: (timeout x targets + 1 s) for each round, and
    the longest backoffs between rounds. The default timeout is never longer than a given deadline.
    """
    answered = awaits == "answer"
    longest = MAX_TIMEOUT_MS if answered else MAX_DEADLINE_MS
    usual = DEFAULT_TIMEOUT_MS if answered else DEFAULT_AWAIT_MS
    timeout = fields.whole("timeout", 1, longest, "milliseconds")
    deadline = fields.whole("deadline", 1, MAX_DEADLINE_MS, "milliseconds")
    if timeout is None:
        timeout = min(usual, deadline or usual)
    elif deadline is not None and deadline < timeout:
        fields.wrong(
            "deadline",
            "deadline-before-timeout",
            f"the deadline of {deadline} ms is shorter than one attempt's timeout of {timeout} ms.",
            f"Use a deadline of {timeout} or more, or a shorter timeout.",
        )
    return Times(timeout, deadline or default_deadline(timeout, targets, retries))


def default_deadline(timeout_ms: int, targets: int, retries: tuple[RetryPolicy, ...]) -> int:
    """(timeout x targets + 1 s) x rounds + the longest backoffs, at most a year."""
    rounds = 1 + sum(policy.max_attempts for policy in retries)
    backoff = sum(_longest_backoff(policy) for policy in retries)
    total = (timeout_ms * max(1, targets) + DEADLINE_MARGIN_MS) * rounds + round(backoff * 1000)
    return min(total, MAX_DEADLINE_MS)


def read_catchers(fields: Fields) -> tuple[tuple[Catcher, ...], list[Reference]]:
    """`catch`, and the steps that it names."""
    catchers = []
    references = []
    caught: list[tuple[str, ...]] = []
    for at, entry in enumerate(fields.items("catch", MAX_CATCHERS, empty=True)):
        place = (*fields.place, "catch", at)
        inner = object_at(fields.findings, entry, place, f"{fields.subject}: a catcher")
        if inner is None:
            caught.append(())
            continue
        errors = _errors(inner)
        target = inner.text("next", limit=MAX_ID, required="Name the step to go on with.")
        path = read_path(inner, "resultPath")
        flow = read_output(inner)
        if flow is not None and inner.has("resultPath"):
            inner.wrong(
                "output",
                "contradiction",
                "'resultPath' and 'output' both say where the error goes.",
                "Remove 'resultPath', or put the error into 'output' as {% $error %}.",
            )
        inner.close()
        caught.append(errors or ())
        if target is not None:
            references.append(Reference(target, (*place, "next"), FLOW))
        if errors and target:
            result_path = cast("str", inner.raw("resultPath")) if path else "error"
            catchers.append(Catcher(errors=errors, next=target, result_path=result_path, flow=flow))
    _warn_unreachable(fields, "catch", caught)
    return tuple(catchers), references


def _provider(fields: Fields, name: str, *, required: str = "") -> str | None:
    providers = fields.findings.providers
    if providers is None:
        return fields.text(name, limit=MAX_ID, required=required)
    return fields.one_of(name, providers, "unknown-provider", required=required)


def _another(providers: tuple[str, ...] | None, taken: str) -> str:
    others = ", ".join(provider for provider in providers or () if provider != taken)
    return f"Name another provider ({others})." if others else "Remove it."


def _policy(fields: Fields, value: Json, place: tuple[str | int, ...]) -> RetryPolicy | None:
    inner = object_at(fields.findings, value, place, f"{fields.subject}: a retry policy")
    if inner is None:
        return None
    errors = _errors(inner)
    attempts = inner.whole("maxAttempts", 0, MAX_RETRIES, "", required="Say how often to retry at most.")
    interval = inner.number("intervalSeconds", 0, MAX_DELAY, "seconds")
    rate = inner.number("backoffRate", 1, MAX_BACKOFF_RATE, "")
    longest = inner.number("maxDelaySeconds", 0, MAX_DELAY, "seconds")
    jitter = inner.raw("jitter")
    if not isinstance(jitter, bool):
        jitter = inner.one_of("jitter", ("full", "none"), "unknown-jitter") != "none"
    inner.close()
    if errors is None or attempts is None:
        return None
    return RetryPolicy(
        errors=errors,
        max_attempts=attempts,
        interval_seconds=1.0 if interval is None else interval,
        backoff_rate=2.0 if rate is None else rate,
        max_delay_seconds=60.0 if longest is None else longest,
        jitter="full" if jitter else "none",
    )


def _errors(fields: Fields) -> tuple[str, ...] | None:
    if not fields.has("errors"):
        return (ANY_ERROR,)
    return fields.strings("errors", MAX_ERRORS)


def _warn_unreachable(fields: Fields, name: str, entries: list[tuple[str, ...]]) -> None:
    """Report every entry that stands behind one which takes all errors, or all of its own."""
    taken: set[str] = set()
    for at, errors in enumerate(entries):
        if errors and (ANY_ERROR in taken or taken.issuperset(errors)):
            fields.findings.error(
                (*fields.place, name, at),
                "unreachable-handler",
                f"{fields.subject}: '{name}' never gets here: entries before it take these errors.",
                "Put it before them, or remove it.",
            )
        taken.update(errors)


def _longest_backoff(policy: RetryPolicy) -> float:
    delay = policy.interval_seconds
    total = 0.0
    for _ in range(policy.max_attempts):
        total += min(delay, policy.max_delay_seconds)
        delay *= policy.backoff_rate
    return total
