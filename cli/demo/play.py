"""The demo, from its first order to its audit."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
from rich.console import Console
from rich.live import Live

from cli.demo import report
from cli.demo.audit import Summary, audit
from cli.demo.board import Board
from cli.demo.load import ANSWER_SECONDS, Load
from cli.demo.screen import screen
from cli.demo.script import PHASES, SENDING_SHARE, lengths
from cli.demo.stage import Stage, stage
from cli.failures import FAILED, INTERRUPTED, OK
from cli.output import complain, emit, say, terminal_width
from cli.tether import until_signalled
from localcloud.client import ControlClient, connect

SAMPLE_SECONDS: Final = 0.25
FRAME_SECONDS: Final = 0.125
DRAIN_SECONDS: Final = 60.0
PAGE: Final = 500
PLAIN_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo is played: its length, orders a second, and what becomes of it afterwards."""

    seconds: float
    rate: float
    keep: bool = False
    as_json: bool = False


def play(options: Options) -> int:
    """Play it; the exit code. Everything that it started has ended when this returns."""
    return asyncio.run(_interruptible(options))


async def _interruptible(options: Options) -> int:
    with until_signalled() as asked:
        reported = asyncio.Event()
        demo = asyncio.create_task(_demo(options, reported, asked))
        asking = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait((demo, asking), return_when=asyncio.FIRST_COMPLETED)
            if not reported.is_set():
                # Nothing happens to a demo that failed by itself: it is done.
                demo.cancel()
            with suppress(asyncio.CancelledError):
                return await demo
        except BaseExceptionGroup as several:
            # Tasks that run side by side fail as a group; the first failure is the one that ended the rest.
            raise _first(several) from several
        finally:
            for task in (demo, asking):
                task.cancel()
            await asyncio.gather(demo, asking, return_exceptions=True)
    complain("The demo was interrupted; everything that it started has ended.")
    return INTERRUPTED


def _first(failure: BaseException) -> BaseException:
    """The first failure inside groups of them."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


async def _demo(options: Options, reported: asyncio.Event, asked: asyncio.Event) -> int:
    """Play and report; then, with `keep`, stay until `asked`."""
    with TemporaryDirectory(prefix="sidestep-demo-") as folder:
        if not options.as_json:
            say("Starting three clouds and a server on this machine ...")
        async with (
            stage(Path(folder)) as up,
            httpx.AsyncClient(base_url=up.server, timeout=ANSWER_SECONDS, trust_env=False) as http,
            connect(up.control) as control,
        ):
            board = Board(seconds=options.seconds, phase=PHASES[0])
            began = time.monotonic()
            await _run(options, up, board, http, control)
            result, view = await _audited(board, http, control, time.monotonic() - began)
            if options.as_json:
                emit(
                    {
                        **result.document(),
                        **({"server": up.server, "localcloud": up.control} if options.keep else {}),
                    }
                )
            else:
                say("", *report.summary(result, view, width=terminal_width() or PLAIN_WIDTH))
            reported.set()
            if options.keep:
                complain("", f"The server is at {up.server}, localcloud at {up.control}. Ctrl-C ends both.")
                await asked.wait()
    return OK if result.good else FAILED


async def _run(
    options: Options, up: Stage, board: Board, http: httpx.AsyncClient, control: ControlClient
) -> None:
    """Send the orders while the clouds come and go, and wait for the last one's end."""
    load = Load(http, board)
    async with _shown(options, board), _sampled(board, http, up):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_direct(board, control, options.seconds))
                group.create_task(load.send(options.rate, options.seconds * SENDING_SHARE))
            board.draining = True
            await load.drain(DRAIN_SECONDS)
        finally:
            await load.stop()


async def _direct(board: Board, control: ControlClient, seconds: float) -> None:
    """Put clouds out and back, phase by phase; at the end all are up."""
    for phase, length in zip(PHASES, lengths(seconds), strict=True):
        await control.clear()
        for provider, rule in phase.out.items():
            await control.set_outage(provider, **rule)
        board.enter(phase)
        await asyncio.sleep(length)
    await control.clear()


@asynccontextmanager
async def _sampled(board: Board, http: httpx.AsyncClient, up: Stage) -> AsyncIterator[None]:
    """Meanwhile, keep the lanes up to date. Raises Stop where a process of the stage ends."""
    async with _meanwhile(_sample(board, http, up)):
        yield


async def _sample(board: Board, http: httpx.AsyncClient, up: Stage) -> None:
    began = before = time.monotonic()
    while True:
        await asyncio.sleep(SAMPLE_SECONDS)
        up.check()
        with suppress(httpx.HTTPError, ValueError):
            reports = (await http.get("/providers")).json()["providers"]
            now = time.monotonic()
            for one in reports:
                if one["provider"] in board.lanes:
                    board.lanes[one["provider"]].sample(one, now - before)
            board.elapsed, before = now - began, now


@asynccontextmanager
async def _shown(options: Options, board: Board) -> AsyncIterator[None]:
    """Meanwhile, show the board: live on a terminal, else a line a second, and with --json nothing."""
    if options.as_json:
        yield
    elif sys.stdout.isatty():
        console = Console(highlight=False)
        with Live(console=console, auto_refresh=False) as live:
            async with _meanwhile(_draw(board, live, console)):
                yield
            live.update(screen(board, console.width), refresh=True)
    else:
        async with _meanwhile(_tell(board)):
            yield


async def _draw(board: Board, live: Live, console: Console) -> None:
    while True:
        live.update(screen(board, console.width), refresh=True)
        await asyncio.sleep(FRAME_SECONDS)


async def _tell(board: Board) -> None:
    title, told = "", 0
    while True:
        if board.phase.title != title:
            title = board.phase.title
            say(f"-- {title}")
        if int(board.elapsed) > told:
            told = int(board.elapsed)
            say(report.second(board))
        await asyncio.sleep(FRAME_SECONDS)


@asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` beside the block and end it with the block. Where it fails, the block is cancelled."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        try:
            yield
        finally:
            task.cancel()


async def _audited(
    board: Board, http: httpx.AsyncClient, control: ControlClient, seconds: float
) -> tuple[Summary, Mapping[str, Any] | None]:
    """The summary, and the view of the execution that tells most."""
    views: dict[str, Mapping[str, Any]] = {}
    query: dict[str, Any] = {"limit": PAGE}
    while True:
        page = (await http.get("/executions", params=query)).raise_for_status().json()
        for row in page["executions"]:
            name = str(row["executionId"])
            done = board.finished.get(name)
            # What the store says counts; a view that the client was given before is only what it agrees with.
            if done is not None and done.view.get("status") == row["status"]:
                views[name] = done.view
            else:
                views[name] = (await http.get(f"/executions/{name}")).raise_for_status().json()
        query["cursor"] = page["nextCursor"]
        if query["cursor"] is None:
            break
    result = audit(board, views, await control.ledger(), seconds)
    return result, None if result.shown is None else views[result.shown]
