"""Reading a Choice: its rules, as the States Language writes them, or as JSONata conditions."""

from collections.abc import Mapping
from typing import Final

from core.data.flow import Rule, Template
from core.data.state_choices import COMPOSITE, MAX_NESTING, TESTS, comparisons, operand
from core.graph.fields import Fields, object_at
from core.graph.findings import shown
from core.graph.model import ChoiceStep, Json
from core.graph.states_language.checks import check_path, check_template, is_expression
from core.graph.states_language.flows import read_assign, read_flow
from core.graph.states_language.state import State

MAX_RULES: Final = 1_000

OPERATORS: Final = (*sorted(comparisons()), *TESTS)
_KINDS: Final[Mapping[str, str]] = {
    "Boolean": "true or false",
    "Numeric": "a number",
    "String": "a string",
    "Timestamp": "a timestamp such as 2026-03-01T09:00:00Z",
}


def read_choice(state: State) -> ChoiceStep:
    """A Choice; where it leads to is noted."""
    fields = state.fields
    rules = []
    entries = fields.items("Choices", MAX_RULES, required="List at least one rule.")
    for at, entry in enumerate(entries):
        place = (*fields.place, "Choices", at)
        inner = object_at(fields.findings, entry, place, f"{fields.subject}: rule {at}")
        if inner is not None:
            rule = _rule(state, inner, entry)
            if rule is not None:
                rules.append(rule)
    default = fields.text("Default")
    if default is not None:
        state.leads(default, (*fields.place, "Default"))
    for name in ("Next", "End"):
        if fields.holds(name):
            target = fields.raw(name)
            if name == "Next" and isinstance(target, str):
                # What it leads to is no second mistake.
                state.leads(target, (*fields.place, name))
            detail = f"'{name}' has no place here: a Choice goes on along its rules."
            fields.wrong(name, "next-not-allowed", detail, "Use 'Default' instead.")
    return ChoiceStep(id=state.name, default=default, rules=tuple(rules), flow=read_flow(state, "Choice"))


def _rule(state: State, fields: Fields, entry: dict[str, Json]) -> Rule | None:
    state.comment(fields)
    target = fields.text("Next", required="Name the state to go on with.")
    if target is not None:
        state.leads(target, (*fields.place, "Next"))
    assign = read_assign(state, fields)
    if state.language == "jsonata":
        output = state.template(fields, "Output")
        condition = _condition(state, fields)
        state.close(fields)
        return None if target is None else Rule(test=condition, next=target, output=output, assign=assign)
    _check_test(state, fields)
    state.close(fields)
    test = {name: part for name, part in entry.items() if name not in ("Next", "Assign")}
    return None if target is None else Rule(test=Template(_bare(test)), next=target, assign=assign)


def _condition(state: State, fields: Fields) -> Template:
    value = fields.raw("Condition")
    if not fields.present("Condition"):
        fields.missing("Condition", 'Say when to go there: "Condition": "{% $states.input.total > 9 %}".')
    elif isinstance(value, str) and not is_expression(value):
        detail = f"{shown(value)} is no JSONata expression."
        fields.wrong("Condition", "invalid-expression", detail, "Put it between {% and %}.")
    elif isinstance(value, str):
        check_template(fields, (*fields.place, "Condition"), value, state.language)
    elif not isinstance(value, bool):
        detail = f"'Condition' must be an expression or true or false, not {shown(value)}."
        fields.wrong("Condition", "wrong-type", detail, "Write it as {% ... %}.")
    return Template(value)


def _check_test(state: State, fields: Fields, depth: int = 0) -> None:
    """Note what is wrong with a rule, on any level."""
    joiners = [name for name in COMPOSITE if fields.holds(name)]
    operators = [name for name in OPERATORS if fields.holds(name)]
    for name in (*joiners, *operators):
        fields.raw(name)
    found = [*joiners, *operators]
    if len(found) != 1:
        known = f"{fields.subject} has " + (
            "no comparison." if not found else f"{', '.join(found[:5])} side by side."
        )
        mend = "Use one comparison, or one of 'And', 'Or', 'Not' around the others."
        if not found and (meant := _misspelt(fields)) is not None:
            fields.raw("Variable")
            detail = f"{fields.subject}: there is no comparison {shown(meant)}."
            suggestion = fields.findings.did_you_mean(meant, OPERATORS, "Use one of the operators.")
            fields.findings.error((*fields.place, meant), "unknown-operator", detail, suggestion)
            fields.raw(meant)
            return
        fields.findings.error(fields.place, "not-one-comparison", known, mend)
    for name in joiners:
        parts = [fields.raw(name)] if name == "Not" else fields.items(name, MAX_RULES)
        for at, part in enumerate(parts):
            place = (*fields.place, name) if name == "Not" else (*fields.place, name, at)
            if depth == MAX_NESTING:
                detail = f"{fields.subject}: rules are nested deeper than {MAX_NESTING} levels."
                fields.findings.error(place, "condition-too-deep", detail, "Flatten the rule.")
                break
            subject = fields.subject if depth else f"{fields.subject}: a part"
            inner = object_at(fields.findings, part, place, subject)
            if inner is not None:
                state.comment(inner)
                _check_test(state, inner, depth + 1)
                state.close(inner)
    if operators:
        variable = fields.text("Variable", required='Say what to compare, such as "Variable": "$.total".')
        if variable is not None:
            check_path(fields, "Variable", variable)
    for name in operators:
        _check_operand(fields, name)


def _misspelt(fields: Fields) -> str | None:
    """The member that was probably meant as a comparison."""
    others = [name for name in fields.unasked() if name not in ("Variable", "Condition")]
    return others[0] if len(others) == 1 else None


def _check_operand(fields: Fields, name: str) -> None:
    value = fields.raw(name)
    if name in TESTS:
        wanted, fits = "true or false", isinstance(value, bool)
    else:
        kind, _, is_path = comparisons()[name]
        if is_path and isinstance(value, str):
            check_path(fields, name, value)
            return
        wanted = "a path" if is_path else _KINDS[kind]
        fits = not is_path and operand(kind, value) is not None
    if not fits:
        detail = f"'{name}' compares with {wanted}, not {shown(value)}."
        if name in TESTS:
            detail = f"'{name}' is {wanted}, not {shown(value)}."
        fields.wrong(name, "wrong-value", detail, f"Make it {wanted}.")


def _bare(rule: Json) -> Json:
    """A rule without remarks, on any level."""
    match rule:
        case dict():
            return {name: _bare(part) for name, part in rule.items() if name != "Comment"}
        case list():
            return [_bare(part) for part in rule]
        case _:
            return rule
