"""One request of many executions: each is asked once, whoever asks however often."""

import asyncio
from typing import Any

import msgspec
import pytest

from api.schemas.instants import epoch_ms
from core.engine.bulk import Action, Order, in_bulk
from core.errors import StoreUnavailable
from core.ports.store import Message, Record
from tests.api.serving import HEADERS, Server, serving
from tests.api.test_broken_insides import Breaking, runtime_on

WAITS = {"id": "waits", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": 600}]}
FAILS = {"id": "fails", "startAt": "f", "steps": [{"id": "f", "type": "FAIL", "error": "No"}]}


async def many(server: Server, count: int, workflow: dict[str, Any]) -> list[str]:
    """New executions, newest first."""
    made = [await server.client.post("/executions", json={"workflow": workflow}) for _ in range(count)]
    return [answer.json()["executionId"] for answer in reversed(made)]


async def bulk(server: Server, action: str, filter_: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await server.client.post("/executions/bulk", json={"action": action, "filter": filter_, **more})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert told["matched"] == told["applied"] + told["already"] + len(told["refused"])
    return told


async def walk(server: Server, action: str, filter_: dict[str, Any], **more: Any) -> dict[str, int]:
    """The sums of a whole walk."""
    sums = dict.fromkeys(("matched", "applied", "already", "refused"), 0)
    while True:
        told = await bulk(server, action, filter_, **more)
        for name in sums:
            sums[name] += len(told[name]) if name == "refused" else told[name]
        if told["nextCursor"] is None:
            return sums
        more |= {"cursor": told["nextCursor"], "bulkId": told["bulkId"]}


async def until(server: Server, ids: list[str], status: str) -> None:
    async with asyncio.timeout(20):
        for execution_id in ids:
            while (await server.client.get(f"/executions/{execution_id}")).json()["status"] != status:
                await asyncio.sleep(0.01)


async def told_of(server: Server, execution_id: str, kind: str) -> list[dict[str, Any]]:
    view = (await server.client.get(f"/executions/{execution_id}")).json()
    return [event["details"] for event in view["history"] if event["type"] == kind]


async def test_a_walk_reaches_each_that_the_filter_finds_and_no_other(server: Server) -> None:
    waiting, failed = await many(server, 75, WAITS), await many(server, 2, FAILS)
    sums = await walk(server, "pause", {"workflowId": "waits"}, limit=40, reason="audit", actor="ada")
    assert sums == {"matched": 75, "applied": 75, "already": 0, "refused": 0}
    await until(server, waiting, "PAUSED")
    (said,) = await told_of(server, waiting[-1], "PAUSE_REQUESTED")
    assert (said["reason"], said["actor"]) == ("audit", "ada")
    await until(server, failed, "FAILED")
    assert (await walk(server, "resume", {"status": "PAUSED"}))["applied"] == 75
    assert (await walk(server, "cancel", {"workflowId": "waits"}))["applied"] == 75
    await until(server, waiting, "CANCELLED")
    assert (await walk(server, "remove", {"workflowId": "waits"}, limit=7))["applied"] == 75
    assert {row["executionId"] for row in await server.listed()} == set(failed)


async def test_the_same_key_again_and_two_callers_at_once_apply_nothing_twice(server: Server) -> None:
    ids = await many(server, 40, WAITS)
    body = {"action": "pause", "filter": {"workflowId": "waits"}}
    calls = (
        server.client.post("/executions/bulk", json=body, headers={"idempotency-key": "k"}) for _ in range(2)
    )
    both = [answer.json() for answer in await asyncio.gather(*calls)]
    assert {one["bulkId"] for one in both} == {"k"}
    assert sum(one["applied"] for one in both) == sum(one["already"] for one in both) == 40
    await until(server, ids, "PAUSED")
    again = await bulk(server, "pause", {"workflowId": "waits"}, bulkId="k")
    assert (again["applied"], again["already"], again["refused"]) == (0, 40, [])
    for execution_id in ids:
        assert len(await told_of(server, execution_id, "PAUSE_REQUESTED")) == 1
    other = await bulk(server, "pause", {"workflowId": "waits"}, bulkId="another")
    assert (other["applied"], len(other["refused"])) == (0, 40)
    assert "paused already" in other["refused"][0]["error"]


async def test_a_redrive_in_bulk_runs_again_once_for_each_walk(server: Server) -> None:
    ids = [await server.create("own-error") for _ in range(5)]
    await until(server, ids, "FAILED")
    ran = len(server.functions.calls)
    told = await bulk(server, "redrive", {"status": "FAILED"})
    assert told["applied"] == 5
    async with asyncio.timeout(20):
        while len(server.functions.calls) < 2 * ran:
            await asyncio.sleep(0.01)
    await until(server, ids, "FAILED")
    again = await bulk(server, "redrive", {"status": "FAILED"}, bulkId=told["bulkId"])
    assert (again["applied"], again["already"]) == (0, 5)
    assert len(server.functions.calls) == 2 * ran
    assert (await bulk(server, "redrive", {"status": "FAILED"}))["applied"] == 5


async def test_a_dry_run_foretells_and_changes_nothing(server: Server) -> None:
    waiting, failed = await many(server, 3, WAITS), await many(server, 2, FAILS)
    await until(server, failed, "FAILED")
    await until(server, waiting, "RUNNING")
    before = await server.listed()
    for action, applied in (("cancel", 3), ("pause", 3), ("resume", 0), ("redrive", 2), ("remove", 2)):
        told = await bulk(server, action, {}, dryRun=True)
        assert (told["dryRun"], told["applied"], len(told["refused"])) == (True, applied, 5 - applied), action
    assert await server.listed() == before
    for execution_id in waiting:
        assert await server.runtime.store.inbox(execution_id) == ()


async def test_only_what_was_created_in_the_span_is_meant(server: Server) -> None:
    ids = []
    for _ in range(4):
        ids += await many(server, 1, WAITS)
        await asyncio.sleep(0.003)  # the times of two of them are to differ
    at = [row["startedAt"] for row in await server.listed()]
    at.reverse()
    assert (await bulk(server, "pause", {"createdBefore": at[1]}))["matched"] == 1
    assert (await bulk(server, "pause", {"createdAfter": at[3]}))["matched"] == 1
    told = await bulk(server, "pause", {"createdAfter": at[1], "createdBefore": at[3]}, limit=2)
    assert (told["matched"], told["applied"]) == (2, 2)
    await until(server, ids, "PAUSED")
    last = await bulk(
        server, "pause", {"createdAfter": at[1], "createdBefore": at[3]}, cursor=ids[1], limit=2
    )
    assert (last["matched"], last["nextCursor"]) == (0, None)


async def test_every_mistake_of_a_body_is_listed_at_once_and_nothing_is_done(light: Server) -> None:
    (waiting,) = await many(light, 1, WAITS)
    wrong: dict[str, Any] = {
        "action": "destroy",
        "filter": {
            "status": "PASUED",
            "workflowId": 7,
            "failedOver": "yes",
            "createdBefore": "yesterday",
            "createdAfter": "2026-01-01",
            "olderThan": 1,
        },
        "reason": 1,
        "limit": 501,
        "cursor": "../x",
        "bulkId": "\n",
        "dryRun": 0,
        "all": True,
    }
    answer = await light.client.post("/executions/bulk", json=wrong)
    assert answer.status_code == 400
    inside = {f"/filter/{name}" for name in wrong["filter"]}
    pointers = [problem["pointer"] for problem in answer.json()["problems"]]
    assert sorted(pointers) == sorted(({f"/{name}" for name in wrong} - {"/filter"}) | inside)
    unusable: list[tuple[Any, int]] = [
        ({}, 2),
        ({"action": "pause"}, 1),
        ({"action": "pause", "filter": []}, 1),
        ([], 1),
    ]
    for body, count in unusable:
        answer = await light.client.post("/executions/bulk", json=body)
        assert (answer.status_code, len(answer.json()["problems"])) == (400, count), body
    contrary = {"createdAfter": "2026-01-02T00:00:00Z", "createdBefore": "2026-01-01T00:00:00Z"}
    for body in ({"filter": contrary}, {"filter": {}, "bulkId": "b"}):
        answer = await light.client.post(
            "/executions/bulk", json={"action": "cancel", **body}, headers={"idempotency-key": "a"}
        )
        assert (answer.status_code, len(answer.json()["problems"])) == (400, 1), body
    for raw in (b"", b"{", b'{"action": "cancel", "action": "pause", "filter": {}}'):
        assert (await light.client.post("/executions/bulk", content=raw, headers=HEADERS)).status_code == 400
    await until(light, [waiting], "RUNNING")


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00.0019Z", 1),
        ("1970-01-01t01:00:00+01:00", 0),
        ("1969-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59-23:59", 253402387139000),
        ("0001-01-01T00:00:00+23:59", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-01-01T00:00:00", None),
    ],
)
def test_times_are_read_with_their_offset(text: str, ms: int | None) -> None:
    assert epoch_ms(text) == ms


class Leaving(Breaking):
    """A store that goes away after so many messages; with `slow` it does not answer instead."""

    left = 10**9
    slow = False

    async def deliver(self, execution_id: str, message: Message, *, revive: bool = False) -> bool:
        self.left -= 1
        if self.left < 0:
            if self.slow:
                await asyncio.Event().wait()
            raise StoreUnavailable("db at secret.host is away")
        return await super().deliver(execution_id, message, revive=revive)


async def test_a_store_that_goes_away_on_the_way_costs_the_unfinished_chunk_only() -> None:
    store = Leaving()
    async with serving(runtime=runtime_on(store)) as server:
        ids = await many(server, 80, WAITS)
        store.left = 40
        told = await bulk(server, "pause", {}, limit=80, bulkId="b")
        assert (told["applied"], told["nextCursor"]) == (32, ids[31])
        answer = await server.client.post(
            "/executions/bulk", json={"action": "pause", "filter": {}, "cursor": ids[31], "bulkId": "b"}
        )
        assert (answer.status_code, "secret" in answer.text) == (503, False)
        store.left = 10**9
        rest = await bulk(server, "pause", {}, cursor=ids[31], bulkId="b")
        # Eight of the unfinished chunk had their message before the store went.
        assert (rest["applied"], rest["already"], rest["nextCursor"]) == (40, 8, None)
        await until(server, ids, "PAUSED")


async def test_a_store_that_hangs_ends_the_call_in_time() -> None:
    store = Leaving()
    async with serving(runtime=runtime_on(store)) as server:
        ids = await many(server, 40, WAITS)
        store.left, store.slow = 32, True
        order = Order(action=Action.PAUSE, bulk_id="b")
        runtime = server.runtime
        told = await in_bulk(runtime.executions, store, runtime.clock, order, seconds=0.2)
        assert (told.applied, told.next_cursor) == (32, ids[31])
        order = msgspec.structs.replace(order, cursor=told.next_cursor)
        with pytest.raises(StoreUnavailable):
            await in_bulk(runtime.executions, store, runtime.clock, order, seconds=0.2)


class Emptying(Leaving):
    """A store in which somebody else removes an execution just before it is asked."""

    doomed = ""

    async def get(self, execution_id: str) -> Record:
        if execution_id == self.doomed:
            await self.remove(execution_id)
        return await super().get(execution_id)


async def test_journals_that_take_too_long_together_are_asked_one_by_one() -> None:
    class Plodding(Leaving):
        at_once = 0

        async def history(self, execution_id: str, after: int, limit: int) -> tuple[bytes, ...]:
            self.at_once += 1
            try:
                await asyncio.sleep(0)  # whoever else is asked begins here
                if self.at_once > 1:
                    await asyncio.Event().wait()
                return await super().history(execution_id, after, limit)
            finally:
                self.at_once -= 1

    store = Plodding()
    async with serving(runtime=runtime_on(store)) as server:
        ids = await many(server, 3, FAILS)
        await until(server, ids, "FAILED")
        order = Order(action=Action.PAUSE, bulk_id="b")
        runtime = server.runtime
        told = await in_bulk(runtime.executions, store, runtime.clock, order, seconds=0.3)
        assert (len(told.refused), told.next_cursor) == (1, ids[0])


async def test_what_is_gone_meanwhile_is_refused_alone() -> None:
    store = Emptying()
    async with serving(runtime=runtime_on(store)) as server:
        ids = await many(server, 3, FAILS)
        await until(server, ids, "FAILED")
        store.doomed = ids[1]
        told = await bulk(server, "redrive", {})
        assert [one["executionId"] for one in told["refused"]] == [ids[1]]
        assert "gone" in told["refused"][0]["error"]
