"""Runs one provider's functions in threads and writes each run into the ledger."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from localcloud.instances import Instances, Stay
from localcloud.ledger import Ledger, Run, State
from localcloud.metadata import Metadata
from localcloud.workers import Workers


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, as a vendor words it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Ended(NamedTuple):
    """How a function ended, and the answer made of it."""

    state: State
    reply: Reply


@dataclass(frozen=True, slots=True)
class Raises:
    """What a function raises instead of doing its work; not `marked`: its platform does not tell."""

    error: str
    message: str
    marked: bool = True

    def exception(self) -> Exception:
        """An exception of a class of that name."""
        kind: type[Exception] = type(self.error, (Exception,), {})
        return kind(self.message)


@dataclass(slots=True)
class Call:
    """One request on its way through a provider; `run` is there once the function has started.

    Outages say what its execution has to expect: `instances` that it must enter, `delay` seconds for which
    it keeps them before it begins, and `raises`.

    `lost` is set first and `run` read after it by the connection's side, the other way round by
    the function's thread, so that one of the two always writes that the reply was lost.
    """

    method: str
    path: str  # as on the wire, still quoted, without the query
    query: str
    headers: Mapping[str, str]
    body: bytes
    run: Run | None = None
    lost: bool = False
    instances: tuple[Instances, ...] = ()
    delay: float = 0.0
    raises: Raises | None = None


class Executor:
    """The functions of one provider share its threads."""

    def __init__(self, provider: str, region: str, ledger: Ledger, workers: int) -> None:
        self._provider = provider
        self._region = region
        self._ledger = ledger
        self._workers = Workers(f"localcloud-{provider.lower()}", workers)
        self._background: set[asyncio.Task[None]] = set()

    async def execute(
        self, call: Call, function: str, metadata: Metadata, job: Callable[[], Ended], timeout: float
    ) -> Reply:
        """Run a function's job, once there is an instance for it.

        Raises TimeoutError after `timeout` seconds of running; then nobody sees the reply. `job`
        answers for what the function raises; a fault of its own counts as raised. A GET is answered, and
        is no run.
        """
        if call.method == "GET":
            # A question for what was accepted before runs nothing that the ledger would count.
            return await self._workers.run(lambda: job().reply, timeout)
        stays = tuple((instances, instances.enter(function)) for instances in call.instances)

        def work() -> Reply:
            run = self._ledger.begin(self._provider, self._region, function, metadata)
            call.run = run
            if call.lost:
                self._ledger.settle(run, replied=False)
            state: State = "raised"
            try:
                state, reply = job()
            finally:
                self._ledger.finish(run, state)
                _leave(stays)
            return reply

        try:
            held = call.delay + sum(stay.delay for _, stay in stays)
            if held > 0:
                await asyncio.sleep(held)
            return await self._workers.run(work, timeout)
        except TimeoutError:
            self.lose(call)
            raise
        finally:
            if call.run is None:  # it never began; else its thread leaves, whoever waits for it
                _leave(stays)

    def abandon(self, call: Call) -> None:
        """Its cloud gave the run up."""
        if call.run is not None:
            self._ledger.finish(call.run, "abandoned")

    def lose(self, call: Call) -> None:
        """The caller cannot see the reply of this call, whether its function has started or not."""
        call.lost = True
        if call.run is not None:
            self._ledger.settle(call.run, replied=False)

    def delivered(self, call: Call) -> None:
        """The reply went out on a live connection."""
        if call.run is not None:
            self._ledger.settle(call.run, replied=True)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Do something that no caller waits for, until `stop`."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def stop(self, grace: float) -> None:
        """End what runs in the background and the threads (see `Workers.stop`)."""
        tasks = tuple(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._workers.stop(grace)


def _leave(stays: tuple[tuple[Instances, Stay], ...]) -> None:
    for instances, stay in stays:
        instances.leave(stay)
