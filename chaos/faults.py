"""Doing what the plan says, and writing down when it was done and when it was over."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

from aiohttp import ClientError

from chaos.hosts import Host
from chaos.plan import Fault
from chaos.programs import NotStarted, Program
from chaos.rows import Kind
from localcloud.client import ControlClient, ControlError

log = logging.getLogger("sidestep.chaos")

_CLOCK_SECONDS: Final = 1.5
"""After this a moved clock has been seen."""


@dataclass(slots=True)
class Injected:
    """A fault that was done. Epoch seconds: `began`; `ended`, when it was undone; `back`, when the store
    that it took away could be used again. `problem` says why it could not be done or undone.
    """

    fault: Fault
    began: float
    ended: float | None = None
    back: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """What faults are done to. `workers` and `apis` are the same one program on a row that has one only."""

    workers: Sequence[Program]
    apis: Sequence[Program]
    host: Host
    control: ControlClient
    clocks: bool


async def inject(
    faults: Sequence[Fault], stage: Stage, done: list[Injected], told: Callable[[str], None]
) -> None:
    """Do the faults at their times, counted from now; what was done goes to `done`."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for fault in faults:
            if fault.kind is Kind.CLOCK and not stage.clocks:
                continue
            await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
            group.create_task(_inject(fault, stage, done, told))


async def _inject(fault: Fault, stage: Stage, done: list[Injected], told: Callable[[str], None]) -> None:
    one = Injected(fault, time.time())
    done.append(one)
    told(fault.told())
    try:
        await _do(fault, stage, one)
    except (TimeoutError, OSError, ClientError, ControlError, RuntimeError, NotStarted) as problem:
        one.problem = f"{type(problem).__name__}: {problem}"
        log.error("%s: %s", fault.kind, one.problem)  # noqa: TRY400 - the sentence says it
    one.ended = time.time()


async def _do(fault: Fault, stage: Stage, one: Injected) -> None:
    match fault.kind:
        case Kind.KILL_WORKER:
            await _killed(stage.workers[fault.victim], fault.seconds)
        case Kind.KILL_API:
            await _killed(stage.apis[fault.victim], fault.seconds)
        case Kind.END_WORKER:
            worker = stage.workers[fault.victim]
            await worker.terminate()
            worker.start()
        case Kind.STOP_WORKER:
            worker = stage.workers[fault.victim]
            worker.send(signal.SIGSTOP)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                worker.send(signal.SIGCONT)
        case Kind.CLOCK:
            await _jumped(stage.workers[fault.victim], int(fault.detail["jump"]), fault.seconds)
        case Kind.CLOUD:
            await _out(fault, stage.control)
        case (
            Kind.KILL_REDIS
            | Kind.END_REDIS
            | Kind.FILL_REDIS
            | Kind.KILL_PRIMARY
            | Kind.CUT_REPLICA
            | Kind.FILL_SQLITE
        ):
            one.back = await stage.host.suffer(fault)
        case _:
            assert_never(fault.kind)


async def _killed(program: Program, seconds: float) -> None:
    program.kill()
    await asyncio.sleep(seconds)
    program.start()


async def _jumped(program: Program, jump: int, seconds: float) -> None:
    """A clock that moves while its program works, and moves back. See `Program.start` for the restarts."""
    await program.terminate()
    program.start(clock=True)
    try:
        await program.document()
        program.jump(jump)
        await asyncio.sleep(seconds)
        program.jump(0)
        await asyncio.sleep(_CLOCK_SECONDS)
    finally:
        await program.terminate()
        program.start()


async def _out(fault: Fault, control: ControlClient) -> None:
    rule: dict[str, Any] = dict(fault.detail)
    provider, kind = str(rule.pop("provider")), str(rule.pop("kind"))
    name = f"chaos-{fault.at}"
    await control.set_outage(provider, kind, id=name, for_seconds=fault.seconds, **rule)
    await asyncio.sleep(fault.seconds)
