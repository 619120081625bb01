"""What a compiled path (jsonpath.py) finds in a value."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, assert_never

from core.data.failures import NothingThere, TooLarge, Unbounded
from core.data.jsonpath import (
    Call,
    Descend,
    Every,
    Filter,
    Function,
    Indexes,
    Names,
    Path,
    Slice,
    Step,
    definite_step,
)
from core.data.paths import MISSING, Json, Missing

if TYPE_CHECKING:
    from jsonpath_rfc9535 import JSONPathQuery

MAX_NODES: Final = 300_000
"""Nodes that all steps of a path may find together, before it is refused as too large."""


def evaluate(path: Path, root: Json, *, bounded: bool) -> Json | Literal[Missing.MISSING]:
    """What `path` names in `root`: the value (MISSING where nothing is there) or, if the path is not
    definite, the list of values.

    Raises Unbounded where `bounded` and the path filters or descends, NothingThere where a function cannot be
    applied, TooLarge where too much is found.
    """
    if bounded and path.unbounded:
        raise Unbounded
    nodes = [root]
    definite = True
    left = MAX_NODES
    for index, step in enumerate(path.steps):
        if isinstance(step, Call):
            if definite and not nodes:
                return MISSING
            return _call(step.function, nodes[0] if definite else nodes, path)
        definite = definite and definite_step(step, index == len(path.steps) - 1)
        nodes = list(islice(_apply(step, nodes, root), left + 1))
        left -= len(nodes)
        if left < 0:
            raise TooLarge(f"The path finds more than {MAX_NODES} values.")
    if not definite:
        return nodes
    return nodes[0] if nodes else MISSING


def _apply(step: Step, nodes: list[Json], root: Json) -> Iterable[Json]:
    match step:
        case Names(names=(name,)):
            return (node[name] for node in nodes if isinstance(node, dict) and name in node)
        case Names(names=names):
            return (
                {name: node[name] for name in names if name in node}
                for node in nodes
                if isinstance(node, dict)
            )
        case Indexes(positions=positions):
            return (
                node[position]
                for node in nodes
                if isinstance(node, list)
                for position in positions
                if -len(node) <= position < len(node)
            )
        case Slice():
            part = slice(step.start, step.stop, step.step)
            return (item for node in nodes if isinstance(node, list) for item in node[part])
        case Every():
            return (child for node in nodes for child in _children(node))
        case Filter(query=query):
            return (item for node in nodes for item in _matches(query, node, root))
        case Descend():
            return _below(nodes)
        case Call():
            return nodes
        case _:
            assert_never(step)


def _children(node: Json) -> list[Json]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def _below(nodes: list[Json]) -> Iterator[Json]:
    waiting = list(reversed(nodes))
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(_children(node)))


def _matches(query: "JSONPathQuery", node: Json, root: Json) -> list[Json]:
    if not isinstance(node, dict | list):
        return []
    from jsonpath_rfc9535 import JSONPathError, JSONPathNode  # noqa: PLC0415 - see jsonpath.py

    start = JSONPathNode(
        value=[node] if isinstance(node, dict) else node, location=(), parent=None, root=root
    )
    try:
        return [found.value for segment in query.segments for found in segment.resolve([start])]
    except (JSONPathError, RecursionError) as refused:
        raise TooLarge("The path's filter goes too deep.") from refused


def _call(function: Function, value: Json, path: Path) -> Json:
    match function:
        case "length" if isinstance(value, list | dict | str):
            return len(value)
        case "keys" if isinstance(value, dict):
            return list(value)
        case "first" if isinstance(value, list) and value:
            return value[0]
        case "last" if isinstance(value, list) and value:
            return value[-1]
        case "min" | "max" | "sum" | "avg" | "stddev" if isinstance(value, list) and value:
            numbers = [item for item in value if type(item) in (int, float)]
            if len(numbers) == len(value):
                return _aggregate(function, numbers, path)
        case _:
            pass
    raise _unfit(function, path)


def _aggregate(
    function: Literal["min", "max", "sum", "avg", "stddev"], numbers: list[float], path: Path
) -> float:
    try:
        match function:
            case "min":
                return float(min(numbers))
            case "max":
                return float(max(numbers))
            case "sum":
                return float(sum(numbers))
            case "avg":
                return float(sum(numbers) / len(numbers))
            case "stddev":
                import statistics  # noqa: PLC0415 - large, and rarely needed

                return statistics.pstdev([float(number) for number in numbers])
            case _:
                assert_never(function)
    except (OverflowError, ValueError) as failed:  # StatisticsError is a ValueError
        raise _unfit(function, path) from failed


def _unfit(function: Function, path: Path) -> NothingThere:
    return NothingThere(
        path.source,
        f"The function '{function}()' of the path '{path.source}' cannot be applied to its value.",
    )
