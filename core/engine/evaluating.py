"""Having expressions evaluated where they can be preempted."""

import asyncio
from collections.abc import Mapping

from core.data.flow import EXPRESSION_ERROR, QUERY_ERROR, Answer, Request
from core.machine.run import Asked
from core.ports.evaluator import Evaluator


async def evaluated(
    evaluator: Evaluator | None, wanted: Mapping[Asked, Request], workflow_id: str
) -> dict[Asked, Answer]:
    """The answers to all that a decision wants, asked for together.

    Workflows take turns, not executions: a hostile one with thousands of executions is still one of many.
    """
    if evaluator is None:
        return {asked: _nobody(request) for asked, request in wanted.items()}
    answers = await asyncio.gather(
        *(evaluator.evaluate(request, key=workflow_id) for request in wanted.values())
    )
    return dict(zip(wanted, answers, strict=True))


def _nobody(request: Request) -> Answer:
    name = EXPRESSION_ERROR if request.flow.language == "native" else QUERY_ERROR
    return Answer(error=name, cause="this process has nowhere to evaluate expressions")
