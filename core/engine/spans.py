"""Spans of time, as stretches of a listing: ids are ordered by the time at which executions were created."""

import msgspec

from core.engine.ids import first_id_at
from core.ports.store import Page


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Created before `before_ms`, and at `after_ms` or later; None bounds nothing. Times are Unix epoch
    milliseconds.
    """

    before_ms: int | None = None
    after_ms: int | None = None

    def start(self, cursor: str | None) -> str | None:
        """The cursor from which a walk that has come to `cursor` goes on, newest first."""
        if self.before_ms is None:
            return cursor
        first = first_id_at(self.before_ms)
        return first if cursor is None else min(cursor, first)

    def cut(self, page: Page) -> Page:
        """The page without what is older than the span, and without a next one where that is all older."""
        if self.after_ms is None:
            return page
        oldest = first_id_at(self.after_ms)
        kept = tuple(record for record in page.records if record.execution_id >= oldest)
        return page if len(kept) == len(page.records) else Page(kept, None)
