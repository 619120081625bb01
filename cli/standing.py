"""How providers stand, as lines: all of them, one whole, what a person said of them, and what happened.

Reads the API's JSON and trusts none of it, as telling.py does.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from cli import telling
from cli.output import on_line
from cli.tables import GAP, table

Json = Mapping[str, Any]

STYLES: Final = {
    "CLOSED": "green",
    "SUSPECT": "yellow",
    "OPEN": "bold red",
    "HALF_OPEN": "yellow",
    "RAMPING": "cyan",
    "DRAINED": "magenta",
    "FORCED_OPEN": "magenta",
    "FORCED_CLOSED": "magenta",
}
_SAID: Final = {
    "DRAINED": "is drained",
    "FORCED_OPEN": "counts as dead",
    "FORCED_CLOSED": "counts as well",
}
HEAD: Final = (
    *("PROVIDER", "STATE", "CALLS", "FAILED", "P50", "P95", "IN", "OUT", "PARKED", "QUEUED"),
    *("NEXT PROBE", "WHY"),
)
RECENT: Final = 10
"""Outcomes that are shown of a provider; --json has more."""


def listed(rows: Iterable[Json]) -> list[Text]:
    """A line for each provider."""
    return table(
        HEAD,
        [
            (
                str(row.get("provider")),
                _state(row.get("state") or "-") if row.get("configured") else Text("none", "dim"),
                str(row.get("calls", 0)),
                _alarming(row.get("failures"), "yellow"),
                telling.duration(row.get("p50Ms")),
                telling.duration(row.get("p95Ms")),
                str(_member(row, "sidesteps").get("in", 0)),
                str(_member(row, "sidesteps").get("out", 0)),
                _alarming(row.get("parked"), "magenta"),
                _alarming(row.get("queued"), "yellow"),
                _soonest(row),
                _why(row),
            )
            for row in rows
        ],
    )


def about_replica(answer: Json) -> list[Text]:
    """What whoever reads the numbers of this replica has to know of it."""
    remarks = []
    if answer.get("isolated"):
        told = on_line(str(answer["isolated"]))
        remarks.append(Text(f"This replica takes itself for cut off, and opens nothing: {told}", "yellow"))
    if answer.get("alone"):
        told = on_line(str(answer["alone"]))
        remarks.append(Text(f"This replica decides without the others: {told}", "yellow"))
    return remarks


def whole(row: Json) -> list[Text]:
    """One provider: how it stands and why, its places and functions, its newest outcomes."""
    head = Text.assemble((on_line(str(row.get("provider"))), "bold"), GAP)
    if not row.get("configured"):
        return [head.append(on_line(str(row.get("whyNot") or "not configured")), "dim")]
    head.append_text(_state(row.get("state")))
    if row.get("why") and row.get("state") not in _SAID:
        head.append(f"{GAP}{_reason(row)}")
    lines = [head, *(Text("  ") + overridden("", one) for one in _items(row, "overrides")), *_counts(row)]
    for place in _items(row, "places"):
        lines += [Text(), *_place(place)]
    recent = _items(row, "recent")
    if recent:
        lines += [Text(), Text("newest first", "bold")]
        lines += [Text("  ") + _outcome(seen) for seen in recent[:RECENT]]
    return lines


def overridden(provider: str, one: Json) -> Text:
    """`AWS eu-west-1 is drained until 12:30:00 UTC by ada: maintenance`."""
    state = str(one.get("state"))
    who = f" by {on_line(str(one['actor']))}" if one.get("actor") else ""
    where = " ".join(part for part in (provider, str(one.get("region") or "")) if part)
    return Text.assemble(
        f"{on_line(where)} " if where else "",
        (_SAID.get(state, on_line(state)), STYLES.get(state, "")),
        f" until {moment(one.get('until'))} UTC{who}: {on_line(str(one.get('reason')))}",
    )


def happened(rows: Iterable[Json]) -> list[Text]:
    """A listing of audit events."""
    return table(
        ("WHEN", "WHAT", "WHERE", "WHO", "WHY"),
        [
            (
                moment(row.get("at")),
                str(row.get("kind")).replace("_", " ").lower(),
                telling.target(row) or "-",
                _whose(row),
                telling.shorten(str(row.get("why") or ""), 200),
            )
            for row in rows
        ],
    )


def _whose(row: Json) -> str:
    """The person who said so, and of what no person says the replica that tells of it."""
    if row.get("actor"):
        return str(row["actor"])
    said = str(row.get("kind")).startswith("OVERRIDE_")
    return "-" if said else str(row.get("replica") or "-")


def moment(at: object) -> str:
    """`2026-01-02 03:04:05` of an RFC 3339 instant, as it is written (UTC)."""
    text = str(at)
    return on_line(f"{text[:10]} {text[11:19]}") if text[10:11] == "T" else on_line(text)


def _counts(row: Json) -> list[Text]:
    sidesteps = _member(row, "sidesteps")
    calls = (
        f"  {row.get('calls', 0)} calls, {row.get('failures', 0)} failed, {row.get('inFlight', 0)} in flight"
    )
    if row.get("p50Ms") is not None:
        calls += f"; p50 {telling.duration(row['p50Ms'])}, p95 {telling.duration(row.get('p95Ms'))}"
    moves = f"  sidesteps: {sidesteps.get('in', 0)} in, {sidesteps.get('out', 0)} out"
    others = ("hedges", "rehearsals", "probes", "parked", "queued")
    told = [f"{name} {row[name]}" for name in others if row.get(name)]
    return [Text(calls), Text("; ".join((moves, *told)))]


def _place(place: Json) -> list[Text]:
    name = on_line(str(place.get("region") or "region of the settings"))
    lines = [Text.assemble((name, "bold"), GAP).append_text(_breaker(place))]
    functions = _items(place, "functions")
    if functions:
        rows = table(
            ("FUNCTION", "STATE", "LATELY", "IN FLIGHT", "P50", "P95", "P99", "ROOM", "WHY"),
            [
                (
                    str(one.get("functionId")),
                    _state(_member(one, "breaker").get("state")),
                    _window(one),
                    str(one.get("inFlight", 0)),
                    *(telling.duration(one.get(name)) for name in ("p50Ms", "p95Ms", "p99Ms")),
                    "" if one.get("room") is None else str(one["room"]),
                    str(_member(one, "breaker").get("why") or ""),
                )
                for one in functions
            ],
        )
        lines += [Text("  ") + line for line in rows]
    return lines


def _breaker(judged: Json) -> Text:
    """`OPEN since 03:04:05 (7 of 9 overdue), next probe 03:04:10, calls back from 03:05:05; 9 calls...`."""
    breaker = _member(judged, "breaker")
    told = Text().append_text(_state(breaker.get("state")))
    if breaker.get("since"):
        told.append(f" since {_clock(breaker['since'])}")
    if breaker.get("why"):
        told.append(f" ({on_line(str(breaker['why']))})")
    if breaker.get("state") == "RAMPING":
        told.append(f", lets {_number(breaker.get('share')) * 100:.3g} % through")
    if breaker.get("nextProbeAt"):
        told.append(f", next probe {_clock(breaker['nextProbeAt'])}")
    if breaker.get("rampAt"):
        told.append(f", calls come back from {_clock(breaker['rampAt'])}")
    return told.append(f"; {_window(judged)}", "dim")


def _window(judged: Json) -> str:
    """`9 calls in 10 s, 7 overdue`."""
    window = _member(judged, "window")
    calls = window.get("calls", 0)
    told = f"{calls} call{'' if calls == 1 else 's'} in {window.get('seconds', 0)} s"
    return ", ".join((told, *(f"{window[name]} {word}" for name, word in _BAD.items() if window.get(name))))


_BAD: Final = {"failures": "failed", "overdue": "overdue"}


def _outcome(seen: Json) -> Text:
    when = (_clock(seen.get("at")), "dim")
    took = telling.duration(seen.get("durationMs"))
    where = telling.target(_member(seen, "target"))
    if seen.get("ok"):
        return Text.assemble(when, GAP, where, GAP, (f"ok {took}", "green"))
    return Text.assemble(when, GAP, where, GAP, (f"{telling.failure(seen)} after {took}", "yellow"))


def _why(row: Json) -> str:
    """Why it stands as it does; where all is well, its newest failure."""
    if not row.get("configured"):
        return str(row.get("whyNot") or "")
    said = [overridden("", one).plain for one in _items(row, "overrides")]
    if said or (row.get("why") and row.get("state") != "CLOSED"):
        breaker = "" if row.get("state") in _SAID else _reason(row)
        return "; ".join(telling.shorten(part, 200) for part in (breaker, *said) if part)
    ends = (seen for seen in _items(row, "recent") if seen.get("signal") != "abandoned")
    failed = next((seen for seen in ends if not seen.get("ok")), None)
    if failed is None:
        return ""
    where = telling.target(_member(failed, "target"))
    return f"last failure: {telling.failure(failed)} ({where}, {_clock(failed.get('at'))})"


def _reason(row: Json) -> str:
    """Why it stands so, without the name and the state that stand beside it."""
    why = on_line(str(row.get("why") or ""))
    short = why.removeprefix(f"{row.get('provider')} is {row.get('state')} ")
    return short[1:-1] if short != why and short.startswith("(") and short.endswith(")") else short


def _soonest(row: Json) -> str:
    times = [_member(place, "breaker").get("nextProbeAt") for place in _items(row, "places")]
    due = sorted(str(at) for at in times if at)
    return _clock(due[0]) if due else ""


def _clock(at: object) -> str:
    return telling.clock(at)[:8]


def _state(value: object) -> Text:
    return Text(on_line(str(value)), STYLES.get(str(value), ""))


def _alarming(count: object, style: str) -> Text:
    return Text(on_line(str(count or 0)), style if count else "")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _member(row: Json, name: str) -> Json:
    value = row.get(name)
    return value if isinstance(value, Mapping) else {}


def _items(row: Json, name: str) -> Sequence[Json]:
    value = row.get(name)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
