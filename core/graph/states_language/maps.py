"""Reading a Map: its items, how it walks them, and what a failure of some means."""

import re
from typing import Final, Literal, NamedTuple

import msgspec

from core.data.flow import Template
from core.graph.fields import Fields, object_at
from core.graph.findings import shown
from core.graph.model import Batching, MapStep
from core.graph.states_language.flows import read_flow
from core.graph.states_language.policies import read_catchers, read_retries
from core.graph.states_language.state import MAX_WHOLE, Inner, State

MAX_BATCH_BYTES: Final = 262_144
MAX_LABEL: Final = 40
_LABEL: Final = re.compile(r"[^\x00-\x20\x7f-\x9f?*<>{}\[\]:;,\\|^~$#%&`\"]+")


class _Processor(NamedTuple):
    first: str
    distributed: bool


def read_map(state: State) -> MapStep:
    """A Map without its `next`."""
    fields = state.fields
    processor = _processor(state)
    _items(state)
    selector = _selector(state)
    limit = state.amount(fields, "MaxConcurrency", 0, MAX_WHOLE, "walks")
    count = state.amount(fields, "ToleratedFailureCount", 0, MAX_WHOLE, "items")
    percent = state.amount(fields, "ToleratedFailurePercentage", 0, 100, "percent", whole=False)
    batching = _batching(state)
    _reader(state)
    results = _writer(state)
    label = fields.text("Label", limit=MAX_LABEL)
    if label is not None and not _LABEL.fullmatch(label):
        detail = f"{shown(label)} has characters that a label may not have."
        fields.wrong("Label", "invalid-label", detail, "Use letters, digits, - and _.")
    retries = read_retries(state)
    catch = read_catchers(state)
    return MapStep(
        id=state.name,
        first=processor.first,
        max_concurrency=int(limit or 0),
        tolerated_count=int(count or 0),
        tolerated_percent=percent or 0.0,
        batching=batching,
        distributed=processor.distributed,
        results=results,
        retries=retries,
        flow=msgspec.structs.replace(read_flow(state, "Map", selector), objects=processor.distributed),
        catch=catch,
    )


def _processor(state: State) -> _Processor:
    fields = state.fields
    given = [name for name in ("ItemProcessor", "Iterator") if fields.has(name)]
    if not given:
        fields.missing(
            "ItemProcessor", 'Say what to do with an item: "ItemProcessor": {"StartAt": ..., "States": ...}.'
        )
        return _Processor("", distributed=False)
    name = given[0]
    if len(given) > 1:
        detail = "there are both 'ItemProcessor' and 'Iterator'."
        fields.wrong("Iterator", "contradiction", detail, "Remove 'Iterator', the older name.")
    members = fields.members(name)
    if members is None:
        return _Processor("", distributed=False)
    place = (*fields.place, name)
    state.inner.append(Inner(members, place, f"{fields.subject}: {name}"))
    start = members.get("StartAt")
    config = members.get("ProcessorConfig")
    distributed = False
    if config is not None:
        inner = object_at(
            state.findings, config, (*place, "ProcessorConfig"), f"{fields.subject}: ProcessorConfig"
        )
        if inner is not None:
            state.comment(inner)
            mode = inner.one_of("Mode", ("INLINE", "DISTRIBUTED"), "unknown-mode")
            inner.one_of("ExecutionType", ("STANDARD", "EXPRESS"), "unknown-execution-type")
            distributed = mode == "DISTRIBUTED"
            if distributed and not inner.present("ExecutionType"):
                inner.missing("ExecutionType", 'Add "ExecutionType": "STANDARD".')
            inner.close()
    return _Processor(start if isinstance(start, str) else "", distributed)


def _items(state: State) -> None:
    """Where the items are. In JSONata, without `Items`, the state's input is the list."""
    fields = state.fields
    if state.language == "jsonpath":
        path = state.path(fields, "ItemsPath")
        state.evaluated["ItemsPath"] = Template(path or "$")
        return
    if not fields.present("Items"):
        return
    value = fields.raw("Items")
    if isinstance(value, str | list | dict):
        items = state.template(fields, "Items")
        if items is not None:
            state.evaluated["Items"] = items
        return
    detail = f"'Items' must be a list, an object or an expression, not {shown(value)}."
    fields.wrong("Items", "wrong-type", detail, "Make it a list, or {% ... %}.")


