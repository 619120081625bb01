"""Reading one native step of each type."""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple, cast

from core.graph.draft import BRANCH, FLOW, Reference
from core.graph.fields import MAX_ID, MAX_TEXT, Fields, object_at
from core.graph.findings import Findings, Place, shown
from core.graph.model import (
    ChoiceRule,
    ChoiceStep,
    Effects,
    FailStep,
    Json,
    OnAmbiguous,
    ParallelStep,
    PassStep,
    Step,
    SucceedStep,
    TaskStep,
    WaitStep,
)
from core.graph.native_conditions import read_condition
from core.graph.native_policies import read_catchers, read_retries, read_targets, read_times

TYPES: Final = ("TASK", "CHOICE", "PARALLEL", "PASS", "WAIT", "SUCCEED", "FAIL")
EFFECTS: Final = ("pure", "idempotent", "atMostOnce")
ON_AMBIGUOUS: Final = ("failover", "park", "fail")

MAX_CHOICES: Final = 1_000
MAX_BRANCHES: Final = 1_000
MAX_FAILOVER_ON: Final = 10
MAX_WAIT_SECONDS: Final = 31_536_000
"""A year, as long as an execution may take."""

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ReadStep(NamedTuple):
    """What one entry of `steps` says; `step` is None where it could not be read."""

    step_id: str | None
    step: Step | None
    references: list[Reference]
    ends: bool


def read_step(findings: Findings, entry: Json, place: Place) -> ReadStep | None:
    """Read one entry, noting its problems; None if it is no object."""
    fields = object_at(findings, entry, place, f"Step {place[-1]}")
    if fields is None:
        return None
    step_id = fields.identifier("id", required="Give the step an id.")
    if step_id is not None:
        fields.subject = f"Step {shown(step_id)}"
    kind = fields.one_of(
        "type", TYPES, "unknown-type", required='Say what the step is, such as "type": "TASK".'
    )
    for remark in ("description", "comment"):
        fields.text(remark, limit=findings.limits.definition_bytes, empty=True)
    references: list[Reference] = []
    if kind is None:
        # Judge the rest by the type that was probably meant, so that one pass shows every mistake.
        kind = findings.closest(str(fields.raw("type"))[:MAX_ID], TYPES)
    if kind is None:
        # What it is cannot be told, so its other fields cannot be judged; where it leads to can.
        _next(fields, references)
        return ReadStep(step_id, None, references, ends=True)
    step: Step
    name = step_id or ""
    match kind:
        case "TASK":
            step = _task(fields, name, references)
        case "CHOICE":
            step = _choice(fields, name, references)
        case "PARALLEL":
            step = _parallel(fields, name, references)
        case "PASS":
            step = PassStep(id=name, result=fields.members("result") or {}, next=_next(fields, references))
        case "WAIT":
            step = _wait(fields, name, references)
        case "SUCCEED":
            _no_next(fields, references, "a SUCCEED ends its scope.", "Remove 'next', or use a PASS.")
            step = SucceedStep(id=name)
        case _:
            step = _fail(fields, name, references)
    fields.close()
    # A step whose `next` could not be read may lead anywhere, so also to an end.
    ends = not references if isinstance(step, ChoiceStep) else step.next is None
    return ReadStep(step_id, step, references, ends=ends)


def _task(fields: Fields, name: str, references: list[Reference]) -> TaskStep:
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
    hedge = fields.flag("hedge")
    if hedge and effects != "pure":
        fields.wrong(
            "hedge",
            "contradiction",
            f"'hedge' calls a second function beside the first, and the step is {effects}: both could run.",
            'Declare "effects": "pure" if it may, or remove \'hedge\'.',
        )
    elif hedge and len(targets) == 1:
        fields.wrong(
            "hedge",
            "contradiction",
            "'hedge' needs a fallback, at which the second call goes out.",
            "Name a 'fallbackProvider' or 'fallbacks', or remove 'hedge'.",
        )
    retries = read_retries(fields)
    times = read_times(fields, len(targets), retries)
    catch, caught = read_catchers(fields)
    following = _next(fields, references)
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
        timeout_ms=times.timeout_ms,
        deadline_ms=times.deadline_ms,
        catch=catch,
        next=following,
    )


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


