"""What a Task calls: Lambda functions by ARN or through lambda:invoke, and their fallbacks."""

import re
from typing import Final, NamedTuple

from core.graph.fields import MAX_ID, Fields, object_at
from core.graph.findings import shown
from core.graph.model import Await, Target
from core.graph.native_policies import MAX_FALLBACKS, MAX_FUNCTION_ID, MAX_REGION
from core.graph.states_language.checks import is_expression
from core.graph.states_language.state import State

ANY_FUNCTION: Final = "*"
"""The primary's function where the payload names it."""

_FUNCTION: Final = re.compile(
    r"arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):[0-9]{12}:function:"
    r"(?P<name>[A-Za-z0-9_-]{1,64})(?P<qualifier>:[A-Za-z0-9$_-]+)?"
)
_LAMBDA: Final = re.compile(r"arn:aws[a-z-]*:lambda:")
_NAME: Final = re.compile(
    r"(?:[0-9]{12}:)?(?:function:)?(?P<name>[A-Za-z0-9_-]{1,64})(?P<qualifier>:[A-Za-z0-9$_-]+)?"
)
_INVOKE: Final = re.compile(r"arn:aws[a-z-]*:states:::lambda:invoke(?P<token>\.waitForTaskToken)?")
_INTEGRATION: Final = re.compile(r"arn:aws[a-z-]*:states:[a-z0-9-]*:[0-9]*:(?P<what>.+)", re.DOTALL)

_INVOKE_MEMBERS: Final = ("FunctionName", "Payload", "Qualifier", "InvocationType", "LogType")


class Callee(NamedTuple):
    """What a Task calls. `name` is the function's own name, None where the payload gives it."""

    target: Target
    name: str | None
    envelope: bool = False
    awaits: Await = "answer"

    @property
    def dynamic(self) -> bool:
        """Whether the function's name is in the payload only."""
        return self.name is None


def read_callee(state: State) -> Callee | None:
    """`Resource`, and what its parameters say of the function; None after a problem."""
    fields = state.fields
    resource = fields.text(
        "Resource",
        limit=MAX_FUNCTION_ID,
        required="Name what to call: the ARN of a Lambda function, or arn:aws:states:::lambda:invoke.",
    )
    if resource is None:
        return None
    function = _FUNCTION.fullmatch(resource)
    if function is not None:
        return Callee(Target("AWS", resource, function["region"]), function["name"])
    invoke = _INVOKE.fullmatch(resource)
    if invoke is not None:
        return _invoked(state, "callback" if invoke["token"] else "answer")
    if _LAMBDA.match(resource):
        fields.wrong(
            "Resource",
            "invalid-function",
            f"{shown(resource)} is no ARN of a Lambda function.",
            "Write it as arn:aws:lambda:REGION:ACCOUNT:function:NAME, with an account of 12 digits.",
        )
        return None
    integration = _INTEGRATION.fullmatch(resource)
    what = shown(integration["what"].lstrip(":") if integration is not None else resource)
    fields.wrong(
        "Resource",
        "unsupported-resource",
        f"{what} cannot be called from here: a task calls Lambda functions only.",
        "Call it from a function, and name that one: its ARN, or arn:aws:states:::lambda:invoke.",
    )
    return None


def _invoked(state: State, awaits: Await) -> Callee | None:
    member = "Arguments" if state.language == "jsonata" else "Parameters"
    given = state.fields.raw(member)
    if state.language == "jsonata" and is_expression(given):
        return Callee(Target("AWS", ANY_FUNCTION), None, envelope=True, awaits=awaits)
    example = '{"FunctionName": ..., "Payload": ...}'
    if not isinstance(given, dict):
        if state.fields.present(member):
            detail = f"'{member}' must be an object, not {shown(given)}."
            state.fields.wrong(member, "wrong-type", detail, f"Make it {example}.")
        else:
            state.fields.missing(member, f'Name the function: "{member}": {example}.')
        return None
    fields = Fields(state.findings, given, (*state.fields.place, member), f"{state.fields.subject}: {member}")
    dynamic = _known_members(state, fields)
    if "FunctionName" in dynamic:
        _literal_only(fields, dynamic, ("Qualifier", "InvocationType", "LogType"))
        fields.close()
        return Callee(Target("AWS", ANY_FUNCTION), None, envelope=True, awaits=awaits)
    name = fields.text("FunctionName", limit=MAX_FUNCTION_ID, required="Name the function to call.")
    _literal_only(fields, dynamic, ("Qualifier", "InvocationType", "LogType"))
    qualifier = None if "Qualifier" in dynamic else fields.text("Qualifier", limit=MAX_ID)
    if fields.raw("InvocationType") not in (None, "RequestResponse") and "InvocationType" not in dynamic:
        fields.wrong(
            "InvocationType",
            "unsupported-invocation",
            f"the invocation type {shown(fields.raw('InvocationType'))} is not supported.",
            "Remove it: the function is called and its answer waited for.",
        )
    fields.close()
    return None if name is None else _named(fields, name, qualifier, awaits)


