"""Durations as people write them: 30s, 30m, 2h, 1h30m, 2d."""

import re
from typing import Final

from cli.failures import usage

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PART: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern})+")

LONGEST: Final = 7 * 86_400
"""Seconds for which an override may hold, as the server says too."""


def seconds(text: str, option: str) -> float:
    """`text` in seconds, 1 to 7 days. Raises Stop (2) for all else, naming `option`."""
    told = text.strip().lower()
    if not _WHOLE.fullmatch(told):
        raise usage(f"{option} takes a duration such as 30s, 30m, 2h or 1h30m; not {text[:40]!r}.")
    total = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(told))
    if not 1 <= total <= LONGEST:
        raise usage(f"{option} takes 1s to 7d; {text[:40]!r} is {'less' if total < 1 else 'more'}.")
    return total


def told(total: float) -> str:
    """Seconds as they are written: 90 is `1m30s`."""
    left = round(total)
    parts = []
    for unit, size in reversed(_UNITS.items()):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
