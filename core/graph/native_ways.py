"""Reading where a native step leads: `next`, and the step that undoes it."""

from core.graph.draft import COMPENSATION, FLOW, Reference
from core.graph.fields import MAX_ID, Fields


def read_next(fields: Fields, references: list[Reference]) -> str | None:
    """`next`, noted as a way along the flow."""
    target = fields.text("next", limit=MAX_ID)
    if target is not None:
        references.append(Reference(target, (*fields.place, "next"), FLOW))
    return target


def refuse_next(fields: Fields, references: list[Reference], why: str, mend: str) -> None:
    """Refuse a `next`, and follow it all the same: what it leads to is no second mistake."""
    if fields.has("next"):
        read_next(fields, references)
        fields.wrong("next", "next-not-allowed", f"'next' has no place here: {why}", mend)


def read_compensate(fields: Fields, name: str, references: list[Reference]) -> str | None:
    """`compensate`: the step that undoes this one, noted as a way into a scope of its own."""
    target = fields.text("compensate", limit=MAX_ID)
    if target is None:
        return None
    if target == name:
        fields.wrong(
            "compensate",
            "contradiction",
            "the step names itself in 'compensate': it cannot undo itself.",
            "Name another step, which undoes this one.",
        )
        return None
    references.append(Reference(target, (*fields.place, "compensate"), COMPENSATION))
    return target
