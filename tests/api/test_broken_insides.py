"""What callers see when the store is away, a journal is damaged, or the engine dies."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from adapters.clock import SystemClock
from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import SqliteStore
from api.routes.executions import BIG_DEFINITION
from api.runtime import Runtime
from core.engine.health.board import Board
from core.engine.health.local_link import LocalLink
from core.engine.settings import EngineSettings
from core.errors import ConfigurationError, StoreUnavailable
from core.failover.health import Health
from core.graph.model import PROVIDERS
from core.ports.store import Claims, Created, NewExecution, Record, Store
from tests.api.serving import HEADERS, Server, serving
from tests.stores.power_loss import LossyDisk

FLOW = {"id": "flow", "startAt": "a", "steps": [{"id": "a", "type": "SUCCEED"}]}


class Breaking(MemoryStore):
    """A memory store that raises what it is told to, where it is told to."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.errors: dict[str, Exception] = {}
        self.writes: list[str] = []

    def _maybe(self, name: str) -> None:
        error = self.errors.get(name)
        if error is not None:
            raise error

    async def create(self, new: NewExecution) -> Created:
        self._maybe("create")
        return await super().create(new)

    async def claim(self, owner: str, limit: int, lease_seconds: float, wait_seconds: float = 0.0) -> Claims:
        self._maybe("claim")
        return await super().claim(owner, limit, lease_seconds, wait_seconds)

    async def get(self, execution_id: str) -> Record:
        self._maybe("get")
        return await super().get(execution_id)

    async def get_fact(self, key: str) -> bytes | None:
        self._maybe("get_fact")
        return await super().get_fact(key)

    async def put_fact(self, key: str, value: bytes) -> None:
        self.writes.append(key)
        self._maybe("put_fact")
        await super().put_fact(key, value)

    async def history(self, execution_id: str, after: int, limit: int) -> tuple[bytes, ...]:
        self._maybe("history")
        batches = await super().history(execution_id, after, limit)
        return (b'{"v": 99}', *batches) if "newer" in self.errors else batches


def runtime_on(store: Store) -> Runtime:
    clock = SystemClock()
    refused = {name: f"{name} is not configured." for name in PROVIDERS}
    board = Board(refused, clock, LocalLink(store, clock))
    return Runtime(clock=clock, store=store, providers={}, board=board, settings=EngineSettings())


async def test_a_store_that_is_away_is_a_503_that_says_what_to_do() -> None:
    store = Breaking()
    async with serving(runtime=runtime_on(store)) as server:
        store.errors["create"] = store.errors["get_fact"] = StoreUnavailable("db at secret.host is away")
        answer = await server.client.post("/executions", json={"workflow": FLOW})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "Idempotency-Key" in answer.json()["detail"]
        assert "secret.host" not in answer.text
        ready = await server.client.get("/readyz")
        assert (ready.status_code, ready.json()["error"]) == (503, "The store does not answer.")
        store.errors.clear()
        assert (await server.client.post("/executions", json={"workflow": FLOW})).status_code == 201
        assert (await server.client.get("/readyz")).status_code == 200


async def readiness(server: Server, status: int) -> str | None:
    """What `/readyz` says once it answers with `status`; the proof of a moment ago holds for a second."""
    async with asyncio.timeout(20):
        while (answer := await server.client.get("/readyz")).status_code != status:
            pass
    error: str | None = answer.json().get("error")
    return error


async def test_a_disk_that_takes_no_writes_is_noticed_though_it_still_reads(tmp_path: Path) -> None:
    disk = LossyDisk(f"disk-{tmp_path.name}")
    store = SqliteStore(tmp_path / "store.db", SystemClock(), vfs=disk.name)
    try:
        async with serving(runtime=runtime_on(store)) as server:
            await readiness(server, 200)
            disk.cut()
            assert await readiness(server, 503) == "The store takes no writes."
            assert (await server.client.get("/executions")).status_code == 200
            disk.is_cut.clear()
            assert await readiness(server, 200) is None
    finally:
        disk.unregister()


async def test_a_crowd_that_asks_for_readiness_writes_once_a_second() -> None:
    store = Breaking()
    async with serving(runtime=runtime_on(store)) as server:
        began = server.runtime.clock.monotonic()
        answers = await asyncio.gather(*(server.runtime.unready() for _ in range(200)))
        seconds = server.runtime.clock.monotonic() - began
        assert set(answers) == {None}
        assert 1 <= store.writes.count("ready") <= 1 + seconds


