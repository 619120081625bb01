"""One case on the wire, from its first process to what was seen of it."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, assert_never

import aiohttp

from chaos.load import Load
from chaos.programs import NotStarted
from chaos.reading import settled, views_of
from localcloud.client import ControlError
from outages.cases import Act, Case, Deed, Spell
from outages.orders import order
from outages.seen import Happening, Seen, happening, ran_by_key, told
from outages.stage import Stage, stage, up

Say = Callable[[str], None]

_DRAIN_SECONDS: Final = 45.0
_PAGE: Final = 500
_MAX_PAGES: Final = 40


@dataclass(frozen=True, slots=True)
class Sizes:
    """How a case is played: how long load is sent, how many executions a second, and settings for servers."""

    seconds: float = 20.0
    rate: float = 100.0
    settings: tuple[tuple[str, str], ...] = ()

    def seconds_of(self, case: Case) -> float:
        """How long this case's load is sent."""
        return self.seconds if case.seconds is None else case.seconds


@dataclass(frozen=True, slots=True)
class Played:
    """What was seen of a case; None, where it could not be played. `problems`: what broke besides."""

    case: Case
    seen: Seen | None
    problems: tuple[str, ...]
    took: float


async def play(case: Case, sizes: Sizes, folder: Path, say: Say) -> Played:
    """Play it in `folder`, which is there and empty. All that it started has ended when this returns."""
    began = time.monotonic()
    problems: list[str] = []
    seen = None
    try:
        async with stage(case, folder, dict(sizes.settings)) as ready:
            seen = await _played(case, sizes, ready, problems, say)
            _keep(folder, seen)
            problems += [said for one in ready.servers for said in one.ended_by_itself]
    except (
        NotStarted,
        TimeoutError,
        aiohttp.ClientError,
        ControlError,
        RuntimeError,
        OSError,
        ExceptionGroup,
    ) as problem:
        problems.append(f"{type(problem).__name__}: {problem}")
    return Played(case, seen, tuple(problems), time.monotonic() - began)


async def _played(case: Case, sizes: Sizes, ready: Stage, problems: list[str], say: Say) -> Seen:
    seconds = sizes.seconds_of(case)
    amount = int(sizes.rate * seconds)
    load = Load(ready.session, ready.urls, f"outages-{case.name}", partial(order, case))
    watching = [asyncio.create_task(program.watch()) for program in ready.servers]
    try:
        began = time.time() * 1000
        async with asyncio.TaskGroup() as group:
            group.create_task(load.send(amount, seconds))
            for spell in case.spells:
                group.create_task(_cast(spell, ready, seconds))
            for deed in case.deeds:
                group.create_task(_done(deed, ready, seconds))
        say(f"  {case.name}: {load.submitted} sent, {len(load.acknowledged)} acknowledged; waiting for them")
        await load.drain(_DRAIN_SECONDS / 2)
        await ready.control.clear()
        await settled(ready.session, ready.urls, _DRAIN_SECONDS)
        views = await views_of(ready.session, ready.urls)
        runs = await ready.control.ledger()
        happenings = await _happenings(ready)
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    if load.wrong:
        problems.append(f"{len(load.wrong)} answers of the API were wrong: {'; '.join(load.wrong[:3])}")
    if happenings is None:
        problems.append("the server does not tell what its breakers did (GET /providers/events)")
    return Seen(
        began=began,
        seconds=seconds,
        submitted=load.submitted,
        acknowledged=frozenset(load.acknowledged.values()),
        executions={name: told(view) for name, view in views.items()},
        ran=ran_by_key(runs),
        happenings=happenings,
    )


def _keep(folder: Path, seen: Seen) -> None:
    """Write down what breakers did, and the executions that did not simply complete, for whoever asks why."""
    with (folder / "events.jsonl").open("w") as file:
        for one in seen.happenings or ():
            after = round((one.at - seen.began) / 1000, 3)
            file.write(json.dumps({"after": after, **asdict(one)}) + "\n")
    with (folder / "executions.jsonl").open("w") as file:
        for told_of in seen.executions.values():
            if told_of.status != "COMPLETED" or any(call.role for call in told_of.calls):
                file.write(json.dumps(asdict(told_of)) + "\n")


async def _cast(spell: Spell, ready: Stage, seconds: float) -> None:
    """Let a provider fail from its begin to its end; localcloud ends the rule by itself."""
    await asyncio.sleep(spell.begin * seconds)
    name = f"{spell.kind}-{spell.begin:g}"
    lasts = max(0.01, (spell.end - spell.begin) * seconds)
    await ready.control.set_outage(spell.provider, spell.kind, id=name, for_seconds=lasts, **spell.options)


async def _done(deed: Deed, ready: Stage, seconds: float) -> None:
    await asyncio.sleep(deed.begin * seconds)
    lasts = (deed.end - deed.begin) * seconds
    last = ready.servers[-1]
    match deed.act:
        case Act.KILL_SERVER:
            last.kill()
            await asyncio.sleep(lasts)
            last.start()
            await up(ready.session, ready.urls[-1])
        case Act.STOP_REPLICA:
            last.send(signal.SIGSTOP)
            try:
                await asyncio.sleep(lasts)
            finally:
                last.send(signal.SIGCONT)
        case Act.CUT_STORE | Act.CUT_WAY_OUT:
            links = ready.store_links if deed.act is Act.CUT_STORE else ready.cloud_links
            for link in links:
                link.cut()
            await asyncio.sleep(lasts)
            for link in links:
                await link.start()
        case _:
            assert_never(deed.act)


async def _happenings(ready: Stage) -> list[Happening] | None:
    """Every event of the breakers, oldest first; None where the server has no such call."""
    found: list[Happening] = []
    before = ""
    for _ in range(_MAX_PAGES):
        url = f"{ready.urls[0]}/providers/events?limit={_PAGE}" + (f"&before={before}" if before else "")
        async with ready.session.get(url) as answer:
            if answer.status != 200:  # noqa: PLR2004 - OK
                return None
            page: dict[str, Any] = json.loads(await answer.read())
        with contextlib.suppress(KeyError):
            found += [happening(event) for event in page["events"]]
        before = str(page.get("nextCursor") or "")
        if not before:
            break
    return sorted(found, key=lambda one: one.at)
