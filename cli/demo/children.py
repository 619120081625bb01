"""localcloud and the server as processes of their own, ended by their own ids whatever happens."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from cli.failures import Stop

START_SECONDS: Final = 60.0
END_SECONDS: Final = 10.0
_PAUSE: Final = 0.05
_TAIL: Final = 2_000


class Child:
    """A `sidestep` command in a process of its own.

    Its standard input is a pipe that it watches: when this process dies, however it dies, the child ends.
    What it prints goes to files in `folder`, where it runs as well; their end is told where it fails.
    """

    def __init__(self, name: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self._folder = folder
        self._process = process

    @classmethod
    def start(
        cls, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Start `sidestep ARGUMENTS`. Settings for other servers in our own environment do not reach it."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SIDESTEP_")}
        # -P: a folder named `cli` where the process stands must not stand in for ours.
        command = [sys.executable, "-P", "-m", "cli.main", *arguments, "--json", "--tethered"]
        with _output(folder, name).open("wb") as output, _log(folder, name).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program, arguments as a list, no shell
                command,
                cwd=folder,
                env={**ours, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=log,
                start_new_session=True,
            )
        return cls(name, folder, process)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def check(self) -> None:
        """Raise Stop with the end of its log where it has ended."""
        code = self._process.poll()
        if code is not None:
            raise Stop(f"The demo's {self.name} ended with {code}.\n{self.tail()}".rstrip())

    def tail(self) -> str:
        """The end of its log."""
        return _log(self._folder, self.name).read_text("utf-8", "replace")[-_TAIL:]

    async def first_document(self) -> dict[str, Any]:
        """The JSON document that it prints when it is ready. Raises Stop where that does not come."""
        for _ in range(int(START_SECONDS / _PAUSE)):
            with suppress(ValueError):
                document = json.loads(_output(self._folder, self.name).read_bytes())
                if isinstance(document, dict):
                    return document
            self.check()
            await asyncio.sleep(_PAUSE)
        raise Stop(f"The demo's {self.name} did not start within {START_SECONDS:.0f} s.\n{self.tail()}")

    async def end(self) -> None:
        """End it: politely, then not."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            for _ in range(int(END_SECONDS / _PAUSE)):
                if self._process.poll() is not None:
                    return
                await asyncio.sleep(_PAUSE)
        finally:
            # Also when somebody could not wait for the polite end.
            self._process.kill()
            self._process.wait()


def _output(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _log(folder: Path, name: str) -> Path:
    return folder / f"{name}.log"


def free_port() -> int:
    """A port of loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
