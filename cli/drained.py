"""What came of the steps that a drained provider did not get, read from the executions' journals."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cli.client import Client, segment
from cli.failures import Stop

Json = Mapping[str, Any]

BEFORE_HOURS: Final = 1
"""Executions that were created longer before are not looked for."""

LOOKED: Final = 1_000
"""Executions that are read whole; those that did not complete come first."""

SETTLE_SECONDS: Final = 10.0
"""How long steps that went elsewhere, and are under way, are waited for."""

_PAGE, _PAGES, _PAUSE = 500, 20, 0.5
FAULTS: Final = ("nowhere", "failed", "parked")
"""Endings of steps that a rehearsal is there to find."""

_ENDED_BADLY: Final = ("FAILED", "TIMED_OUT", "PARKED")
_ENDINGS: Final = ("completed", "nowhere", "failed", "parked", "cancelled", "underWay")
"""`nowhere`: no other target was well, so that it was called there all the same, and completed."""


def found_since(client: Client, earliest: str, since: str) -> tuple[list[str], bool]:
    """The ids of executions that may have been touched: those that failed over, or did not end well, and
    moved at `since` or later; the ones that did not end well first. The flag says that there were more.
    """
    ids: dict[str, None] = {}
    more = False
    wanted: list[dict[str, str]] = [{"status": status} for status in _ENDED_BADLY]
    for which in (*wanted, {"failedOver": "true"}):
        cursor = None
        for page in range(_PAGES + 1):
            if page == _PAGES:
                more = True
                break
            answer = client.get("/executions", createdAfter=earliest, limit=_PAGE, cursor=cursor, **which)
            rows = answer.get("executions") or ()
            ids.update({str(row["executionId"]): None for row in rows if str(row["updatedAt"]) >= since})
            cursor = answer.get("nextCursor")
            if cursor is None:
                break
    return list(ids)[:LOOKED], more or len(ids) > LOOKED


class Tally:
    """Counts what became of the steps that passed a provider over from `since` on.

    `region` limits it to one region's. `told` is its JSON.
    """

    def __init__(self, provider: str, region: str | None, since: str) -> None:
        self._provider = provider
        self._passed = "passed over " + " ".join(part for part in (provider, region) if part) + " "
        self._since = since
        self._views: dict[str, Json] = {}

    def read(self, client: Client, ids: Iterable[str], seconds: float = SETTLE_SECONDS) -> None:
        """Look at these executions; those whose steps are under way again, for `seconds` at most."""
        ends = time.monotonic() + seconds
        left = list(ids)
        while left:
            for execution_id in left:
                view = _whole(client, execution_id)
                if view is not None and self._touched(view):
                    self._views[execution_id] = view
            left = [name for name in left if name in self._views and self._busy(self._views[name])]
            if not left or time.monotonic() >= ends:
                return
            time.sleep(_PAUSE)

    def told(self) -> dict[str, Any]:
        """Executions and steps by how they ended, failures by signal, and how long the calls took."""
        executions, steps = Counter(dict.fromkeys(_ENDINGS, 0)), Counter(dict.fromkeys(_ENDINGS, 0))
        signals: dict[str, Counter[str]] = defaultdict(Counter)
        errors: Counter[str] = Counter()
        took: dict[str, list[float]] = defaultdict(list)
        for view in self._views.values():
            visits = self._touched(view)
            ends = [self._ending(visit, view) for visit in visits]
            steps.update(ends)
            executions[_worst(ends, view)] += 1
            errors.update(
                str(visit.get("error") or view.get("status"))
                for visit, end in zip(visits, ends, strict=True)
                if end == "failed"
            )
            for visit in visits:
                for call in self._calls(visit):
                    name = str(call.get("provider"))
                    if call.get("status") == "FAILED":
                        signals[name][str(call.get("signal"))] += 1
                    elif call.get("status") == "COMPLETED":
                        took[name].append(float(call.get("durationMs") or 0))
        return {
            "executions": {"touched": executions.total(), **executions},
            "steps": {"touched": steps.total(), **steps},
            "signals": {name: dict(counts) for name, counts in sorted(signals.items())},
            "errors": dict(errors),
            "meanwhile": {name: quantiles(values) for name, values in sorted(took.items())},
        }

    def _touched(self, view: Json) -> list[Json]:
        """The visits that would have called the provider."""
        return [visit for visit in view.get("steps") or () if self._missed(visit)]

    def _missed(self, visit: Json) -> bool:
        if any(self._passed in str(reason) for call in self._calls(visit) for reason in call["reasons"]):
            return True
        moved = max(str(visit.get(name) or "") for name in ("startedAt", "endedAt"))
        return self._passed in str(visit.get("cause") or "") and moved >= self._since

    def _ending(self, visit: Json, view: Json) -> str:
        end = _ending(visit, view)
        there = any(call.get("provider") == self._provider for call in self._calls(visit))
        return "nowhere" if there and end == "completed" else end

    def _calls(self, visit: Json) -> list[Json]:
        return [
            {"reasons": (), **call}
            for call in visit.get("attempts") or ()
            if str(call.get("startedAt")) >= self._since
        ]

    def _busy(self, view: Json) -> bool:
        return any(_ending(visit, view) == "underWay" for visit in self._touched(view))


def quantiles(values: list[float]) -> dict[str, Any]:
    """How many, and the 50th and 95th percentile (nearest rank) in milliseconds."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        "calls": len(ordered),
        "p50Ms": ordered[round(last * 0.50)] if ordered else None,
        "p95Ms": ordered[round(last * 0.95)] if ordered else None,
    }


def _ending(visit: Json, view: Json) -> str:
    match visit.get("status"):
        case "COMPLETED":
            return "completed"
        case "PARKED":
            return "parked"
        case "FAILED":
            return "failed"
        case "CANCELLED" | "SKIPPED":
            # What the execution's own time ended was too slow; else a sibling failed, or a person stopped it.
            return "failed" if view.get("status") == "TIMED_OUT" else "cancelled"
        case _:
            return "underWay"


def _worst(ends: list[str], view: Json) -> str:
    """How an execution ended as far as these steps of it tell. A failure that was caught ended none."""
    if "parked" in ends:
        return "parked"
    if view.get("status") in {"FAILED", "TIMED_OUT"}:
        return "failed" if "failed" in ends else "cancelled"
    if view.get("status") == "COMPLETED":
        return "nowhere" if "nowhere" in ends else "completed"
    return "cancelled" if view.get("status") == "CANCELLED" else "underWay"


def _whole(client: Client, execution_id: str) -> Json | None:
    """The execution; None where retention has removed it."""
    try:
        view: Json = client.get(f"/executions/{segment(execution_id)}")
    except Stop as stop:
        if stop.problem is not None and stop.problem.get("status") == 404:  # noqa: PLR2004 - an HTTP status
            return None
        raise
    return view
