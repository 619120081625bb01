"""The evaluator of this process: a few children, and callers that take turns."""

import asyncio
import logging
import signal
import sys
import time
from dataclasses import dataclass
from typing import Final

import msgspec

from adapters.evaluator.child import Child, ChildEnded, Why
from adapters.evaluator.frames import LARGEST
from adapters.evaluator.turns import Turns
from core.data.flow import EXPRESSION_ERROR, QUERY_ERROR, Answer, Request
from core.errors import ConfigurationError
from core.ports.evaluator import Evaluator

log = logging.getLogger("sidestep.evaluator")

MOST_AT_ONCE: Final = 10
"""A request has the CPU time of each of its expressions, but of not more than so many."""

TRIES: Final = 2
"""A child that dies of something else than its request (the machine is out of memory, somebody killed it)
shall not fail an execution: its request is asked once more of another."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""Seconds before a child that could not be started is tried again; doubled each time."""

STARTS: Final = 8
"""So many failed starts in a row, and a request is answered with an error."""


@dataclass(frozen=True, slots=True)
class EvaluatorSettings:
    """How many children there are at most, and what an expression may take.

    `cpu_ms` is CPU time of the child, in milliseconds; `memory_mb` MiB beside what a child needs anyway;
    `idle_seconds` after which a child without work ends. `wall_seconds` is what an answer may take beside its
    CPU time: only a process that does not run at all takes so long. Where `most_waiting` requests wait,
    further ones are answered with an error.
    """

    workers: int = 2
    cpu_ms: int = 100
    memory_mb: int = 256
    idle_seconds: float = 60.0
    wall_seconds: float = 5.0
    most_waiting: int = 20_000


