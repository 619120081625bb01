"""Trials of a process: how many run at once, where, and for how long."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from core.engine.settings import EngineSettings
from core.engine.trial.mocks import read_mocks
from core.engine.trial.stage import ENDED, Script, Stage, TrialView
from core.errors import TooManyTrials, TrialStopped
from core.graph.model import Json, Workflow
from core.ports.clock import Clock
from core.ports.evaluator import Evaluator
from core.ports.store import Store


class TrialSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`at_once` trials run side by side, and `waiting` more may wait for that. One ends after `seconds` of
    real time, whether it has come to its end or not.
    """

    at_once: int = 2
    waiting: int = 62
    seconds: float = 10.0


class Trials:
    """Runs trials, each in a thread, in a store of its own that is gone with it. No cloud is called.

    `make_store` makes an empty store that keeps nothing; `evaluator` is the process's own, where it has one.
    """

    def __init__(
        self,
        make_store: Callable[[Clock], Store],
        clock: Clock,
        evaluator: Evaluator | None = None,
        engine: EngineSettings | None = None,
        settings: TrialSettings | None = None,
    ) -> None:
        self._make_store = make_store
        self._clock = clock
        self._evaluator = evaluator
        self._engine = engine or EngineSettings()
        self._settings = settings or TrialSettings()
        self._turns = asyncio.Semaphore(self._settings.at_once)
        self._taken = 0
        self._playing: set[Stage] = set()
        self._closed = False
        self._threads = ThreadPoolExecutor(self._settings.at_once, thread_name_prefix="sidestep-trial")

    async def run(self, workflow: Workflow, input_: Json, mocks: Json) -> TrialView:
        """What comes of `workflow` on `input_`, with `mocks` (JSON as in mocks.py, or None) for answers.

        Raises InvalidMocks, TrialStopped and TooManyTrials. Cancelling it ends the trial.
        """
        script = Script(
            workflow=workflow,
            input=input_,
            mocks=read_mocks(mocks, workflow),
            start_ms=self._clock.now_ms(),
        )
        if self._taken >= self._settings.at_once + self._settings.waiting:
            raise TooManyTrials(f"{self._taken} trials run or wait already; send it again later")
        self._taken += 1
        try:
            async with self._turns:
                return await self._play(script)
        finally:
            self._taken -= 1

    def close(self) -> None:
        """End what runs, and run nothing more. A second call does nothing."""
        self._closed = True
        for stage in self._playing:
            stage.end()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _play(self, script: Script) -> TrialView:
        if self._closed:
            raise TrialStopped(ENDED, "The trial was not begun: the process that runs it stops.")
        home = asyncio.get_running_loop()
        stage = Stage(script, self._make_store, self._engine, self._evaluator, home, self._settings.seconds)
        self._playing.add(stage)
        playing = home.run_in_executor(self._threads, stage.play)
        try:
            return await asyncio.shield(playing)
        finally:
            # Its turn ends with its thread, so that no more run than there may be.
            stage.end()
            await asyncio.wait((playing,))
            self._playing.discard(stage)
