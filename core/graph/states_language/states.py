"""Reading one state of any type."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec

from core.data.flow import Template
from core.graph.draft import BRANCH, Reference
from core.graph.fields import MAX_ID, object_at
from core.graph.findings import Findings, Place, shown
from core.graph.model import (
    FailStep,
    Json,
    MapStep,
    ParallelStep,
    PassStep,
    Step,
    SucceedStep,
    TaskStep,
    WaitStep,
)
from core.graph.states_language.checks import is_expression
from core.graph.states_language.choices import read_choice
from core.graph.states_language.flows import read_flow
from core.graph.states_language.maps import read_map
from core.graph.states_language.policies import read_catchers, read_retries
from core.graph.states_language.state import LANGUAGES, MAX_WHOLE, Inner, QueryLanguage, State
from core.graph.states_language.tasks import read_task

TYPES: Final = ("Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map")

MAX_BRANCHES: Final = 1_000

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class ReadState:
    """What one entry of States says; `step` is None where it could not be read."""

    step: Step | None = None
    references: list[Reference] = field(default_factory=list)
    inner: list[Inner] = field(default_factory=list)
    ends: bool = True


def read_state(findings: Findings, name: str, entry: Json, home: Place, machine: QueryLanguage) -> ReadState:
    """Read the state `name` of the States at `home`, noting its problems."""
    fields = object_at(findings, entry, (*home, name), f"State {shown(name)}")
    if fields is None:
        return ReadState()
    kind = fields.one_of(
        "Type", TYPES, "unknown-type", required='Say what the state is, such as "Type": "Task".'
    )
    said = fields.one_of("QueryLanguage", tuple(LANGUAGES), "unknown-query-language")
    language = LANGUAGES[said] if said is not None else machine
    if machine == "jsonata" and language == "jsonpath":
        detail = "the machine uses JSONata, so that none of its states can use JSONPath."
        mend = "Take JSONata out of the machine, and set it for those states that use it."
        fields.wrong("QueryLanguage", "wrong-query-language", detail, mend)
        language = "jsonata"
    state = State(name, fields, language, home)
    state.comment(fields)
    if kind is None:
        # Judge the rest by the type that was probably meant, so that one pass shows every mistake.
        kind = findings.closest(str(fields.raw("Type"))[:MAX_ID], TYPES)
    if kind is None:
        _onward(state)
        return ReadState(references=state.references)
    step = _step(state, kind)
    state.close(fields)
    ends = step.next is None and not (kind == "Choice" and state.references)
    return ReadState(step, state.references, state.inner, ends)


def _step(state: State, kind: str) -> Step:
    match kind:
        case "Task":
            return _with_next(state, read_task(state))
        case "Map":
            map_step = read_map(state)
            for inner in state.inner:
                _open(state, inner)
            return _with_next(state, map_step)
        case "Parallel":
            return _with_next(state, _parallel(state))
        case "Pass":
            return _with_next(state, PassStep(id=state.name, flow=read_flow(state, "Pass")))
        case "Wait":
            return _with_next(state, _wait(state))
        case "Choice":
            return read_choice(state)
        case "Succeed":
            _no_next(state, "a Succeed ends its scope.")
            return SucceedStep(id=state.name, flow=read_flow(state, "Succeed"))
        case _:
            error, cause = state.text("Error"), state.text("Cause")
            _no_next(state, "a Fail ends its scope.")
            return FailStep(
                id=state.name, error=error or "", cause=cause or "", flow=read_flow(state, "Fail")
            )


def _with_next(state: State, step: TaskStep | MapStep | ParallelStep | PassStep | WaitStep) -> Step:
    """The step with its `next`, as `Next` or `End` say."""
    return msgspec.structs.replace(step, next=_onward(state))


def _onward(state: State) -> str | None:
    """`Next` or `End`: exactly one of them."""
    fields = state.fields
    target = fields.text("Next")
    ends = fields.flag("End")
    if target is not None:
        state.leads(target, (*fields.place, "Next"))
        if ends:
            detail = "there are both 'Next' and 'End'."
            fields.wrong("End", "next-and-end", detail, "Keep one of them.")
    elif not ends and not fields.has("Next") and fields.raw("End") in (None, False):
        fields.findings.error(
            fields.place,
            "missing-next",
            f"{fields.subject} has neither 'Next' nor 'End'.",
            'Name the state that comes next, or add "End": true.',
        )
    return target


def _no_next(state: State, why: str) -> None:
    """Refuse `Next` and `End`, and follow the former all the same: what it leads to is no second mistake."""
    for name in ("Next", "End"):
        if state.fields.holds(name):
            target = state.fields.raw(name)
            if name == "Next" and isinstance(target, str):
                state.leads(target, (*state.fields.place, name))
            detail = f"'{name}' has no place here: {why}"
            state.fields.wrong(name, "next-not-allowed", detail, "Remove it, or use a Pass.")


def _parallel(state: State) -> ParallelStep:
    fields = state.fields
    branches = []
    entries = fields.items("Branches", MAX_BRANCHES, required="List at least one branch.")
    for at, entry in enumerate(entries):
        place = (*fields.place, "Branches", at)
        subject = f"{fields.subject}: branch {at}"
        if not isinstance(entry, dict):
            detail = f"{subject} must be an object, not {shown(entry)}."
            fields.findings.error(place, "wrong-type", detail, 'Make it {"StartAt": ..., "States": ...}.')
            continue
        inner = Inner(entry, place, subject)
        state.inner.append(inner)
        _open(state, inner)
        start = entry.get("StartAt")
        if isinstance(start, str):
            branches.append(start)
    retries = read_retries(state)
    catch = read_catchers(state)
    return ParallelStep(
        id=state.name,
        branches=tuple(branches),
        retries=retries,
        flow=read_flow(state, "Parallel"),
        catch=catch,
    )


def _open(state: State, inner: Inner) -> None:
    """Note which state a branch starts with; the first one where it does not say so."""
    start, states = inner.members.get("StartAt"), inner.members.get("States")
    if not isinstance(start, str) and isinstance(states, dict):
        start = next(iter(states), None)
    if isinstance(start, str):
        place = (*inner.place, "StartAt")
        state.references.append(Reference(start, place, BRANCH, (*inner.place, "States")))


def _wait(state: State) -> WaitStep:
    fields = state.fields
    names = ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")
    given = [name for name in names if fields.holds(name)]
    if len(given) != 1:
        detail = f"has {' and '.join(given)} side by side." if given else "does not say how long it waits."
        fields.findings.error(
            fields.place,
            "wait-without-end",
            f"{fields.subject} {detail}",
            "Give exactly one of 'Seconds', 'SecondsPath', 'Timestamp' and 'TimestampPath'.",
        )
        for name in given:
            fields.raw(name)
        return WaitStep(id=state.name, flow=read_flow(state, "Wait"))
    if state.language == "jsonata" and given[0].endswith("Path"):
        return WaitStep(id=state.name, flow=read_flow(state, "Wait"))
    if not fields.has(given[0]):
        detail = f"'{given[0]}' does not say how long: it is null."
        fields.wrong(given[0], "wrong-type", detail, "Give it a value.")
    seconds: float | None = None
    until_ms: int | None = None
    match given[0]:
        case "Seconds" | "SecondsPath":
            seconds = state.amount(fields, "Seconds", 0, MAX_WHOLE, "seconds")
        case "TimestampPath":
            path = state.path(fields, "TimestampPath")
            state.evaluated["TimestampPath"] = Template(path)
        case _:
            value = fields.raw("Timestamp")
            if state.language == "jsonata" and is_expression(value):
                template = state.template(fields, "Timestamp")
                state.evaluated["Timestamp"] = template or Template(value)
            else:
                text = fields.text("Timestamp", limit=MAX_ID)
                until_ms = None if text is None else _instant(state, text)
    return WaitStep(id=state.name, seconds=seconds, until_ms=until_ms, flow=read_flow(state, "Wait"))


def _instant(state: State, text: str) -> int | None:
    if _INSTANT.fullmatch(text):
        try:
            since = datetime.fromisoformat(text) - _EPOCH
        except (ValueError, OverflowError):
            pass
        else:
            return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    detail = f"{shown(text)} is no instant of RFC 3339 with an offset."
    state.fields.wrong("Timestamp", "invalid-instant", detail, "Write it as 2026-03-01T09:00:00Z.")
    return None
