"""The items of a MAP: which begins next, what is tolerated, and what they gave together. Questions only."""

from urllib.parse import quote

from core.graph.model import Json, MapStep, ParallelStep, Step
from core.machine.state import State, Visit

MOST_AT_ONCE = 1_000
"""Items of one MAP under way where it names no bound: AWS's inline MAP has 40, its distributed one 10,000."""


def count(visit: Visit) -> int:
    """How many items (or batches) the visit has."""
    return len(visit.entry.items) if visit.entry is not None and visit.entry.items is not None else 0


def walked(visit: Visit, index: int) -> dict[str, Json]:
    """What expressions see of an item: the `item`, its `index`, and its `key` where an object is walked."""
    entry = visit.entry
    if entry is None or entry.items is None:
        return {}
    return {"index": index, **member(entry.items[index], keyed=entry.keyed)}


def member(item: Json, *, keyed: bool) -> dict[str, Json]:
    """The `item`, and the `key` of a member of an object; a batch of members is an item without a key."""
    if keyed and "Key" in item:
        return {"item": item["Value"], "key": item["Key"]}
    return {"item": item}


def next_item(visit: Visit, step: MapStep) -> int | None:
    """The index of the item that may begin now; None where all have begun, or enough are under way."""
    at_once = step.max_concurrency
    if visit.entry is not None and visit.entry.max_concurrency is not None:
        at_once = visit.entry.max_concurrency
    if visit.pending >= (min(at_once, MOST_AT_ONCE) or MOST_AT_ONCE):
        return None
    if visit.redo:
        return visit.redo[0]
    return visit.started if visit.started < count(visit) else None


def all_ended(visit: Visit) -> bool:
    """True when every item has had its walk."""
    return not visit.pending and not visit.redo and visit.started >= count(visit)


def wants_decision(visit: Visit, step: Step) -> bool:
    """True where something about a visit with scopes of its own is to be decided."""
    if not isinstance(step, MapStep):
        return visit.failure is not None or visit.pending == 0
    lost = visit.failure is not None and not is_tolerated(visit, step)
    return lost or all_ended(visit) or next_item(visit, step) is not None


def has_tolerance(visit: Visit, step: MapStep) -> bool:
    """Whether the MAP says that some of its items may fail."""
    return any(limit for limit in _tolerances(visit, step))


def is_tolerated(visit: Visit, step: MapStep) -> bool:
    """Whether the MAP goes on with as many failed items as it has now.

    Of two limits both hold (AWS Step Functions, "Setting failure thresholds").
    """
    if not visit.failed:
        return True
    most, percent = _tolerances(visit, step)
    if not most and not percent:
        return False
    return (not most or visit.failed <= most) and (
        not percent or visit.failed * 100 <= percent * count(visit)
    )


def _tolerances(visit: Visit, step: MapStep) -> tuple[int, float]:
    most, percent = step.tolerated_count, step.tolerated_percent
    if visit.entry is not None:
        most = most if visit.entry.tolerated_count is None else visit.entry.tolerated_count
        percent = percent if visit.entry.tolerated_percent is None else visit.entry.tolerated_percent
    return most, percent


def joined_results(state: State, visit: Visit, step: MapStep | ParallelStep) -> Json:
    """What the branches or items gave together, in order: a list, or the MAP's other forms of it.

    Where the journal alone keeps them, it is how many there are, and where the API has them.
    """
    if isinstance(step, ParallelStep):
        return [visit.results[index] for index in range(len(step.branches))]
    if step.results == "reference":
        return {
            "items": count(visit),
            "succeeded": visit.started - visit.failed,
            "failed": visit.failed,
            "results": f"/executions/{state.execution_id}/results?visit={quote(visit.path, safe='/~')}",
        }
    found = []
    for index in range(visit.started):
        if index in visit.results:
            found.append(visit.results[index])
        elif state.workflow.language == "native":
            failure = visit.fallen[index].visit.failure
            found.append({"error": failure.error, "cause": failure.cause} if failure is not None else None)
    if step.results == "FLATTEN":
        return [inner for one in found for inner in (one if isinstance(one, list) else [one])]
    return found
