"""The parent's end of one child process."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from enum import Enum
from pathlib import Path
from typing import Final

import core
from adapters.evaluator.frames import ENDS, FROM_CHILD, LARGEST, TO_CHILD

STARTING: Final = 30.0
"""Seconds within which a child is ready: loading takes a fraction of one where there is a CPU for it."""

KEPT: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PATH")
"""What a Python may need to start. Nothing else of the environment reaches a child: it holds secrets."""

# Isolated mode reads neither the environment nor the working folder, so the project's folder is given.
START: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from adapters.evaluator.inside import main; main()"
)


class Why(Enum):
    """What ended a child."""

    CPU = "cpu"
    """It took more CPU time than its request may."""

    CLOCK = "clock"
    """It did not answer in time although it did not take its CPU time: it does not run."""

    CRASH = "crash"
    """Anything else: a signal from outside, a defect, no memory for its own work."""


class ChildEnded(Exception):
    """The child is gone, and the request that it had is not answered."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


class Child:
    """One process. It has one request at a time; `end` it at last, whatever else was raised."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.ending = False
        """Whether it said with its last answer that it ends."""

    @classmethod
    async def start(cls, memory: int) -> "Child":
        """A child that is ready, with so many bytes of memory for expressions. Raises ChildEnded, OSError."""
        child = cls(await _spawn(memory))
        try:
            async with asyncio.timeout(STARTING):
                await child._receive()
        except BaseException as failed:
            await child.end()
            if isinstance(failed, TimeoutError):
                raise ChildEnded(Why.CLOCK) from failed
            raise
        return child

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def ask(self, body: bytes, cpu: float, wall: float) -> bytes:
        """The answer to an encoded request that may take `cpu` seconds of CPU time, and `wall` more until it
        is here. Raises ChildEnded; the child is not to be used again then, nor after a cancellation.
        """
        stdin = self._process.stdin
        if stdin is None:
            raise ChildEnded(Why.CRASH)
        try:
            async with asyncio.timeout(wall + cpu):
                stdin.write(TO_CHILD.pack(len(body), round(cpu * 1e6)) + body)
                await stdin.drain()
                return await self._receive()
        except TimeoutError as late:
            raise ChildEnded(Why.CLOCK) from late
        except (OSError, RuntimeError) as gone:  # the latter is how uvloop says that the pipe is closed
            raise ChildEnded(await self._reason()) from gone

    async def end(self) -> None:
        """Kill it, and wait until it is gone and nothing of it is left."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await _finish(self._process)

    async def _receive(self) -> bytes:
        stdout = self._process.stdout
        if stdout is None:
            raise ChildEnded(Why.CRASH)
        try:
            size, flag = FROM_CHILD.unpack(await stdout.readexactly(FROM_CHILD.size))
            if size > LARGEST:
                raise ChildEnded(Why.CRASH)
            body = await stdout.readexactly(size)
        except asyncio.IncompleteReadError as ended:
            raise ChildEnded(await self._reason()) from ended
        self.ending = flag == ENDS
        return body

    async def _reason(self) -> Why:
        """Its end of the pipe is closed: it is dead, or about to be."""
        code = await self._process.wait()
        return Why.CPU if code == -signal.SIGPROF else Why.CRASH


def _home() -> str:
    """The folder in which this very project is."""
    return str(Path(core.__path__[0]).resolve().parent)


async def _spawn(memory: int) -> Process:
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-c",
            START,
            _home(),
            str(memory),
            stdin=PIPE,
            stdout=PIPE,
            stderr=None,  # says why it cannot start; once it has, it says nothing
            env={name: os.environ[name] for name in KEPT if name in os.environ},
            cwd="/",
            limit=1 << 20,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # The process may be there already, and then somebody has to end it.
        with contextlib.suppress(OSError):
            process = await starting
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await _finish(process)
        raise


async def _finish(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    if process.stdout is not None:
        # Only after its end has been read is the pipe closed.
        with contextlib.suppress(OSError):
            while await process.stdout.read(1 << 16):
                pass
    await process.wait()
