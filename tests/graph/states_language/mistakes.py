"""What the tables of mistakes are built from."""

from typing import Any

from tests.graph.states_language.machines import (
    item_map,
    last,
    machine,
    one,
    task,
)

PLAIN = one(last("Pass"))
FUNCTION = {"FunctionName": "charge"}


def retried(**members: Any) -> Any:
    return one(task(Retry=[{"ErrorEquals": ["E"], **members}]))


def config(**members: Any) -> Any:
    return item_map(ItemProcessor={"ProcessorConfig": members, **machine(I=last("Pass"))})


def fallback(*entries: Any) -> Any:
    return one(task(Fallbacks=list(entries)))
