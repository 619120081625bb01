"""Fields of a step that are evaluated: what each must be, and the causes AWS gives where it is not."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from core.data.failures import Failed, NothingThere, runtime
from core.data.flow import Flow, Json, Template
from core.data.scope import Scope, shown
from core.data.templates import Expressions, Paths, expression_of, find
from core.data.timestamps import milliseconds

MAX_SECONDS: Final = 99_999_999
"""The longest wait or timeout (AWS, "Wait workflow state"; the specification has no bound)."""

MAX_COUNT: Final = (1 << 31) - 1


class Whole(msgspec.Struct, frozen=True):
    """A whole number in a range, both ends included."""

    least: int
    most: int


class Percent(msgspec.Struct, frozen=True):
    """A number between 0 and 100."""


Kind = Whole | Percent | Literal["array", "string", "timestamp"]

KINDS: Final[Mapping[str, Kind]] = {
    "Seconds": Whole(0, MAX_SECONDS),
    "TimeoutSeconds": Whole(1, MAX_SECONDS),
    "HeartbeatSeconds": Whole(1, MAX_SECONDS),
    "MaxConcurrency": Whole(0, MAX_COUNT),
    "ToleratedFailureCount": Whole(0, MAX_COUNT),
    "MaxItems": Whole(1, MAX_COUNT),
    "MaxItemsPerBatch": Whole(1, MAX_COUNT),
    "MaxInputBytesPerBatch": Whole(1, MAX_COUNT),
    "ToleratedFailurePercentage": Percent(),
    "Items": "array",
    "Error": "string",
    "Cause": "string",
    "Timestamp": "timestamp",
}


_UNREADABLE_TIME: Final = "cannot be parsed as an ISO-8601 extended offset date-time format string"


def by_paths(flow: Flow, scope: Scope, limit: int) -> dict[str, Json]:
    """The fields of a step in JSONPath, by name without `Path`. Raises Failed, Unbounded and TooLarge."""
    made = {}
    for written, template in flow.fields.items():
        name = written.removesuffix("Path")
        source = template.source
        if name == written or not isinstance(source, str):
            value = Paths(scope).render(source, written, limit)
        else:
            value = _found(written, source, scope)
        walks = name == "Items" and flow.objects and isinstance(value, dict)
        made[name] = value if walks else _checked_path(name, written, source, value)
    return made


def by_expressions(flow: Flow, speaker: Expressions, limit: int) -> dict[str, Json]:
    """The fields of a step in JSONata or natively. Raises Failed, Unbounded and TooLarge."""
    made = {}
    for name, template in flow.fields.items():
        value = speaker.render(template.source, name, limit)
        walks = name == "Items" and flow.objects and isinstance(value, dict)
        made[name] = value if walks else _checked_expression(name, template, value, speaker.error)
    return made


def expected(source: Json, field: str, kind: str, value: Json, error: str) -> Failed:
    """What is raised where an expression's value is of another kind than a field's."""
    expression = expression_of(source) if isinstance(source, str) else None
    subject = f"JSONata expression '{expression}'" if expression is not None else "value"
    cause = (
        f"The {subject} specified for the field '{field}' returned an unexpected result type. "
        f"Expected '{kind}', but was '{_kind(value)}' for value: {shown(value)}"
    )
    return Failed(error, cause)


def _found(written: str, path: str, scope: Scope) -> Json:
    try:
        return find(path, scope, written)
    except NothingThere as missing:
        if written in ("ErrorPath", "CausePath", "ItemsPath"):
            raise
        raise NothingThere(
            path, f"The {written} parameter does not reference an input value: {path}"
        ) from missing


def _checked_path(name: str, written: str, path: Json, value: Json) -> Json:
    kind = KINDS.get(name)
    match kind:
        case Whole() if name == "Seconds":
            return _seconds(written, path, value)
        case Whole() | Percent():
            what = "integer" if isinstance(kind, Whole) else "float"
            if isinstance(value, bool) or not isinstance(value, int | float):
                found = f"The {written} field refers to value {_quoted(value)}"
                raise runtime(f"{found} which is not a valid {what}: {path}")
            number = _in_range(kind, value)
            if number is None:
                raise runtime(_range_cause(name, kind))
            return number
        case "array":
            if not isinstance(value, list):
                raise runtime(f"Reference path {_quoted(path)} must point to array.")
            return value
        case "string":
            if not isinstance(value, str):
                raise runtime(f"The {written} field must refer to a string, not to {shown(value)}: {path}")
            return value
        case "timestamp":
            at = milliseconds(value) if isinstance(value, str) else None
            if at is None:
                raise runtime(f"The {written} parameter {_UNREADABLE_TIME}: {path} == {_bare(value)}")
            return at
        case _:
            return value


def _seconds(written: str, path: Json, value: Json) -> Json:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise runtime(f"The {written} parameter cannot be parsed as a long value: {path} == {_bare(value)}")
    if value < 0:
        raise runtime(f"The {written} parameter references a negative value: {path} == {_bare(value)}")
    if value > MAX_SECONDS:
        raise runtime(
            f"The {written} parameter references a value over {MAX_SECONDS}: {path} == {_bare(value)}"
        )
    return int(value)


def _checked_expression(name: str, template: Template, value: Json, error: str) -> Json:
    kind = KINDS.get(name)
    match kind:
        case Whole() | Percent():
            if isinstance(value, bool) or not isinstance(value, int | float):
                what = "integer" if isinstance(kind, Whole) else "number"
                raise expected(template.source, name, what, value, error)
            number = _in_range(kind, value)
            if number is None:
                raise Failed(error, f"{_range_cause(name, kind)[:-1]}, but was: {shown(value)}")
            return number
        case "array":
            if not isinstance(value, list):
                raise expected(template.source, name, "array", value, error)
            return value
        case "string":
            if not isinstance(value, str):
                raise expected(template.source, name, "string", value, error)
            return value
        case "timestamp":
            if not isinstance(value, str):
                raise expected(template.source, name, "string", value, error)
            at = milliseconds(value)
            if at is None:
                raise Failed(error, f"The {name} field {_UNREADABLE_TIME}: {_bare(value)}")
            return at
        case _:
            return value


def _in_range(kind: Whole | Percent, value: float) -> float | None:
    """The number as the field has it; None where it is not in range, or not whole."""
    if isinstance(kind, Percent):
        return value if 0 <= value <= 100 else None  # noqa: PLR2004 - per cent
    if not kind.least <= value <= kind.most or value != value // 1:
        return None
    return int(value)


def _range_cause(name: str, kind: Whole | Percent) -> str:
    if isinstance(kind, Percent):
        return f"{name} must be between 0 and 100."
    return f"{name} must be a whole number between {kind.least} and {kind.most}."


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _bare(value: Json) -> str:
    """As `shown`, but a string without its quotes."""
    return value[:1_000] if isinstance(value, str) else shown(value)


def _quoted(value: Json) -> str:
    """As `shown`, in quotes whatever it is, as AWS shows it."""
    return f'"{_bare(value)}"'
