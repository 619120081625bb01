"""The processes: Sidestep's roles and the clouds; killed, stopped, started again, and ended for certain."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

log = logging.getLogger("sidestep.chaos")

START_SECONDS: Final = 60.0
END_SECONDS: Final = 15.0
_PAUSE: Final = 0.05
_AGAIN_SECONDS: Final = 1.0
_LINE: Final = 300

_LIBRARIES: Final = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
)


class NotStarted(Exception):
    """A program did not come up. The message is a sentence, with the last line of its log."""


def free_port() -> int:
    """A port of loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def faketime() -> str | None:
    """The path of libfaketime, None where it is not installed (on Debian: the package `faketime`)."""
    return next((path for path in _LIBRARIES if Path(path).exists()), None)


class Program:
    """A `sidestep` command that is started again and again under one name, in `folder`.

    Its standard input is a pipe that it watches (`--tethered`): when this process dies, however it dies,
    the program ends.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.ended_by_itself: list[str] = []
        self._arguments = tuple(arguments)
        self._folder = folder
        self._environment = dict(environment)
        self._clock = folder / f"{name}.clock"
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._starts = 0

    @property
    def up(self) -> bool:
        """Whether the process runs (stopped counts)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id."""
        if self._process is None:
            raise NotStarted(f"{self.name} was never started.")
        return self._process.pid

    @property
    def log(self) -> Path:
        """What it writes to standard error, of all its lives."""
        return self._folder / f"{self.name}.log"

    def option(self, name: str) -> str:
        """The value of an option that it was given."""
        return self._arguments[self._arguments.index(name) + 1]

    def start(self, *, clock: bool = False) -> None:
        """Start it, unless it runs. With `clock`, its wall clock can be moved.

        That costs: libfaketime holds one lock in every look at the clock of every thread, and a program that
        competes for its CPU comes to a standstill over it. So it is there for the jump only.
        """
        if self.up:
            return
        self._reap()
        self._wanted = True
        self._starts += 1
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SIDESTEP_")}
        # -P: a folder named `cli` where the process stands must not stand in for ours.
        command = [sys.executable, "-P", "-m", "cli.main", *self._arguments, "--json", "--tethered"]
        with self._output().open("wb") as output, self.log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, arguments as a list, no shell
                command,
                cwd=self._folder,
                env={**ours, **self._environment, **(self._faked() if clock else {})},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill -9. It is not started again before `start`."""
        self._wanted = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if there is somebody to get it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    async def terminate(self) -> None:
        """SIGTERM, and wait for its end; killed where that does not come in time."""
        self._wanted = False
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        if not await self._gone():
            self.ended_by_itself.append(f"{self.name} did not end within {END_SECONDS:.0f} s of SIGTERM")
        self.kill()

    def jump(self, seconds: int) -> None:
        """Set its wall clock off by so much; 0 sets it right. It takes up to a second to be seen."""
        moved = self._clock.with_suffix(".new")
        moved.write_text(f"{seconds:+d}\n")
        moved.replace(self._clock)

    def last_words(self) -> str:
        """The last line of its log, or what there is of it."""
        said = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        return said.rstrip().rpartition("\n")[2][-_LINE:] or "it said nothing"

    async def document(self) -> dict[str, Any]:
        """The JSON document that it prints when it is ready. Raises NotStarted."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with suppress(ValueError):
                found = json.loads(self._output().read_bytes())
                if isinstance(found, dict) and self.up and "error" not in found:
                    return found
            if not self.up:
                break
            await asyncio.sleep(_PAUSE)
        raise NotStarted(f"{self.name} did not start: {self.last_words()}")

    async def watch(self) -> None:
        """Start it again whenever it has ended by itself, as a supervisor would, and remember that."""
        while True:
            if self._wanted and not self.up and self._process is not None:
                code = self._process.returncode
                self.ended_by_itself.append(f"{self.name} ended with {code}: {self.last_words()}")
                log.warning("%s ended with %s by itself", self.name, code)
                await asyncio.sleep(_AGAIN_SECONDS)
                if self._wanted:
                    self.start()
            await asyncio.sleep(_PAUSE)

    async def end(self) -> None:
        """End it for good: politely, then not. What it made is left in its folder.

        It is told once: the end of its standard input is a signal too, and a second one ends it at once.
        """
        self._wanted = False
        try:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            await self._gone()
        finally:
            # Also when somebody could not wait for the polite end.
            self.kill()
            self._reap()

    async def _gone(self) -> bool:
        """Whether it has ended, after some patience."""
        for _ in range(int(END_SECONDS / _PAUSE)):
            if not self.up:
                return True
            await asyncio.sleep(_PAUSE)
        return not self.up

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            if self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()

    def _output(self) -> Path:
        return self._folder / f"{self.name}.{self._starts}.json"

    def _faked(self) -> dict[str, str]:
        library = faketime()
        if library is None:
            raise NotStarted("libfaketime is not installed.")
        self.jump(0)
        return {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": "1",
            # What is measured by the monotonic clock stays; it is the wall clock that operators move.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
