"""Times that callers send: RFC 3339, with an offset, so that no time zone is guessed."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

EXAMPLE: Final = "2026-01-02T03:04:05Z"

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_ms(text: str) -> int | None:
    """A time of RFC 3339 from 1970 on as Unix epoch milliseconds, fractions cut off; None for all else."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        ms = (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None
    return ms if ms >= 0 else None
