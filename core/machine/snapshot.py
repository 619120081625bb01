"""A state as bytes, so that a long journal need not be folded from its beginning.

A snapshot is a shortcut and no source of truth: one of another format is ignored, and deleting all of them
changes no result. It leaves the definition out, which is kept by its digest.
"""

from typing import Any, get_args

import msgspec
from immutables import Map
from msgspec.structs import replace

from core.graph.model import Workflow
from core.machine.state import State

FORMAT = 4
EVERY = 1_000
"""How many events lie between two snapshots."""

_FIELDS = [field for field in msgspec.structs.fields(State) if field.name != "workflow"]
_Kept = msgspec.defstruct("_Kept", [(field.name, field.type) for field in _FIELDS])


def dump(state: State) -> bytes:
    """The state as UTF-8 JSON."""
    # What a branch sees is what its PARALLEL's scope holds, and its own results: it is not written again.
    scopes = Map(
        {
            path: scope if scope.parent is None else replace(scope, data={})
            for path, scope in state.scopes.items()
        }
    )
    kept = _Kept(**{field.name: getattr(state, field.name) for field in _FIELDS} | {"scopes": scopes})
    return msgspec.json.encode(kept, enc_hook=_map_to_dict)


def restore(data: bytes, workflow: Workflow) -> State:
    """The state that `dump` was given. Raises msgspec.DecodeError where the bytes are not its own."""
    kept = msgspec.json.decode(data, type=_Kept, dec_hook=_dict_to_map)
    state = State(workflow=workflow, **{field.name: getattr(kept, field.name) for field in _FIELDS})
    scopes = state.scopes
    for path in sorted(scopes, key=lambda one: one.count("/")):
        scope = scopes[path]
        if scope.parent is not None:
            seen = scopes[state.visits[scope.parent].scope].data
            shown = {**seen, **scope.result} if scope.result else seen
            scopes = scopes.set(path, replace(scope, data=shown))
    return replace(state, scopes=scopes)


def _map_to_dict(value: Any) -> Any:
    if isinstance(value, Map):
        return dict(value)
    raise NotImplementedError(type(value).__name__)


def _dict_to_map(kind: Any, value: Any) -> Any:
    plain = dict[get_args(kind)]  # type: ignore[valid-type, misc] # the arguments of Map[K, V], known at run time only
    return Map(msgspec.convert(value, plain, str_keys=True, dec_hook=_dict_to_map))
