"""Programs are killed, come back when they should, and see the clock that they are given."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import pytest

from chaos.programs import NotStarted, Program, faketime


@asynccontextmanager
async def started(folder: Path, *, clock: bool = False) -> AsyncIterator[tuple[Program, str]]:
    """A local cloud, which starts quickly, and the URL of its control API."""
    program = Program("clouds", ["localcloud", "--port", "0"], folder, {})
    program.start(clock=clock)
    try:
        yield program, str((await program.document())["control"])
    finally:
        await program.end()


async def test_a_program_that_ends_by_itself_is_told_and_started_again(tmp_path: Path) -> None:
    async with started(tmp_path) as (program, _):
        before = program.pid
        watching = asyncio.create_task(program.watch())
        process = program._process
        assert process is not None
        process.kill()  # behind the program's back, as an accident would
        async with asyncio.timeout(30):
            while program.pid == before or not program.up:
                await asyncio.sleep(0.02)
        assert [one.split(":")[0] for one in program.ended_by_itself] == ["clouds ended with -9"]
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_killed_program_stays_dead_until_it_is_started(tmp_path: Path) -> None:
    async with started(tmp_path) as (program, _):
        program.kill()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await program.watch()
        assert not program.up
        program.start()
        await program.document()
        assert program.ended_by_itself == []


async def test_a_program_that_cannot_start_says_why(tmp_path: Path) -> None:
    program = Program("wrong", ["serve", "--store", "nonsense:"], tmp_path, {})
    program.start()
    try:
        with pytest.raises(NotStarted, match="wrong did not start: SIDESTEP_STORE names"):
            await program.document()
    finally:
        await program.end()


@pytest.mark.skipif(faketime() is None, reason="libfaketime is not installed")
async def test_a_clock_that_is_moved_is_seen_to_move_and_to_come_back(tmp_path: Path) -> None:
    async with started(tmp_path, clock=True) as (program, url), aiohttp.ClientSession() as session:
        for jump in (3600, -3600, 0):
            program.jump(jump)
            async with asyncio.timeout(10):
                while abs(await ahead(session, url) - jump) > 5:
                    await asyncio.sleep(0.05)


async def ahead(session: aiohttp.ClientSession, url: str) -> float:
    async with session.get(url) as answer:
        return parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