async def test_an_unexpected_failure_tells_an_incident_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Breaking()
    async with serving(runtime=runtime_on(store)) as server:
        store.errors["create"] = RuntimeError("password=hunter2")
        with caplog.at_level(logging.ERROR, "sidestep.api"):
            answer = await server.client.post("/executions", json={"workflow": FLOW})
        assert answer.status_code == 500
        problem = answer.json()
        assert problem["error"] == "Unexpected failure"
        assert "hunter2" not in answer.text
        assert "Traceback" not in answer.text
        incident = problem["instance"].removeprefix("urn:sidestep:incident:")
        assert any(incident in record.getMessage() and record.exc_info for record in caplog.records)
        assert (await server.client.get("/health")).status_code == 200


async def test_a_journal_of_a_newer_version_is_a_problem_that_says_so() -> None:
    store = Breaking()
    async with serving(runtime=runtime_on(store)) as server:
        created = await server.client.post(
            "/executions", json={"workflow": FLOW}, headers={"prefer": "wait=20"}
        )
        store.errors["newer"] = RuntimeError()
        path = f"/executions/{created.json()['executionId']}/history"
        answer = await server.client.get(path)
        assert answer.status_code == 500
        assert answer.json()["type"] == "urn:sidestep:problem:journal-unreadable"
        assert "newer version" in answer.json()["detail"]


async def test_a_stream_whose_store_goes_away_ends_and_is_resumed_without_a_gap() -> None:
    store = Breaking()
    async with serving(runtime=runtime_on(store)) as server:
        slow = {**FLOW, "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": 600}]}
        created = await server.client.post("/executions", json={"workflow": slow})
        path = f"/executions/{created.json()['executionId']}/events"
        seen: list[str] = []
        async with asyncio.timeout(20), server.client.stream("GET", path) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("id: "):
                    seen.append(line[4:])
                    store.errors["get"] = StoreUnavailable("away")
        store.errors.clear()
        await server.client.post(f"{path.removesuffix('/events')}/cancel")
        resumed = await server.client.get(path, headers={"last-event-id": seen[-1]})
        seen += [line[4:] for line in resumed.text.splitlines() if line.startswith("id: ")]
        assert seen == [str(number) for number in range(1, len(seen) + 1)]
        assert "WORKFLOW_CANCELLED" in resumed.text


async def test_an_engine_that_dies_is_started_again_and_readiness_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Breaking()
    store.errors["claim"] = RuntimeError("a defect")
    with caplog.at_level(logging.ERROR, "sidestep.server"):
        async with serving(runtime=runtime_on(store)) as server:
            async with asyncio.timeout(20):
                while (answer := await server.client.get("/readyz")).status_code == 200:
                    pass
            assert "engine is not running" in answer.json()["error"]
            created = await server.client.post("/executions", json={"workflow": FLOW})
            assert created.status_code == 201
            store.errors.clear()
            view: dict[str, Any] = await server.ended(created.json()["executionId"])
            assert view["status"] == "COMPLETED"
            ready = await server.client.get("/readyz")
            assert (ready.status_code, ready.json()["engineRestarts"]) == (200, server.runtime.restarts)
            assert server.runtime.restarts >= 1
    assert any("the engine died" in record.getMessage() for record in caplog.records)


class Refusing(MemoryStore):
    """A store that does not open."""

    async def open(self) -> None:
        raise ConfigurationError("The store cannot be used; choose another.")


async def test_a_store_that_does_not_open_ends_the_start_in_its_own_sentence() -> None:
    with pytest.raises(ConfigurationError, match="choose another"):
        async with serving(runtime=runtime_on(Refusing(SystemClock()))):
            pass


async def test_the_input_of_a_refused_request_is_not_repeated_in_full() -> None:
    async with serving() as server:
        content = b'{"workflowId": "' + b"s3cret" * 1_000 + b'"}'
        answer = await server.client.post("/executions", content=content, headers=HEADERS)
        assert answer.status_code == 400
        assert len(answer.content) < 2_000


class OfTheLoop(Board):
    """A health board that minds which thread asks it: it keeps no lock."""

    asked: frozenset[int] = frozenset()

    def view(self) -> Health:
        self.asked |= {threading.get_ident()}
        return super().view()


@pytest.mark.parametrize("path", ["/executions", "/workflows/validate"])
async def test_a_large_definition_is_read_in_a_thread_that_leaves_the_health_board_alone(path: str) -> None:
    store, clock = Breaking(), SystemClock()
    board = OfTheLoop({}, clock, LocalLink(store, clock))
    runtime = Runtime(clock=clock, store=store, providers={}, board=board, settings=EngineSettings())
    chain = [{"id": f"s{at}", "type": "PASS", "next": f"s{at + 1}"} for at in range(BIG_DEFINITION)]
    steps = [*chain, {"id": f"s{BIG_DEFINITION}", "type": "SUCCEED"}]
    large = {"id": "large", "startAt": "s0", "steps": steps}
    async with serving(runtime=runtime) as server:
        body = {"workflow": large} if path == "/executions" else large
        assert (await server.client.post(path, json=body)).is_success
        assert board.asked == {threading.get_ident()}
