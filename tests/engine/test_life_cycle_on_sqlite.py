"""The same requests on a store that keeps them on disk, by the real clock, through a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.clock import SystemClock
from adapters.stores.sqlite import SqliteStore
from core.engine.definitions import Definitions
from core.engine.engine import Engine
from core.engine.executions import Executions
from core.engine.health.board import Board
from core.engine.health.local_link import LocalLink
from core.engine.workflows import Workflows
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.graph.model import PROVIDERS
from core.ports.provider import Call
from core.ports.store import Filter
from tests.engine.harness import Cloud, Sent, line

FAULTS = {
    "pay": Outcome(executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="reset", error="Sidestep.Reset"),
    "ship": Outcome(executed=Executed.YES, scope=Scope.FUNCTION, signal="raised", error="ValueError"),
}


class Process:
    """One process on the file: what it has is gone when it stops, but for the file."""

    def __init__(self, store: SqliteStore, clouds: dict[str, Cloud]) -> None:
        clock = SystemClock()
        board = Board({}, clock, LocalLink(store, clock))
        definitions = Definitions(store)
        self.store = store
        self.workflows = Workflows(store, definitions, clouds, board, clock)
        self.executions = Executions(store, definitions, self.workflows, clock)
        self.engine = Engine(store, definitions, clouds, board, clock)


@asynccontextmanager
async def process(path: Path, ledger: list[Sent], *, work: bool) -> AsyncIterator[Process]:
    faults = dict(FAULTS)

    def answer(call: Call) -> Outcome:
        failed = any(one.key.split("/")[1] == call.target.function_id for one in ledger)
        fault = None if failed else faults.get(call.target.function_id)
        return fault or succeeded({call.target.function_id: call.attempt})

    store = SqliteStore(path, SystemClock())
    await store.open()
    running = Process(store, {name: Cloud(name, answer, ledger) for name in PROVIDERS})
    task = asyncio.create_task(running.engine.run()) if work else None
    try:
        yield running
    finally:
        if task is not None:
            running.engine.stop()
            await task
        await store.close()


async def test_what_was_asked_while_no_worker_ran_is_carried_out_by_the_next_one(tmp_path: Path) -> None:
    path, ledger = tmp_path / "store.db", list[Sent]()
    async with process(path, ledger, work=False) as api:
        workflow = api.workflows.read(line("pay", "ship", effects="atMostOnce", onAmbiguous="park"))
        execution_id = (await api.executions.create(workflow, {})).execution_id
        assert await api.executions.pause(execution_id, actor="ann", message_id="p")
    async with process(path, ledger, work=True) as worker:
        assert await worker.executions.wait(execution_id, 20) == "PAUSED"
        assert not await worker.executions.pause(execution_id, message_id="p")
        assert not ledger
        await worker.executions.resume(execution_id)
        assert await worker.executions.wait(execution_id, 20) == "PARKED"
    async with process(path, ledger, work=False) as api:
        assert await api.executions.resolve(execution_id, verdict="retry", actor="ann")
    async with process(path, ledger, work=True) as worker:
        assert await worker.executions.wait(execution_id, 20) == "FAILED"
    async with process(path, ledger, work=False) as api:
        assert await api.executions.redrive(execution_id, actor="ann", message_id="again")
    async with process(path, ledger, work=True) as worker:
        assert await worker.executions.wait(execution_id, 20) == "COMPLETED"
        assert not await worker.executions.redrive(execution_id, message_id="again")
        counts = await worker.executions.counts()
        assert {status: count for status, count in counts.items() if count} == {"COMPLETED": 1}
        assert not (await worker.executions.find(Filter(status="FAILED"), None, 10)).records
        view = await worker.executions.view(execution_id)
    assert [one.key.removeprefix(execution_id) for one in ledger] == [
        "/pay/1",
        "/pay/1",
        "/ship/1",
        "/ship/2",
    ]
    assert view.redrives == 1
    assert view.output == {"pay": 2, "ship": 2}
