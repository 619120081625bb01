"""A store that is away: the process lives, says so, and goes on by itself; one that is wrong ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from adapters.clock import SystemClock
from adapters.stores.memory import MemoryStore
from api.roles import Role
from api.runtime import Runtime
from api.server import serve, work
from core.engine.health.board import Board
from core.engine.health.local_link import LocalLink
from core.engine.settings import EngineSettings
from core.errors import ConfigurationError, SidestepError, StoreFull, StoreMismatch, StoreUnavailable
from core.graph.model import PROVIDERS
from core.ports.store import Claim, Claims, Commit, Committed, Created, NewExecution
from tests.api.serving import HEADERS, serving, settings_for

FLOW = {"id": "flow", "startAt": "a", "steps": [{"id": "a", "type": "SUCCEED"}]}


AWAY = StoreUnavailable("redis at secret.host is away")


class Remote(MemoryStore):
    """A memory store behind a network that is told what to raise, and a limit that is told whether it is
    reached. It can be opened once it is there.
    """

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(SystemClock())
        self.error = error
        self.is_full = False
        self.openings = 0
        self.opened = False
        self.stuck = False
        self.asked_back = asyncio.Event()
        self.asked = asyncio.Event()

    def _maybe(self) -> None:
        self.asked.set()
        if self.error is not None:
            raise self.error

    async def open(self) -> None:
        self.openings += 1
        self._maybe()
        await super().open()
        self.opened = True

    async def create(self, new: NewExecution) -> Created:
        self._maybe()
        if self.is_full:
            raise StoreFull("86 % of 1 GB are used")
        return await super().create(new)

    async def claim(self, owner: str, limit: int, lease_seconds: float, wait_seconds: float = 0.0) -> Claims:
        self._maybe()
        return await super().claim(owner, limit, lease_seconds, wait_seconds)

    async def get_fact(self, key: str) -> bytes | None:
        self._maybe()
        return await super().get_fact(key)

    async def give_back(self, claim: Claim) -> None:
        self.asked_back.set()
        if self.stuck:
            await asyncio.Event().wait()
        await super().give_back(claim)

    async def commit(self, commit: Commit) -> Committed:
        if self.stuck:
            raise AWAY
        return await super().commit(commit)

    def full(self) -> str | None:
        return "86 % of 1 GB are used." if self.is_full else None

    def __getattribute__(self, name: str) -> Any:
        if name in _OTHERS:
            assert self.opened, "asked before it was open"
            object.__getattribute__(self, "_maybe")()
        return object.__getattribute__(self, name)


_OTHERS = frozenset(
    {"get", "find", "history", "load", "inbox", "deliver", "counts", "definition", "put_fact", "remove"}
    | {"put_workflow", "get_workflow", "workflow_versions", "workflows"}
)


def runtime_on(store: Remote, role: Role = Role.BOTH, giving_back: float = 5.0) -> Runtime:
    clock = SystemClock()
    refused = {name: f"{name} is not configured." for name in PROVIDERS}
    board = Board(refused, clock, LocalLink(store, clock))
    return Runtime(
        clock=clock,
        store=store,
        providers={},
        board=board,
        settings=EngineSettings(poll=0.05, grace=0.05),
        role=role,
        watch_seconds=0.02,
        giving_back=giving_back,
    )


async def until(ask: Callable[[], Awaitable[httpx.Response]], status: int) -> httpx.Response:
    async with asyncio.timeout(20):
        while (answer := await ask()).status_code != status:
            await asyncio.sleep(0.01)
    return answer


CALLS = [
    ("POST", "/executions", {"workflow": FLOW}),
    ("POST", "/executions", {"workflowId": "flow"}),
    ("GET", "/executions", None),
    ("GET", "/executions/{id}", None),
    ("GET", "/executions/{id}/history", None),
    ("GET", "/executions/{id}/events", None),
    ("POST", "/executions/{id}/cancel", {}),
    ("PUT", "/workflows/flow", FLOW),
    ("GET", "/workflows", None),
    ("GET", "/workflows/flow", None),
    ("GET", "/workflows/flow/versions", None),
]


@pytest.mark.parametrize("since_the_start", [True, False])
async def test_every_call_that_needs_the_store_is_a_503_that_says_when_to_come_back(
    since_the_start: bool,
) -> None:
    store = Remote(AWAY if since_the_start else None)
    async with serving(runtime=runtime_on(store)) as server:
        store.error = AWAY
        for method, template, body in CALLS:
            path = template.replace("{id}", "01m7xz1rc2awx57f541m160vxe-0")
            answer = await server.client.request(method, path, json=body)
            assert answer.status_code == 503, (method, path, answer.text)
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["type"] == "urn:sidestep:problem:store-unavailable"
            assert "secret.host" not in answer.text
        for path in ("/", "/health", "/livez", "/providers", "/providers/aws", "/metrics"):
            assert (await server.client.get(path)).status_code == 200, path
        assert "sidestep_store_up 0\n" in (await server.client.get("/metrics")).text


async def test_a_store_that_is_away_at_the_start_is_tried_until_it_is_there() -> None:
    store = Remote(AWAY)
    async with serving(runtime=runtime_on(store)) as server:
        ready = await server.client.get("/readyz")
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
        assert ready.json()["error"].startswith("The store has not answered since the start")
        async with asyncio.timeout(20):
            while store.openings < 3:
                await asyncio.sleep(0.01)
        assert (await server.client.get("/livez")).status_code == 200
        store.error = None
        await until(lambda: server.client.get("/readyz"), 200)
        answer = await server.client.post(
            "/executions", json={"workflow": FLOW}, headers={"prefer": "wait=20"}
        )
        assert answer.json()["status"] == "COMPLETED"
        assert "sidestep_store_up 1\n" in (await server.client.get("/metrics")).text


async def test_a_store_that_takes_nothing_back_does_not_keep_a_process_that_stops() -> None:
    store = Remote()
    store.stuck = True  # it hands out, and takes neither commits nor what is given back
    async with asyncio.timeout(20), serving(runtime=runtime_on(store, giving_back=0.1)) as server:
        created = await server.client.post("/executions", json={"workflow": FLOW})
        assert created.status_code == 201
        async with asyncio.timeout(10):
            while not server.runtime.in_hand:
                await asyncio.sleep(0.01)
    assert store.asked_back.is_set()


async def test_a_server_can_be_stopped_while_its_store_is_away() -> None:
    store = Remote(AWAY)
    async with asyncio.timeout(5), serving(runtime=runtime_on(store)):
        pass
    assert store.openings >= 1


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("away_first", [True, False])
@pytest.mark.parametrize("error", [StoreMismatch("It has 32 shards."), ConfigurationError("It evicts.")])
async def test_a_store_that_turns_out_to_be_wrong_ends_the_process_in_its_sentence(
    role: Role, away_first: bool, error: SidestepError
) -> None:
    store = Remote(AWAY if away_first else None)
    runtime = runtime_on(store, role)
    stop = asyncio.Event()
    if role.serves:
        running = asyncio.create_task(serve(settings_for(), runtime=runtime, stop=stop))
    else:
        running = asyncio.create_task(work(settings_for(), runtime=runtime, stop=stop))
    async with asyncio.timeout(20):
        await store.asked.wait()
        store.error = error
        with pytest.raises(type(error), match=str(error)):
            await running


async def test_a_full_store_takes_no_creations_and_stays_ready() -> None:
    store = Remote()
    async with serving(runtime=runtime_on(store)) as server:
        assert "note" not in (await until(lambda: server.client.get("/readyz"), 200)).json()
        store.is_full = True
        answer = await server.client.post("/executions", json={"workflow": FLOW})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert answer.json()["type"] == "urn:sidestep:problem:store-full"
        ready = await server.client.get("/readyz")
        assert (ready.status_code, ready.json()["note"]) == (200, "86 % of 1 GB are used.")


async def test_an_api_without_a_worker_is_ready_and_drives_nothing() -> None:
    store = Remote()
    async with serving(runtime=runtime_on(store, Role.API)) as server:
        ready = await server.client.get("/readyz")
        assert (ready.status_code, ready.json()["role"]) == (200, "api")
        created = await server.client.post("/executions", json={"workflow": FLOW}, headers=HEADERS)
        path = f"/executions/{created.json()['executionId']}"
        assert (await server.client.get(path)).json()["status"] == "PENDING"
        stop = asyncio.Event()
        beside = runtime_on(store, Role.WORKER)
        working = asyncio.create_task(work(settings_for(), runtime=beside, stop=stop))
        view = await server.ended(created.json()["executionId"])
        assert view["status"] == "COMPLETED"
        stop.set()
        await working


@pytest.mark.parametrize("since_the_start", [True, False])
async def test_what_is_asked_of_providers_while_the_store_is_away_speaks_of_no_executions(
    since_the_start: bool,
) -> None:
    store = Remote(AWAY if since_the_start else None)
    async with serving(runtime=runtime_on(store)) as server:
        path, body = "/providers/AWS/override", {"state": "drain", "reason": "why", "forSeconds": 60}
        if not since_the_start:
            await until(lambda: server.client.put(path, json=body), 200)
        store.error = AWAY
        asked = [
            ("PUT", "whether it kept the override is not known"),
            ("DELETE", "whether the override is lifted is not known"),
        ]
        if since_the_start:  # one store's only process remembers its events
            asked.append(("GET", "what happened is kept there"))
        for method, said in asked:
            where = "/providers/AWS/events" if method == "GET" else path
            answer = await server.client.request(method, where, json=body if method == "PUT" else None)
            assert answer.status_code == 503, method
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["type"] == "urn:sidestep:problem:store-unavailable"
            assert answer.json()["detail"].startswith(f"The store is away for now, and {said}.")


async def test_a_worker_tells_of_its_health_and_takes_no_requests() -> None:
    store = Remote()
    async with serving(runtime=runtime_on(store, Role.WORKER)) as worker:
        await until(lambda: worker.client.get("/readyz"), 200)
        assert (await worker.client.get("/livez")).status_code == 200
        assert "sidestep_executions" in (await worker.client.get("/metrics")).text
        links = (await worker.client.get("/")).json()["links"]
        assert set(links) == {"health", "ready", "metrics", "openapi"}
        for path in links.values():
            assert (await worker.client.get(path)).status_code == 200, path
        refused = await worker.client.post("/executions", json={"workflow": FLOW})
        assert refused.status_code == 404
        assert worker.runtime.store is store
