"""Two workers over one store, each with its own way out to the clouds, which can be cut."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from core.engine.definitions import Definitions
from core.engine.engine import LEFT_TO_OTHERS, Engine
from core.engine.health.board import Board
from core.engine.health.local_link import Commons, LocalLink
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.machine import events as ev
from core.ports.provider import Call
from tests.engine.harness import Answer, Cloud, Sent, audit, works
from tests.engine.outage import REFUSED, Door, Outage, refuses

TWO = ("AWS", "GCP")
VANISHED = Outcome(
    executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="read-timeout", error="Sidestep.Timeout"
)
HTTP_ONLY = {
    "id": "at home",
    "startAt": "a",
    "steps": [{"id": "a", "type": "TASK", "provider": "HTTP", "functionId": "a"}],
}


class Worker:
    """One process: an engine and a board, with clouds as they are seen from there."""

    def __init__(self, world: Outage, commons: Commons, name: str) -> None:
        self.ledger: list[Sent] = []
        self.clouds = {one: Cloud(one, works, self.ledger) for one in world.clouds}
        link = LocalLink(world.store, world.clock, commons)
        self.board = Board({}, world.clock, link, providers=self.clouds, replica=name, entropy=lambda: 0.5)
        self.engine = Engine(
            world.store, Definitions(world.store), self.clouds, self.board, world.clock, world.settings, name
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.board.start()
        self._task = asyncio.create_task(self.engine.run())

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.board.stop()

    def cut(self, answer: Answer = refuses, probed: Outcome = REFUSED) -> None:
        for name in TWO:
            self.clouds[name].answer, self.clouds[name].probed = answer, probed

    def mend(self) -> None:
        self.cut(works, Outcome(executed=Executed.NO, ok=True))

    @property
    def isolated(self) -> bool:
        return self.board.report().isolated is not None


class Service:
    """Both workers, and what they work on."""

    def __init__(self) -> None:
        self.world = Outage()
        self.commons = Commons()
        self.workers = [self.worker("one"), self.worker("other")]

    def worker(self, name: str) -> Worker:
        return Worker(self.world, self.commons, name)

    async def until(self, what: Callable[[], Any], within: float) -> float:
        """Let time pass until it is so; returns after how many seconds."""
        clock = self.world.clock
        began = clock.monotonic()
        while True:
            await self.world.quiet()
            verdict = what()
            if await verdict if asyncio.iscoroutine(verdict) else verdict:
                return clock.monotonic() - began
            assert clock.monotonic() - began < within, f"not within {within} s"
            clock.advance(max(0.001, min(clock.next_wake_in or 1.0, 1.0)))

    async def wait(self, seconds: float) -> None:
        await self.until(self.world.later(seconds), seconds + 1)

    async def submit(self, count: int, **changes: Any) -> list[str]:
        return await self.world.submitted(count, "a", deadline=3_000_000, **changes)

    async def isolate(self, *workers: Worker) -> None:
        """Cut these off, and let them notice it."""
        for worker in workers:
            worker.cut()
        for _ in range(30):
            await self.submit(2)
            await self.wait(0.05)
            if all(worker.isolated for worker in workers):
                return
        raise AssertionError("nobody noticed")

    async def audited(self, execution_ids: list[str]) -> None:
        ledger = [sent for worker in self.workers for sent in worker.ledger]
        for execution_id in execution_ids:
            audit(await self.world.journal(execution_id), ledger, set())


@asynccontextmanager
async def service(started: int = 2) -> AsyncIterator[Service]:
    made = Service()
    await made.world.open()
    try:
        for worker in made.workers[:started]:
            starting = asyncio.create_task(worker.start())
            await made.until(starting.done, 2)
        if started == len(made.workers):
            await made.until(lambda: all(worker.board.report().replicas == 2 for worker in made.workers), 3)
        yield made
    finally:
        for worker in made.workers:
            await worker.end()
        await made.world.store.close()


async def test_the_other_worker_does_the_work_of_one_that_is_cut_off() -> None:
    async with service() as made:
        one, other = made.workers
        await made.isolate(one)
        await made.until(lambda: not one.engine.in_hand, 2)
        one.ledger.clear()
        ids = []
        for _ in range(60):
            ids += await made.submit(2)
            await made.wait(0.25)
        await made.until(made.world.at_rest, 10)
        assert not one.ledger, "no call of a user is burnt to find out what probes can"
        assert not one.engine.in_hand
        assert not other.isolated
        for execution_id in ids:
            assert await made.world.status(execution_id) == "COMPLETED"
        await made.audited(ids)
        before = len(other.ledger)
        one.mend()
        await made.until(lambda: not one.isolated, 1.5)
        for _ in range(20):
            await made.submit(4)
            await made.wait(0.05)
        await made.until(made.world.at_rest, 10)
        assert len(one.ledger) > 0, "it works again"
        assert len(other.ledger) - before < 80


async def test_steps_that_nothing_ran_of_are_done_by_the_other_worker() -> None:
    async with service() as made:
        one, _ = made.workers
        one.cut()
        ids = []
        for _ in range(60):
            ids += await made.submit(2)
            await made.wait(0.1)
        await made.until(made.world.at_rest, 60)
        statuses = [await made.world.status(execution_id) for execution_id in ids]
        assert one.isolated
        # Those that failed everywhere before anybody could know are not to be helped.
        assert statuses.count("FAILED") <= 10
        assert statuses[20:].count("COMPLETED") == len(ids) - 20
        await made.audited(ids)


async def test_what_waits_in_the_hand_of_a_worker_that_is_cut_off_is_given_to_one_that_comes() -> None:
    async with service(started=1) as made:
        one, other = made.workers
        await made.isolate(one)
        # Alone, it calls on, a few at a time, and what finds no room waits in its hand.
        door = Door()
        for name in TWO:
            one.clouds[name].gate = door
        ids = await made.submit(60)
        await made.wait(2)
        assert one.engine.in_hand >= 30
        sent = len(one.ledger)
        starting = asyncio.create_task(other.start())
        await made.until(starting.done, 2)
        await made.until(one.board.cut_off, 2)
        await made.until(lambda: len(other.ledger) >= 30, 7)
        assert len(one.ledger) == sent
        door.stay_open()
        await made.until(made.world.at_rest, 30)
        completed = [await made.world.status(execution_id) for execution_id in ids].count("COMPLETED")
        assert completed >= 40
        await made.audited(ids)


async def test_where_all_are_cut_off_everything_waits_and_goes_on_when_a_cloud_is_back() -> None:
    async with service() as made:
        await made.isolate(*made.workers)
        for worker in made.workers:
            worker.ledger.clear()
        ids = await made.submit(300)
        await made.wait(60)
        assert all(worker.board.cut_off() for worker in made.workers)
        assert not any(worker.ledger for worker in made.workers)
        for worker in made.workers:
            worker.clouds["GCP"].answer = works
            worker.clouds["GCP"].probed = Outcome(executed=Executed.NO, ok=True)
        took = await made.until(made.world.at_rest, 60)
        assert took < 15
        assert not any(worker.isolated for worker in made.workers)
        for execution_id in ids:
            assert await made.world.status(execution_id) == "COMPLETED"
        assert await made.until(lambda: not any(worker.engine.in_hand for worker in made.workers), 5) < 5
        await made.audited(ids)


async def test_where_all_are_cut_off_cancels_and_steps_at_other_providers_do_not_wait() -> None:
    async with service() as made:
        await made.isolate(*made.workers)
        (waiting,) = await made.submit(1)
        await made.wait(LEFT_TO_OTHERS + 3)
        assert all(worker.board.cut_off() for worker in made.workers)
        await made.world.executions.cancel(waiting, reason="no longer needed")
        at_home = await made.world.submit(HTTP_ONLY)

        async def both() -> bool:
            statuses = [await made.world.status(one) for one in (waiting, at_home)]
            return statuses == ["CANCELLED", "COMPLETED"]

        await made.until(both, LEFT_TO_OTHERS + 3)


async def test_calls_that_vanish_behind_probes_that_answer_are_tried_again_seldom() -> None:
    async with service() as made:

        def vanishes(call: Call) -> Outcome:
            return VANISHED if call.target.provider in TWO else succeeded({})

        for worker in made.workers:
            worker.cut(vanishes, Outcome(executed=Executed.NO, ok=True))
        for _ in range(240):
            await made.submit(1)
            await made.wait(0.5)
        events = await made.workers[0].board.events(None, 500)
        begun = [one.event for one in events if one.event.kind == "REPLICA_ISOLATED"]
        # Which of the two takes the work is chance: the other may see too few calls to be cut off.
        by_name = Counter(event.replica for event in begun)
        assert by_name.total() >= 2
        assert max(by_name.values()) <= 12
        for worker in made.workers:
            worker.mend()
        before = await made.submit(20)
        await made.until(made.world.at_rest, 120)
        for execution_id in before:
            assert await made.world.status(execution_id) == "COMPLETED"


async def test_a_step_that_never_may_run_twice_goes_on_at_the_other_worker_where_it_did_not_run() -> None:
    async with service() as made:
        one, other = made.workers
        await made.isolate(one)
        once = await made.submit(20, effects="atMostOnce")
        await made.until(made.world.at_rest, 30)
        for execution_id in once:
            assert await made.world.status(execution_id) == "COMPLETED"
            journal = await made.world.journal(execution_id)
            audit(journal, one.ledger + other.ledger, {"a"})
            assert sum(isinstance(event, ev.AttemptSucceeded) for event in journal) == 1
