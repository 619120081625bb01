"""The numbers of all processes behind one port.

A scrape reaches one of them, and which one is chance. So each also listens on a socket in a folder that they
share, and whoever is asked asks the others: one answer has the numbers of all, each under its process's
place. A place keeps its number when its process is started again, so that there are no more series than
places; a counter that began again is what Prometheus expects of a restart.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

log = logging.getLogger("sidestep.server")

ANSWER_SECONDS = 1.0
"""How long a sibling may take; one that is stuck must not keep a scrape from the others' numbers."""

MOST_BYTES = 1 << 20


class Siblings:
    """This process, which is `number` of `of` (from 1), among those that share `folder`."""

    def __init__(self, folder: Path, number: int, of: int) -> None:
        self.number = number
        self._folder = folder
        self._others = [one for one in range(1, of + 1) if one != number]

    @contextlib.asynccontextmanager
    async def telling(self, tell: Callable[[], bytes]) -> AsyncIterator[None]:
        """Answer the others with what `tell` returns, until the block ends."""

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                writer.write(tell())
                writer.close()
                await writer.wait_closed()

        path = self._path(self.number)
        try:
            path.unlink(missing_ok=True)  # of a process that was killed
            server = await asyncio.start_unix_server(answer, path)
        except OSError as problem:
            log.warning(
                "/metrics of the others will not have this one's numbers: %s", problem.strerror or problem
            )
            yield
            return
        async with server:
            yield

    async def ask(self) -> dict[int, bytes]:
        """What the others answer, by their numbers. One that does not answer in time is missing."""
        answers = await asyncio.gather(*(self._ask(one) for one in self._others))
        return {one: said for one, said in zip(self._others, answers, strict=True) if said is not None}

    async def _ask(self, number: int) -> bytes | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._path(number))
                try:
                    said = bytearray()
                    while chunk := await reader.read(65_536):
                        said += chunk
                        if len(said) > MOST_BYTES:
                            return None
                    return bytes(said)
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.sock"
