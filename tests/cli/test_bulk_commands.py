"""Commands that ask many executions at once."""

import asyncio
import os
import pty
import subprocess
from contextlib import suppress
from typing import Any

import pytest

from cli.bulk import walk
from cli.client import Client
from cli.failures import Stop
from cli.patience import TRIES
from core.errors import StoreUnavailable
from core.ports.store import Filter, Page
from tests.api.serving import serving
from tests.api.test_broken_insides import runtime_on
from tests.api.test_bulk_calls import WAITS, Leaving, many, until
from tests.cli.running import COMMAND, Sidestep, environment, eventually


def flow(name: str) -> dict[str, Any]:
    return {**WAITS, "id": name}


def test_many_are_paused_counted_resumed_and_cancelled_by_options(sidestep: Sidestep) -> None:
    file = sidestep.file(flow("herd"))
    ids = [sidestep("run", file, "--json").json()["executionId"] for _ in range(3)]
    which = ("--workflow", "herd")
    dry = sidestep("pause", *which, "--dry-run", "--json").json()
    assert (dry["dryRun"], dry["applied"]) == (True, 3)
    assert {sidestep("show", one, "--json").json()["status"] for one in ids} <= {"PENDING", "RUNNING"}
    refused = sidestep("pause", *which)
    assert (refused.code, "--yes" in refused.err) == (2, True)
    done = sidestep("pause", *which, "--yes", "--json", "--reason", "audit")
    told = done.json()
    assert (told["applied"], "3 applied" in done.err, told["bulkId"] in done.err) == (3, True, True)
    again = sidestep("pause", *which, "--yes", "--bulk-id", told["bulkId"], "--json").json()
    assert (again["applied"], again["already"]) == (0, 3)
    eventually(
        lambda: {sidestep("show", one, "--json").json()["status"] for one in ids} == {"PAUSED"}, "paused"
    )
    watched = sidestep("watch", ids[0])
    assert (watched.code, "paused" in watched.err) == (1, True)
    assert "0 applied" in sidestep("resume", "--status", "completed", *which, "--yes").out
    assert "3 applied" in sidestep("resume", "--status", "paused", *which, "--yes").out
    assert "3 applied" in sidestep("cancel", "--after", "2020-01-01T00:00:00Z", *which, "--yes").out
    late = sidestep("cancel", "--before", "2020-01-01T00:00:00Z", "--yes", "--json").json()
    assert late["matched"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--yes",),
        ("some-id", "--status", "FAILED"),
        ("some-id", "--dry-run"),
        ("--status", "NONSENSE", "--yes"),
        ("--before", "yesterday", "--yes"),
    ],
)
def test_what_is_meant_must_be_said_once_and_be_understood(
    sidestep: Sidestep, arguments: tuple[str, ...]
) -> None:
    assert sidestep("redrive", *arguments).code == 2


class Flaky(Leaving):
    """A store whose listing is away for every second question, or for good."""

    asked = 0
    gone = False

    async def find(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        self.asked += 1
        if self.gone or self.asked % 2:
            raise StoreUnavailable("away")
        return await super().find(wanted, cursor, limit)


async def test_a_walk_goes_on_after_a_503_and_gives_up_in_the_end() -> None:
    store = Flaky()
    body = {"action": "pause", "filter": {"workflowId": "waits"}, "bulkId": "b"}
    remarks: list[str] = []
    async with serving(runtime=runtime_on(store)) as server:
        ids = await many(server, 70, WAITS)
        store.left = 40

        def refill(remark: str) -> None:
            remarks.append(remark)
            if remark.startswith("pause:"):
                store.left = 10**9

        with Client(server.url) as client:
            sums = await asyncio.to_thread(walk, client, body, refill, pause=0.001)
            # The chunk that was cut short is asked again, and eight of it had their message already.
            assert (sums["matched"], sums["applied"], sums["already"]) == (70, 62, 8)
            assert sum("Trying again" in remark for remark in remarks) == 2
            await until(server, ids, "PAUSED")
            store.gone, store.asked = True, 0
            with pytest.raises(Stop, match="store is away"):
                await asyncio.to_thread(walk, client, body, remarks.append, pause=0.0001)
            assert store.asked == TRIES


def answered(sidestep: Sidestep, said: bytes, *arguments: str) -> tuple[int, str]:
    """The exit code, and what a command writes to a terminal on which a person answers."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--server", sidestep.server],
        env=environment(TERM="dumb"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    told = b""
    try:
        with suppress(OSError):  # the terminal's other end is closed: it ended
            while data := os.read(ours, 65_536):
                told += data
                if b"[y/N]" in told and said:
                    os.write(ours, said)
                    said = b""
        return process.wait(timeout=60), told.decode()
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait()


def test_on_a_terminal_a_person_is_asked_with_the_number_first(sidestep: Sidestep) -> None:
    file = sidestep.file(flow("asked"))
    started = sidestep("run", file, "--json").json()["executionId"]
    command = ("cancel", "--workflow", "asked")
    code, told = answered(sidestep, b"n\n", *command)
    assert (code, "cancel 1 execution?" in told, "Nothing was changed" in told) == (1, True, True)
    assert sidestep("show", started, "--json").json()["status"] in ("PENDING", "RUNNING")
    code, told = answered(sidestep, b"y\n", *command)
    assert (code, "1 applied" in told) == (0, True)
