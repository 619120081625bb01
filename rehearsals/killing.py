"""A server that is killed while it drives one execution, and what that changed: nothing but the journal.

A run is told by its public history: how it ended, what it was given back, which steps it entered, and every
attempt beside what really ran by the clouds' ledger.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp

from chaos.programs import Program, free_port
from localcloud.client import ControlClient
from rehearsals.machines import Machine
from rehearsals.reading import get, ready

Event = dict[str, Any]
Point = float | Literal["word"]
"""When to kill: after this share of the events that a calm run has, or once a person's word was taken."""

_PAGE: Final = 500
_RESULTS: Final = 1_000
_PAUSE: Final = 0.005
_LOOK: Final = 0.05
_READY_SECONDS: Final = 60.0
_OPEN: Final = ("PENDING", "RUNNING")
_ACCEPTED: Final = 202
_NO_MORE: Final = (409, 410)
_VOLATILE: Final = frozenset({"attempt", "ranOn", "jobId", "reservationId", "token"})
_RAN: Final = ("ATTEMPT_SUCCEEDED", "ATTEMPT_ACCEPTED")
_CUT: Final = ("ATTEMPT_INTERRUPTED", "ATTEMPT_FAILED", "ATTEMPT_ABANDONED")


class Server:
    """`sidestep serve` on one port and one store, through all its lives."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._program = Program("server", ["serve", "--port", str(port)], folder, settings)

    @property
    def pid(self) -> int:
        """The process that runs now."""
        return self._program.pid

    def kill(self) -> None:
        """Kill -9."""
        self._program.kill()

    async def start(self) -> None:
        """Start it, and wait until it says that it is up. Raises NotStarted."""
        self._program.start()
        await self._program.document()

    async def end(self) -> None:
        """End it for good."""
        await self._program.end()


@dataclass(frozen=True, slots=True)
class Kill:
    """One death: after how many events, and how long until the server was ready and the execution went on."""

    events: int
    in_the_middle: bool
    ready: float
    resumed: float


@dataclass(frozen=True, slots=True)
class Run:
    """One execution from its creation to its end, with the histories of all that it started."""

    execution_id: str
    view: dict[str, Any]
    histories: Mapping[str, Sequence[Event]]
    results: tuple[Any, ...]
    kills: tuple[Kill, ...]
    seconds: float

    @property
    def events(self) -> int:
        """How long the execution's own history is."""
        return len(self.histories[self.execution_id])

    @property
    def alive(self) -> int:
        """How many events its own history had before the last commit: then it had not ended."""
        history = self.histories[self.execution_id]
        return sum(event["timestamp"] < history[-1]["timestamp"] for event in history)


