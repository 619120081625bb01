"""Several processes of one command on one machine: started, told apart, started again, and ended together.

The listening socket is opened once, here, and each child accepts from it. Of the two ways to share a port
this is the one that loses nothing when a child ends: what was not accepted yet waits in one queue that the
others take from. With SO_REUSEPORT each process has a queue of its own, and what waits in that of a process
which dies is reset. The price is that the kernel does not share connections out evenly.

A child's standard input is a pipe that nothing is written to: when this process dies, however it dies, the
child sees its end and stops, in order. On its standard output a child says, a JSON document a line, that it
is up or why no child can be. Its log goes where ours goes, with its process id in each line.
"""

import asyncio
import json
import logging
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from api.server import first_of
from cli.failures import FAILED, Stop
from cli.nursery import Forked, Nursery

log = logging.getLogger("sidestep.processes")

REFUSED: Final = 78
"""With this code a child says that no other start would help (EX_CONFIG of sysexits.h)."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds before a child that ended is started again; doubled each time until it stays up for SETTLED."""

SETTLED: Final = 60.0

LOOP: Final = 3
"""How often in a row a child ends soon before it is called a crash loop."""

KILLED_SECONDS: Final = 5.0
"""How long the kernel may take to bury a child that was killed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs: `count` processes, each `sidestep ARGUMENTS`, where `arguments` is asked with the child's
    number (from 1); one that a nursery forks is told the arguments. `name` is what one is called;
    `descriptors` are the open files that it inherits; in `patience` seconds it has ended once it was told to,
    or it is killed.
    """

    name: str
    count: int
    arguments: Callable[[int], Sequence[str]]
    environment: Mapping[str, str]
    patience: float
    descriptors: tuple[int, ...] = ()
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "cli.main")
    first_pause: float = FIRST_PAUSE


class Supervisor:
    """Keeps the processes of a plan running."""

    def __init__(self, plan: Plan, nursery: Nursery | None = None) -> None:
        self._plan = plan
        self._nursery = nursery
        self._children: dict[int, Process | Forked] = {}
        self._up = {number: asyncio.Event() for number in range(1, plan.count + 1)}
        self._stopping = asyncio.Event()
        self._refused: str | None = None
        self._over = asyncio.Event()

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        return [child.pid for child in self._children.values() if child.returncode is None]

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] | None = None) -> None:
        """Keep them running until `stop`, then end them. `ready` is called once all are up.

        The first is started alone, so that what would keep all from starting is said once. Raises Stop with a
        child's own sentence where none can work, or where one had to be killed.
        """
        keepers = [asyncio.create_task(self._keep(number)) for number in self._up]
        telling = asyncio.create_task(self._tell(ready))
        try:
            await first_of(stop, self._over)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            killed = await self._end(keepers)
        if self._over.is_set():
            raise Stop(self._refused or "A process cannot go on, and its log says why.", FAILED)
        if killed:
            raise Stop(
                f"{killed} of {self._plan.count} processes did not end within {self._plan.patience:g} s and "
                "were killed; what they held is taken over by others once its lease is over.",
                FAILED,
            )

    async def _tell(self, ready: Callable[[], None] | None) -> None:
        for up in self._up.values():
            await up.wait()
        if ready is not None:
            ready()

    async def _keep(self, number: int) -> None:
        """Start this child again whenever it ends, until all are to end."""
        if number > 1:
            await first_of(self._up[1], self._stopping)
        loop = asyncio.get_running_loop()
        pause, short = self._plan.first_pause, 0
        while not self._stopping.is_set():
            began = loop.time()
            how, crashed = await self._once(number)
            if self._stopping.is_set() or self._over.is_set():
                return
            if loop.time() - began > SETTLED:
                pause, short = self._plan.first_pause, 0
            short += 1
            self._report(number, how, crashed, short, pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            pause = min(LONGEST_PAUSE, pause * 2)

    def _report(self, number: int, how: str, crashed: bool, short: int, pause: float) -> None:
        who = f"{self._plan.name} {number} of {self._plan.count}"
        if short < LOOP:
            level = logging.ERROR if crashed else logging.INFO
            log.log(level, "%s ended %s; it is started again in %.1f s", who, how, pause)
            return
        log.error(
            "%s does not stay up: it ended %d times soon after its start, the last time %s; what it logged "
            "says why, and it is started again in %.1f s",
            *(who, short, how, pause),
        )

    async def _once(self, number: int) -> tuple[str, bool]:
        """Run the child to its end; how it ended, in words, and whether that was a crash."""
        try:
            child = await self._start(number)
        except OSError as problem:
            return f"before it began ({problem.strerror or problem})", True
        self._children[number] = child
        if self._stopping.is_set():
            _send(child, signal.SIGTERM)
        await self._listen(number, child)
        code = await child.wait()
        if code == REFUSED:
            self._over.set()
        return _told(child.pid, code), code != 0

    async def _start(self, number: int) -> Process | Forked:
        plan = self._plan
        if self._nursery is not None and self._nursery.alive:
            return await self._nursery.bear(plan.arguments(number), plan.environment, plan.descriptors)
        return await asyncio.create_subprocess_exec(
            *plan.command,
            *plan.arguments(number),
            env=dict(plan.environment),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=plan.descriptors,
            # A Ctrl-C on a terminal reaches this process alone, which passes it on once.
            start_new_session=True,
        )

    async def _listen(self, number: int, child: Process | Forked) -> None:
        """Read what the child says until it says no more."""
        if child.stdout is None:
            raise AssertionError("a child is started with a pipe")
        with suppress(ValueError):  # a line beyond all bounds: this child is heard no more
            async for line in child.stdout:
                with suppress(ValueError):
                    said = json.loads(line)
                    if isinstance(said, dict) and isinstance(said.get("error"), str):
                        self._refused = self._refused or said["error"]
                    else:
                        self._up[number].set()
            return
        while await child.stdout.read(65_536):
            pass

    async def _end(self, keepers: list[asyncio.Task[None]]) -> int:
        """Pass the word on, wait, then kill; how many had to be killed."""
        self._stopping.set()
        for child in self._children.values():
            _send(child, signal.SIGTERM)
        _, late = await asyncio.wait(keepers, timeout=self._plan.patience)
        left = [child for child in self._children.values() if child.returncode is None]
        for child in left:
            log.error("process %d did not end in time, and is killed", child.pid)
            _send(child, signal.SIGKILL)
        if late:
            await asyncio.wait(late, timeout=KILLED_SECONDS)
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        return len(left)


def _send(child: Process | Forked, number: int) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.send_signal(number)


def _told(pid: int, code: int) -> str:
    """How process `pid` ended."""
    if code >= 0:
        return f"with exit code {code} (process {pid})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"by {name} (process {pid})"
