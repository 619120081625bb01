"""Who waits for an execution learns of its rest from its driver here, or else from the store, which is asked
no more often than that takes.
"""

import asyncio
import time

import pytest
from msgspec.structs import replace

from adapters.stores.memory import MemoryStore
from core.engine.endings import Endings, Rested
from core.engine.executions import Executions
from core.engine.rests import CLAIMED_WITHIN
from core.errors import ExecutionNotFound
from core.ports.clock import Clock
from core.ports.store import Loaded, Message, Record
from tests.engine.harness import World, line


class Asked(MemoryStore):
    """Counts how often somebody wants to know how an execution stands."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.times = 0
        self.loads = 0

    async def load(self, execution_id: str) -> Loaded:
        self.loads += 1
        return await super().load(execution_id)

    async def get(self, execution_id: str) -> Record:
        self.times += 1
        return await super().get(execution_id)

    async def inbox(self, execution_id: str) -> tuple[Message, ...]:
        self.times += 1
        return await super().inbox(execution_id)


class Place(World):
    """A process whose driver and whose waiters are together, if `together`."""

    def __init__(self, *, together: bool) -> None:
        super().__init__(make_store=Asked)
        self.worker = self.engine()
        self.waiting = Executions(
            self.store,
            self.definitions,
            self.workflows,
            self.clock,
            self.settings,
            self.endings if together else Endings(),
            self.worker.drives if together else None,
        )

    @property
    def asked(self) -> int:
        assert isinstance(self.store, Asked)
        return self.store.times


@pytest.mark.parametrize("together", [True, False])
async def test_a_new_execution_is_waited_for_without_asking_where_it_is_driven(together: bool) -> None:
    place = Place(together=together)
    await place.open()
    workflow = place.workflows.read(line("a", "b", "c"))
    waiting = asyncio.create_task(place.waiting.create_and_rest(workflow, {"x": 1}, 30))
    await place.run(waiting.done, place.worker)
    created, rest = waiting.result()
    assert created.fresh
    if together:
        assert isinstance(rest, Rested)
        assert rest.state.status == "COMPLETED"
        assert place.asked == 0
    else:
        assert rest == "COMPLETED"
        assert place.asked > 0


async def test_the_state_that_is_handed_over_shows_the_same_as_the_journal() -> None:
    place = Place(together=True)
    await place.open()
    workflow = place.workflows.read(line("a", "b"))
    waiting = asyncio.create_task(place.waiting.create_and_rest(workflow, {}, 30))
    await place.run(waiting.done, place.worker)
    created, rest = waiting.result()
    assert isinstance(rest, Rested)
    assert isinstance(place.store, Asked)
    loads = place.store.loads
    shown = await place.waiting.view(created.execution_id, rest)
    assert place.store.loads == loads
    assert shown == await place.waiting.view(created.execution_id)
    assert shown == await place.waiting.view(created.execution_id, Rested(rest.state))
    assert shown.status == "COMPLETED"
    assert place.asked == 0


async def test_a_state_that_is_out_of_date_is_not_shown() -> None:
    place = Place(together=True)
    execution_id = await place.submit(line("a"))
    waiting = asyncio.create_task(place.waiting.rest(execution_id, 30))
    await place.run(waiting.done, place.worker)
    rest = waiting.result()
    assert isinstance(rest, Rested)
    older = Rested(replace(rest.state, version=1, status="RUNNING"))
    assert (await place.waiting.view(execution_id, older)).status == "COMPLETED"


async def test_several_wait_for_the_same_execution() -> None:
    place = Place(together=True)
    execution_id = await place.submit(line("a"))
    waiting = [asyncio.create_task(place.waiting.wait(execution_id, 30)) for _ in range(3)]
    await place.run(lambda: all(one.done() for one in waiting), place.worker)
    assert [one.result() for one in waiting] == ["COMPLETED"] * 3


async def test_what_rested_before_is_known_at_once() -> None:
    place = Place(together=True)
    execution_id = await place.submit(line("a"))
    await place.run(place.at_rest, place.worker)
    assert await asyncio.wait_for(place.waiting.wait(execution_id, 30), 5) == "COMPLETED"


async def test_a_new_execution_that_nobody_takes_up_here_is_asked_for() -> None:
    place = Place(together=True)
    await place.open()
    workflow = place.workflows.read(line("a"))
    began = time.monotonic()
    waiting = asyncio.create_task(place.waiting.create_and_rest(workflow, {}, 30))
    while not place.asked:
        await asyncio.sleep(0.001)
        assert time.monotonic() - began < 5
    assert time.monotonic() - began >= CLAIMED_WITHIN
    # Another process drives it.
    await place.run(waiting.done, World.engine(place))
    assert waiting.result()[1] is not None


async def test_waits_end_when_the_process_stops_and_then_at_once() -> None:
    place = Place(together=False)
    execution_id = await place.submit(line("a"))
    waiting = asyncio.create_task(place.waiting.wait(execution_id, 3_600))
    await place.quiet()
    assert not waiting.done()
    place.waiting.end_waits()
    assert await asyncio.wait_for(waiting, 5) == "PENDING"
    assert await asyncio.wait_for(place.waiting.wait(execution_id, 3_600), 5) == "PENDING"


async def test_an_execution_that_there_is_not_is_not_waited_for() -> None:
    place = Place(together=True)
    await place.open()
    with pytest.raises(ExecutionNotFound):
        await asyncio.wait_for(place.waiting.wait("0" * 26 + "-0", 30), 5)
