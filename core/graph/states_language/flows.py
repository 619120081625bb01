"""Reading what a state says about its data."""

from typing import Final

from core.data.flow import Flow, Template
from core.graph.fields import Fields
from core.graph.findings import shown
from core.graph.states_language.state import State

_PATHS: Final = ("InputPath", "OutputPath")
_WORK: Final = (*_PATHS, "ResultPath", "Parameters", "ResultSelector", "Assign", "Arguments", "Output")

ALLOWED: Final = {
    "Task": _WORK,
    "Parallel": _WORK,
    "Map": (*_PATHS, "ResultPath", "ResultSelector", "Assign", "Output"),
    "Pass": (*_PATHS, "ResultPath", "Parameters", "Result", "Assign", "Output"),
    "Wait": (*_PATHS, "Assign", "Output"),
    "Choice": (*_PATHS, "Assign", "Output"),
    "Succeed": (*_PATHS, "Output"),
    "Fail": (),
}
"""What each type of state may say about its data (the specification's table of fields)."""

MAX_VARIABLE: Final = 80


def read_flow(state: State, kind: str, item: Template | None = None) -> Flow:
    """The flow of a state of this type, with what has been collected in `evaluated`."""
    fields = state.fields
    allowed = ALLOWED[kind]
    if state.language == "jsonata":
        return Flow(
            language="jsonata",
            arguments=state.template(fields, "Arguments") if "Arguments" in allowed else None,
            output=state.template(fields, "Output") if "Output" in allowed else None,
            assign=read_assign(state, fields) if "Assign" in allowed else None,
            fields=dict(state.evaluated),
            item=item,
        )

    def path(name: str) -> str | None:
        return read_path(state, fields, name) if name in allowed else "$"

    return Flow(
        language="jsonpath",
        input_path=path("InputPath"),
        arguments=state.template(fields, "Parameters") if "Parameters" in allowed else None,
        result=_literal(fields, "Result") if "Result" in allowed else None,
        result_selector=state.template(fields, "ResultSelector", members=True)
        if "ResultSelector" in allowed
        else None,
        result_path=path("ResultPath"),
        output_path=path("OutputPath"),
        assign=read_assign(state, fields) if "Assign" in allowed else None,
        fields=dict(state.evaluated),
        item=item,
    )


def _literal(fields: Fields, name: str) -> Template | None:
    """A member that is no template, whatever its names and texts look like."""
    return Template(fields.raw(name)) if fields.present(name) else None


def read_path(state: State, fields: Fields, name: str) -> str | None:
    """A path; absent is the whole ("$"), and null stays null."""
    if not fields.present(name):
        return "$"
    if not fields.has(name):
        return None
    return state.path(fields, name, reference=name == "ResultPath") or "$"


def read_assign(state: State, fields: Fields) -> Template | None:
    """`Assign`: what each variable is set to."""
    template = state.template(fields, "Assign", members=True)
    if template is None:
        return None
    for name in template.source:
        bare = name.removesuffix(".$") if state.language == "jsonpath" else name
        if not bare.isidentifier() or len(bare) > MAX_VARIABLE:
            why = f"{shown(bare)} is no name of a variable."
            mend = f"Use up to {MAX_VARIABLE} letters, digits and _, and start with a letter."
        elif bare == "states":
            why, mend = "the variable 'states' is reserved.", "Choose another name."
        else:
            continue
        place = (*fields.place, "Assign", name)
        fields.findings.error(place, "invalid-variable", f"{fields.subject}: {why}", mend)
    return template
