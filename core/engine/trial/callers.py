"""Whoever sends signals and callbacks in a trial."""

import asyncio
from contextlib import suppress
from typing import Any, assert_never

from core.engine.trial.mocks import Answer, Error, Mocks, Output, Timeout
from core.errors import ExecutionEnded
from core.graph.model import WaitStep, Workflow
from core.machine import events as ev
from core.machine.journal import decode
from core.ports.clock import Clock
from core.ports.doorbell import Topic
from core.ports.store import Message, Store

_PAGE = 1_000


class Callers:
    """Answers each WAIT for a signal or a callback from its mocks, as soon as it begins.

    One that is not answered (`timeout`) waits until its own time is over; one without a mock is noted as
    missing. They reach the execution by its inbox, as from the API.
    """

    def __init__(self, store: Store, workflow: Workflow, mocks: Mocks, clock: Clock) -> None:
        self._store = store
        self._workflow = workflow
        self._mocks = mocks
        self._clock = clock
        self._sent = 0

    async def run(self, execution_id: str) -> None:
        """Watch the execution's journal until cancelled."""
        rung = asyncio.Event()
        quiet = self._store.doorbell.subscribe(Topic.JOURNAL, lambda _: rung.set(), execution_id)
        after = 0
        try:
            while True:
                for batch in await self._store.history(execution_id, after, _PAGE):
                    envelope = decode(batch)
                    after = envelope.seq + len(envelope.events) - 1
                    for event in envelope.events:
                        if isinstance(event, ev.StepStarted):
                            await self._began(execution_id, event)
                await rung.wait()
                rung.clear()
        finally:
            quiet()

    async def _began(self, execution_id: str, event: ev.StepStarted) -> None:
        step = self._workflow.steps[event.step_id]
        if not isinstance(step, WaitStep) or (step.signal is None and not step.callback):
            return
        answer = self._mocks.take(step.id)
        if answer is None or isinstance(answer, Timeout):
            return
        self._sent += 1
        message = Message(
            message_id=f"trial-{self._sent}",
            kind="callback" if step.signal is None else "signal",
            body=_called_back(event.visit, answer) if step.signal is None else _signal(step.signal, answer),
            actor="trial",
            sent_at_ms=self._clock.now_ms(),
        )
        with suppress(ExecutionEnded):
            await self._store.deliver(execution_id, message)


def _signal(name: str, answer: Answer) -> dict[str, Any]:
    return {"name": name, "payload": answer.value if isinstance(answer, Output) else None}


def _called_back(visit: str, answer: Output | Error) -> dict[str, Any]:
    match answer:
        case Output():
            return {"visit": visit, "status": "success", "output": answer.value}
        case Error():
            return {"visit": visit, "status": "failure", "error": answer.error, "cause": answer.cause}
        case _:
            assert_never(answer)
