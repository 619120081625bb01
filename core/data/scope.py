"""What an expression can see and draw from while it is evaluated."""

import hashlib
from collections.abc import Mapping

from msgspec.structs import replace

from core.data.failures import NothingThere, Unbounded
from core.data.flow import Frame
from core.data.jsonpath import Indexes, Path
from core.data.jsonpath_nodes import evaluate
from core.data.paths import MISSING, Json
from core.data.sizes import text

SHOWN = 1_000
"""Characters of a value that a cause repeats."""


MAX_READ = 1 << 20
"""Bytes of JSON that the functions of one bounded request may read together: some 100 ms of CPU at worst."""


class Effort:
    """What the functions of one request have read so far."""

    def __init__(self) -> None:
        self._read = 0

    def spend(self, value: Json) -> None:
        """Charge for a list or an object that is read whole. Raises Unbounded where it was too much."""
        if isinstance(value, list | dict):
            self._read += len(text(value))
            if self._read > MAX_READ:
                raise Unbounded


class Chance:
    """Draws that follow from a request alone, and differ from place to place in it."""

    def __init__(self, frame: Frame, kind: str) -> None:
        self._seed = f"{kind} {frame.entropy} {frame.now_ms}".encode()
        self._drawn = 0

    def draw(self, size: int) -> bytes:
        """`size` bytes, at most 32, that no other draw of this request gives."""
        self._drawn += 1
        return hashlib.sha256(self._seed + b"#%d" % self._drawn).digest()[:size]

    def number(self) -> int:
        """64 bits."""
        return int.from_bytes(self.draw(8), "big")


class Scope:
    """`$` is `data`, `$$` the context and `$name` a variable."""

    def __init__(
        self,
        data: Json,
        *,
        variables: Mapping[str, Json],
        context: Mapping[str, Json],
        chance: Chance,
        bounded: bool,
        effort: Effort | None = None,
    ) -> None:
        self.data = data
        self.chance = chance
        self.effort = effort or Effort()
        self.bounded = bounded
        self._variables = variables
        self._context = context

    def over(self, data: Json) -> "Scope":
        """The same, over other data."""
        return Scope(
            data,
            variables=self._variables,
            context=self._context,
            chance=self.chance,
            bounded=self.bounded,
            effort=self.effort,
        )

    def find(self, path: Path) -> Json:
        """What `path` names. Raises NothingThere, Unbounded and TooLarge."""
        match path.variable:
            case None:
                root = self.data
            case "$":
                root = self._context
            case name:
                if name not in self._variables:
                    raise NothingThere(path.source, f"The variable '${name}' has no value.")
                root = self._variables[name]
        found = evaluate(path, root, bounded=self.bounded)
        if found is MISSING:
            where = "context" if path.variable == "$" else "input"
            raise NothingThere(
                path.source, f"The JSONPath '{path.source}' could not be found in the {where} '{shown(root)}'"
            )
        return found

    def is_past_end(self, path: Path) -> bool:
        """Whether `path`, which names nothing, ends in an index of a list that is there."""
        match path.steps[-1:]:
            case (Indexes(positions=(_,)),) if path.definite:
                try:
                    return isinstance(self.find(replace(path, steps=path.steps[:-1])), list)
                except NothingThere:
                    return False
            case _:
                return False


def shown(value: Json) -> str:
    """`value` as JSON for a cause, cut where it is long."""
    written = text(value).decode("utf-8", "replace")
    return written if len(written) <= SHOWN else f"{written[:SHOWN]}..."