def _choice(fields: Fields, name: str, references: list[Reference]) -> ChoiceStep:
    rules = []
    entries = fields.items("choices", MAX_CHOICES, required="List at least one choice.")
    for at, entry in enumerate(entries):
        place = (*fields.place, "choices", at)
        inner = object_at(fields.findings, entry, place, f"{fields.subject}: choice {at}")
        if inner is None:
            continue
        target = inner.text("next", limit=MAX_ID, required="Name the step to go on with.")
        condition = read_condition(inner)
        inner.close()
        if target is not None:
            references.append(Reference(target, (*place, "next"), FLOW))
            if condition is not None:
                rules.append(ChoiceRule(condition, target))
    default = fields.text("default", limit=MAX_ID)
    if default is not None:
        references.append(Reference(default, (*fields.place, "default"), FLOW))
    elif not fields.present("default"):
        fields.findings.hint(
            (*fields.place, "default"),
            "no-default",
            f"{fields.subject} fails when no choice holds.",
            "Add a 'default'.",
        )
    _no_next(fields, references, "a CHOICE goes on along its choices.", "Use 'default' instead of 'next'.")
    return ChoiceStep(id=name, choices=tuple(rules), default=default)


def _parallel(fields: Fields, name: str, references: list[Reference]) -> ParallelStep:
    branches = []
    entries = fields.items("branches", MAX_BRANCHES, required="List the first step of each branch.")
    for at, entry in enumerate(entries):
        place = (*fields.place, "branches", at)
        if not isinstance(entry, str) or not entry or len(entry) > MAX_ID:
            detail = f"{fields.subject}: a branch is the id of its first step, not {shown(entry)}."
            fields.findings.error(place, "wrong-type", detail, "Name a step.")
        elif entry in branches:
            detail = f"{fields.subject}: the branch {shown(entry)} is listed twice."
            fields.findings.error(place, "duplicate-branch", detail, "Remove it.")
        else:
            branches.append(entry)
            references.append(Reference(entry, place, BRANCH))
    catch, caught = read_catchers(fields)
    following = _next(fields, references)
    references.extend(caught)
    return ParallelStep(id=name, branches=tuple(branches), catch=catch, next=following)


def _wait(fields: Fields, name: str, references: list[Reference]) -> WaitStep:
    seconds = fields.number("seconds", 0, MAX_WAIT_SECONDS, "seconds")
    until = fields.text("until", limit=MAX_ID)
    until_ms = None if until is None else _instant(fields, until)
    given = [member for member in ("seconds", "until") if fields.has(member)]
    if len(given) != 1:
        detail = "has both 'seconds' and 'until'." if given else "has neither 'seconds' nor 'until'."
        fields.findings.error(
            fields.place, "wait-without-end", f"{fields.subject} {detail}", "Give exactly one of them."
        )
    return WaitStep(id=name, seconds=seconds, until_ms=until_ms, next=_next(fields, references))


def _instant(fields: Fields, text: str) -> int | None:
    if _INSTANT.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            pass
        else:
            since = moment - _EPOCH
            return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    fields.wrong(
        "until",
        "invalid-instant",
        f"{shown(text)} is no instant of RFC 3339 with an offset.",
        "Write it as 2026-03-01T09:00:00Z or with an offset such as +01:00.",
    )
    return None


def _fail(fields: Fields, name: str, references: list[Reference]) -> FailStep:
    error = fields.text("error", limit=MAX_ID)
    cause = fields.text("cause", limit=MAX_TEXT, empty=True)
    _no_next(
        fields, references, "a FAIL ends its scope.", "Remove 'next', or catch the failure where it happens."
    )
    default = FailStep(id=name)
    return FailStep(id=name, error=error or default.error, cause=cause or default.cause)


def _next(fields: Fields, references: list[Reference]) -> str | None:
    target = fields.text("next", limit=MAX_ID)
    if target is not None:
        references.append(Reference(target, (*fields.place, "next"), FLOW))
    return target


def _no_next(fields: Fields, references: list[Reference], why: str, mend: str) -> None:
    """Refuse a `next`, and follow it all the same: what it leads to is no second mistake."""
    if fields.has("next"):
        _next(fields, references)
        fields.wrong("next", "next-not-allowed", f"'next' has no place here: {why}", mend)
