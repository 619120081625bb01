"""Having expressions evaluated where they can be preempted."""

import asyncio
from collections.abc import Mapping
from itertools import islice

from core.data.flow import EXPRESSION_ERROR, QUERY_ERROR, Answer, Request
from core.machine.run import Asked
from core.ports.evaluator import Evaluator

AT_ONCE = 8
"""Requests that one execution has with the evaluator. Those of all that a worker drives fit into its queue,
so that load makes them wait and fails no step.
"""

MOST = 128
"""Answers after which an execution goes on with what it has: it asks again for the rest."""


async def evaluated(
    evaluator: Evaluator | None, wanted: Mapping[Asked, Request], workflow_id: str
) -> dict[Asked, Answer]:
    """Answers to what a decision wants: to the first `MOST`, asked for a few at a time.

    Workflows take turns, not executions: a hostile one with thousands of executions is still one of many.
    """
    if evaluator is None:
        return {asked: _nobody(request) for asked, request in wanted.items()}
    asking = asyncio.Semaphore(AT_ONCE)

    async def ask(request: Request) -> Answer:
        async with asking:
            return await evaluator.evaluate(request, key=workflow_id)

    first = dict(islice(wanted.items(), MOST))
    async with asyncio.TaskGroup() as group:
        asked = {name: group.create_task(ask(request)) for name, request in first.items()}
    return {name: task.result() for name, task in asked.items()}


def _nobody(request: Request) -> Answer:
    name = EXPRESSION_ERROR if request.flow.language == "native" else QUERY_ERROR
    return Answer(error=name, cause="this process has nowhere to evaluate expressions")
