"""The data flow of a step in JSONata (Arguments, Output, Assign), and of a native one (input, output).

`$states` is what the specification says: `input` (raw), `result` or `errorOutput` once there is one, and
`context`. A native expression's root is the context of its scope; it sees `$context`, `$execution`, within
a MAP `$item` and `$index`, in an output `$result`, and of a caught error `$error`.
"""

from collections.abc import Mapping

import msgspec

from core.data import sizes
from core.data.conditions import holds
from core.data.failures import Failed
from core.data.fields import by_expressions, expected
from core.data.flow import Answer, Json, Request, Rule, Template
from core.data.rules import condition_of
from core.data.scope import Chance
from core.data.templates import Expressions
from core.errors import InvalidInput


def answer(request: Request, *, bounded: bool) -> Answer:
    """What comes of a request whose flow is in JSONata or native. Raises Failed, Unbounded and TooLarge."""
    speaker = _speaker(request, bounded=bounded)
    flow = request.flow
    match request.kind:
        case "enter":
            value = _rendered(flow.arguments, speaker, _label(request, "Arguments", "input"), request)
            return Answer(value=value, fields=by_expressions(flow, speaker, request.limit))
        case "leave" | "caught":
            return Answer(
                value=_output(flow.output, speaker, request, given=_given(request)),
                assigned=_assigned(flow.assign, speaker, request),
            )
        case "choose":
            return _choose(request, speaker)
        case "item":
            return _item(request, speaker)


def _speaker(request: Request, *, bounded: bool) -> Expressions:
    frame = request.frame
    chance = Chance(frame, request.kind)
    if request.flow.language == "native":
        has_result = frame.result is not msgspec.UNSET and request.kind == "leave"
        return Expressions(
            "native",
            root=frame.data,
            bindings=_native(request),
            now_ms=frame.now_ms,
            chance=chance,
            bounded=bounded,
            path_root=frame.result if has_result else frame.data,
        )
    states = {"input": frame.data, "context": frame.context}
    if frame.result is not msgspec.UNSET:
        states["result"] = frame.result
    if frame.error is not None:
        states["errorOutput"] = frame.error
    return Expressions(
        "jsonata",
        root=None,
        bindings={**frame.variables, "states": states},
        now_ms=frame.now_ms,
        chance=chance,
        bounded=bounded,
    )


def _native(request: Request) -> Mapping[str, Json]:
    frame = request.frame
    bindings = {**frame.variables, "context": frame.data}
    for name in ("execution", "item", "index"):
        if name in frame.context:
            bindings[name] = frame.context[name]
    if frame.result is not msgspec.UNSET:
        bindings["result"] = frame.result
    if frame.error is not None:
        bindings["error"] = {"error": frame.error.get("Error"), "cause": frame.error.get("Cause")}
    return bindings


def _given(request: Request) -> Json:
    """What a step puts out whose definition says nothing of it; UNSET for its raw input."""
    if request.kind == "caught":
        return dict(request.frame.error or {})
    return request.frame.result


def _output(
    template: Template | None, speaker: Expressions, request: Request, *, given: Json, within: str = ""
) -> Json:
    if template is None:
        return given
    return _rendered(template, speaker, within + _label(request, "Output", "output"), request)


def _rendered(template: Template | None, speaker: Expressions, field: str, request: Request) -> Json:
    if template is None:
        return msgspec.UNSET
    value = speaker.render(template.source, field, request.limit)
    if value is request.frame.data:
        return msgspec.UNSET
    sizes.check(value, request.limit)
    return value


def _assigned(
    template: Template | None, speaker: Expressions, request: Request, *, within: str = ""
) -> dict[str, Json]:
    if template is None:
        return {}
    made = speaker.render(template.source, f"{within}Assign", request.limit)
    if not isinstance(made, dict):
        raise expected(template.source, f"{within}Assign", "object", made, speaker.error)
    for value in made.values():
        sizes.check(value, request.limit)
    return made


def _choose(request: Request, speaker: Expressions) -> Answer:
    flow = request.flow
    for at, rule in enumerate(request.rules):
        within = _label(request, f"Choices[{at}]/", f"choices[{at}]/")
        if _holds(rule, within, speaker, request):
            return Answer(
                value=_output(rule.output, speaker, request, given=msgspec.UNSET, within=within),
                assigned=_assigned(rule.assign, speaker, request, within=within),
                next=rule.next,
            )
    if request.otherwise is None:
        return Answer()
    return Answer(
        value=_output(flow.output, speaker, request, given=msgspec.UNSET),
        assigned=_assigned(flow.assign, speaker, request),
        next=request.otherwise,
    )


def _holds(rule: Rule, within: str, speaker: Expressions, request: Request) -> bool:
    source = rule.test.source
    if isinstance(source, dict) and request.flow.language == "native":
        try:
            return holds(condition_of(source), request.frame.data)
        except (KeyError, TypeError, InvalidInput) as refused:
            raise Failed(speaker.error, f"'{within[:-1]}' is no condition that can be read.") from refused
    field = within + _label(request, "Condition", "condition")
    value = speaker.render(source, field, request.limit)
    if not isinstance(value, bool):
        raise expected(source, field, "boolean", value, speaker.error)
    return value


def _item(request: Request, speaker: Expressions) -> Answer:
    flow = request.flow
    if flow.item is None:
        walked = request.frame.context.get("Map") or {}
        return Answer(value=walked.get("Item", {}).get("Value", msgspec.UNSET))
    return Answer(value=_rendered(flow.item, speaker, _label(request, "ItemSelector", "item"), request))


def _label(request: Request, states: str, native: str) -> str:
    return native if request.flow.language == "native" else states
