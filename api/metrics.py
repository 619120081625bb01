"""`/metrics` in Prometheus's text format (version 0.0.4). Every name starts with `sidestep_`."""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Final

import msgspec

from core.engine.health.report import BoardReport, PlaceReport, ProviderReport
from core.failover.breaker import Phase
from core.failover.health import OVERRIDES
from core.machine.transitions import EXECUTION_STATUSES, TERMINAL

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

PLACES: Final = 50
"""Regions of a provider that the page tells of: definitions name them, so that there may be any number. Those
whose breaker is not closed come first, then the busiest.
"""


class Family(msgspec.Struct, frozen=True):
    """A metric with its samples."""

    name: str
    kind: str
    help: str
    samples: tuple[tuple[dict[str, str], float], ...]


Numbers = tuple[Family, ...]
"""What one process saw."""


def numbers(
    board: BoardReport,
    sidesteps: Mapping[tuple[str, str], int],
    openings: Mapping[str, int],
    restarts: int,
    removed: Mapping[str, int],
    mended: int,
) -> Numbers:
    """What this process saw."""
    reports = board.providers
    return (
        Family(
            "sidestep_provider_configured",
            "gauge",
            "Whether the provider is configured.",
            tuple(({"provider": report.name}, int(report.configured)) for report in reports),
        ),
        Family(
            "sidestep_attempts_sent_total",
            "counter",
            "Attempts that this process sent.",
            tuple(({"provider": report.name}, report.calls) for report in reports),
        ),
        Family(
            "sidestep_attempts_ended_total",
            "counter",
            "Attempts that ended, by what they showed.",
            tuple(
                ({"provider": report.name, "signal": signal}, count)
                for report in reports
                for signal, count in sorted(report.signals.items())
            ),
        ),
        Family(
            "sidestep_attempts_in_flight",
            "gauge",
            "Attempts that were sent and have not ended.",
            tuple(({"provider": report.name}, report.in_flight) for report in reports),
        ),
        Family(
            "sidestep_sidesteps_total",
            "counter",
            "Steps that went on at another target, by both providers.",
            tuple(({"from": left, "to": taken}, count) for (left, taken), count in sorted(sidesteps.items())),
        ),
        *_failover(board, openings),
        Family(
            "sidestep_engine_restarts_total",
            "counter",
            "How often the engine of this process died and was started again.",
            (({}, restarts),),
        ),
        Family(
            "sidestep_executions_removed_total",
            "counter",
            "Executions that retention removed in this process, by the status in which they had ended.",
            tuple(({"status": status}, removed.get(status, 0)) for status in sorted(TERMINAL)),
        ),
        Family(
            "sidestep_executions_mended_total",
            "counter",
            "Executions that nothing would have driven on, and that the reconciler of this process gave back "
            "to a worker.",
            (({}, mended),),
        ),
    )


def of_memory(used: int, limit: int, refused: int) -> Numbers:
    """What this process has of memory, in bytes, and how often it took nothing on for it."""
    return (
        Family(
            "sidestep_memory_bytes",
            "gauge",
            "Resident memory of this process.",
            (({}, used),),
        ),
        Family(
            "sidestep_memory_limit_bytes",
            "gauge",
            "Memory from which on this process takes on nothing more.",
            (({}, limit),),
        ),
        Family(
            "sidestep_memory_refusals_total",
            "counter",
            "Creations and other requests for work that were refused because this process had no memory left "
            "for them.",
            (({}, refused),),
        ),
    )


_COUNTED: Final = (
    ("hedges", "sidestep_hedges_total", "Calls that were sent beside a slow one of the same step."),
    ("rehearsals", "sidestep_rehearsals_total", "Calls that went to a fallback though all was well."),
    ("probes", "sidestep_probes_total", "Probes of the provider."),
    ("parked", "sidestep_steps_parked_total", "Steps that a call of the provider left to a person."),
)


def _failover(board: BoardReport, openings: Mapping[str, int]) -> Iterator[Family]:
    """Breakers, overrides, and what was done because of them."""
    reports = board.providers
    yield Family(
        "sidestep_breaker_state",
        "gauge",
        "1 for the state in which the breaker of a provider and region is, 0 for the others.",
        tuple(
            (
                {"provider": report.name, "region": place.region or "", "state": phase.value},
                int(place.breaker.state == phase.value),
            )
            for report in reports
            for place in _told_of(report)
            for phase in Phase
        ),
    )
    yield Family(
        "sidestep_breaker_openings_total",
        "counter",
        "How often this process opened a breaker of the provider or of one of its functions.",
        tuple(({"provider": report.name}, openings.get(report.name, 0)) for report in reports),
    )
    yield Family(
        "sidestep_overrides",
        "gauge",
        "Overrides of people that hold, by what they say.",
        tuple(
            (
                {"provider": report.name, "state": state},
                sum(one.state == state for one in report.overrides),
            )
            for report in reports
            for state in OVERRIDES
        ),
    )
    for member, name, told in _COUNTED:
        value = attrgetter(member)
        samples = tuple(({"provider": report.name}, value(report)) for report in reports)
        yield Family(name, "counter", told, samples)
    yield Family(
        "sidestep_queued",
        "gauge",
        "Executions that wait for room at the provider.",
        tuple(({"provider": report.name}, report.queued) for report in reports),
    )
    yield Family(
        "sidestep_replica_isolated",
        "gauge",
        "Whether this process takes itself for cut off, because several providers fail for it at once.",
        (({}, int(board.isolated is not None)),),
    )
    yield Family(
        "sidestep_board_alone",
        "gauge",
        "Whether this process decides without hearing from the others.",
        (({}, int(board.alone is not None)),),
    )


def _told_of(report: ProviderReport) -> tuple[PlaceReport, ...]:
    def rank(place: PlaceReport) -> tuple[bool, int]:
        return place.breaker.state == Phase.CLOSED.value, -place.breaker.calls

    return tuple(sorted(report.places, key=rank)[:PLACES])


def exposition(version: str, counts: Mapping[str, int] | None, seen: Mapping[int | None, Numbers]) -> str:
    """The page. `counts` are the store's executions by status, None while it does not answer; `seen` is what
    each process saw, by its place among those of one port, which is None where there is one process only.
    """
    statuses = {} if counts is None else dict.fromkeys(EXECUTION_STATUSES, 0) | dict(counts)
    pages = [
        Family("sidestep_build_info", "gauge", "The version that runs.", (({"version": version}, 1),)),
        Family("sidestep_store_up", "gauge", "Whether the store answers.", (({}, int(counts is not None)),)),
        Family("sidestep_processes", "gauge", "Processes that this page tells of.", (({}, len(seen)),)),
        Family(
            "sidestep_executions",
            "gauge",
            "Executions in the store, by status.",
            tuple(({"status": status}, count) for status, count in statuses.items()),
        ),
        *_merged(seen),
    ]
    return "".join(map(_text, pages))


def _merged(seen: Mapping[int | None, Numbers]) -> list[Family]:
    """Each family once, with the samples of every process."""
    merged: dict[str, Family] = {}
    for place, families in seen.items():
        own = {} if place is None else {"process": str(place)}
        for family in families:
            before = merged[family.name].samples if family.name in merged else ()
            samples = tuple(({**own, **labels}, value) for labels, value in family.samples)
            merged[family.name] = msgspec.structs.replace(family, samples=before + samples)
    return list(merged.values())


def _text(family: Family) -> str:
    lines = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
    for labels, value in family.samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{family.name}{{{inside}}} {value:.15g}" if inside else f"{family.name} {value:.15g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
