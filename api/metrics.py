"""`/metrics` in Prometheus's text format (version 0.0.4). Every name starts with `sidestep_`."""

from collections.abc import Iterable, Mapping

from core.engine.board import ProviderReport
from core.machine.transitions import EXECUTION_STATUSES

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]


def exposition(
    version: str,
    counts: Mapping[str, int] | None,
    reports: Iterable[ProviderReport],
    sidesteps: Mapping[tuple[str, str], int],
    restarts: int,
) -> str:
    """The page. `counts` are the store's executions by status, None while it does not answer; the rest is
    what this process saw.
    """
    reports = tuple(reports)
    statuses = {} if counts is None else dict.fromkeys(EXECUTION_STATUSES, 0) | dict(counts)
    return "".join(
        (
            _family("sidestep_build_info", "gauge", "The version that runs.", [({"version": version}, 1)]),
            _family(
                "sidestep_store_up", "gauge", "Whether the store answers.", [({}, int(counts is not None))]
            ),
            _family(
                "sidestep_executions",
                "gauge",
                "Executions in the store, by status.",
                [({"status": status}, count) for status, count in statuses.items()],
            ),
            _family(
                "sidestep_provider_configured",
                "gauge",
                "Whether the provider is configured.",
                [({"provider": report.name}, int(report.configured)) for report in reports],
            ),
            _family(
                "sidestep_attempts_sent_total",
                "counter",
                "Attempts that this process sent.",
                [({"provider": report.name}, report.calls) for report in reports],
            ),
            _family(
                "sidestep_attempts_ended_total",
                "counter",
                "Attempts that ended, by what they showed.",
                [
                    ({"provider": report.name, "signal": signal}, count)
                    for report in reports
                    for signal, count in sorted(report.signals.items())
                ],
            ),
            _family(
                "sidestep_attempts_in_flight",
                "gauge",
                "Attempts that were sent and have not ended.",
                [({"provider": report.name}, report.in_flight) for report in reports],
            ),
            _family(
                "sidestep_sidesteps_total",
                "counter",
                "Steps that went on at another target, by both providers.",
                [({"from": left, "to": taken}, count) for (left, taken), count in sorted(sidesteps.items())],
            ),
            _family(
                "sidestep_engine_restarts_total",
                "counter",
                "How often the engine of this process died and was started again.",
                [({}, restarts)],
            ),
        )
    )


def _family(name: str, kind: str, help_: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {help_}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value}" if inside else f"{name} {value}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
