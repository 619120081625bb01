"""Reading a native CHOICE: conditions in order, each a comparison or a JSONata `condition`."""

from typing import Final

from core.data.flow import Flow, Rule, Template
from core.graph.draft import FLOW, Reference
from core.graph.fields import MAX_ID, Fields, object_at
from core.graph.findings import shown
from core.graph.model import ChoiceRule, ChoiceStep
from core.graph.native_conditions import read_condition
from core.graph.native_templates import CLOSING, LANGUAGE, OPENING, check_text, is_expression
from core.graph.native_ways import refuse_next

MAX_CHOICES: Final = 1_000

COMPARING: Final = ("variable", "operator", "value", "and", "or", "not")


def read_choice(fields: Fields, name: str, references: list[Reference]) -> ChoiceStep:
    """A CHOICE. One `condition` makes rules of all its choices, in their order."""
    choices: list[ChoiceRule] = []
    rules: list[Rule] = []
    by_rules = False
    entries = fields.items("choices", MAX_CHOICES, required="List at least one choice.")
    for at, entry in enumerate(entries):
        place = (*fields.place, "choices", at)
        inner = object_at(fields.findings, entry, place, f"{fields.subject}: choice {at}")
        if inner is None:
            continue
        target = inner.text("next", limit=MAX_ID, required="Name the step to go on with.")
        if target is not None:
            references.append(Reference(target, (*place, "next"), FLOW))
        if inner.has("condition"):
            by_rules = True
            expression = _expression(inner)
            inner.close()
            if expression is not None and target is not None:
                rules.append(Rule(test=Template(expression), next=target))
            continue
        condition = read_condition(inner)
        inner.close()
        if condition is not None and target is not None:
            choices.append(ChoiceRule(condition, target))
            comparison = {key: value for key, value in entry.items() if key in COMPARING}
            rules.append(Rule(test=Template(comparison), next=target))
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
    refuse_next(fields, references, "a CHOICE goes on along its choices.", "Use 'default' instead of 'next'.")
    if by_rules:
        return ChoiceStep(id=name, rules=tuple(rules), default=default, flow=Flow(language=LANGUAGE))
    return ChoiceStep(id=name, choices=tuple(choices), default=default)


def _expression(fields: Fields) -> str | None:
    """`condition`, which stands alone beside `next`."""
    beside = [name for name in COMPARING if fields.present(name)]
    if beside:
        names = ", ".join(f"'{name}'" for name in ("condition", *beside))
        fields.findings.error(
            fields.place,
            "mixed-condition",
            f"{fields.subject} has {names} side by side.",
            "Use one 'condition', or one comparison.",
        )
    text = fields.text("condition", limit=fields.findings.limits.definition_bytes)
    if text is None:
        return None
    if not is_expression(text):
        fields.wrong(
            "condition",
            "invalid-expression",
            f"{shown(text)} is no expression.",
            f"Write it as {OPENING} order.total > 100 {CLOSING}.",
        )
        return None
    if not check_text(fields, text, (*fields.place, "condition")) or beside:
        return None
    return text
