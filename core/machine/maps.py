"""A MAP under way: which of its items begin now, and how it ends."""

from collections.abc import Iterator

from msgspec import UNSET

from core.data.flow import Request
from core.graph.model import Batching, Json, MapStep
from core.machine import events as ev
from core.machine.flowing import complete, fail, frame_of, size_of
from core.machine.items import all_ended, has_tolerance, is_tolerated, next_item
from core.machine.run import Run
from core.machine.state import Failure, Visit

BEGUN_AT_ONCE = 100
"""Items of one MAP that begin in one commit: more would make one that no store wants."""


def advance(run: Run, visit: Visit, step: MapStep) -> None:
    """Begin what may begin, or end the MAP."""
    if not is_tolerated(visit, step) and visit.failure is not None:
        run.stop_visits(visit.path + "/", f"an item of {visit.step_id} failed")
        visit = run.state.visits[visit.path]
        fail(run, visit, _failure(visit, step))
        return
    begun = 0
    while not run.stopping and (index := next_item(visit, step)) is not None:
        given = UNSET
        if step.flow is not None and step.flow.item is not None and step.batching is None:
            found = item_input(run, visit, step, index)
            if isinstance(found, Failure):
                run.stop_visits(visit.path + "/", f"an item of {visit.step_id} has no input")
                fail(run, run.state.visits[visit.path], found)
                return
            if found is None:
                _ask_ahead(run, visit, step, index)
                return
            given = found[0]
        run.emit(ev.ItemStarted(visit=visit.path, step_id=step.id, index=index, input=given))
        visit = run.state.visits[visit.path]
        begun += 1
        if begun == BEGUN_AT_ONCE and next_item(visit, step) is not None:
            run.held.add(visit.path)
            run.looks.append(run.now)
            return
    if all_ended(visit):
        complete(run, visit)
    elif run.stopping:
        run.held.add(visit.path)


def _ask_ahead(run: Run, visit: Visit, step: MapStep, index: int) -> None:
    """Ask for those that begin next too, so that they are evaluated together."""
    room = step.max_concurrency or BEGUN_AT_ONCE
    items = visit.entry.items if visit.entry is not None and visit.entry.items is not None else []
    for ahead in range(index + 1, min(len(items), index + min(room, BEGUN_AT_ONCE))):
        item_input(run, visit, step, ahead)


def item_input(run: Run, visit: Visit, step: MapStep, index: int) -> tuple[Json] | Failure | None:
    """What the walk of this item is given, in a tuple; None where it has to be asked for."""
    if step.flow is None:
        return (UNSET,)
    frame = frame_of(run, visit, "item", item=index)
    request = Request(kind="item", flow=step.flow, frame=frame, limit=run.rules.data_limit)
    answer = run.ask((visit.path, "item", index), request)
    if answer is None:
        return None
    if answer.error:
        return Failure(answer.error, answer.cause, step.id)
    return (answer.value,)


def _failure(visit: Visit, step: MapStep) -> Failure:
    """A distributed MAP, and one that tolerates some, fails with the threshold; else with the first item."""
    if step.distributed or has_tolerance(visit, step):
        first = visit.failure
        why = f": {first.error}: {first.cause}" if first is not None else ""
        return Failure("Sidestep.TooManyItemsFailed", f"{visit.failed} items failed{why}", visit.step_id)
    return visit.failure or Failure("Sidestep.Failed", "", visit.step_id)


def batches(items: list[Json], batching: Batching, shared: Json) -> list[Json]:
    """The items in batches (the States Language's ItemBatcher); an item over the size has its own."""
    return [
        {"Items": part} if shared is UNSET else {"BatchInput": shared, "Items": part}
        for part in _parts(items, batching)
    ]


def _parts(items: list[Json], batching: Batching) -> Iterator[list[Json]]:
    part: list[Json] = []
    size = 0
    for item in items:
        more = size_of(item) if batching.size is not None else 0
        full = batching.items is not None and len(part) >= batching.items
        heavy = batching.size is not None and part and size + more > batching.size
        if full or heavy:
            yield part
            part, size = [], 0
        part.append(item)
        size += more
    if part:
        yield part
