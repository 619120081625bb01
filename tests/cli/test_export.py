"""`sidestep export`: every execution once and whole, whatever interrupts it."""

import asyncio
import json
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.client import Client
from cli.export import PAGE, Exported, Exporter
from cli.export_file import export_file
from cli.failures import Stop
from core.errors import ExecutionNotFound, StoreUnavailable
from core.ports.store import Loaded
from tests.api.serving import Server, serving, store_url
from tests.api.test_broken_insides import Breaking, runtime_on
from tests.api.test_bulk_calls import until
from tests.cli.running import Sidestep

MANY = 1_200


def flow(name: str, steps: int = 1) -> dict[str, Any]:
    """A line of PASS steps, which needs no cloud."""
    line: list[dict[str, Any]] = [
        {"id": f"p{at}", "type": "PASS", "next": f"p{at + 1}"} for at in range(steps - 1)
    ]
    return {"id": name, "startAt": "p0", "steps": [*line, {"id": f"p{steps - 1}", "type": "PASS"}]}


async def create(server: Server, workflow: dict[str, Any], count: int) -> list[str]:
    """New executions that have ended, each with its own input."""
    turns = asyncio.Semaphore(16)

    async def one(number: int) -> str:
        body = {"workflow": workflow, "input": {"number": number, "text": "naïve\u2028\ttext"}}
        async with turns:
            answer = await server.client.post("/executions", json=body)
        return str(answer.json()["executionId"])

    ids = await asyncio.gather(*(one(number) for number in range(count)))
    for execution_id in ids:
        await server.runtime.executions.wait(execution_id, 60)
    return list(ids)


def export(server: Server, path: Path, *, resume: bool = False, **wanted: Any) -> Exported:
    """What the command does, without starting one."""
    with Client(server.url) as client, export_file(str(path), resume=resume) as (file, done, last):
        Exporter(client, file, done, lambda _: None, pause=0.001).run(wanted, last)
    return done


