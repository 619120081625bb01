"""How a visit begins: what is evaluated for it, until when it has time, and when it wakes."""

from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from core.data.flow import Answer
from core.data.paths import MISSING, lookup
from core.data.paths import split as keys_of
from core.data.scope import shown
from core.graph.model import Batching, Json, MapStep, Step, TaskStep, WaitStep, WorkflowStep
from core.graph.native_policies import default_deadline
from core.machine import events as ev
from core.machine.flowing import AT_ONCE, entered, fail, foreseen, size_of
from core.machine.maps import batches
from core.machine.run import Run
from core.machine.state import Failure, Visit


def begin(run: Run, visit: Visit) -> bool:
    """Begin the visit; False where it has to wait for an evaluation, or has failed at once."""
    step = run.state.step_of(visit)
    entry: ev.Entry | None = None
    if visit.entry is None and (step.flow is not None or isinstance(step, MapStep)):
        found: Answer | None = None
        if step.flow is not None and not isinstance(step, AT_ONCE):
            found = entered(run, visit, step.flow)
            if found is None:
                return False
            if found.error:
                _fallen(run, visit, step, Failure(found.error, found.cause, step.id))
                return False
        made = _entry(run, visit, step, found)
        if isinstance(made, Failure):
            _fallen(run, visit, step, made)
            return False
        entry = made
        large = None if entry is None else run.too_much_given(_size(entry))
        if large is not None:
            _started(run, visit, step, None)
            fail(run, run.state.visits[visit.path], replace(large, step_id=step.id))
            return False
    _started(run, visit, step, entry)
    return True


def _fallen(run: Run, visit: Visit, step: Step, failure: Failure) -> None:
    """The visit begins and fails at once; the branches that its beginning opened never begin.

    What a catcher says is asked first: a visit that has begun would go on without its input.
    """
    if not foreseen(run, visit, failure):
        return
    _started(run, visit, step, None)
    run.stop_visits(visit.path + "/", f"{visit.step_id} has no input")
    fail(run, run.state.visits[visit.path], failure)


def _started(run: Run, visit: Visit, step: Step, entry: ev.Entry | None) -> None:
    deadline_at = wake_at = None
    if isinstance(step, TaskStep):
        deadline_ms = step.deadline_ms
        if entry is not None and entry.timeout_ms is not None:
            deadline_ms = default_deadline(entry.timeout_ms, len(step.targets), step.retries)
        deadline_at = run.now + deadline_ms
    elif isinstance(step, WaitStep):
        wake_at = _wake_at(run, step, entry)
    elif isinstance(step, WorkflowStep) and step.timeout_ms is not None:
        wake_at = run.now + step.timeout_ms
    run.emit(
        ev.StepStarted(
            visit=visit.path,
            step_id=step.id,
            deadline_at=deadline_at,
            wake_at=wake_at,
            at=run.now if step.flow is not None or _is_open(step) else 0,
            entry=entry,
            retry=visit.retry,
            undoes=run.state.scopes[visit.scope].undoes,
            size=0 if entry is None else _size(entry),
        )
    )


def _size(entry: ev.Entry) -> int:
    return size_of(entry.input) + (0 if entry.items is None else size_of(entry.items))


def _is_open(step: Step) -> bool:
    """Whether it waits for a word from outside: people see since when."""
    return isinstance(step, WaitStep) and (step.signal is not None or step.callback)


def _wake_at(run: Run, step: WaitStep, entry: ev.Entry | None) -> int | None:
    if entry is not None and entry.wake_at is not None:
        return entry.wake_at
    if step.signal is not None or step.callback:
        return None if step.timeout_ms is None else run.now + step.timeout_ms
    return step.until_ms if step.until_ms is not None else run.now + int((step.seconds or 0) * 1000)


def _entry(run: Run, visit: Visit, step: Step, found: Answer | None) -> ev.Entry | Failure | None:
    """What was evaluated, as the journal keeps it; None where there is nothing to keep."""
    if isinstance(step, MapStep):
        return _map_entry(run, visit, step, found)
    if found is None:
        return None
    fields: dict[str, Any] = {}
    if found.value is not UNSET:
        fields["input"] = found.value
    if isinstance(step, TaskStep):
        if step.dynamic_function:
            name = found.value.get("FunctionName") if isinstance(found.value, dict) else None
            if not isinstance(name, str) or not name:
                return Failure("States.Runtime", "The input has no 'FunctionName', which is text.", step.id)
            fields["function"] = name
        for ours, theirs in (("timeout_ms", "TimeoutSeconds"), ("heartbeat_ms", "HeartbeatSeconds")):
            if theirs in found.fields:
                fields[ours] = int(found.fields[theirs] * 1000)
    if isinstance(step, WaitStep):
        if "Seconds" in found.fields:
            fields["wake_at"] = run.now + int(found.fields["Seconds"] * 1000)
        if "Timestamp" in found.fields:
            fields["wake_at"] = int(found.fields["Timestamp"])
    return ev.Entry(**fields) if fields else None


def _map_entry(run: Run, visit: Visit, step: MapStep, found: Answer | None) -> ev.Entry | Failure:
    data = run.state.scopes[visit.scope].data
    value = UNSET if found is None else found.value
    fields = {} if found is None else found.fields
    if "Items" in fields:
        items = fields["Items"]
    elif step.items is not None:
        items = lookup(data, keys_of(step.items))
    else:
        items = data if value is UNSET else value
    keyed = isinstance(items, dict) and step.flow is not None and step.flow.objects
    if keyed:
        items = [{"Key": name, "Value": value} for name, value in items.items()]
    if not isinstance(items, list):
        return _no_list(run, step, items)
    items = items[: fields["MaxItems"]] if "MaxItems" in fields else items
    shared = fields.get("BatchInput", UNSET)
    per_batch = Batching(
        items=fields.get("MaxItemsPerBatch", step.batching.items if step.batching else None),
        size=fields.get("MaxInputBytesPerBatch", step.batching.size if step.batching else None),
    )
    if step.batching is not None or per_batch.items or per_batch.size:
        items = batches(items, per_batch, shared)
    entry = ev.Entry(
        items=items,
        keyed=keyed,
        max_concurrency=fields.get("MaxConcurrency"),
        tolerated_count=fields.get("ToleratedFailureCount"),
        tolerated_percent=fields.get("ToleratedFailurePercentage"),
    )
    if run.state.data_bytes > run.rules.data_limit and size_of(items) > run.rules.data_limit:
        cause = f"the items have more than {run.rules.data_limit} bytes of JSON, which is the limit"
        return Failure("Sidestep.DataLimitExceeded", cause, step.id)
    return entry


def _no_list(run: Run, step: MapStep, items: Json) -> Failure:
    if run.state.workflow.language == "native":
        what = "nothing is there" if items is MISSING else f"it is {_kind(items)}"
        where = f"at {step.items!r} " if step.items is not None else ""
        return Failure("Sidestep.ItemsNotAList", f"the items have to be a list, and {where}{what}", step.id)
    query = step.flow is not None and step.flow.language == "jsonata"
    error = "States.QueryEvaluationError" if query else "States.Runtime"
    return Failure(error, f"Map state input must be an array but was: {shown(items)}", step.id)


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case _:
            return "an object"
