"""The journals of executions that were created and not yet claimed: what their first owner would read."""

from typing import Final

from core.ports.store import Loaded, NewExecution

KEPT_BYTES: Final = 16 << 20
"""Beyond this much of journals a creation is not kept, and its first owner reads it from the file."""


class Newborn:
    """Journals by execution id. Each is given out once, and only while it is all there is to read."""

    def __init__(self) -> None:
        self._journals: dict[str, Loaded] = {}
        self._bytes = 0

    def put(self, new: NewExecution) -> None:
        """Keep what a creation wrote, where there is room."""
        data = new.batch.data
        if new.batch.count and self._bytes + len(data) <= KEPT_BYTES:
            self._bytes += len(data)
            self._journals[new.execution_id] = Loaded(
                digest=new.digest, version=new.batch.count, snapshot=None, batches=(data,), inbox=()
            )

    def take(self, execution_id: str) -> Loaded | None:
        """The journal, which is forgotten."""
        journal = self._journals.pop(execution_id, None)
        if journal is not None:
            self._bytes -= len(journal.batches[0])
        return journal
