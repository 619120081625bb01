"""Running cases through the public path: as requests to `POST /workflows/test`, or by the entry behind it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import httpx
import msgspec

from api.bootstrap import trying
from api.settings import Settings
from core.errors import InvalidDefinition, InvalidMocks, TrialStopped
from core.graph.reading import read_workflow
from tests.api.serving import serving
from tests.conformance.cases import Case, body_of
from tests.conformance.comparing import Difference, differences

STATUSES: Final = {"COMPLETED": "SUCCEEDED", "CANCELLED": "ABORTED"}
"""AWS's names of ours, where they differ."""

Ask = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


class Ran(NamedTuple):
    """A case, what came of it, and how that differs from the record."""

    case: Case
    differences: list[Difference]
    result: dict[str, Any]


def result_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a trial in the record's words; one that was refused has its problems as its cause."""
    if "status" not in answer or isinstance(answer["status"], int):
        told = [f"{one['pointer']}: {one['detail']}" for one in answer.get("problems", ())]
        return {"status": "REFUSED", "cause": "; ".join(told) or answer.get("detail", "")}
    status = str(answer["status"])
    result = {"status": STATUSES.get(status, status), "entered": answer["stepsEntered"]}
    return {**result, **{name: answer[name] for name in ("output", "error", "cause") if name in answer}}


async def run_here(cases: Iterable[Case]) -> list[Ran]:
    """Run the cases in this process."""
    async with trying(Settings()) as trials:

        async def ask(body: Mapping[str, Any]) -> dict[str, Any]:
            try:
                workflow = read_workflow(body["workflow"])
                view = await trials.run(workflow, body["input"], body["mocks"])
            except (InvalidDefinition, InvalidMocks) as invalid:
                return {
                    "problems": [{"pointer": one.pointer, "detail": one.detail} for one in invalid.problems]
                }
            except TrialStopped as stopped:
                return {"detail": str(stopped)}
            found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(view))
            return found

        return await _run(cases, ask)


async def run_over_http(cases: Iterable[Case]) -> list[Ran]:
    """Run the cases against a server on loopback."""
    async with serving() as server:

        async def ask(body: Mapping[str, Any]) -> dict[str, Any]:
            answer: httpx.Response = await server.client.post("/workflows/test", json=body)
            found: dict[str, Any] = answer.json()
            return found

        return await _run(cases, ask)


async def _run(cases: Iterable[Case], ask: Ask) -> list[Ran]:
    ran = []
    for case in cases:
        try:
            result = result_of(await ask(body_of(case)))
        except Exception as broken:  # noqa: BLE001 - a case that breaks the engine is a miss, and the rest go on
            result = {"status": "BROKEN", "cause": f"{type(broken).__name__}: {broken}"}
        ran.append(Ran(case, differences(case, result), result))
    return ran


def run(cases: Iterable[Case], *, http: bool = False) -> list[Ran]:
    """Run the cases, one after the other."""
    return asyncio.run(run_over_http(cases) if http else run_here(cases))
