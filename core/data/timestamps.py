"""Timestamps as AWS reads them: ISO 8601's extended format with an offset (Java's ISO_OFFSET_DATE_TIME)."""

import re
from datetime import date
from typing import Final

_FORM: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:[Zz]|([+-])(\d\d):(\d\d)(?::(\d\d))?)",
    re.ASCII,
)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_SECOND: Final = 1_000_000_000
_MAX_OFFSET: Final = 18 * 3600


def nanoseconds(text: str) -> int | None:
    """Nanoseconds since the Unix epoch; None for text that is no timestamp with an offset."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute = (int(part) for part in found.groups()[:5])
    second = int(found[6] or 0)
    offset = int(found[9] or 0) * 3600 + int(found[10] or 0) * 60 + int(found[11] or 0)
    if hour > 23 or minute > 59 or second > 59 or offset > _MAX_OFFSET or int(found[10] or 0) > 59:  # noqa: PLR2004 - the clock's own
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    east = -offset if found[8] == "-" else offset
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - east
    return seconds * _SECOND + int((found[7] or "").ljust(9, "0"))


def milliseconds(text: str) -> int | None:
    """Milliseconds since the Unix epoch, rounded up: nothing that waits for it is early."""
    found = nanoseconds(text)
    return None if found is None else -(-found // 1_000_000)
