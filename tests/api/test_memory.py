"""Memory: what a process may have, when it refuses work, and what is bounded before anybody looks."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.allowance import SHARE, default_limit, physical
from api.limits import Limits
from api.memory import (
    BACK,
    CLAIM_BYTES,
    CLAIMS_A_LOOK,
    CREDIT,
    FEW,
    GROWN,
    READ_A_LOOK,
    Mark,
    Memory,
    adds_work,
    in_use,
    is_over,
)
from api.problems import Refusal
from api.settings import load
from core.errors import ConfigurationError
from tests.api.serving import Server, serving

MIB = 1 << 20
SIZES = st.integers(0, 1 << 40)
LIMITS = st.integers(16 * MIB, 1 << 40)
FLOW = {"id": "w", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": 600}]}


@given(st.booleans(), SIZES, LIMITS)
def test_too_much_is_used_from_the_limit_on_until_below_nine_tenths(
    before: bool, used: int, limit: int
) -> None:
    after = is_over(before, used, limit)
    if used >= limit:
        assert after
    elif used < limit * BACK:
        assert not after
    else:
        assert after is before


@given(LIMITS, st.lists(SIZES, max_size=50))
def test_memory_that_swings_within_a_tenth_changes_nothing(limit: int, swings: list[int]) -> None:
    tenth = limit - int(limit * BACK) - 2
    for before in (True, False):
        state = before
        for swing in swings:
            state = is_over(state, int(limit * BACK) + 1 + swing % tenth, limit)
            assert state is before


@given(SIZES, st.integers(1, 1 << 30), st.builds(Mark, SIZES, st.integers(1, 1 << 30)), LIMITS)
def test_what_is_in_use_is_never_more_than_what_is_resident_and_not_less_where_that_grows(
    resident: int, blocks: int, most: Mark, limit: int
) -> None:
    used = in_use(resident, blocks, most, limit)
    assert used <= resident
    if resident >= limit * CREDIT or (resident <= most.resident and blocks >= most.blocks):
        assert used == resident
    assert in_use(resident, blocks + 1, most, limit) >= used


@given(LIMITS, st.lists(st.tuples(SIZES, st.integers(1, 1 << 30)), max_size=30))
def test_whatever_is_freed_a_new_high_above_the_limit_is_seen(
    limit: int, looks: list[tuple[int, int]]
) -> None:
    resident, blocks, most = 0, 1, 0
    memory = Memory(limit, idle=lambda: False, resident=lambda: resident, blocks=lambda: blocks)
    for resident, blocks in looks:  # noqa: B007 - the lambdas read them
        memory.look()
        if resident >= limit and (resident > most * GROWN or resident >= limit * CREDIT):
            assert memory.full
        if resident < limit * BACK:
            assert not memory.full
        most = max(most, resident)


def test_a_process_whose_freed_memory_stays_resident_takes_work_again_as_far_as_it_bore_before() -> None:
    blocks, resident = 1_000, 104 * MIB
    memory = Memory(100 * MIB, idle=lambda: False, resident=lambda: resident, blocks=lambda: blocks)
    memory.look()
    assert memory.full
    told = []
    for in_use_now, pages in ((950, 0), (880, 1), (850, 2), (900, 3), (950, 4), (970, 4), (860, 5), (840, 6)):
        blocks, resident = in_use_now, 104 * MIB + pages * 4_096
        memory.look()
        told.append(memory.full)
    assert told == [True, True, False, False, False, True, False, False]
    blocks, resident = 500, 107 * MIB
    memory.look()
    assert memory.full


@given(SIZES, LIMITS, st.lists(st.integers(1, 1_000), max_size=200))
def test_claims_stay_within_what_large_data_would_leave(used: int, limit: int, wanted: list[int]) -> None:
    memory = Memory(limit, idle=lambda: False, resident=lambda: used)
    memory.look()
    room = max(FEW, (limit - used) // CLAIM_BYTES)
    granted = [memory.claimable(some) for some in wanted]
    if used >= limit:
        assert set(granted) <= {0}
    else:
        assert all(1 <= got <= min(some, room) for got, some in zip(granted, wanted, strict=True))


def test_a_process_with_nothing_in_hand_takes_on_a_little_whatever_it_has() -> None:
    idle = True
    memory = Memory(100 * MIB, idle=lambda: idle, resident=lambda: 200 * MIB)
    memory.look()
    assert not memory.full
    memory.take(1)  # somebody waits for what is to be claimed
    memory.look()
    assert memory.full
    assert memory.claimable(1_000) == FEW
    idle = False
    assert memory.claimable(1_000) == 0


def test_many_claims_are_not_made_without_a_look() -> None:
    used = 0

    def resident() -> int:
        return used

    memory = Memory(100 * MIB, idle=lambda: False, resident=resident)
    memory.look()
    used = 200 * MIB
    claimed = sum(memory.claimable(8) for _ in range(1_000))
    assert 0 < claimed <= CLAIMS_A_LOOK + 8


def test_many_bytes_are_not_read_without_a_look() -> None:
    memory = Memory(100 * MIB, idle=lambda: True, resident=lambda: 200 * MIB)
    for _ in range(READ_A_LOOK // 1_024):
        assert not memory.full
        memory.take(1_024)
    assert memory.full
    memory.give_back(READ_A_LOOK)
    memory.look()
    assert not memory.full


def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    used, busy = 0, True
    memory = Memory(100 * MIB, idle=lambda: not busy, resident=lambda: used, blocks=lambda: 1)
    with caplog.at_level(logging.INFO, "sidestep.memory"):
        for mib in (50, 101, 120, 95, 110):
            used = mib * MIB
            memory.look()
        # Over its limit and without work it opens and closes with every piece of work, and says nothing.
        for busy in (False, True) * 5:
            memory.look()
            assert memory.full is busy
        used = 80 * MIB
        memory.look()
        memory.look()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_refusal_says_when_to_come_back_and_is_counted() -> None:
    memory = Memory(100 * MIB, idle=lambda: False, resident=lambda: 100 * MIB)
    memory.check()
    memory.look()
    seconds = set()
    for _ in range(100):
        with pytest.raises(Refusal) as refused:
            memory.check()
        assert (refused.value.status, refused.value.code) == (503, "memory-full")
        seconds.add(int(refused.value.headers["retry-after"]))
    assert memory.refused == 100
    assert len(seconds) > 1
    assert all(1 <= some <= 5 for some in seconds)


@pytest.mark.parametrize(
    ("method", "path", "adds"),
    [
        ("POST", "/executions", True),
        ("POST", "/executions/x/rerun", True),
        ("POST", "/executions/x/redrive", True),
        ("POST", "/workflows/test", True),
        ("GET", "/executions", False),
        ("POST", "/executions/x/cancel", False),
        ("POST", "/executions/x/resume", False),
        ("POST", "/executions/x/signals/rerun", False),
        ("POST", "/executions/bulk", False),
        ("POST", "/workflows/validate", False),
        ("PUT", "/workflows/test", False),
    ],
)
def test_only_what_makes_work_is_refused(method: str, path: str, *, adds: bool) -> None:
    assert adds_work(method, path) is adds


@given(LIMITS)
def test_what_requests_hold_before_a_look_is_a_part_of_the_memory(limit: int) -> None:
    usual = Limits()
    limits = usual.within(limit)
    assert limits.body_bytes <= limits.buffered_bytes <= max(limits.body_bytes, limit // 16)
    assert limits.served_bytes <= limit // 64
    assert limits.answer_bytes <= limit // 4
    assert limits.buffered_bytes <= usual.buffered_bytes
    assert limits.answer_bytes <= usual.answer_bytes


# What a process may have.


def written(root: Path, **files: str | int) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


V2 = "sys__fs__cgroup__"
V1 = "sys__fs__cgroup__memory__"
LIMIT1, LIMIT2 = "memoryDOTlimit_in_bytes", "memoryDOTmax"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # Nested groups: the smallest counts, wherever it is.
        ({"proc__self__cgroup": "0::/a/b", f"{V2}a__b__{LIMIT2}": "max", f"{V2}a__{LIMIT2}": 300 * MIB}, 300),
        (
            {
                "proc__self__cgroup": "0::/a/b",
                f"{V2}a__b__{LIMIT2}": 200 * MIB,
                f"{V2}a__{LIMIT2}": 300 * MIB,
            },
            200,
        ),
        # A container that sees its own group as the root.
        ({"proc__self__cgroup": "0::/", f"{V2}{LIMIT2}": 100 * MIB}, 100),
        ({"proc__self__cgroup": "0::/../other", f"{V2}{LIMIT2}": 100 * MIB}, 100),
        # Version 1, where the path is the machine's and the mount is the container's.
        ({"proc__self__cgroup": "4:cpu,memory:/docker/abc\n1:cpu:/x\n0::/", f"{V1}{LIMIT1}": 90 * MIB}, 90),
        (
            {
                "proc__self__cgroup": "4:memory:/a",
                f"{V1}a__{LIMIT1}": 80 * MIB,
                f"{V1}{LIMIT1}": 2**63 - 4096,
            },
            80,
        ),
        # No limit at all: the machine's.
        ({"proc__self__cgroup": "4:memory:/a", f"{V1}{LIMIT1}": 2**63 - 4096}, None),
        ({"proc__self__cgroup": "nonsense", f"{V2}{LIMIT2}": "max"}, None),
        ({}, None),
    ],
)
def test_a_process_may_have_a_part_of_what_its_groups_allow(
    tmp_path: Path, files: dict[str, Any], expected: int | None
) -> None:
    allowed = physical() if expected is None else expected * MIB
    root = written(tmp_path, **files)
    assert default_limit(1, root) == int(allowed * SHARE)
    assert default_limit(4, root) == int(allowed * SHARE) // 4


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("536870912", 512 * MIB),
        ("512MiB", 512 * MIB),
        ("512 MiB", 512 * MIB),
        ("1.5g", 1536 * MIB),
        ("64M", 64 * MIB),
        ("2GiB", 2048 * MIB),
        ("500MB", 500_000_000),
        ("", None),
    ],
)
def test_a_limit_is_read_with_its_unit(tmp_path: Path, text: str, size: int | None) -> None:
    assert load({"SIDESTEP_MEMORY_LIMIT": text}, folder=tmp_path).memory_limit == size


@pytest.mark.parametrize("text", ["much", "12 parsecs", "-1", "1MiB", "1e9", "99999999GiB", "MiB"])
def test_a_limit_that_is_no_size_is_refused_without_being_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="SIDESTEP_MEMORY_LIMIT") as refused:
        load({"SIDESTEP_MEMORY_LIMIT": text}, folder=tmp_path)
    assert text not in str(refused.value).replace("512MiB", "").replace("SIDESTEP", "")


# A server that is full.


def filled(server: Server) -> Callable[[], None]:
    """Let the server find that it has all the memory that it may have; returns what ends that."""
    memory = server.runtime.memory
    before, memory.limit = memory.limit, 1
    memory.bodies += 1  # as if a request were under way: a process that holds nothing refuses nothing
    memory.look()
    assert memory.full

    def end() -> None:
        memory.limit = before
        memory.bodies -= 1
        memory.look()

    return end


async def test_a_full_server_refuses_what_makes_work_and_serves_the_rest(light: Server) -> None:
    held = await light.create("held")
    ended = (await light.ended(await light.create("echo")))["executionId"]
    end = filled(light)
    client = light.client
    body = {"workflow": FLOW}
    bulk = {"action": "redrive", "filter": {}}
    for path, sent in (
        ("/executions", body),
        (f"/executions/{ended}/rerun", {}),
        (f"/executions/{ended}/redrive", {}),
        ("/workflows/test", {"workflow": FLOW, "input": {}}),
        ("/executions/bulk", bulk),
    ):
        answer = await client.post(path, json=sent)
        assert answer.status_code == 503, path
        problem = answer.json()
        assert (problem["type"], problem["error"]) == ("urn:sidestep:problem:memory-full", "Memory full")
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert len(await light.listed()) == 2
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert "SIDESTEP_MEMORY_LIMIT" in ready.json()["note"]
    assert (await client.post("/executions/bulk", json={**bulk, "dryRun": True})).status_code == 200
    assert (await client.put("/workflows/w", json=FLOW)).status_code in {200, 201}
    assert (await client.get(f"/executions/{ended}")).status_code == 200
    assert (await client.post(f"/executions/{held}/cancel", json={})).status_code in {200, 202}
    assert (await light.ended(held))["status"] == "CANCELLED"
    said = dict(
        line.rsplit(" ", 1) for line in (await client.get("/metrics")).text.splitlines() if line[0] != "#"
    )
    assert said["sidestep_memory_refusals_total"] == "5"
    assert said["sidestep_memory_limit_bytes"] == "1"
    assert float(said["sidestep_memory_bytes"]) > MIB
    end()
    assert (await client.post("/executions", json=body)).status_code == 201
    assert "note" not in (await client.get("/readyz")).json()


async def test_a_body_of_refused_work_is_not_read(light: Server) -> None:
    filled(light)
    before = light.runtime.memory.bodies
    answer = await light.client.post(
        "/executions", content=b"x" * 900_000, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 503
    assert answer.headers["connection"] == "close"
    assert light.runtime.memory.bodies == before


async def test_a_full_engine_claims_nothing_and_finishes_what_it_holds(light: Server) -> None:
    first = await light.create("held", *["echo"] * 5)
    await light.functions.called.wait()
    end = filled(light)
    runtime = light.runtime
    flow = runtime.workflows.read(light.functions.workflow("echo"))
    second = (await runtime.executions.create(flow, {})).execution_id  # as another process would
    light.functions.release.set()
    assert (await light.ended(first))["status"] == "COMPLETED"
    assert (await light.client.get(f"/executions/{second}")).json()["status"] == "PENDING"
    end()
    assert (await light.ended(second))["status"] == "COMPLETED"


async def test_large_bodies_that_are_worked_on_are_bounded_but_for_a_single_one() -> None:
    async with serving(limits=Limits(served_bytes=20_000)) as server:
        client, flow = server.client, server.functions.workflow("held")
        large = {"workflow": flow, "input": {"x": "x" * 20_000}}
        waiting = asyncio.create_task(client.post("/executions", json=large, headers={"prefer": "wait=20"}))
        await server.functions.called.wait()
        busy = await client.post("/executions", json=large)
        assert (busy.status_code, busy.json()["type"]) == (503, "urn:sidestep:problem:busy")
        assert busy.headers["retry-after"] == "1"
        assert (await client.post("/executions", json={"workflow": flow})).status_code == 201
        server.functions.release.set()
        assert (await waiting).json()["status"] == "COMPLETED"
        assert (await client.post("/executions", json=large)).status_code == 201
