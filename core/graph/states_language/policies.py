"""Reading Retry and Catch."""

from typing import Final

from core.data.flow import Flow
from core.graph.fields import Fields, object_at
from core.graph.model import Catcher, RetryPolicy
from core.graph.native_policies import (
    DEADLINE_MARGIN_MS,
    MAX_DEADLINE_MS,
    default_deadline,
)
from core.graph.states_language.flows import read_assign, read_path
from core.graph.states_language.state import MAX_WHOLE, State

ALL: Final = "States.ALL"

MAX_ENTRIES: Final = 100
"""Retriers or catchers of one state, and error names of one of them."""

MAX_DELAY: Final = 31_622_400
"""Seconds: the longest delay between two attempts (AWS Step Functions, "Retrying after an error")."""

MAX_RATE: Final = 1_000_000

COUNTED: Final = 1_000
"""With more retries than these, the default deadline is the longest one there is."""


def read_retries(state: State) -> tuple[RetryPolicy, ...]:
    """The retriers, in order. Defaults: 3 retries, 1 s apart, doubling, without a longest delay or jitter."""
    fields = state.fields
    policies = []
    entries = fields.items("Retry", MAX_ENTRIES, empty=True)
    for at, entry in enumerate(entries):
        place = (*fields.place, "Retry", at)
        inner = object_at(fields.findings, entry, place, f"{fields.subject}: a retrier")
        if inner is None:
            continue
        state.comment(inner)
        errors = _errors(inner, last=at == len(entries) - 1)
        interval = inner.whole("IntervalSeconds", 1, MAX_WHOLE, "seconds")
        attempts = inner.whole("MaxAttempts", 0, MAX_WHOLE, "")
        rate = inner.number("BackoffRate", 1, MAX_RATE, "")
        longest = inner.whole("MaxDelaySeconds", 1, MAX_DELAY, "seconds")
        jitter = inner.one_of("JitterStrategy", ("FULL", "NONE"), "unknown-jitter")
        inner.close()
        first = 1 if interval is None else interval
        if errors is None:
            continue
        policies.append(
            RetryPolicy(
                errors=errors,
                max_attempts=3 if attempts is None else attempts,
                interval_seconds=float(first),
                backoff_rate=2.0 if rate is None else rate,
                max_delay_seconds=float(MAX_DELAY if longest is None else longest),
                jitter="full" if jitter == "FULL" else "none",
            )
        )
    return tuple(policies)


def read_catchers(state: State) -> tuple[Catcher, ...]:
    """The catchers, in order; where they lead to is noted."""
    fields = state.fields
    catchers = []
    entries = fields.items("Catch", MAX_ENTRIES, empty=True)
    for at, entry in enumerate(entries):
        place = (*fields.place, "Catch", at)
        inner = object_at(fields.findings, entry, place, f"{fields.subject}: a catcher")
        if inner is None:
            continue
        state.comment(inner)
        errors = _errors(inner, last=at == len(entries) - 1)
        target = inner.text("Next", required="Name the state to go on with.")
        assign = read_assign(state, inner)
        if state.language == "jsonata":
            flow = Flow(language="jsonata", output=state.template(inner, "Output"), assign=assign)
        else:
            flow = Flow(language="jsonpath", result_path=read_path(state, inner, "ResultPath"), assign=assign)
        state.close(inner)
        if target is not None:
            state.leads(target, (*place, "Next"))
        if errors and target:
            catchers.append(Catcher(errors=errors, next=target, flow=flow))
    return tuple(catchers)


def deadline(timeout_ms: int, targets: int, retries: tuple[RetryPolicy, ...]) -> int:
    """What a visit may take by default, in milliseconds: all its attempts (native_policies), or a year."""
    rounds = sum(policy.max_attempts for policy in retries)
    if rounds > COUNTED or (timeout_ms + DEADLINE_MARGIN_MS) * (rounds + 1) > MAX_DEADLINE_MS:
        return MAX_DEADLINE_MS
    return max(timeout_ms, default_deadline(timeout_ms, targets, retries))


def _errors(fields: Fields, *, last: bool) -> tuple[str, ...] | None:
    """`ErrorEquals`: States.ALL stands alone, and in the last entry only."""
    if not fields.has("ErrorEquals"):
        fields.missing("ErrorEquals", f'Say which errors it takes, such as ["{ALL}"].')
        return None
    errors = fields.strings("ErrorEquals", MAX_ENTRIES)
    if errors and ALL in errors:
        if len(errors) > 1:
            mend = f"Leave '{ALL}' alone, or take it out."
            fields.wrong("ErrorEquals", "states-all-alone", f"'{ALL}' stands beside other errors.", mend)
        elif not last:
            fields.wrong(
                "ErrorEquals",
                "unreachable-handler",
                f"'{ALL}' takes every error, so that the entries behind this one are never reached.",
                "Move this entry to the end.",
            )
    return errors