class _Asked:
    """A request that waits for its answer."""

    __slots__ = ("answer", "body", "cpu", "error", "key", "tries")

    def __init__(
        self, key: str, body: bytes, cpu: float, error: str, answer: "asyncio.Future[Answer]"
    ) -> None:
        self.key = key
        self.body = body
        self.cpu = cpu
        self.error = error
        self.answer = answer
        self.tries = 0

    def fail(self, cause: str) -> None:
        self.settle(Answer(error=self.error, cause=cause))

    def settle(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class EvaluatorPool(Evaluator):
    """Children are started when there is something to do and end when there is nothing for a while.

    A child that is killed is replaced at once, and while another is busy with the expressions of a key that
    had to be killed before, one is left for all others (turns.py). Belongs to the loop that opened it.
    """

    def __init__(self, settings: EvaluatorSettings | None = None) -> None:
        self._settings = settings or EvaluatorSettings()
        self._turns: Turns[_Asked] = Turns(self._settings.workers, time.monotonic)
        self._workers: set[asyncio.Task[None]] = set()
        self._idle = 0
        self._news = asyncio.Event()
        self._closed = False
        self._children: set[Child] = set()

    @property
    def pids(self) -> frozenset[int]:
        """The processes of the children that are ready."""
        return frozenset(child.pid for child in self._children)

    async def open(self) -> None:
        """Make ready; no child is started yet. Raises ConfigurationError where there can be none."""
        if not sys.executable or not hasattr(signal, "setitimer"):
            raise ConfigurationError(
                "Expressions need processes with a limit on their CPU time, and this system has none; run "
                "Sidestep on Linux or macOS, with a Python that knows its own executable."
            )
        self._closed = False

    async def close(self) -> None:
        """End every child; whoever waits for an answer is cancelled."""
        self._closed = True
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        for asked in self._turns.drain():
            asked.answer.cancel()

    async def evaluate(self, request: Request, *, key: str = "") -> Answer:
        """What comes of `request`, in `key`'s turn. Raises nothing but CancelledError."""
        if self._closed:
            raise asyncio.CancelledError
        error = EXPRESSION_ERROR if request.flow.language == "native" else QUERY_ERROR
        try:
            body = msgspec.json.encode(request)
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
            # Text with half a surrogate pair, for one.
            return Answer(error=error, cause="The data that the expression sees is not JSON.")
        if len(body) > LARGEST:
            return Answer(error=error, cause=f"The data that the expression sees is over {LARGEST} bytes.")
        if len(self._turns) >= self._settings.most_waiting:
            return Answer(error=error, cause="Too many expressions wait to be evaluated.")
        cpu = self._settings.cpu_ms / 1000 * min(MOST_AT_ONCE, max(1, body.count(b"{%") + len(request.rules)))
        asked = _Asked(key, body, cpu, error, asyncio.get_running_loop().create_future())
        self._put(asked)
        return await asked.answer

    def _put(self, asked: _Asked) -> None:
        self._turns.put(asked.key, asked)
        self._news.set()
        self._staff()

    def _staff(self) -> None:
        """Have one more worker where more waits than those without work can take."""
        if len(self._turns) > self._idle and len(self._workers) < self._settings.workers:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._ended)

    def _ended(self, worker: "asyncio.Task[None]") -> None:
        self._workers.discard(worker)
        if worker.cancelled() or self._closed:
            return
        defect = worker.exception()
        if defect is not None:
            log.error("what has expressions evaluated died; it is started again", exc_info=defect)
        self._staff()

    async def _work(self) -> None:
        """Own one child, and answer with it until there has been nothing to do for a while."""
        child: Child | None = None
        pause, failures = FIRST_PAUSE, 0
        try:
            while True:
                if child is None:
                    try:
                        child = await self._started()
                    except (OSError, ChildEnded) as failed:
                        failures += 1
                        log.warning("a process for expressions could not be started: %s", failed)
                        if failures >= STARTS:
                            self._give_up()
                        await asyncio.sleep(pause)
                        pause = min(LONGEST_PAUSE, pause * 2)
                        if failures < STARTS or len(self._turns):
                            continue
                        return
                    pause, failures = FIRST_PAUSE, 0
                taken = await self._next()
                if taken is None:
                    return
                asked, blamed = taken
                try:
                    sound = await self._serve(child, asked)
                finally:
                    self._turns.done(blamed=blamed)
                    # What had to wait for this one may go now.
                    self._news.set()
                if not sound:
                    self._children.discard(child)
                    await child.end()
                    child = None
        finally:
            if child is not None:
                self._children.discard(child)
                await child.end()

    async def _started(self) -> Child:
        child = await Child.start(self._settings.memory_mb << 20)
        self._children.add(child)
        return child

    async def _next(self) -> tuple[_Asked, bool] | None:
        """The next request whose caller still waits; None where there was none for `idle_seconds`."""
        while True:
            while (taken := self._turns.take()) is not None:
                if not taken[0].answer.done():
                    return taken
                self._turns.done(blamed=taken[1])
            self._news.clear()
            self._idle += 1
            try:
                async with asyncio.timeout(self._settings.idle_seconds):
                    await self._news.wait()
            except TimeoutError:
                if not len(self._turns):
                    return None
            finally:
                self._idle -= 1

    async def _serve(self, child: Child, asked: _Asked) -> bool:
        """Have one request answered; whether the child can have another."""
        asked.tries += 1
        try:
            made = await child.ask(asked.body, asked.cpu, self._settings.wall_seconds)
            asked.settle(msgspec.json.decode(made, type=Answer))
        except ChildEnded as ended:
            self._explain(asked, ended.why)
            return False
        except msgspec.MsgspecError:
            log.exception("a process for expressions gave what is no answer")
            self._explain(asked, Why.CRASH)
            return False
        except BaseException:
            asked.answer.cancel()
            raise
        return not child.ending

    def _explain(self, asked: _Asked, why: Why) -> None:
        if why is Why.CPU:
            self._turns.blame(asked.key)
            log.info("an expression took more than its %d ms of CPU time", round(asked.cpu * 1000))
            asked.fail(
                f"The expression takes more than {self._settings.cpu_ms} ms of CPU time, which is its limit."
            )
            return
        log.warning("a process for expressions ended (%s) with a request in hand", why.value)
        if asked.tries < TRIES:
            self._put(asked)
            return
        # Whatever it is, it came twice with this request.
        self._turns.blame(asked.key)
        match why:
            case Why.CLOCK:
                asked.fail("The process that evaluates the expression does not run.")
            case Why.CRASH:
                asked.fail("The process that evaluated the expression ended.")

    def _give_up(self) -> None:
        """Answer what waits: no child can be had now."""
        for asked in self._turns.drain():
            asked.fail("No process can be started that would evaluate the expression.")
