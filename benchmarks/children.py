"""The programs that a measurement starts, each in a process of its own, and always ended."""

import asyncio
import json
import os
import platform
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

END_SECONDS: Final = 10.0


class Failed(RuntimeError):
    """What was to be measured did not work. The message is a sentence."""


class Child:
    """`python -m benchmarks.MODULE`, spoken to in lines."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def say(self, line: str) -> None:
        """One line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def line(self, seconds: float) -> str:
        """The next line that it prints. Raises Failed where none comes in time."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise Failed(f"{self._name} said nothing for {seconds:.0f} s.") from None
        if not line:
            raise Failed(f"{self._name} ended.")
        return line.decode().strip()

    async def ask(self, question: msgspec.Struct, answer: type[T], within: float) -> T:
        """Say a question as JSON; the answer. Raises Failed, also where the answer is an `error`."""
        await self.say(msgspec.json.encode(question).decode())
        line = await self.line(within)
        found = json.loads(line)
        if "error" in found:
            raise Failed(f"{self._name}: {found['error']}")
        return msgspec.convert(found, answer)

    async def end(self) -> None:
        """Close its standard input, at which it ends; killed where it does not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def child(module: str, *arguments: object) -> AsyncIterator[Child]:
    """A module of this package in a process of its own, while the block runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)),
        stdin=PIPE,
        stdout=PIPE,
        # Ctrl-C on a terminal reaches us alone, and we end it.
        start_new_session=True,
    )
    one = Child(module, process)
    try:
        yield one
    finally:
        await one.end()


@contextmanager
def endpoint(hold: float = 0.0) -> Iterator[int]:
    """The static endpoint's port, while it runs."""
    command = [sys.executable, "-m", "benchmarks.endpoint", str(hold)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


async def measure(module: str, *arguments: object, seconds: float = 200.0) -> dict[str, float]:
    """What one measuring program printed. Raises Failed where it failed or took longer."""
    async with child(module, *arguments) as one:
        measured: dict[str, float] = json.loads(await one.line(seconds))
    return measured


def machine() -> str:
    """The machine, in a line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text(encoding="utf-8").splitlines() if "model name" in line]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}, {platform.system()}"
