"""The data flow of a step in JSONPath: InputPath, Parameters, ResultSelector, Assign, ResultPath, OutputPath.

Order and meaning are the specification's ("Input and Output Processing") and AWS's guide's. Assign sees the
result after ResultSelector, and, as all of a step, the variables as they were when it was entered.
"""

from typing import Final

import msgspec

from core.data import sizes
from core.data.failures import Failed, runtime
from core.data.fields import by_paths
from core.data.flow import Answer, Json, Request, Template
from core.data.jsonpath import NotAPath, compile_path, keys
from core.data.scope import Chance, Scope, shown
from core.data.state_choices import holds
from core.data.templates import Paths, find

RESULT_PATH_ERROR: Final = "States.ResultPathMatchFailure"


def answer(request: Request, *, bounded: bool) -> Answer:
    """What comes of a request whose flow is in JSONPath. Raises Failed, Unbounded and TooLarge."""
    frame = request.frame
    scope = Scope(
        frame.data,
        variables=frame.variables,
        context=dict(frame.context),
        chance=Chance(frame, request.kind),
        bounded=bounded,
    )
    match request.kind:
        case "enter":
            return _enter(request, scope)
        case "leave":
            return _leave(request, scope, _result(request))
        case "caught":
            return _leave(request, scope, dict(frame.error or {}))
        case "choose":
            return _choose(request, scope)
        case "item":
            return _item(request, scope)


def put(data: Json, path: str, value: Json) -> Json:
    """`data` with `value` at a reference path; missing objects on the way are made.

    Raises Failed (`States.ResultPathMatchFailure`) where the path cannot go through what is there.
    """
    try:
        found = keys(compile_path(path))
    except NotAPath as refused:
        raise runtime(f"The ResultPath '{path}' cannot be read: {refused}") from refused
    if found is None:
        raise runtime(f"The ResultPath '{path}' is no reference path.")
    levels = []
    here = data
    for key in found:
        levels.append(here)
        match here:
            case dict() if isinstance(key, str):
                here = here.get(key, {})
            case list() if isinstance(key, int) and key < len(here):
                here = here[key]
            case _:
                cause = f"Unable to apply ResultPath '{path}' to input {shown(data)}"
                raise Failed(RESULT_PATH_ERROR, cause)
    made = value
    for key, level in zip(reversed(found), reversed(levels), strict=True):
        made = (
            {**level, key: made} if isinstance(level, dict) else [*level[:key], made, *level[int(key) + 1 :]]
        )
    return made


def _enter(request: Request, scope: Scope) -> Answer:
    flow = request.flow
    entered = _selected(flow.input_path, scope, "InputPath")
    inner = scope.over(entered)
    value = entered if flow.arguments is None else _render(flow.arguments, inner, "Parameters", request.limit)
    fields = by_paths(flow, inner, request.limit)
    return Answer(value=_unless_raw(value, request), fields=fields)


def _result(request: Request) -> Json:
    if request.frame.result is not msgspec.UNSET:
        return request.frame.result
    if request.flow.result is not None:
        return request.flow.result.source
    return request.frame.data if request.payload is msgspec.UNSET else request.payload


def _leave(request: Request, scope: Scope, result: Json) -> Answer:
    flow = request.flow
    if flow.result_selector is not None:
        result = _render(flow.result_selector, scope.over(result), "ResultSelector", request.limit)
    assigned = _assigned(flow.assign, scope.over(result), request.limit)
    combined = scope.data
    if flow.result_path is not None:
        combined = result if flow.result_path == "$" else put(scope.data, flow.result_path, result)
    value = _selected(flow.output_path, scope.over(combined), "OutputPath")
    return Answer(value=_unless_raw(value, request), assigned=assigned)


def _choose(request: Request, scope: Scope) -> Answer:
    flow = request.flow
    payload = request.payload
    entered = _selected(flow.input_path, scope, "InputPath") if payload is msgspec.UNSET else payload
    inner = scope.over(entered)
    chosen = next((rule for rule in request.rules if holds(rule.test.source, inner)), None)
    following = request.otherwise if chosen is None else chosen.next
    if following is None:
        return Answer()
    assigned = _assigned(flow.assign if chosen is None else chosen.assign, inner, request.limit)
    value = _selected(flow.output_path, inner, "OutputPath")
    return Answer(value=_unless_raw(value, request), assigned=assigned, next=following)


def _item(request: Request, scope: Scope) -> Answer:
    flow = request.flow
    if flow.item is None:
        walked = request.frame.context.get("Map") or {}
        return Answer(value=walked.get("Item", {}).get("Value"))
    payload = request.payload
    entered = _selected(flow.input_path, scope, "InputPath") if payload is msgspec.UNSET else payload
    value = _render(flow.item, scope.over(entered), "ItemSelector", request.limit)
    return Answer(value=_unless_raw(value, request))


def _selected(path: str | None, scope: Scope, field: str) -> Json:
    if path is None:
        return {}
    return scope.data if path == "$" else find(path, scope, field)


def _render(template: Template, scope: Scope, field: str, limit: int) -> Json:
    return Paths(scope).render(template.source, field, limit)


def _assigned(template: Template | None, scope: Scope, limit: int) -> dict[str, Json]:
    if template is None:
        return {}
    made = _render(template, scope, "Assign", limit)
    if not isinstance(made, dict):
        raise runtime("The field 'Assign' is an object.")
    for value in made.values():
        sizes.check(value, limit)
    return made


def _unless_raw(value: Json, request: Request) -> Json:
    """`value`, checked; UNSET where it is the raw input itself."""
    if value is request.frame.data:
        return msgspec.UNSET
    sizes.check(value, request.limit)
    return value
