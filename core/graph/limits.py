"""How large a definition may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a definition; a larger one is refused.

    `definition_bytes` counts the canonical form (256 KiB: what AWS Step Functions, with 1 MB, and an HTTP
    front end both carry with ease). `depth` is the nesting of lists and objects, `steps` counts the steps
    of all scopes, `problems` how many problems are listed before the rest is only counted.
    """

    definition_bytes: int = 256 * 1024
    depth: int = 64
    steps: int = 10_000
    problems: int = 1_000


UNLIMITED = Limits(definition_bytes=1 << 40, depth=500, steps=1 << 40)
"""For what was accepted before: a limit that was lowered later does not lose a stored definition."""
