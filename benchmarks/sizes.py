"""How much is measured: one number scales it all."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """`seconds` is how long one repetition of a throughput lasts; a figure is the median of `repetitions`.

    `lengths` are steps of an execution, each length run for about `length_steps` steps with `length_at_once`
    executions under way; `items` those of a MAP, run for about `map_items` in all; `shards` of a Redis store.
    `killed` executions are under way at a kill -9, each call held for `hold` seconds, with leases of `lease`
    seconds. `many` executions are held at once for the memory of one (0: that is left out).
    """

    seconds: float = 2.0
    repetitions: int = 3
    warm: float = 1.0
    at_once: int = 64
    alone: float = 1.0
    lengths: tuple[int, ...] = (1, 10, 100, 1_000)
    length_steps: int = 12_000
    length_at_once: int = 8
    items: tuple[int, ...] = (10, 100, 1_000, 10_000)
    map_items: int = 6_000
    shards: tuple[int, ...] = (1, 8, 64)
    killed: int = 200
    hold: float = 0.1
    lease: float = 10.0
    many: int = 10_000

    @classmethod
    def of(cls, seconds: float) -> "Sizes":
        """About `seconds` a repetition, and the rest to match."""
        share = seconds / 2.0
        return cls(
            seconds=seconds,
            warm=min(1.5, share),
            alone=max(0.2, share),
            length_steps=max(1_000, round(12_000 * share)),
            map_items=max(1_000, round(6_000 * share)),
        )


TINY = Sizes(
    seconds=0.2,
    repetitions=1,
    warm=0.1,
    at_once=4,
    alone=0.1,
    lengths=(1, 2, 4),
    length_steps=8,
    length_at_once=2,
    items=(3, 6),
    map_items=6,
    shards=(1, 2),
    killed=6,
    lease=1.0,
    many=0,
)
"""Enough to see that it works and counts, and nothing of how fast."""
