"""Exporting executions as JSON Lines: each with its whole history, each definition before its first use.

One execution is held at a time, and of a long history one page: what is written next waits in a spool that
goes to disk when it grows. A line is written only once all of it is there.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, Final

from cli.client import Client, segment
from cli.failures import Stop
from cli.patience import FIRST_PAUSE, Patience

PAGE: Final = 500
"""Executions of one listing, and events of one stretch of a history."""

SPOOLED_BYTES: Final = 8 << 20
"""How much of a line stays in memory."""

REMARK_SECONDS: Final = 5.0

_LEFT_OUT: Final = ("executionId", "steps", "stepsTruncated", "history", "historyTruncated")
"""Of what the server shows of an execution: the events tell all of it."""


@dataclass(slots=True)
class Exported:
    """What an export has written. `definitions` are digests; `unreadable` are ids whose journal the server
    could not read; `gone` counts what was removed between the listing and its turn.
    """

    executions: int = 0
    definitions: set[str] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)
    gone: int = 0

    def told(self) -> str:
        """As part of a sentence."""
        more = f", {self.gone} gone meanwhile" if self.gone else ""
        more += f", {len(self.unreadable)} unreadable" if self.unreadable else ""
        return f"{self.executions} executions, {len(self.definitions)} definitions{more}"


class Exporter:
    """Writes to `sink`. `done` is what stands there already; `remark` is told of progress and of trouble."""

    def __init__(
        self,
        client: Client,
        sink: IO[bytes],
        done: Exported,
        remark: Callable[[str], None],
        *,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self._client = client
        self._sink = sink
        self._done = done
        self._remark = remark
        self._patience = Patience(remark, pause=pause)
        self._remarked = time.monotonic()

    def run(self, wanted: dict[str, Any], cursor: str | None) -> None:
        """Write every execution that `wanted` (parameters of the listing) finds after `cursor`, newest first.

        Raises Stop where the server cannot be asked, OSError where the sink takes nothing.
        """
        while True:
            page = self._ask("/executions", **wanted, limit=PAGE, cursor=cursor)
            for row in page["executions"]:
                self._execution(str(row["executionId"]))
                self._tell_sometimes()
            cursor = page["nextCursor"]
            if cursor is None:
                return

    def _execution(self, execution_id: str) -> None:
        path = f"/executions/{segment(execution_id)}"
        with tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as spool:
            try:
                view = self._ask(path)
                if view["digest"] not in self._done.definitions:
                    self._define(path)
                self._spool(spool, path, view)
            except Stop as stop:
                if not self._is_passed_over(stop, execution_id):
                    raise
                return
            spool.seek(0)
            shutil.copyfileobj(spool, self._sink)
        self._done.executions += 1

    def _define(self, path: str) -> None:
        told = self._ask(f"{path}/definition")
        line = {"kind": "definition", "digest": told["digest"], "definition": told["definition"]}
        self._sink.write(_encoded(line) + b"\n")
        self._done.definitions.add(told["digest"])

    def _spool(self, spool: IO[bytes], path: str, view: dict[str, Any]) -> None:
        """The line of an execution, its events last."""
        record = {"kind": "execution", "executionId": view["executionId"]}
        record |= {name: value for name, value in view.items() if name not in _LEFT_OUT}
        spool.write(_encoded(record)[:-1] + b',"events":[')
        stretch: dict[str, Any] = {"events": view["history"], "nextAfter": None}
        if view["historyTruncated"]:
            stretch = self._ask(f"{path}/history", limit=PAGE)
        first = True
        while True:
            for event in stretch["events"]:
                spool.write((b"" if first else b",") + _encoded(event))
                first = False
            if stretch["nextAfter"] is None:
                break
            stretch = self._ask(f"{path}/history", limit=PAGE, after=stretch["nextAfter"])
        spool.write(b"]}\n")

    def _is_passed_over(self, stop: Stop, execution_id: str) -> bool:
        """Whether this concerns one execution only, which is counted then."""
        kind = str((stop.problem or {}).get("type"))
        if kind.endswith(":execution-not-found"):
            self._done.gone += 1
            return True
        if kind.endswith(":journal-unreadable"):
            self._done.unreadable.append(execution_id)
            self._remark(f"{execution_id}: {stop.message}")
            return True
        return False

    def _ask(self, path: str, **query: Any) -> Any:
        return self._patience.ask(lambda: self._client.get(path, **query))

    def _tell_sometimes(self) -> None:
        now = time.monotonic()
        if now - self._remarked >= REMARK_SECONDS:
            self._remarked = now
            self._remark(f"export: {self._done.told()}")


def _encoded(document: Any) -> bytes:
    """In ASCII, so that every reader finds the same lines."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")
