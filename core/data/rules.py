"""The condition that a native rule spells, from its text: what core/graph/native_conditions.py accepted."""

from core.data.conditions import AllOf, AnyOf, Comparison, Condition, Negation
from core.data.paths import Json, split


def condition_of(source: Json) -> Condition:
    """The condition of `{"variable", "operator", "value"}`, or of "and", "or" and "not" around others.

    Raises KeyError, TypeError or InvalidInput for what a front end would not have accepted.
    """
    match source:
        case {"and": list(parts)}:
            return AllOf(tuple(condition_of(part) for part in parts))
        case {"or": list(parts)}:
            return AnyOf(tuple(condition_of(part) for part in parts))
        case {"not": part} if part is not None:
            return Negation(condition_of(part))
        case _:
            operator = source["operator"]
            absent = True if operator == "exists" else None
            value = source.get("value", absent)
            return Comparison(split(source["variable"]), operator, value)