def _selector(state: State) -> Template | None:
    fields = state.fields
    selector = state.template(fields, "ItemSelector")
    if state.language == "jsonpath" and fields.holds("Parameters"):
        older = state.template(fields, "Parameters")
        if selector is not None:
            detail = "there are both 'ItemSelector' and 'Parameters'."
            fields.wrong("Parameters", "contradiction", detail, "Remove 'Parameters', the older name.")
            return selector
        return older
    return selector


def _batching(state: State) -> Batching | None:
    inner = _part(state, "ItemBatcher")
    if inner is None:
        return None
    items = state.amount(inner, "MaxItemsPerBatch", 1, MAX_WHOLE, "items")
    size = state.amount(inner, "MaxInputBytesPerBatch", 1, MAX_BATCH_BYTES, "bytes")
    bounds = ("MaxItemsPerBatch", "MaxInputBytesPerBatch")
    if not any(inner.holds(name) or inner.holds(f"{name}Path") for name in bounds):
        inner.missing("MaxItemsPerBatch", "Bound a batch by its items or its bytes.")
    batch_input = state.template(inner, "BatchInput")
    if batch_input is not None:
        state.evaluated["BatchInput"] = batch_input
    state.close(inner)
    return Batching(items=None if items is None else int(items), size=None if size is None else int(size))


def _reader(state: State) -> None:
    """`ItemReader`, as far as it concerns items that are at hand."""
    inner = _part(state, "ItemReader")
    if inner is None:
        return
    _refuse_storage(inner, "read", "Hand the items over in the input.")
    config = inner.members("ReaderConfig")
    if config is not None:
        place = (*inner.place, "ReaderConfig")
        fields = Fields(state.findings, config, place, f"{state.fields.subject}: ReaderConfig")
        state.comment(fields)
        fields.one_of("InputType", ("JSON",), "unsupported-input")
        most = state.amount(fields, "MaxItems", 1, MAX_WHOLE, "items")
        if most is not None:
            state.evaluated["MaxItems"] = Template(int(most))
        state.close(fields)
    inner.close()


def _writer(state: State) -> Literal["inline", "COMPACT", "FLATTEN"]:
    """`ResultWriter`, as far as it concerns results that stay at hand."""
    inner = _part(state, "ResultWriter")
    if inner is None:
        return "inline"
    _refuse_storage(inner, "written", "The results stand in the output, and in the journal.")
    config = inner.members("WriterConfig")
    shape = None
    if config is not None:
        place = (*inner.place, "WriterConfig")
        fields = Fields(state.findings, config, place, f"{state.fields.subject}: WriterConfig")
        state.comment(fields)
        fields.one_of("OutputType", ("JSON",), "unsupported-output")
        shape = fields.one_of("Transformation", ("NONE", "COMPACT", "FLATTEN"), "unknown-transformation")
        fields.close()
    inner.close()
    match shape:
        case "COMPACT":
            return "COMPACT"
        case "FLATTEN":
            return "FLATTEN"
        case _:
            return "inline"


def _refuse_storage(fields: Fields, verb: str, mend: str) -> None:
    named = [name for name in ("Resource", "Parameters", "Arguments") if fields.holds(name)]
    for name in named:
        value = fields.raw(name)
        what = shown(value) if name == "Resource" else f"'{name}'"
        fields.wrong(
            name, "unsupported-resource", f"{what}: items cannot be {verb} elsewhere from here.", mend
        )


def _part(state: State, name: str) -> Fields | None:
    members = state.fields.members(name)
    if members is None:
        return None
    fields = Fields(state.findings, members, (*state.fields.place, name), f"{state.fields.subject}: {name}")
    state.comment(fields)
    return fields
