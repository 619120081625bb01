"""All that one run measured."""

from dataclasses import dataclass, field

from benchmarks.boards import OnOff
from benchmarks.deaths import Death
from benchmarks.shapes import Shape
from benchmarks.throughput import Creations, Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What was not measured is empty. `bare` are the limits beside `loads`, by store and processes; `plain`
    is the bare loop of an ordinary client. `many` is by store what so many executions at once need.
    """

    machine: str
    seconds: float
    loads: tuple[Load, ...] = ()
    bare: tuple[Load, ...] = ()
    plain: tuple[Load, ...] = ()
    providers: tuple[Load, ...] = ()
    creations: tuple[Creations, ...] = ()
    lengths: tuple[Shape, ...] = ()
    maps: tuple[Shape, ...] = ()
    shards: tuple[Shape, ...] = ()
    on_off: tuple[OnOff, ...] = ()
    deaths: tuple[Death, ...] = ()
    many: dict[str, dict[str, float]] = field(default_factory=dict)

    def load(self, store: str, processes: int = 1) -> Load | None:
        """The row through the server."""
        return _found(self.loads, store, processes)

    def limit(self, store: str, processes: int = 1) -> Load | None:
        """The bare loop beside it."""
        return _found(self.bare, store, processes)


def _found(rows: tuple[Load, ...], store: str, processes: int) -> Load | None:
    return next((row for row in rows if (row.store, row.processes) == (store, processes)), None)


def share(one: float, other: float) -> float | None:
    """One by the other; None where a run was too short to count any."""
    return one / other if other else None


def as_ratio(value: float | None, digits: int = 2) -> str:
    """For a table."""
    return "-" if value is None else f"{value:.{digits}f} x"
