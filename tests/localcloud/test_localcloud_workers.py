"""The pool: starts what it says, forgets what was cancelled, holds up nobody."""

import asyncio
import threading

import pytest

from localcloud.workers import Exited, Workers


async def test_a_job_runs_in_a_thread_and_its_error_rises() -> None:
    workers = Workers("test", 2)
    assert await workers.run(threading.current_thread, 5) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        await workers.run(lambda: 1 / 0, 5)
    await workers.stop(1)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, StopIteration])
async def test_what_would_end_more_than_the_job_rises_as_an_ordinary_error(
    kind: type[BaseException],
) -> None:
    def job() -> None:
        raise kind

    workers = Workers("test", 1)
    with pytest.raises(Exited, match=kind.__name__):
        await workers.run(job, 5)
    assert await workers.run(lambda: "alive", 5) == "alive"
    await workers.stop(1)


async def test_threads_are_made_when_needed_and_never_more_than_the_limit() -> None:
    workers = Workers("test", 3)
    names: set[str] = set()
    for _ in range(10):
        names.add(await workers.run(lambda: threading.current_thread().name, 5))
    assert len(names) == 1
    gate = threading.Event()
    calls = [asyncio.create_task(workers.run(gate.wait, 5)) for _ in range(10)]
    await asyncio.sleep(0)
    assert len(workers._threads) == 3
    gate.set()
    assert all(await asyncio.gather(*calls))
    await workers.stop(1)


async def test_a_job_that_was_cancelled_before_its_start_never_runs() -> None:
    workers = Workers("test", 1)
    gate, ran = threading.Event(), threading.Event()
    first = asyncio.create_task(workers.run(gate.wait, 5))
    second = asyncio.create_task(workers.run(ran.set, 5))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.set()
    await first
    await workers.run(lambda: None, 5)
    assert not ran.is_set()
    await workers.stop(1)


async def test_the_time_of_a_job_counts_from_its_start() -> None:
    workers = Workers("test", 1)
    gate = threading.Event()
    first = asyncio.create_task(workers.run(lambda: gate.wait(5), 5))
    waiting = asyncio.create_task(workers.run(lambda: "done", 0.05))
    done, _ = await asyncio.wait((waiting,), timeout=0.2)
    assert not done  # it has waited four times its own time, without having started
    gate.set()
    assert await waiting == "done"
    await first
    await workers.stop(1)


async def test_over_its_time_the_caller_goes_on_and_the_thread_runs_on() -> None:
    workers = Workers("test", 1)
    gate, ended = threading.Event(), threading.Event()

    def job() -> None:
        gate.wait(5)
        ended.set()

    with pytest.raises(TimeoutError):
        await workers.run(job, 0.02)
    gate.set()
    assert await asyncio.to_thread(ended.wait, 5)
    await workers.stop(1)


async def test_stopping_waits_no_longer_than_its_grace() -> None:
    workers = Workers("test", 1)
    gate = threading.Event()
    call = asyncio.create_task(workers.run(lambda: gate.wait(5), 5))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await workers.stop(0.05)
    assert loop.time() - started < 2
    gate.set()
    await call
