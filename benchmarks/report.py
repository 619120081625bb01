"""The results as Markdown and as JSON."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from benchmarks.concurrent import table as many_table
from benchmarks.judged import Judged
from benchmarks.judged import table as judged_table
from benchmarks.results import Results, as_ratio, share
from benchmarks.shapes import Shape
from benchmarks.site import STORES
from benchmarks.throughput import Load


def document(results: Results, verdict: Sequence[Judged]) -> bytes:
    """All of it as JSON."""
    return msgspec.json.format(msgspec.json.encode({"results": results, "judged": list(verdict)}), indent=1)


def markdown(results: Results, verdict: Sequence[Judged]) -> str:
    """Tables, each with a sentence of what it is."""
    parts = [f"{results.machine}; {results.seconds:g} s a repetition.", *_loads(results)]
    parts += [*_shapes(results), *_costs(results), *_deaths(results)]
    if results.many:
        parts += ["### Many at once", many_table(results.many)]
    return "\n\n".join([*parts, "### What it must show", judged_table(list(verdict))])


def lines(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """One table."""
    found = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in found)


def _loads(results: Results) -> Iterator[str]:
    if results.loads:
        yield "### Ten HTTP steps, 64 executions in flight, through the server, beside the bare loop"
        yield lines(_HEAD, [row for load in results.loads for row in _both(results, load)])
    if results.plain:
        yield lines(
            _HEAD[:4], [_bare_cells(f"{load.name} ({load.provider})", load)[:4] for load in results.plain]
        )
    if results.providers:
        yield "### By provider (Redis, append-only every second, one process)"
        http = results.providers[0]
        yield lines(
            ("provider", "steps/s", "CPU us a step, ours + store", "against HTTP", "alone p50 / p99 ms"),
            [
                (
                    load.provider + (" (signed)" if load.provider == "AWS" else ""),
                    f"{load.steps_per_second:,.0f}",
                    _us(load),
                    as_ratio(share(load.whole_us, http.whole_us)),
                    f"{load.alone_p50_ms:.1f} / {load.alone_p99_ms:.1f}",
                )
                for load in results.providers
            ],
        )
    if results.creations:
        yield "### Creations, 64 at a time, each durable before its answer, one process"
        yield lines(
            ("store", "creations/s", "CPU us each, ours + store", "p99 ms", "what the process does beside"),
            [
                (
                    STORES[one.store],
                    f"{one.per_second:,.0f}",
                    f"{one.cpu_us:.0f} + {one.store_cpu_us:.0f}",
                    f"{one.p99_ms:.1f}",
                    "drives each to its first wait" if one.driven else "nothing: an API of its own",
                )
                for one in results.creations
            ],
        )


_HEAD = (
    "",
    "steps/s",
    "CPU us a step, ours + store",
    "CPU against the bare loop",
    "alone p50 / p99 ms",
    "alone against the bare loop",
    "p50 / p99 ms at 64",
    "PSS MB, all processes",
)


def _both(results: Results, load: Load) -> Iterator[Sequence[str]]:
    limit = results.limit(load.store, load.processes)
    yield (
        f"**{load.name}**",
        f"{load.steps_per_second:,.0f}",
        _us(load),
        as_ratio(share(load.whole_us, limit.whole_us) if limit else None),
        f"{load.alone_p50_ms:.1f} / {load.alone_p99_ms:.1f}",
        as_ratio(share(load.alone_p50_ms, limit.alone_p50_ms) if limit else None),
        f"{load.p50_ms:.0f} / {load.p99_ms:.0f}",
        f"{load.memory_mb:.0f}",
    )
    if limit:
        yield _bare_cells(limit.name, limit)


def _bare_cells(name: str, limit: Load) -> Sequence[str]:
    alone = f"{limit.alone_p50_ms:.1f} / {limit.alone_p99_ms:.1f}"
    at_64 = f"{limit.p50_ms:.0f} / {limit.p99_ms:.0f}"
    return name, f"{limit.steps_per_second:,.0f}", _us(limit), "1", alone, "1", at_64, ""


def _us(load: Load) -> str:
    return f"{load.cpu_us:.0f} + {load.store_cpu_us:.0f}"


def _shapes(results: Results) -> Iterator[str]:
    if results.lengths:
        yield "### The length of an execution (Redis, append-only every second)"
        yield _sized("steps", "a step", results.lengths)
    if results.maps:
        yield "### The items of a MAP (Redis, append-only every second, 64 calls at once)"
        yield _sized("items", "an item", results.maps)
    if results.shards:
        yield "### The shards of a store (Redis, append-only every second)"
        yield lines(
            ("shards", "steps/s", "CPU us a step, all processes"),
            [(one.size, f"{one.per_second:,.0f}", f"{one.each_us:.0f}") for one in results.shards],
        )


def _sized(many: str, one: str, rows: Sequence[Shape]) -> str:
    ten = next((row for row in rows if row.size == 10), rows[0])
    return lines(
        (
            many,
            "executions",
            f"{many}/s",
            f"CPU us {one}, all processes",
            f"against {ten.size}",
            f"what {one} more costs, us",
        ),
        [
            (
                f"{row.size:,}",
                f"{row.executions:,}",
                f"{row.per_second:,.0f}",
                f"{row.each_us:.0f}",
                as_ratio(share(row.each_us, ten.each_us)),
                "" if row.slope_us is None else f"{row.slope_us:.0f}",
            )
            for row in rows
        ],
    )


def _costs(results: Results) -> Iterator[str]:
    if results.on_off:
        yield "### On against off (Redis, append-only every second)"
        yield lines(
            ("", "CPU us a step on", "off", "on against off"),
            [
                (one.what, f"{one.on_us:.0f}", f"{one.off_us:.0f}", as_ratio(one.ratio))
                for one in results.on_off
            ],
        )


def _deaths(results: Results) -> Iterator[str]:
    if results.deaths:
        yield "### Kill -9 in the middle, and a restart"
        head = ("store", "executions", "completed", "calls before", "repeated", "as the same attempt")
        yield lines(
            (*head, "lease s", "up again after s", "all ended after s"),
            [
                (
                    STORES[one.store],
                    one.executions,
                    one.completed,
                    f"{one.called_at_kill:,}",
                    one.repeated,
                    one.sent_twice,
                    f"{one.lease:g}",
                    f"{one.ready:.1f}",
                    f"{one.seconds:.1f}",
                )
                for one in results.deaths
            ],
        )