class Killer:
    """Runs machines on a server, with kills in the middle or without."""

    def __init__(self, http: aiohttp.ClientSession, server: Server, control: ControlClient) -> None:
        self._http = http
        self._server = server
        self._control = control

    async def run(self, machine: Machine, points: Sequence[Point] = (), calm: Run | None = None) -> Run:
        """Create it, kill the server at each of the points, and see it end. Raises TimeoutError.

        Without points any number may run at once.
        """
        rules = [{"kind": "slow", "delay_ms": machine.pace_ms}] if points and machine.pace_ms else []
        await self._control.replace_outages(dict.fromkeys(("AWS", "GCP", "AZURE"), rules))
        for name, document in machine.children.items():
            async with self._http.put(f"{self._server.url}/workflows/{name}", json=document) as answer:
                answer.raise_for_status()
        said = asyncio.Event()
        began = time.monotonic()
        async with asyncio.timeout(machine.patience), asyncio.TaskGroup() as group:
            mine = await self._create(machine)
            person = group.create_task(self._person(machine, mine, said))
            tried = [await self._die(mine, point, calm, said) for point in points]
            view = await self._ended(mine)
            seconds = time.monotonic() - began
            person.cancel()
        histories = await self._histories(mine)
        ended = datetime.fromisoformat(histories[mine][-1]["timestamp"]).timestamp()
        kills = tuple(Kill(events, ended > at, up, on) for events, at, up, on in filter(None, tried))
        return Run(mine, view, histories, await self._results(machine, mine), kills, seconds)

    async def _create(self, machine: Machine) -> str:
        body = {"workflow": machine.document, "input": machine.input}
        async with self._http.post(f"{self._server.url}/executions", json=body) as answer:
            made = await answer.json()
            if not answer.ok:
                raise ValueError(f"{machine.name}: {made}")
            return str(made["executionId"])

    async def _die(
        self, mine: str, point: Point, calm: Run | None, said: asyncio.Event
    ) -> tuple[int, float, float, float] | None:
        """Kill at the point, start again. The events so far, when, until it was ready, until it went on.

        None where it ended before it came to the point, as it took fewer events than the calm run.
        """
        if point == "word":
            await said.wait()
            events = len(await self._history(mine))
        else:
            events = 1 if calm is None else max(1, min(round(float(point) * calm.events), calm.alive))
            if not await self._reached(mine, events):
                return None
        self._server.kill()
        killed = time.time()
        began = time.monotonic()
        await self._server.start()
        await ready(self._http, self._server.url, _READY_SECONDS)
        up = time.monotonic() - began
        await self._wrote_after(mine, killed, events)
        return events, killed, up, time.monotonic() - began

    async def _reached(self, mine: str, events: int) -> bool:
        """Wait until it has so many events; False where it ended with fewer."""
        looked = time.monotonic()
        while True:
            page = await self._get(f"/executions/{mine}/history?after={events - 1}&limit=1")
            if page["events"]:
                return True
            if time.monotonic() - looked > _LOOK:
                looked = time.monotonic()
                if await self._status(mine) not in _OPEN:
                    return False
            await asyncio.sleep(_PAUSE)

    async def _wrote_after(self, mine: str, moment: float, events: int) -> None:
        """Wait until the execution has an event that was written after the moment, or has ended."""
        after = max(0, events - 1)
        while True:
            page = await self._get(f"/executions/{mine}/history?after={after}&limit={_PAGE}")
            found = page["events"]
            if found:
                after = int(found[-1]["seq"])
                if datetime.fromisoformat(found[-1]["timestamp"]).timestamp() > moment:
                    return
            elif (await self._get(f"/executions/{mine}"))["status"] not in _OPEN:
                return
            else:
                # It may wait for a person, or for a time: that is going on too.
                if (await self._get(f"/executions/{mine}/waits"))["waits"]:
                    return
                await asyncio.sleep(_PAUSE)

    async def _ended(self, mine: str) -> dict[str, Any]:
        while True:
            if (await self._status(mine)) not in _OPEN:
                return await self._get(f"/executions/{mine}")
            await asyncio.sleep(_LOOK)

    async def _status(self, mine: str) -> str:
        # A page of one: the view of a large execution is dear to make.
        page = await self._get("/executions?limit=100")
        return next((str(one["status"]) for one in page["executions"] if one["executionId"] == mine), "")

    async def _person(self, machine: Machine, mine: str, said: asyncio.Event) -> None:
        """Say what the machine waits for, again until it is taken."""
        if machine.word == "none":
            return
        while True:
            waits = (await self._get(f"/executions/{mine}/waits"))["waits"]
            found = next((one for one in waits if one["kind"] == machine.word), None)
            if found is not None and await self._say(machine, mine, found):
                said.set()
                return
            await asyncio.sleep(_PAUSE)

    async def _say(self, machine: Machine, mine: str, wait: Mapping[str, Any]) -> bool:
        output = {"approved": True, "by": "ada"}
        if machine.word == "signal":
            url, body = f"{self._server.url}/executions/{mine}/signals/{wait['name']}", output
        else:
            url, body = str(wait["callbackUrl"]), {"status": "success", "output": output}
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.post(url, json=body, headers={"Idempotency-Key": f"word-{mine}"}) as answer:
                return answer.status == _ACCEPTED or answer.status in _NO_MORE
        return False

    async def _histories(self, mine: str) -> dict[str, list[Event]]:
        """Its history, and those of its children."""
        found: dict[str, list[Event]] = {}
        left = [mine]
        while left:
            name = left.pop()
            found[name] = await self._history(name)
            left += [str(one["details"]["childId"]) for one in found[name] if one["type"] == "CHILD_STARTED"]
        return found

    async def _history(self, name: str) -> list[Event]:
        events: list[Event] = []
        after: int | None = 0
        while after is not None:
            page = await self._get(f"/executions/{name}/history?after={after}&limit={_PAGE}")
            events += page["events"]
            after = page["nextAfter"]
        return events

    async def _results(self, machine: Machine, mine: str) -> tuple[Any, ...]:
        found: list[Any] = []
        after: int | None = -1 if machine.results else None
        while after is not None:
            path = f"/executions/{mine}/results?visit={machine.results}&after={after}&limit={_RESULTS}"
            page = await self._get(path)
            found += page["results"]
            after = page["nextAfter"]
        return tuple(found)

    async def _get(self, path: str) -> dict[str, Any]:
        return await get(self._http, [self._server.url], path)


