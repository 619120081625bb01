"""Reading the conditions of a native CHOICE: `{variable, operator, value}`, and/or/not."""

from typing import Final, cast, get_args

from core.data.conditions import check_pattern
from core.data.paths import split
from core.errors import InvalidInput
from core.graph.fields import Fields, object_at
from core.graph.findings import Findings, Place, shown
from core.graph.model import AllOf, AnyOf, Comparison, Condition, Json, Negation, Operator

OPERATORS: Final = get_args(Operator)

MAX_DEPTH: Final = 32
"""How deep and/or/not nest."""

MAX_PARTS: Final = 1_000
"""Parts of one and/or."""

_JOINERS: Final = ("and", "or", "not")


def read_condition(fields: Fields, depth: int = 1) -> Condition | None:
    """The condition that the members of `fields` spell; None after a problem.

    The caller closes `fields`, since a rule of a CHOICE has members of its own beside these.
    """
    joiners = [name for name in _JOINERS if fields.present(name)]
    if not joiners:
        return _comparison(fields)
    plain = [name for name in ("variable", "operator", "value") if fields.present(name)]
    if len(joiners) + bool(plain) > 1:
        names = ", ".join(f"'{name}'" for name in (*joiners, *plain))
        fields.findings.error(
            fields.place,
            "mixed-condition",
            f"{fields.subject} has {names} side by side.",
            "Use one comparison, or one of 'and', 'or', 'not' around the others.",
        )
        return None
    if depth >= MAX_DEPTH:
        fields.wrong(
            joiners[0],
            "condition-too-deep",
            f"conditions are nested deeper than {MAX_DEPTH} levels.",
            "Flatten the condition.",
        )
        return None
    if joiners[0] == "not":
        part = _part(fields.findings, fields.raw("not"), (*fields.place, "not"), depth + 1)
        return None if part is None else Negation(part)
    name = joiners[0]
    entries = fields.items(name, MAX_PARTS, required="List at least one condition.")
    read = [
        _part(fields.findings, entry, (*fields.place, name, at), depth + 1)
        for at, entry in enumerate(entries)
    ]
    parts = tuple(part for part in read if part is not None)
    if not parts or len(parts) != len(entries):
        return None
    return AllOf(parts) if name == "and" else AnyOf(parts)


def read_path(fields: Fields, name: str) -> tuple[str, ...] | None:
    """A member that is a dotted path."""
    text = fields.text(name)
    if text is None:
        return None
    try:
        return split(text)
    except InvalidInput as refused:
        fields.wrong(
            name, "invalid-path", f"'{name}' is no path: {refused}", "Write it as 'order.items.0.sku'."
        )
        return None


def _part(findings: Findings, value: Json, place: Place, depth: int) -> Condition | None:
    fields = object_at(findings, value, place, "A condition")
    if fields is None:
        return None
    condition = read_condition(fields, depth)
    fields.close()
    return condition


def _comparison(fields: Fields) -> Condition | None:
    if not fields.present("variable"):
        fields.missing("variable", 'Name the variable to compare, such as "variable": "order.total".')
    elif not fields.has("variable"):
        fields.wrong("variable", "wrong-type", "'variable' must be a string, not null.", "Make it a string.")
    variable = read_path(fields, "variable")
    operator = fields.one_of(
        "operator", OPERATORS, "unknown-operator", required=f"Use one of {', '.join(OPERATORS)}."
    )
    present = fields.present("value")
    value = fields.raw("value")
    if operator == "exists" and not present:
        value = True
    elif not present:
        fields.missing("value", "Give the value to compare with; null is one.")
        return None
    if operator is None or not _suits(fields, cast("Operator", operator), value) or variable is None:
        return None
    return Comparison(variable, cast("Operator", operator), value)


def _suits(fields: Fields, operator: Operator, value: Json) -> bool:
    """Whether `operator` can compare with `value`; notes a problem if not."""
    match operator:
        case "eq" | "ne" | "contains":
            return True
        case "in":
            wanted, fits = "a list", isinstance(value, list)
        case "exists":
            wanted, fits = "true or false", isinstance(value, bool)
        case "matches":
            wanted, fits = "a string", isinstance(value, str)
        case _:
            wanted = "a number or a string"
            fits = isinstance(value, int | float | str) and not isinstance(value, bool)
    if not fits:
        detail = f"'{operator}' compares with {wanted}, not {shown(value)}."
        fields.wrong("value", "wrong-value", detail, f"Make 'value' {wanted}.")
        return False
    if operator == "matches":
        try:
            check_pattern(value)
        except InvalidInput as refused:
            mend = "Write it in RE2's syntax (no backreferences, no look-around)."
            fields.wrong("value", "invalid-pattern", str(refused), mend)
            return False
    return True