def lines(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.decode("ascii").splitlines()]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_many_executions_come_back_whole_and_are_taken_up_after_a_torn_line(
    kind: str, tmp_path: Path
) -> None:
    async with serving(store_url(kind, tmp_path)) as server:
        ids = await create(server, flow("first"), MANY // 2)
        ids += await create(server, flow("second", 2), MANY // 2)
        whole = tmp_path / "whole"
        done = await asyncio.to_thread(export, server, whole)
        assert (done.executions, len(done.definitions), done.gone) == (MANY, 2, 0)
        told = lines(whole)
        executions = [line for line in told if line["kind"] == "execution"]
        assert [line["executionId"] for line in executions] == sorted(ids, reverse=True)
        for line in executions[:: MANY // 10]:
            path = f"/executions/{line['executionId']}"
            view = (await server.client.get(path)).json()
            assert line["events"] == view["history"]
            for name in ("input", "output", "status", "digest", "startedAt", "error"):
                assert line[name] == view[name]
        data = whole.read_bytes()
        starts = list(accumulate(map(len, data.splitlines(keepends=True))))
        for cut in (starts[700] + 40, starts[300], starts[0] + 3):
            torn = tmp_path / f"torn-{cut}"
            torn.write_bytes(data[:cut])
            await asyncio.to_thread(export, server, torn, resume=True)
            assert torn.read_bytes() == data, cut

        seen: set[str] = set()
        for line in told:
            if line["kind"] == "definition":
                body = {"workflow": line["definition"]}
                again = (await server.client.post("/executions", json=body)).json()["executionId"]
                assert (await server.ended(again))["digest"] == line["digest"]
                seen.add(line["digest"])
            else:
                assert line["digest"] in seen
        assert len(told) == MANY + 2


async def test_a_long_history_is_read_in_stretches_and_told_whole(tmp_path: Path) -> None:
    async with serving() as server:
        (one,) = await create(server, flow("long", 600), 1)
        view = (await server.client.get(f"/executions/{one}")).json()
        assert view["historyTruncated"]
        await asyncio.to_thread(export, server, tmp_path / "out")
        (line,) = (line for line in lines(tmp_path / "out") if line["kind"] == "execution")
        assert [event["seq"] for event in line["events"]] == list(range(1, len(line["events"]) + 1))
        assert line["events"][-len(view["history"]) :] == view["history"]
        assert len(line["events"]) > max(PAGE, len(view["history"]))


class Passing(Breaking):
    """A store that is away for every fifth look at a journal and after the last, and what is gone in it."""

    looks = 0
    last = 10**9
    gone = ""

    async def load(self, execution_id: str) -> Loaded:
        self.looks += 1
        if self.looks > self.last or self.looks % 5 == 0:
            raise StoreUnavailable("away")
        if execution_id == self.gone:
            raise ExecutionNotFound(execution_id)
        return await super().load(execution_id)


async def test_what_is_gone_is_passed_over_and_a_store_that_stays_away_ends_it_at_a_whole_line(
    tmp_path: Path,
) -> None:
    store = Passing()
    async with serving(runtime=runtime_on(store)) as server:
        made = [await server.client.post("/executions", json={"workflow": flow("f")}) for _ in range(9)]
        ids = [answer.json()["executionId"] for answer in reversed(made)]
        store.looks, store.last = 0, 6
        with pytest.raises(Stop, match="store is away"):
            await asyncio.to_thread(export, server, tmp_path / "out")
        assert [line["executionId"] for line in lines(tmp_path / "out")[1:]] == ids[:4]
        store.last, store.gone = 10**9, ids[4]
        done = await asyncio.to_thread(export, server, tmp_path / "out", resume=True)
        assert (done.executions, done.gone) == (8, 1)
        told = [line["executionId"] for line in lines(tmp_path / "out") if line["kind"] == "execution"]
        assert told == [one for one in ids if one != ids[4]]


async def test_one_journal_that_cannot_be_read_does_not_keep_the_others_back(tmp_path: Path) -> None:
    class Damaged(Breaking):
        bad = ""

        async def load(self, execution_id: str) -> Any:
            loaded = await super().load(execution_id)
            if execution_id != self.bad:
                return loaded
            return msgspec.structs.replace(loaded, batches=(b'{"v": 99}',))

    store = Damaged()
    async with serving(runtime=runtime_on(store)) as server:
        made = [await server.client.post("/executions", json={"workflow": flow("f")}) for _ in range(3)]
        ids = [answer.json()["executionId"] for answer in made]
        await until(server, ids, "COMPLETED")
        store.bad = ids[1]
        done = await asyncio.to_thread(export, server, tmp_path / "out")
        assert (done.executions, done.unreadable) == (2, [ids[1]])


def test_the_command_writes_a_file_or_standard_output_and_spoils_nothing(sidestep: Sidestep) -> None:
    file = sidestep.file(flow("exported"))
    ids = {sidestep("run", file, "--wait", "--json").json()["executionId"] for _ in range(3)}
    which = ("--workflow", "exported")
    out = sidestep.folder / "out.jsonl"
    done = sidestep("export", *which, "--out", str(out), "--json")
    assert done.json() == {"executions": 3, "definitions": 1, "gone": 0, "unreadable": []}
    assert out.stat().st_mode & 0o077 == 0
    assert {line["executionId"] for line in lines(out) if line["kind"] == "execution"} == ids
    printed = sidestep("export", *which, "--status", "completed", "--out", "-")
    assert printed.out == out.read_text()
    assert "3 executions" in printed.err

    before = out.read_bytes()
    assert sidestep("export", "--out", str(out)).code == 2
    assert sidestep("export", *which, "--out", str(out), "--resume").code == 0
    assert out.read_bytes() == before
    with export_file(str(out), resume=True):
        busy = sidestep("export", "--out", str(out), "--resume")
    assert (busy.code, "Another export" in busy.err) == (1, True)
    for text in ("precious", "precious\n", '{"kind":"else"}\n', '{"kind":"else"}\n{"kind":"execution"'):
        other = sidestep.file(text, "precious")
        assert sidestep("export", "--out", other, "--resume").code == 2
        assert Path(other).read_text() == text
    assert sidestep("export", "--out", str(sidestep.folder), "--resume").code == 2
    assert sidestep("export", "--out", "/dev/null", "--resume").code == 2
    assert sidestep("export", "--out", "-", "--resume").code == 2
    assert sidestep("export", "--out", str(sidestep.folder / "no" / "such")).code == 2
    assert sidestep("export").code == 2
    assert sidestep("export", "--out", str(sidestep.folder / "x"), "--before", "now").code == 2
