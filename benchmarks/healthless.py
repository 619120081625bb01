"""The real server in this process, with its health board or with one that knows nothing and counts nothing.

`python -m benchmarks.healthless real|null SETTINGS` prints `up` once it takes requests, and ends when its
standard input does. `SETTINGS` are the server's as variables, a JSON object.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import cast

from api.bootstrap import build
from api.server import serve
from api.settings import load
from benchmarks.null_board import NullBoard
from core.engine.health.board import Board


class Silent(NullBoard):
    """What a server starts and stops with its board, without a board."""

    async def start(self) -> None:
        """Nothing."""

    async def stop(self) -> None:
        """Nothing."""


async def main(board: str, settings: dict[str, str]) -> None:
    """Serve until standard input ends."""
    loaded = load(settings)
    runtime = build(loaded)
    if board == "null":
        # All that works without asking for a report, which nobody does here.
        runtime.board = cast("Board", Silent())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    reading = loop.run_in_executor(None, _until_its_end, lambda: loop.call_soon_threadsafe(stop.set))
    await serve(loaded, runtime=runtime, stop=stop, ready=lambda _url: print("up", flush=True))
    await reading


def _until_its_end(over: Callable[[], object]) -> None:
    sys.stdin.read()
    over()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sys.argv[1], json.loads(sys.argv[2])))