def _named(fields: Fields, name: str, qualifier: str | None, awaits: Await) -> Callee | None:
    function = _FUNCTION.fullmatch(name)
    found = function or _NAME.fullmatch(name)
    if found is None:
        fields.wrong(
            "FunctionName",
            "invalid-function",
            f"{shown(name)} is no name of a Lambda function.",
            "Use its name, or its ARN.",
        )
        return None
    region = function["region"] if function is not None else None
    if qualifier and found["qualifier"]:
        detail = f"there is a qualifier in 'FunctionName' too: {shown(found['qualifier'][1:])}."
        fields.wrong("Qualifier", "contradiction", detail, "Keep one of them.")
        return None
    called = f"{name}:{qualifier}" if qualifier else name
    return Callee(Target("AWS", called, region), found["name"], envelope=True, awaits=awaits)


def _known_members(state: State, fields: Fields) -> set[str]:
    """Ask for lambda:invoke's members in both spellings, and say which are evaluated."""
    dynamic = set()
    for member in _INVOKE_MEMBERS:
        if is_expression(fields.raw(member)) and state.language == "jsonata":
            dynamic.add(member)
        if state.language == "jsonpath" and fields.holds(f"{member}.$"):
            fields.raw(f"{member}.$")
            dynamic.add(member)
    return dynamic


def _literal_only(fields: Fields, dynamic: set[str], names: tuple[str, ...]) -> None:
    for name in names:
        if name in dynamic:
            spelt = name if fields.holds(name) else f"{name}.$"
            detail = f"'{name}' cannot be evaluated."
            fields.wrong(spelt, "unsupported-expression", detail, "Write it out, or remove it.")


def read_fallbacks(state: State, callee: Callee | None) -> tuple[Target, ...]:
    """`Fallbacks`, our own field: where to run when the primary cannot; by default a function of its name."""
    fields = state.fields
    seen: dict[tuple[str, str, str | None], str] = {}
    if callee is not None:
        primary = callee.target
        seen["AWS", callee.name or primary.function_id, primary.region] = "the primary"
        seen["AWS", primary.function_id, primary.region] = "the primary"
    targets = []
    for at, entry in enumerate(fields.items("Fallbacks", MAX_FALLBACKS, empty=True)):
        place = (*fields.place, "Fallbacks", at)
        inner = object_at(fields.findings, entry, place, f"{fields.subject}: a fallback")
        if inner is None:
            continue
        provider = _provider(inner)
        own = callee.name if callee is not None else None
        function = inner.text(
            "functionId",
            limit=MAX_FUNCTION_ID,
            required="" if own or callee is None else "Name the function to call there.",
        )
        region = inner.text("region", limit=MAX_REGION)
        inner.close()
        name = function or own
        if not provider or not name:
            continue
        target = Target(provider, name, region)
        key = (provider, name, region)
        if key in seen:
            fields.findings.error(
                place,
                "duplicate-target",
                f"{fields.subject}: the fallback {shown(str(target))} is {seen[key]} again.",
                "Remove it, or name another provider, region or function.",
            )
            continue
        seen[key] = f"fallback {at}"
        targets.append(target)
    return tuple(targets)


def _provider(fields: Fields) -> str | None:
    providers = fields.findings.providers
    needed = "Name the provider to call."
    if providers is None:
        return fields.text("provider", required=needed)
    return fields.one_of("provider", providers, "unknown-provider", required=needed)
