"""A MAP under way: which of its items begin now, and how it ends."""

from collections.abc import Iterator

from msgspec import UNSET
from msgspec.structs import replace

from core.data.context import map_context
from core.data.flow import Flow, Frame, Request
from core.graph.model import Batching, Json, MapStep
from core.machine import events as ev
from core.machine.flowing import complete, fail, frame_of, size_of
from core.machine.items import all_ended, has_tolerance, is_tolerated, member, next_item
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
        given, size = UNSET, 0
        if step.flow is not None and step.flow.item is not None:
            found = _given(run, visit, step, index)
            size = size_of(found[0]) if isinstance(found, tuple) else 0
            large = run.too_much_given(size)
            found = found if large is None else replace(large, step_id=step.id)
            if isinstance(found, Failure):
                run.stop_visits(visit.path + "/", f"an item of {visit.step_id} has no input")
                fail(run, run.state.visits[visit.path], found)
                return
            if found is None:
                _ask_ahead(run, visit, step, index)
                return
            given = found[0]
        run.emit(ev.ItemStarted(visit=visit.path, step_id=step.id, index=index, input=given, size=size))
        visit = run.state.visits[visit.path]
        begun += 1
        if begun == BEGUN_AT_ONCE and next_item(visit, step) is not None:
            run.held.add(visit.path)
            run.looks.append(run.now)
            return
    if all_ended(visit):
        complete(run, visit, step)
    elif run.stopping:
        run.held.add(visit.path)


def _ask_ahead(run: Run, visit: Visit, step: MapStep, index: int) -> None:
    """Ask for those that begin next too, so that they are evaluated together."""
    room = step.max_concurrency or BEGUN_AT_ONCE
    items = visit.entry.items if visit.entry is not None and visit.entry.items is not None else []
    for ahead in range(index + 1, min(len(items), index + min(room, BEGUN_AT_ONCE))):
        _given(run, visit, step, ahead)


def _given(run: Run, visit: Visit, step: MapStep, index: int) -> tuple[Json] | Failure | None:
    """What a walk is given where the Map selects: of a batch, each of its items is selected."""
    if step.flow is None:
        return (UNSET,)
    if step.batching is None:
        return _selected(run, visit, index, step.flow, frame_of(run, visit, "item", item=index))
    if visit.entry is None or visit.entry.items is None:
        return (UNSET,)
    there = visit.entry.items
    batch = there[index]
    # Only the last batch is shorter, unless bytes bound them.
    sized = step.batching.size is not None or any("InputBytes" in name for name in step.flow.fields)
    before = sum(len(one["Items"]) for one in there[:index]) if sized else index * len(there[0]["Items"])
    frame = frame_of(run, visit, "item")
    made = [
        _selected(run, visit, before + at, step.flow, _with_item(frame, before + at, item, visit.entry))
        for at, item in enumerate(batch["Items"])
    ]
    failed = next((one for one in made if isinstance(one, Failure)), None)
    if failed is not None:
        return failed
    found = [one[0] for one in made if isinstance(one, tuple)]
    return ({**batch, "Items": found},) if len(found) == len(made) else None


def _with_item(frame: Frame, index: int, item: Json, entry: ev.Entry) -> Frame:
    """The frame of one item of a batch; each has chances of its own."""
    own = map_context({"index": index, **member(item, keyed=entry.keyed)})
    return replace(frame, context={**frame.context, "Map": own}, entropy=frame.entropy ^ index)


def _selected(run: Run, visit: Visit, index: int, flow: Flow, frame: Frame) -> tuple[Json] | Failure | None:
    """What the item is made into, in a tuple; None where it has to be asked for."""
    request = Request(kind="item", flow=flow, frame=frame, limit=run.rules.data_limit)
    answer = run.ask((visit.path, "item", index), request)
    if answer is None:
        return None
    if answer.error:
        return Failure(answer.error, answer.cause, visit.step_id)
    return (frame.data if answer.value is UNSET else answer.value,)


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
