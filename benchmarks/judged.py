"""What the figures must show: each measure with its bound and its aim, and whether they are met."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.results import Results, as_ratio, share

REDIS: Final = ("everysec", "always")
LEAST_US: Final = 1.0
"""Below that a run was too short to count any time."""

BEYOND_LEASE: Final = 3.0
"""Seconds after the lease in which all must have ended that was under way at a kill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`met` and `aimed` say whether the bound and the aim are reached; None: not measured, or no aim."""

    measure: str
    at_least: str
    aim: str
    measured: str
    met: bool | None
    aimed: bool | None = None


def judged(results: Results, ratios: Mapping[str, Any] | None = None) -> list[Judged]:
    """Every measure. `ratios` is what `benchmarks.peers` found beside the best other engine, if it ran."""
    return [*beside(ratios), *_speed(results), *_rest(results)]


def beside(ratios: Mapping[str, Any] | None) -> list[Judged]:
    """What must be shown beside other engines."""
    ratio = None if ratios is None else ratios.get("steps_always")
    other = (ratios or {}).get("best") or "the best durable engine"
    return [_more(f"steps/s, append-only always, against {other} (`make bench-peers`)", ratio, 4, 7, " x")]


def table(rows: list[Judged]) -> str:
    """As Markdown."""
    lines = ["| measure | bound | aim | measured | met |", "|---|---|---|---|---|"]
    for row in rows:
        met = "not measured" if row.met is None else "**no**" if not row.met else "yes"
        if row.met and row.aimed:
            met = "yes, and the aim"
        lines.append(f"| {row.measure} | {row.at_least} | {row.aim} | {row.measured} | {met} |")
    return "\n".join(lines)


def _less(name: str, value: float | None, bound: float, aim: float, shown: str, unit: str = " x") -> Judged:
    known = value is not None
    return Judged(
        measure=name,
        at_least=f"{bound:g}{unit} at most",
        aim=f"{aim:g}{unit}",
        measured=shown if known else "-",
        met=value <= bound if value is not None else None,
        aimed=value <= aim if value is not None else None,
    )


def _more(name: str, value: float | None, bound: float, aim: float, unit: str = "") -> Judged:
    return Judged(
        measure=name,
        at_least=f"{bound:,g}{unit}",
        aim=f"{aim:,g}{unit}",
        measured="-" if value is None else f"{value:,.1f}{unit}" if unit else f"{value:,.0f}",
        met=value >= bound if value is not None else None,
        aimed=value >= aim if value is not None else None,
    )


def _speed(results: Results) -> Iterator[Judged]:
    found = {}
    for store in REDIS:
        load, limit = results.load(store), results.limit(store)
        if load is not None and limit is not None:
            found[store] = share(load.whole_us, limit.whole_us)
    known = [ratio for ratio in found.values() if ratio is not None]
    shown = ", ".join(f"{store} {as_ratio(ratio)}" for store, ratio in found.items())
    if (first := results.load("everysec")) is not None:
        for plain in results.plain:
            shown += f"; everysec {as_ratio(share(first.whole_us, plain.whole_us))} one with {plain.provider}"
    name = "CPU a step with Redis, all processes, against the bare loop of the same client"
    yield _less(name, max(known, default=None), 2.5, 1.5, shown)
    load, limit = results.load("everysec"), results.limit("everysec")
    speed = None if load is None else load.steps_per_second
    yield _more("steps/s, append-only every second, one process", speed, 5_500, 10_000)
    ratio = None if load is None or limit is None else share(load.alone_p50_ms, limit.alone_p50_ms)
    yield _less(
        "one execution of ten steps alone, everysec, one process, against the bare loop",
        ratio,
        2,
        1.5,
        as_ratio(ratio),
    )
    made = [one.per_second for one in results.creations if one.store in REDIS]
    name = "creations a second and process, durable (the slower of both Redis rows)"
    yield _more(name, min(made, default=None), 5_000, 8_000)
    memory = None if load is None else load.memory_mb
    shown = "-" if memory is None else f"{memory:.0f} MB"
    yield _less("memory of all processes at 64 in flight, one process", memory, 150, 100, shown, " MB")


def _rest(results: Results) -> Iterator[Judged]:
    for death in results.deaths:
        bound = death.lease + BEYOND_LEASE
        yield Judged(
            measure=f"kill -9 with {death.executions} in flight, restart ({death.store})",
            at_least=f"all complete within {bound:g} s, {death.executions} repeated calls at most",
            aim="",
            measured=f"{death.completed} complete in {death.seconds:.1f} s, {death.repeated} repeated calls",
            met=death.completed == death.executions
            and death.seconds <= bound
            and death.repeated <= death.executions
            and not death.sent_twice,
        )
    slopes = [row.slope_us for row in results.lengths if row.slope_us is not None][-2:]
    growth = share(max(slopes), min(slopes)) if len(slopes) == 2 and min(slopes) > LEAST_US else None
    yield Judged(
        measure="CPU of an N-step execution is linear in N: what a step more costs, of both last stretches",
        at_least="1.2 x apart at most",
        aim="",
        measured="-" if growth is None else f"{slopes[0]:.0f} and {slopes[1]:.0f} us: {as_ratio(growth)}",
        met=None if growth is None else growth <= 1.2,
    )
    for one in results.on_off[:1]:
        shown = f"{as_ratio(one.ratio)} ({one.on_us:.0f} against {one.off_us:.0f} us a step)"
        yield _less(f"{one.what} on, against off", one.ratio, 1.15, 1.05, shown)
