"""How large a definition may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a definition; a larger one is refused.

    `definition_bytes` counts the canonical form. `depth` is the nesting of lists and objects, `steps` counts
    the steps of all scopes. `parallels` is how many PARALLELs may stand in one another: each level can double
    what the join gives back, since results are merged and stand as a list too. `problems` is how many errors,
    and how many hints, are listed before the rest is only counted.
    """

    definition_bytes: int = 256 * 1024
    depth: int = 64
    steps: int = 10_000
    parallels: int = 4
    problems: int = 1_000


UNLIMITED = Limits(definition_bytes=1 << 40, depth=500, steps=1 << 40, parallels=1 << 40)
"""For what was accepted before: a limit that was lowered later does not lose a stored definition."""