def differences(machine: Machine, calm: Run, killed: Run) -> list[str]:
    """What the killed run came to that the calm one did not, in sentences; none is what is promised."""
    status = str(killed.view["status"])
    if machine.parks and status == "PARKED":
        return []
    found = []
    for what, one, other in (
        ("status", calm.view["status"], status),
        ("output", _plain(calm.view["output"], calm), _plain(killed.view["output"], killed)),
        ("context", _plain(calm.view["context"], calm), _plain(killed.view["context"], killed)),
        ("error", _plain(calm.view["error"], calm), _plain(killed.view["error"], killed)),
        ("results", _plain(calm.results, calm), _plain(killed.results, killed)),
        ("steps", _steps(calm), _steps(killed)) if machine.ordered else ("", None, None),
    ):
        if one != other:
            found.append(f"{what}{_difference(one, other)}")
    return found


def audit(machine: Machine, run: Run, ledger: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """What ran against what the journals say, in sentences; none is what is promised."""
    once = {step["id"] for step in machine.document.get("steps", ()) if step.get("effects") == "atMostOnce"}
    started: dict[str, list[Event]] = defaultdict(list)
    cut: Counter[str] = Counter()
    keys: dict[tuple[str, str, int], str] = {}
    proved: set[str] = set()
    for name, history in run.histories.items():
        for event in history:
            details = event.get("details", {})
            if event["type"] == "ATTEMPT_STARTED":
                started[details["key"]].append(event)
                keys[name, details["visit"], details["attempt"]] = details["key"]
            elif event["type"] in _RAN:
                proved.add(keys[name, details["visit"], details["attempt"]])
            elif event["type"] in _CUT:
                cut[keys[name, details["visit"], details["attempt"]]] += 1
    found = []
    for key, runs in ledger.items():
        if key.partition("/")[0] not in run.histories:
            continue
        ran = sum(one["state"] != "refused" for one in runs)
        if key not in started:
            found.append(f"{key} ran, and no journal holds it")
        elif ran > 1 and started[key][0]["stepId"] in once:
            found.append(f"{key} ran {ran} times, and must not")
        elif ran > len(started[key]) or ran - 1 > cut[key]:
            found.append(f"{key} ran {ran} times, and the journal does not say why")
    found += [f"{key} succeeded and never ran" for key in sorted(proved - ledger.keys())]
    return found


def _difference(one: Any, other: Any) -> str:
    """Where the two first differ, and how."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted({*one, *other}):
            if one.get(name) != other.get(name):
                return f".{name}{_difference(one.get(name), other.get(name))}"
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        number = next(number for number, each in enumerate(one) if each != other[number])
        return f".{number}{_difference(one[number], other[number])}"
    return f": {str(other)[:200]} instead of {str(one)[:200]}"


def _steps(run: Run) -> list[list[str]]:
    """The steps that each execution entered, in order."""
    told = [
        [str(event["stepId"]) for event in history if event["type"] == "STEP_STARTED"]
        for history in run.histories.values()
    ]
    return sorted(told)


def _plain(value: Any, run: Run) -> Any:
    """Without what every run has of its own."""
    if isinstance(value, Mapping):
        return {name: _plain(each, run) for name, each in value.items() if name not in _VOLATILE}
    if isinstance(value, list | tuple):
        return [_plain(each, run) for each in value]
    if isinstance(value, str):
        return value.replace(run.execution_id, "ID")
    return value
