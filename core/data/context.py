"""The context object of the States Language (`$$`, `$states.context`), and the native `$execution`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from core.data.paths import Json

PLACEHOLDER: Final = "us-east-1:111111111111"
"""Region and account in names that AWS would give: an execution that does not run there has neither."""


@lru_cache(maxsize=4_096)
def instant(at_ms: int) -> str:
    """Milliseconds since the Unix epoch as RFC 3339 in UTC, to the millisecond."""
    second, ms = divmod(at_ms, 1000)
    return f"{_second(second)}.{ms:03d}Z"


@lru_cache(maxsize=4_096)
def _second(at: int) -> str:
    """Whole seconds: what happens together is told by few of them, and the calendar is what costs."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


def execution_context(
    *, execution_id: str, workflow_id: str, input_: Json, started_at: int, redrives: int
) -> dict[str, Json]:
    """What is the same for all of an execution: `Execution` and `StateMachine`."""
    return {
        "Execution": {
            "Id": f"arn:aws:states:{PLACEHOLDER}:execution:{workflow_id}:{execution_id}",
            "Input": input_,
            "Name": execution_id,
            "RoleArn": f"arn:aws:iam::{PLACEHOLDER.partition(':')[2]}:role/sidestep",
            "StartTime": instant(started_at),
            "RedriveCount": redrives,
        },
        "StateMachine": {
            "Id": f"arn:aws:states:{PLACEHOLDER}:stateMachine:{workflow_id}",
            "Name": workflow_id,
        },
    }


def state_context(name: str, entered_at: int, retries: int | None) -> dict[str, Json]:
    """`State`, of the visit that asks; `retries` is None for a state that cannot be tried again."""
    context: dict[str, Json] = {"EnteredTime": instant(entered_at), "Name": name}
    if retries is not None:
        context["RetryCount"] = retries
    return context


def map_context(walked: Mapping[str, Json]) -> dict[str, Json]:
    """`Map`, of the walk of an `item` by its `index`, and its `key` where an object is walked."""
    keyed = {"Key": walked["key"]} if "key" in walked else {}
    return {"Item": {"Index": walked["index"], **keyed, "Value": walked["item"]}}


def native_context(
    *, execution_id: str, workflow_id: str, started_at: int, item: Mapping[str, Json]
) -> dict[str, Json]:
    """What native templates know as `$execution`, and the `item` and `index` of a MAP."""
    started = {"id": execution_id, "workflowId": workflow_id, "startTime": instant(started_at)}
    return {"execution": started, **item}
