"""Reading a native TASK: targets, effects, how its result comes, and its bounds."""

from typing import Final, cast

from core.graph.draft import Reference
from core.graph.fields import MAX_ID, Fields
from core.graph.findings import shown
from core.graph.model import Await, Effects, OnAmbiguous, Target, TaskStep
from core.graph.native_policies import (
    MAX_DEADLINE_MS,
    read_budget,
    read_catchers,
    read_retries,
    read_targets,
    read_times,
)
from core.graph.native_templates import read_flow
from core.graph.native_ways import read_compensate, read_next

EFFECTS: Final = ("pure", "idempotent", "atMostOnce")
ON_AMBIGUOUS: Final = ("failover", "park", "fail")
AWAITS: Final = ("callback", "poll")

MAX_FAILOVER_ON: Final = 10


def read_task(fields: Fields, name: str, references: list[Reference]) -> TaskStep:
    """A TASK."""
    targets = read_targets(fields)
    declared = fields.one_of("effects", EFFECTS, "unknown-effects")
    effects = cast("Effects", declared or "idempotent")
    once = effects == "atMostOnce"
    settle = fields.one_of("onAmbiguous", ON_AMBIGUOUS, "unknown-on-ambiguous")
    if once and settle == "failover":
        fields.wrong(
            "onAmbiguous",
            "contradiction",
            "'atMostOnce' forbids a failover after an ambiguous outcome: the function could run twice.",
            'Use "park" or "fail", or declare other effects.',
        )
    on_function_error = _failover_on(fields)
    if once and on_function_error:
        fields.wrong(
            "failoverOn",
            "contradiction",
            "'atMostOnce' forbids a failover after the function's own error: it has run.",
            "Remove 'failoverOn', or declare other effects.",
        )
    awaits = _awaits(fields, targets)
    hedge = _hedge(fields, effects, awaits, targets)
    heartbeat_ms = _heartbeat(fields, awaits)
    flow = read_flow(fields)
    retries = read_retries(fields)
    budget = read_budget(fields)
    times = read_times(fields, len(targets), retries, awaits)
    if heartbeat_ms is not None and heartbeat_ms > times.timeout_ms:
        fields.wrong(
            "heartbeatSeconds",
            "contradiction",
            f"the time between two heartbeats is longer than the timeout of {times.timeout_ms} ms.",
            "Use a shorter time between heartbeats, or a longer timeout.",
        )
    compensate = read_compensate(fields, name, references)
    catch, caught = read_catchers(fields)
    following = read_next(fields, references)
    references.extend(caught)
    if len(targets) > 1 and not fields.has("effects"):
        fields.findings.hint(
            (*fields.place, "effects"),
            "effects-undeclared",
            f"{fields.subject} has a fallback but declares no effects; idempotent is assumed.",
            'Declare "effects": pure, idempotent or atMostOnce.',
        )
    if once and retries:
        fields.findings.hint(
            (*fields.place, "retries"),
            "retries-limited",
            f"{fields.subject} is atMostOnce, so 'retries' only follow failures that prove that nothing ran.",
            "Declare other effects if the function may run again after its own error.",
        )
    return TaskStep(
        id=name,
        targets=targets,
        effects=effects,
        on_ambiguous=cast("OnAmbiguous", settle or ("park" if once else "failover")),
        failover_on_function_error=on_function_error,
        hedge=hedge,
        retries=retries,
        retry_budget=budget,
        timeout_ms=times.timeout_ms,
        deadline_ms=times.deadline_ms,
        heartbeat_ms=heartbeat_ms,
        awaits=awaits,
        compensate=compensate,
        flow=flow,
        catch=catch,
        next=following,
    )


def _awaits(fields: Fields, targets: tuple[Target, ...]) -> Await:
    """`await`; a poll follows a `Location`, which Lambda's answers have none of."""
    awaits = cast("Await", fields.one_of("await", AWAITS, "unknown-await") or "answer")
    if awaits == "poll" and any(target.provider == "AWS" for target in targets):
        fields.wrong(
            "await",
            "contradiction",
            "AWS cannot be polled: a Lambda function's answer names no address to ask.",
            'Use a callback: "await": "callback".',
        )
    return awaits


def _hedge(fields: Fields, effects: Effects, awaits: Await, targets: tuple[Target, ...]) -> bool:
    hedge = fields.flag("hedge")
    if hedge and effects != "pure":
        fields.wrong(
            "hedge",
            "contradiction",
            f"'hedge' calls a second function beside the first, and the step is {effects}: both could run.",
            'Declare "effects": "pure" if it may, or remove \'hedge\'.',
        )
    elif hedge and awaits != "answer":
        fields.wrong(
            "hedge",
            "contradiction",
            "'hedge' races answers, and with 'await' the answer is not the result.",
            "Remove 'hedge' or 'await'.",
        )
    elif hedge and len(targets) == 1:
        fields.wrong(
            "hedge",
            "contradiction",
            "'hedge' needs a fallback, at which the second call goes out.",
            "Name a 'fallbackProvider' or 'fallbacks', or remove 'hedge'.",
        )
    return hedge


def _heartbeat(fields: Fields, awaits: Await) -> int | None:
    heartbeat = fields.number("heartbeatSeconds", 0.001, MAX_DEADLINE_MS / 1000, "seconds")
    if heartbeat is None:
        return None
    if awaits != "callback":
        fields.wrong(
            "heartbeatSeconds",
            "contradiction",
            "heartbeats come by callback, and the step awaits none.",
            'Add "await": "callback", or remove \'heartbeatSeconds\'.',
        )
        return None
    return max(1, round(heartbeat * 1000))


def _failover_on(fields: Fields) -> bool:
    entries = fields.items("failoverOn", MAX_FAILOVER_ON, empty=True)
    for at, entry in enumerate(entries):
        if entry != "functionError":
            fields.findings.error(
                (*fields.place, "failoverOn", at),
                "unknown-failover-on",
                f"{fields.subject}: 'failoverOn' knows no {shown(entry)}.",
                fields.findings.did_you_mean(str(entry)[:MAX_ID], ("functionError",), 'Use "functionError".'),
            )
    return "functionError" in entries
