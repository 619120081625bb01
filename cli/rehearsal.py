"""One rehearsal: a provider is drained for a while, brought back, and what became of its steps is told."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from cli.client import Client, segment
from cli.drained import BEFORE_HOURS, FAULTS, Tally, found_since
from cli.failures import FAILED, UNREACHABLE, Stop
from cli.standing import moment, overridden

Json = Mapping[str, Any]

WELL: Final = frozenset({"CLOSED", "SUSPECT", "RAMPING", "FORCED_CLOSED"})
LOOK_SECONDS: Final = 1.0
LIFT_SECONDS: Final = 5.0
"""How long a lift that fails is tried again."""

_DRAINED: Final = "DRAINED"
_NOT_FOUND, _CALLERS_FAULT, _SERVERS_FAULT = 404, 400, 500


class Rehearsal:
    """Drains `provider` for `seconds` as `order` (the body of an override) says.

    `remark` is told once of each thing that a person should know meanwhile, `progress` every second how it
    goes. Whatever ends it, the override is lifted, or it is said how long it lasts.
    """

    def __init__(
        self,
        client: Client,
        provider: str,
        order: dict[str, Any],
        *,
        remark: Callable[[str], None],
        progress: Callable[[str], None],
    ) -> None:
        self._client = client
        self._provider = provider
        self._path = f"/providers/{segment(provider)}"
        self._order = order
        self._region: str | None = order.get("region")
        self._remark = remark
        self._progress = progress
        self._asked = False
        self._set: Json = {}
        self._sidesteps = 0
        self._lost = False

    def run(self) -> dict[str, Any]:
        """Do it, and say what came of it. Raises Stop where it cannot begin, or cannot be told."""
        before = self._begin()
        early = ""
        try:
            self._drain()
            early = self._watch()
        finally:
            lifted = self._lift()
        if not lifted:
            raise Stop("What came of the rehearsal cannot be told: the server does not answer.", UNREACHABLE)
        return self._told(before, early)

    def _begin(self) -> dict[str, Json]:
        """The providers as they stand before; refuses what would be an outage, or someone else's override."""
        own = self._client.get(self._path)
        if not own.get("configured"):
            raise Stop(f"{self._provider} is not configured here, so there is nothing to rehearse.", FAILED)
        for one in own.get("overrides") or ():
            if one.get("region") in {None, self._region} or self._region is None:
                raise Stop(f"{overridden(self._provider, one).plain}. Lift that first.", FAILED)
        rows = self._rows()
        others = [row for name, row in rows.items() if name != self._provider and row.get("configured")]
        if self._region is None and not any(row.get("state") in WELL for row in others):
            raise Stop(
                f"No other provider is configured and well, so a rehearsal without {self._provider} would be "
                "an outage.",
                FAILED,
            )
        self._sidesteps = _out(rows.get(self._provider))
        return rows

    def _drain(self) -> None:
        self._asked = True
        try:
            self._set = self._client.put(f"{self._path}/override", self._order)
        except Stop as stop:
            status = int((stop.problem or {}).get("status") or 0)
            # Of any other failure it is not known whether the server kept the override.
            self._asked = not _CALLERS_FAULT <= status < _SERVERS_FAULT
            raise
        self._remark(overridden(self._provider, self._set).plain)

    def _watch(self) -> str:
        """Wait until it is over; why it is over early, else an empty string."""
        ends = time.monotonic() + float(self._order["forSeconds"])
        while (left := ends - time.monotonic()) > 0:
            try:
                row = self._rows().get(self._provider) or {}
            except Stop as stop:
                if stop.code != UNREACHABLE and not stop.problem:
                    raise
                if not self._lost:
                    self._remark("The server does not answer; the rehearsal goes on.")
                self._lost = True
            else:
                if self._mine(row) is None and left > LOOK_SECONDS:
                    return "somebody else lifted it or said otherwise"
                moved = _out(row) - self._sidesteps
                self._progress(
                    f"{self._provider} is drained, {left:.0f} s left: {moved} sidesteps here so far"
                )
            time.sleep(min(LOOK_SECONDS, max(0.0, ends - time.monotonic())))
        return ""

    def _mine(self, row: Json) -> Json | None:
        """Our override, if it still holds."""
        return next(
            (
                one
                for one in row.get("overrides") or ()
                if one.get("state") == _DRAINED
                and one.get("region") == self._region
                and one.get("reason") == self._order["reason"]
                and one.get("actor") == self._order["actor"]
            ),
            None,
        )

    def _lift(self) -> bool:
        """Whether nothing of ours is left. Another's override in its place is left alone."""
        ends, pause = time.monotonic() + LIFT_SECONDS, 0.0
        while self._asked:
            try:
                time.sleep(pause)
                self._remark(self._lift_once())
                self._asked = False
            except Stop as stop:
                if time.monotonic() >= ends:
                    self._remark(f"The override could not be lifted; {self._lasts()}. {stop.message}")
                    return False
                pause = 0.5
            except KeyboardInterrupt:
                self._remark(f"The override was not lifted; {self._lasts()}.")
                raise
        return True

    def _lift_once(self) -> str:
        """What came of it, in a sentence."""
        row = self._client.get(self._path)
        if row.get("overrides") and self._mine(row) is None:
            return "What somebody else said of it meanwhile is left as it is."
        try:
            self._client.delete(
                f"{self._path}/override", region=self._region, actor=self._order["actor"] or None
            )
        except Stop as stop:
            # It may have ended by itself, or never have begun.
            if (stop.problem or {}).get("status") != _NOT_FOUND:
                raise
        return f"{self._provider} goes by its breakers."

    def _lasts(self) -> str:
        until = self._set.get("until")
        if until:
            return f"it lasts until {moment(until)} UTC"
        return f"if the server kept it, it lasts {self._order['forSeconds']:g} s from when it was set"

    def _told(self, before: dict[str, Json], early: str) -> dict[str, Any]:
        since = str(self._set["at"])
        earliest = datetime.fromisoformat(since) - timedelta(hours=BEFORE_HOURS)
        self._progress("looking at what came of it")
        ids, more = found_since(
            self._client, earliest.isoformat(timespec="milliseconds").replace("+00:00", "Z"), since
        )
        tally = Tally(self._provider, self._region, since)
        tally.read(self._client, ids)
        told = tally.told()
        meanwhile = told.pop("meanwhile")
        after = self._rows()
        latency = {
            name: {
                "before": _quantiles(before.get(name)),
                "meanwhile": meanwhile.get(name) or {"calls": 0, "p50Ms": None, "p95Ms": None},
                "after": _quantiles(after.get(name)),
            }
            for name in after
            if name in meanwhile
        }
        return {
            "provider": self._provider,
            "region": self._region,
            "reason": self._order["reason"],
            "actor": self._order["actor"],
            "from": since,
            "seconds": self._order["forSeconds"],
            "endedEarly": early or None,
            **told,
            "latency": latency,
            "looked": len(ids),
            "more": more,
            "ok": not any(told["steps"][fault] for fault in FAULTS),
        }

    def _rows(self) -> dict[str, Json]:
        answer = self._client.get("/providers")
        return {str(row.get("provider")): row for row in answer.get("providers") or ()}


def _out(row: Json | None) -> int:
    return int(((row or {}).get("sidesteps") or {}).get("out") or 0)


def _quantiles(row: Json | None) -> dict[str, Any]:
    return {name: (row or {}).get(name) for name in ("p50Ms", "p95Ms")}
