"""A state as bytes, so that a long journal need not be folded from its beginning.

A snapshot is a shortcut and no source of truth: one of another format is ignored, and deleting all of them
changes no result. It leaves the definition out, which is kept by its digest.
"""

from typing import Any, get_args

import msgspec
from immutables import Map
from msgspec.structs import replace

from core.graph.model import OPENERS, Workflow
from core.machine.scopes import seen
from core.machine.state import State

FORMAT = 7
EVERY = 1_000
"""How many events lie between two snapshots."""

_FIELDS = [field for field in msgspec.structs.fields(State) if field.name != "workflow"]
_Kept = msgspec.defstruct("_Kept", [(field.name, field.type) for field in _FIELDS])


def dump(state: State) -> bytes:
    """The state as UTF-8 JSON."""
    # Natively, what a branch sees is what its opener's scope holds or what it was given, and its own results:
    # it is not written again.
    native = state.workflow.language == "native"
    scopes = Map(
        {
            path: scope if scope.parent is None or not native else replace(scope, data={})
            for path, scope in state.scopes.items()
        }
    )
    kept = _Kept(**{field.name: getattr(state, field.name) for field in _FIELDS} | {"scopes": scopes})
    return msgspec.json.encode(kept, enc_hook=_map_to_dict)


def restore(data: bytes, workflow: Workflow) -> State:
    """The state that `dump` was given. Raises msgspec.DecodeError where the bytes are not its own."""
    kept = msgspec.json.decode(data, type=_Kept, dec_hook=_dict_to_map)
    state = State(workflow=workflow, **{field.name: getattr(kept, field.name) for field in _FIELDS})
    if workflow.language != "native":
        return state
    for path in sorted(state.scopes, key=lambda one: one.count("/")):
        scope = state.scopes[path]
        if scope.parent is None:
            continue
        opener = state.visits[scope.parent]
        step = state.step_of(opener)
        if isinstance(step, OPENERS):
            data = seen(state, opener, step, scope)
            state = replace(state, scopes=state.scopes.set(path, replace(scope, data=data)))
    return state


def _map_to_dict(value: Any) -> Any:
    if isinstance(value, Map):
        return dict(value)
    raise NotImplementedError(type(value).__name__)


def _dict_to_map(kind: Any, value: Any) -> Any:
    plain = dict[get_args(kind)]  # type: ignore[valid-type, misc] # the arguments of Map[K, V], known at run time only
    return Map(msgspec.convert(value, plain, str_keys=True, dec_hook=_dict_to_map))
