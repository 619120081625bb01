"""What steps, conditions and policies say, in short lines."""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from core.data.conditions import AllOf, AnyOf, Comparison, Condition, Negation
from core.data.flow import Flow, Rule, Template
from core.graph.model import (
    ANY_ERROR,
    Catcher,
    ChoiceStep,
    FailStep,
    Json,
    MapStep,
    ParallelStep,
    PassStep,
    RetryPolicy,
    Step,
    SucceedStep,
    Target,
    TaskStep,
    WaitStep,
    WorkflowStep,
)

LINE: Final = 60
"""Characters of a line, the ellipsis among them."""

LISTED: Final = 4
"""Targets, policies or errors that are named before the rest is counted."""

NESTED: Final = 4
"""Levels of a condition that are written out."""

MAX_BITS: Final = 256
"""A larger integer is not written out: Python refuses to, from 4,300 digits on."""

_SIGNS: Final = {"eq": "=", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

_COMPARISON: Final = re.compile(
    "(?:Numeric|String|Timestamp|Boolean)(Equals|LessThan|GreaterThan|LessThanEquals|GreaterThanEquals)(?:Path)?"
)
_COMPARED: Final = {
    "Equals": "=", "LessThan": "<", "GreaterThan": ">", "LessThanEquals": "<=", "GreaterThanEquals": ">=",
}  # fmt: skip

# Controls would end a line or a document, half a surrogate pair and U+FFFE have no place in XML 1.0, and a
# change of direction would reach beyond the text that makes it.
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")

_EXPRESSION: Final = re.compile(r"^\{%\s*(.*?)\s*%\}$", re.DOTALL)


def plain(text: str, limit: int = LINE) -> str:
    """`text` as one line of at most `limit` characters that is safe to put anywhere but for markup."""
    # What is far beyond the limit is not looked at: a name may be as large as a definition.
    line = " ".join(text[: limit * 4].split())
    line = _UNFIT.sub("\ufffd", line)
    if len(line) <= limit and len(text) <= limit * 4:
        return line
    cut = line[: limit - 1]
    while cut and unicodedata.combining(cut[-1]):
        cut = cut[:-1]
    return cut.rstrip() + "\u2026"


def notes(step: Step) -> tuple[str, ...]:
    """The lines under a step's name."""
    match step:
        case TaskStep():
            lines = _task(step)
        case ChoiceStep() | SucceedStep() | PassStep():
            lines = []
        case ParallelStep():
            count = len(step.branches)
            lines = [f"{count} branch{'' if count == 1 else 'es'}", *_retries(step.retries)]
        case MapStep():
            lines = _map(step)
        case WorkflowStep():
            version = "" if step.version is None else f" version {step.version}"
            lines = [f"runs {step.workflow_id}{version}", *_retries(step.retries)]
        case WaitStep():
            lines = _wait(step)
        case FailStep():
            lines = [step.error if step.flow is None else _field(step.flow, "Error") or step.error]
        case _:
            assert_never(step)
    return tuple(plain(line) for line in lines)


def errors(catcher: Catcher) -> str:
    """The errors that a catcher catches."""
    return plain(_listed(_error(name) for name in catcher.errors))


def condition(asked: Condition) -> str:
    """A native condition."""
    return plain(_condition(asked, 0))


def rule(asked: Rule) -> str:
    """A choice rule of the States Language, or a JSONata expression."""
    return plain(_test(asked.test.source, 0))


def _task(step: TaskStep) -> list[str]:
    named = [_target(target) for target in step.targets]
    targets = [f"{'' if number == 0 else 'else '}{target}" for number, target in enumerate(named)]
    lines = [*targets[:LISTED]]
    if len(targets) > LISTED:
        lines.append(f"and {len(targets) - LISTED} more fallbacks")
    if step.effects == "atMostOnce":
        lines.append("at most once")
    if step.hedge:
        lines.append("hedged")
    if step.awaits == "callback":
        lines.append("awaits a callback")
    elif step.awaits == "poll":
        lines.append("polled until done")
    return lines + _retries(step.retries)


def _target(target: Target) -> str:
    """The target; of an ARN the function's name, since its beginning says little in a line."""
    arn, found, name = target.function_id.partition(":function:")
    if found and arn.startswith("arn:"):
        return str(Target(target.provider, name, target.region))
    return str(target)


def _map(step: MapStep) -> list[str]:
    items = step.items or (_field(step.flow, "Items") if step.flow else None)
    lines = [f"for each of {items}" if items else "for each item"]
    if step.max_concurrency:
        lines.append(f"at most {step.max_concurrency} side by side")
    if step.batching is not None and step.batching.items is not None:
        lines.append(f"in batches of {step.batching.items}")
    tolerated = [str(step.tolerated_count)] if step.tolerated_count else []
    tolerated += [f"{step.tolerated_percent:g} %"] if step.tolerated_percent else []
    if tolerated:
        lines.append(f"tolerates {' or '.join(tolerated)} failed")
    return lines + _retries(step.retries)


def _wait(step: WaitStep) -> list[str]:
    within = [] if step.timeout_ms is None else [f"within {step.timeout_ms / 1000:g} s"]
    if step.seconds is not None:
        return [f"for {step.seconds:g} s"]
    if step.until_ms is not None:
        return [f"until {_moment(step.until_ms)}"]
    if step.signal is not None:
        return [f"for the signal {step.signal}", *within]
    if step.callback:
        return ["for a callback", *within]
    flow = step.flow
    seconds = _field(flow, "Seconds") if flow else None
    stamp = _field(flow, "Timestamp") if flow else None
    return [f"for {seconds} s"] if seconds else [f"until {stamp}"] if stamp else []


def _moment(epoch_ms: int) -> str:
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
    except OverflowError:
        return f"{epoch_ms} ms after 1970"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _retries(policies: Sequence[RetryPolicy]) -> list[str]:
    lines = [
        f"retried {policy.max_attempts}x on {_listed(_error(name) for name in policy.errors)}"
        for policy in policies[:LISTED]
        if policy.max_attempts
    ]
    return [*lines, f"and {len(policies) - LISTED} more policies"] if len(policies) > LISTED else lines


def _field(flow: Flow, name: str) -> str | None:
    """What the definition says of a field, whichever way it is spelt."""
    for spelling in (name, f"{name}Path", f"{name}.$"):
        template = flow.fields.get(spelling)
        if isinstance(template, Template):
            return _value(template.source)
    return None


def _error(name: str) -> str:
    return "any error" if name in {ANY_ERROR, "States.ALL"} else name


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    return ", ".join(known[:LISTED]) + (f" and {len(known) - LISTED} more" if len(known) > LISTED else "")


def _condition(asked: Condition, depth: int) -> str:
    if depth > NESTED:
        return "\u2026"
    match asked:
        case Comparison():
            path = ".".join(asked.variable)
            if asked.operator == "exists":
                return f"{path} is {'there' if asked.value else 'missing'}"
            return f"{path} {_SIGNS.get(asked.operator, asked.operator)} {_value(asked.value)}"
        case AllOf():
            return _joined(" and ", (_condition(part, depth + 1) for part in asked.parts), depth)
        case AnyOf():
            return _joined(" or ", (_condition(part, depth + 1) for part in asked.parts), depth)
        case Negation():
            return f"not ({_condition(asked.part, depth + 1)})"
        case _:
            assert_never(asked)


def _test(source: Json, depth: int) -> str:
    if depth > NESTED:
        return "\u2026"
    match source:
        case str():
            return _value(source)
        case {"And": list(parts)}:
            return _joined(" and ", (_test(part, depth + 1) for part in parts), depth)
        case {"Or": list(parts)}:
            return _joined(" or ", (_test(part, depth + 1) for part in parts), depth)
        case {"Not": part}:
            return f"not ({_test(part, depth + 1)})"
        case {"Variable": variable, **others}:
            known = [name for name in others if name not in {"Next", "Comment", "Assign", "Output"}]
            asked = f" {_asked(str(known[0]), others[known[0]])}" if known else ""
            return f"{_value(variable)}{asked}"
        case _:
            return _value(source)


def _asked(operator: str, value: Json) -> str:
    """One of the States Language's comparisons: `NumericLessThanPath` says no more than `<`."""
    comparison = _COMPARISON.fullmatch(operator)
    if comparison is not None:
        return f"{_COMPARED[comparison[1]]} {_value(value)}"
    if operator == "IsPresent" and isinstance(value, bool):
        return "is there" if value else "is missing"
    return f"{operator} {_value(value)}"


def _joined(word: str, parts: Iterable[str], depth: int) -> str:
    """The parts as far as a line could show them."""
    text = ""
    for part in parts:
        text += (word if text else "") + part
        if len(text) > LINE * 2:
            break
    return f"({text})" if depth else text


def _value(value: Json) -> str:
    """A value as JSON, an expression without its braces, a path or another bare text of a template."""
    if isinstance(value, str):
        expression = _EXPRESSION.match(value[: LINE * 8])
        if expression is not None:
            return expression[1]
        if value.startswith("$"):
            return value[: LINE * 4]
        return json.dumps(value[: LINE * 4], ensure_ascii=False)
    if isinstance(value, list):
        shown = ("[\u2026]" if isinstance(one, list) and one else _value(one) for one in value)
        return "[" + _joined(", ", shown, 0) + "]"
    if isinstance(value, dict):
        return "{\u2026}" if value else "{}"
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        return "a very large number"
    return json.dumps(value)
