"""Trials: a workflow run against answers that the caller supplies."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from api.answers import answer
from api.problems import RETRY_AFTER, Refusal, invalid_definition, invalid_request, told
from api.schemas import trials as docs
from api.schemas.bodies import read_json
from api.schemas.queries import no_query
from api.schemas.trials import read_trial
from api.services import process_of
from core.engine.trial.stage import ENDED
from core.errors import InvalidDefinition, InvalidMocks, TooManyTrials, TrialStopped
from core.graph.model import Json, Workflow
from core.graph.reading import read_workflow

BIG_DEFINITION = 16_384
"""Bytes of a request from which its definition is read in a thread, so that it holds up nobody else."""

router = APIRouter(tags=["workflows"])


@router.post("/workflows/test", **docs.TEST)
async def test_workflow(request: Request) -> Response:
    """Run a workflow against supplied answers. No cloud is called, time is moved, and nothing is kept."""
    no_query(request)
    trials = process_of(request).trials
    document = await read_json(request)
    trial = read_trial(document)
    workflow = await _workflow(trial.workflow, len(await request.body()))
    if workflow.language == "native" and not isinstance(trial.input, dict):
        raise invalid_request((told(docs.no_object(trial.input)),))
    if trials is None:
        raise _busy("this process runs none")
    try:
        return answer(await trials.run(workflow, trial.input, trial.mocks))
    except InvalidMocks as invalid:
        raise invalid_request(tuple(told(problem) for problem in invalid.problems)) from None
    except TrialStopped as stopped:
        if stopped.code == ENDED:
            raise _busy("this server is stopping") from None
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"trial-{stopped.code}",
            "The trial did not come to an end",
            str(stopped),
        ) from None
    except TooManyTrials as busy:
        raise _busy(str(busy)) from None


def _busy(why: str) -> Refusal:
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too-many-trials",
        "Too many trials",
        f"No trial can be run now: {why}.",
        headers=RETRY_AFTER,
    )


async def _workflow(document: Json, size: int) -> Workflow:
    """The definition; no provider has to be configured for it."""
    try:
        if size > BIG_DEFINITION:
            return await asyncio.to_thread(read_workflow, document)
        return read_workflow(document)
    except InvalidDefinition as invalid:
        problems: tuple[dict[str, Any], ...] = tuple(told(one, "/workflow") for one in invalid.problems)
        raise invalid_definition(problems) from None
