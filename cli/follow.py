"""Following one execution: its events as they come, over lost connections, until it ends."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from cli.client import Client, StreamBroken, segment
from cli.failures import UNREACHABLE, Stop

ENDINGS: Final = {
    "WORKFLOW_COMPLETED": "COMPLETED",
    "WORKFLOW_FAILED": "FAILED",
    "WORKFLOW_CANCELLED": "CANCELLED",
    "WORKFLOW_TIMED_OUT": "TIMED_OUT",
}
ENDED: Final = frozenset(ENDINGS.values())
RESTING: Final = frozenset({"PARKED", "PAUSED"})
SETTLED: Final = ENDED | RESTING
"""Where nothing moves any more, unless a person acts."""

_MAY_REST: Final = frozenset({"WORKFLOW_PARKED", "PAUSE_REQUESTED", "WORKFLOW_RESUMED"})
"""After these it may wait for a person; one that is resumed may be parked still."""

PATIENCE_SECONDS: Final = 30.0
"""How long a lost server is called again before giving up."""

QUIET_SECONDS: Final = 60.0
"""How long a stream may be silent; the server sends comments far more often."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0


class WaitedEnough(Exception):
    """The caller's time is up; the execution goes on."""


class Follower:
    """One pass over an execution's events.

    After the iteration `status` is its end (`COMPLETED`, `FAILED`, `CANCELLED`, `TIMED_OUT`), or `PARKED` or
    `PAUSED`.
    `remark` is told when the connection is lost and when it is back. With `seconds`, WaitedEnough is raised
    once they have passed.
    """

    def __init__(
        self,
        client: Client,
        execution_id: str,
        *,
        remark: Callable[[str], None] = lambda _: None,
        seconds: float | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.status = ""
        self._client = client
        self._path = f"/executions/{segment(execution_id)}"
        self._remark = remark
        self._ends = None if seconds is None else time.monotonic() + seconds
        self._patience = patience
        self._after = 0
        self._connected = False
        self._ending = ""

    def events(self) -> Iterator[dict[str, Any]]:
        """The history from its beginning, then what comes, each event once."""
        pause, lost_at = _FIRST_PAUSE, 0.0
        while True:
            heard, self._connected = self._after, False
            try:
                yield from self._once()
            except StreamBroken:
                pass
            except Stop as stop:
                # Before the first connection there is nothing to go on with.
                if stop.code != UNREACHABLE or not lost_at or time.monotonic() - lost_at > self._patience:
                    raise
            if self.status:
                return
            self._check_time()
            if self._connected or not lost_at:
                lost_at = time.monotonic()
                self._remark(f"The stream ended after event {self._after}; connecting again.")
            if self._after > heard:
                pause = _FIRST_PAUSE
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    def _once(self) -> Iterator[dict[str, Any]]:
        with self._client.stream(f"{self._path}/events", self._after, self._quiet()) as stream:
            self._connected = True
            for message in stream:
                event = None if message is None else _event(message.data)
                if event is not None and event["seq"] > self._after:
                    self._after = event["seq"]
                    # A redrive may follow an ending; where none does, the server ends the stream.
                    self._ending = ENDINGS.get(str(event.get("type")), "")
                    yield event
                    self.status = self._rest_of(event)
                    if self.status:
                        return
                    if self._ending:
                        continue
                self._check_time()
        self.status = self._ending

    def _rest_of(self, event: dict[str, Any]) -> str:
        """The status in which `event` left the execution to a person, or an empty string where it goes on."""
        if event.get("type") in _MAY_REST:
            # An old journal may hold a parking that was settled since, or a pause that is over.
            now = str(self._client.get(self._path).get("status"))
            return now if now in RESTING else ""
        return ""

    def _quiet(self) -> float:
        if self._ends is None:
            return QUIET_SECONDS
        return min(QUIET_SECONDS, max(0.1, self._ends - time.monotonic()))

    def _check_time(self) -> None:
        if self._ends is not None and time.monotonic() >= self._ends:
            raise WaitedEnough


def _event(data: str) -> dict[str, Any] | None:
    try:
        event = json.loads(data)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("seq"), int) else None
