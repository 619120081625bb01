"""Reading the native steps that start others: PARALLEL, MAP and WORKFLOW."""

from typing import Final, NamedTuple

from core.data.flow import Flow, Template
from core.graph.draft import BRANCH, Reference
from core.graph.fields import MAX_ID, Fields, object_at
from core.graph.findings import shown
from core.graph.model import MapStep, ParallelStep, WorkflowStep
from core.graph.native_conditions import read_path
from core.graph.native_policies import read_catchers, read_retries
from core.graph.native_templates import LANGUAGE, is_template, read_flow, read_output, read_template
from core.graph.native_ways import read_compensate, read_next

MAX_BRANCHES: Final = 1_000

MAX_CONCURRENCY: Final = 1_000
"""Items that one MAP may walk side by side; 0 leaves it to the machine, which walks as many at most."""

MAX_TOLERATED: Final = 1_000_000_000

MAX_VERSION: Final = (1 << 31) - 1

MAX_TIMEOUT_SECONDS: Final = 31_536_000
"""A year, as long as an execution may take."""

RESULTS: Final = ("inline", "reference")


def read_parallel(fields: Fields, name: str, references: list[Reference]) -> ParallelStep:
    """A PARALLEL; each branch is named by its first step."""
    branches: dict[str, None] = {}
    entries = fields.items("branches", MAX_BRANCHES, required="List the first step of each branch.")
    for at, entry in enumerate(entries):
        place = (*fields.place, "branches", at)
        if not isinstance(entry, str) or not entry or len(entry) > MAX_ID:
            detail = f"{fields.subject}: a branch is the id of its first step, not {shown(entry)}."
            fields.findings.error(place, "wrong-type", detail, "Name a step.")
        elif entry in branches:
            detail = f"{fields.subject}: the branch {shown(entry)} is listed twice."
            fields.findings.error(place, "duplicate-branch", detail, "Remove it.")
        else:
            branches[entry] = None
            references.append(Reference(entry, place, BRANCH))
    flow = read_output(fields)
    retries = read_retries(fields)
    compensate = read_compensate(fields, name, references)
    catch, caught = read_catchers(fields)
    following = read_next(fields, references)
    references.extend(caught)
    return ParallelStep(
        id=name,
        branches=tuple(branches),
        retries=retries,
        compensate=compensate,
        flow=flow,
        catch=catch,
        next=following,
    )


def read_map(fields: Fields, name: str, references: list[Reference]) -> MapStep:
    """A MAP; `each` names the first step of every item's walk."""
    items, template = _items(fields)
    first = fields.text("each", limit=MAX_ID, required="Name the first step of every item's walk.")
    if first is not None:
        references.append(Reference(first, (*fields.place, "each"), BRANCH))
    concurrency = fields.whole("maxConcurrency", 0, MAX_CONCURRENCY, "items")
    tolerated = _tolerated(fields)
    results = fields.one_of("results", RESULTS, "unknown-results")
    output = read_template(fields, "output")
    # Its strings may be templates, but what a walk begins with is a context, so an object.
    item = None if fields.members("input") is None else read_template(fields, "input")
    flow = None
    if template is not None or output is not None or item is not None:
        asked = {} if template is None else {"Items": template}
        flow = Flow(language=LANGUAGE, output=output, fields=asked, item=item)
    retries = read_retries(fields)
    compensate = read_compensate(fields, name, references)
    catch, caught = read_catchers(fields)
    following = read_next(fields, references)
    references.extend(caught)
    return MapStep(
        id=name,
        first=first or "",
        items=items,
        max_concurrency=concurrency or 0,
        tolerated_count=tolerated.items,
        tolerated_percent=tolerated.percent,
        results="reference" if results == "reference" else "inline",
        retries=retries,
        compensate=compensate,
        flow=flow,
        catch=catch,
        next=following,
    )


def read_child(fields: Fields, name: str, references: list[Reference]) -> WorkflowStep:
    """A WORKFLOW: a registered workflow as a child execution."""
    child = fields.identifier("workflowId", required="Name the workflow to run.")
    version = fields.whole("version", 1, MAX_VERSION, "")
    timeout = fields.number("timeoutSeconds", 0.001, MAX_TIMEOUT_SECONDS, "seconds")
    flow = read_flow(fields)
    retries = read_retries(fields)
    compensate = read_compensate(fields, name, references)
    catch, caught = read_catchers(fields)
    following = read_next(fields, references)
    references.extend(caught)
    return WorkflowStep(
        id=name,
        workflow_id=child or "",
        version=version,
        timeout_ms=None if timeout is None else max(1, round(timeout * 1000)),
        retries=retries,
        compensate=compensate,
        flow=flow,
        catch=catch,
        next=following,
    )


class _Tolerated(NamedTuple):
    items: int = 0
    percent: float = 0.0


def _items(fields: Fields) -> tuple[str | None, Template | None]:
    """`items` as a dotted path, or as a template."""
    mend = 'Say where the items are, such as "items": "order.lines".'
    value = fields.raw("items")
    match value:
        case None if not fields.present("items"):
            fields.missing("items", mend)
        case str() if is_template(value):
            return None, read_template(fields, "items")
        case str():
            return (value, None) if read_path(fields, "items") else (None, None)
        case list():
            return None, read_template(fields, "items")
        case _:
            detail = f"'items' must be a path, a template or a list, not {shown(value)}."
            fields.wrong("items", "wrong-type", detail, mend)
    return None, None


def _tolerated(fields: Fields) -> _Tolerated:
    """`toleratedFailures`: a count, or an object of `count` and `percent`."""
    value = fields.raw("toleratedFailures")
    match value:
        case dict():
            place = (*fields.place, "toleratedFailures")
            inner = object_at(fields.findings, value, place, f"{fields.subject}: 'toleratedFailures'")
            if inner is None:
                return _Tolerated()
            count = inner.whole("count", 0, MAX_TOLERATED, "items")
            percent = inner.number("percent", 0, 100, "percent")
            inner.close()
            if not inner.has("count") and not inner.has("percent"):
                fields.findings.error(
                    place,
                    "empty",
                    f"{fields.subject}: 'toleratedFailures' has neither 'count' nor 'percent'.",
                    'Give one or both, or leave "toleratedFailures" out.',
                )
            elif count is not None and percent is not None and (not count) != (not percent):
                fields.findings.error(
                    place,
                    "contradiction",
                    f"{fields.subject}: 'toleratedFailures' holds for both of its bounds, and one is 0.",
                    "Remove the bound that is 0, or make both 0.",
                )
            return _Tolerated(count or 0, percent or 0.0)
        case None | bool() | int() | float():
            return _Tolerated(fields.whole("toleratedFailures", 0, MAX_TOLERATED, "items") or 0)
        case _:
            detail = f"'toleratedFailures' must be a count or an object, not {shown(value)}."
            mend = 'Use a count such as 3, or {"count": 3, "percent": 10}.'
            fields.wrong("toleratedFailures", "wrong-type", detail, mend)
            return _Tolerated()
