"""Requests for tests of the evaluator, and what there is to see of its processes."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from adapters.evaluator.pool import EvaluatorPool, EvaluatorSettings
from core.data.flow import Flow, Frame, Language, Request, Template

ENDLESS = "($f := function() { $f() }; $f())"
"""Takes CPU time for ever, and no memory."""


def asking(expression: str, data: Any = None, language: Language = "jsonata") -> Request:
    """The effective input of a step that says so."""
    flow = Flow(language=language, arguments=Template(f"{{% {expression} %}}"))
    return Request(kind="enter", flow=flow, frame=Frame(data={} if data is None else data, entropy=3))


@asynccontextmanager
async def pool(**settings: Any) -> AsyncIterator[EvaluatorPool]:
    """An open evaluator; after the block none of its processes is left."""
    evaluator = EvaluatorPool(EvaluatorSettings(**settings))
    await evaluator.open()
    try:
        yield evaluator
    finally:
        pids = evaluator.pids
        await evaluator.close()
        assert not evaluator.pids
        assert not [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    """Whether there is such a process, zombies included."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until `condition` is true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def cpu_ticks(pid: int) -> int:
    """CPU time that a process has taken, in ticks of the kernel's clock."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
