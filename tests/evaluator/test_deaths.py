"""Processes that die: the children's, and the server's."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from adapters.evaluator.child import KEPT
from adapters.evaluator.pool import EvaluatorPool
from core.data.flow import QUERY_ERROR
from core.errors import ConfigurationError
from tests.evaluator.evaluating import ENDLESS, alive, asking, cpu_ticks, pool, until

SLOW = "$sum($map([1..60000], function($v) { $v }))"
"""Takes a good part of a second."""


async def busy(evaluator: EvaluatorPool, but: int = 0) -> int:
    """The one child, once it has taken CPU time since it was ready."""
    await until(lambda: evaluator.pids - {but})
    (pid,) = evaluator.pids - {but}
    before = cpu_ticks(pid)
    await until(lambda: not alive(pid) or cpu_ticks(pid) > before)
    return pid


async def test_a_request_whose_process_is_killed_is_asked_of_another() -> None:
    async with pool(workers=1, cpu_ms=10_000) as evaluator:
        slow = asyncio.create_task(evaluator.evaluate(asking(SLOW)))
        first = await busy(evaluator)
        assert not slow.done()
        os.kill(first, signal.SIGKILL)
        answer = await slow
        assert (answer.value, answer.error) == (1_800_030_000, "")
        assert first not in evaluator.pids


async def test_a_request_that_loses_two_processes_fails_and_no_other_does() -> None:
    async with pool(workers=1, cpu_ms=10_000) as evaluator:
        doomed = asyncio.create_task(evaluator.evaluate(asking(ENDLESS), key="doomed"))
        first = await busy(evaluator)
        others = [asyncio.create_task(evaluator.evaluate(asking("1 + 1"), key="other")) for _ in range(5)]
        os.kill(first, signal.SIGKILL)
        # One of the others has its turn before the second try.
        await until(lambda: any(task.done() for task in others))
        os.kill(await busy(evaluator, first), signal.SIGSEGV)
        answer = await doomed
        assert answer.error == QUERY_ERROR
        assert "ended" in answer.cause
        assert [answer.value for answer in await asyncio.gather(*others)] == [2] * 5


async def test_a_process_that_dies_while_it_has_no_work_is_missed_by_nobody() -> None:
    async with pool() as evaluator:
        await evaluator.evaluate(asking("1 + 1"))
        (pid,) = evaluator.pids
        os.kill(pid, signal.SIGKILL)
        assert (await evaluator.evaluate(asking("2 + 2"))).value == 4


async def test_a_process_that_has_grown_is_replaced_after_its_answer() -> None:
    async with pool(workers=1, cpu_ms=5_000) as evaluator:
        # However large the process is that starts it.
        large = bytearray(b"x") * (500 << 20)
        assert (await evaluator.evaluate(asking("1 + 1"))).value == 2
        del large
        (small,) = evaluator.pids
        assert (await evaluator.evaluate(asking("$length($pad('', 90000000))"))).value == 90_000_000
        await until(lambda: not alive(small))
        assert (await evaluator.evaluate(asking("2 + 2"))).value == 4


async def test_processes_that_cannot_be_started_are_tried_until_they_can(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with pool() as evaluator:
        with monkeypatch.context() as broken:
            broken.setattr(sys, "executable", "/nowhere/python")
            asked = asyncio.create_task(evaluator.evaluate(asking("1 + 1")))
            await until(lambda: "could not be started" in caplog.text)
            assert not asked.done()
        assert (await asked).value == 2


async def test_where_no_process_can_be_had_it_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(ConfigurationError, match="executable"):
        await EvaluatorPool().open()


async def test_a_process_that_stands_still_is_replaced() -> None:
    async with pool(workers=1, wall_seconds=0.5) as evaluator:
        await evaluator.evaluate(asking("1 + 1"))
        (pid,) = evaluator.pids
        os.kill(pid, signal.SIGSTOP)
        assert (await evaluator.evaluate(asking("2 + 2"))).value == 4
        await until(lambda: not alive(pid))


async def test_signals_to_the_whole_group_are_the_servers_affair() -> None:
    async with pool(workers=1, cpu_ms=10_000) as evaluator:
        slow = asyncio.create_task(evaluator.evaluate(asking(SLOW)))
        pid = await busy(evaluator)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        assert (await slow).value == 1_800_030_000
        assert evaluator.pids == {pid}


async def test_closing_while_busy_leaves_no_process_and_cancels_who_waits() -> None:
    async with pool(cpu_ms=10_000) as evaluator:
        waiting = [asyncio.create_task(evaluator.evaluate(asking(ENDLESS))) for _ in range(10)]
        await until(lambda: len(evaluator.pids) == 2)
        pids = evaluator.pids
        await evaluator.close()
        assert not [pid for pid in pids if alive(pid)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        with pytest.raises(asyncio.CancelledError):
            await evaluator.evaluate(asking("1 + 1"))


async def test_closing_while_processes_start_leaves_none() -> None:
    async with pool() as evaluator:
        waiting = [asyncio.create_task(evaluator.evaluate(asking("1 + 1"))) for _ in range(2)]
        for _ in range(3):
            await asyncio.sleep(0)
        await evaluator.close()
        assert not _children()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)


def _children() -> list[str]:
    """This process's children that are evaluators."""
    return [
        name
        for name in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text("ascii").split()
        if b"adapters.evaluator" in Path(f"/proc/{name}/cmdline").read_bytes()
    ]


PARENT = f"""
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from tests.evaluator.evaluating import asking, pool, until

async def main():
    async with pool(cpu_ms=300) as evaluator:
        endless = [asyncio.create_task(evaluator.evaluate(asking({ENDLESS!r}))) for _ in range(1000)]
        await until(lambda: len(evaluator.pids) == 2)
        print(*evaluator.pids, flush=True)
        await asyncio.gather(*endless)

asyncio.run(main())
"""


async def test_no_process_outlives_its_server() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PARENT,
        str(Path(__file__).parents[2]),
        stdout=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in KEPT if name in os.environ},
    )
    assert parent.stdout is not None
    pids = [int(word) for word in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    parent.kill()
    await parent.wait()
    await until(lambda: not [pid for pid in pids if _runs(pid)])


def _runs(pid: int) -> bool:
    """Whether a process runs that is not ours to wait for: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
