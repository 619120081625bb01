"""What travels beside a payload: idempotency key, attempt, not-after, trace."""

from collections.abc import Mapping
from dataclasses import dataclass

IDEMPOTENCY_KEY = "idempotency-key"
ATTEMPT = "sidestep-attempt"
NOT_AFTER = "sidestep-not-after"

_MAX_KEY = 512
_MAX_NUMBER = 18


@dataclass(frozen=True, slots=True)
class Metadata:
    """One call's metadata, as far as it could be read: a field that is missing or malformed is None.

    `not_after` is in epoch milliseconds. A key is cut at 512 characters.
    """

    key: str | None = None
    attempt: int | None = None
    not_after: int | None = None


def read(values: Mapping[str, object]) -> Metadata:
    """Read metadata from HTTP headers or from a Lambda client context's `custom` (lower-case names)."""
    key = values.get(IDEMPOTENCY_KEY)
    return Metadata(
        key=key[:_MAX_KEY] if isinstance(key, str) and key else None,
        attempt=_whole(values.get(ATTEMPT)),
        not_after=_whole(values.get(NOT_AFTER)),
    )


def _whole(text: object) -> int | None:
    if isinstance(text, str) and len(text) <= _MAX_NUMBER and text.isascii() and text.isdigit():
        return int(text)
    return None
