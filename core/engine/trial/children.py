"""Child executions of a trial: none is run, each ends as its step's mocks say."""

import asyncio
from typing import assert_never

import msgspec

from core.engine.posting import Post, Told
from core.engine.trial.mocks import Error, Mocks, Output, Timeout
from core.machine.events import ChildEnded
from core.machine.outbox import CREATE
from core.machine.run import Tell
from core.machine.transitions import COMPLETED, FAILED


class TrialPost(Post):
    """Takes what stands in the outbox: a child that is to be created has ended at once, or never does."""

    def __init__(self, mocks: Mocks) -> None:
        self._mocks = mocks

    async def send(self, tell: Tell) -> Told:
        """As its base says. A child without a mock holds everything up: the trial ends, and says so."""
        if tell.message.kind != CREATE:
            return Told(tell.name)
        answer = self._mocks.take(tell.message.step_id)
        match answer:
            case None:
                await asyncio.get_running_loop().create_future()
                raise AssertionError("nothing answers for a child without a mock")
            case Timeout():
                return Told(tell.name)
            case Output():
                size = len(msgspec.json.encode(answer.value))
                return Told(tell.name, _ended(tell, COMPLETED, output=answer.value, size=size))
            case Error():
                return Told(tell.name, _ended(tell, FAILED, error=answer.error, cause=answer.cause))
            case _:
                assert_never(answer)


def _ended(tell: Tell, status: str, **how: object) -> ChildEnded:
    fields = {
        "visit": tell.message.visit,
        "stepId": tell.message.step_id,
        "childId": tell.message.execution_id,
        "status": status,
    }
    return msgspec.convert({"kind": "CHILD_ENDED", **fields, **how}, ChildEnded)
