"""Trials of small workflows, on the real machine, engine and store in memory."""

import asyncio
from collections.abc import Sequence
from typing import Any

from adapters.clock import SystemClock
from adapters.stores.memory import MemoryStore
from core.data.evaluating import answer
from core.data.flow import Answer, Request
from core.engine.settings import EngineSettings
from core.engine.trial.stage import TrialView
from core.engine.trial.trials import Trials, TrialSettings
from core.graph.reading import read_workflow
from core.ports.evaluator import Evaluator

Json = Any


def task(name: str, **more: Json) -> dict[str, Json]:
    return {"id": name, "type": "TASK", "provider": "AWS", "functionId": f"{name}-function", **more}


def flow(*steps: dict[str, Json], **more: Json) -> dict[str, Json]:
    return {"id": "flow", "startAt": steps[0]["id"], "steps": list(steps), **more}


class Here(Evaluator):
    """Evaluates in this process. While `gate` is set, an answer waits for it."""

    def __init__(self) -> None:
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def evaluate(self, request: Request, *, key: str = "") -> Answer:  # noqa: ARG002 - one at a time
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        return answer(request, bounded=False)


def trials(
    settings: TrialSettings | None = None,
    engine: EngineSettings | None = None,
    evaluator: Evaluator | None = None,
) -> Trials:
    return Trials(MemoryStore, SystemClock(), evaluator or Here(), engine, settings)


async def tried(
    document: dict[str, Json],
    mocks: Json = None,
    input_: Json = None,
    *,
    settings: TrialSettings | None = None,
    engine: EngineSettings | None = None,
    evaluator: Evaluator | None = None,
) -> TrialView:
    """What comes of one trial."""
    runs = trials(settings, engine, evaluator)
    try:
        return await runs.run(read_workflow(document), {} if input_ is None else input_, mocks)
    finally:
        runs.close()


def details(view: TrialView, kind: str) -> Sequence[dict[str, Json]]:
    """Of each event of this type, what it says."""
    return [event.details for event in view.history if event.type == kind]
