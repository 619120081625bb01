"""Ids of health events: `1763711220123-000000`, an instant in milliseconds and a number within it.

As text they sort by time (until the year 2286), and they are what a Redis stream calls its entries, padded.
"""

import re

from core.errors import InvalidInput

MOST_EVENTS = 500
"""How many events one listing may ask for."""

_ID = re.compile(r"([0-9]{1,16})-([0-9]{1,16})")


def event_id(at_ms: int, number: int) -> str:
    """The text of an id."""
    return f"{at_ms:013d}-{number:06d}"


def parse_event_id(text: str) -> tuple[int, int]:
    """Instant and number of an id. Raises InvalidInput for what is none."""
    found = _ID.fullmatch(text)
    if found is None:
        raise InvalidInput("'before' is no id of an event: take one from an earlier listing")
    return int(found.group(1)), int(found.group(2))


def check_limit(limit: int) -> None:
    """Raises InvalidInput below 1 and above MOST_EVENTS."""
    if not 1 <= limit <= MOST_EVENTS:
        raise InvalidInput(f"a listing of events takes 1 to {MOST_EVENTS} at once, not {limit}")
