"""What a history keeps to itself: tokens of callbacks, and keys in the address of an accepted job.

Both have to stand in the journal, or nobody could go on after a crash. People are shown neither: whoever sees
a token can say how a step ended, and the query of an address is where platforms put their keys.
"""

import re
from base64 import urlsafe_b64decode
from typing import Any

HIDDEN = "[callback token]"

_TOKEN = re.compile(r"([A-Za-z0-9_-]{20,5460})\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")


def without_tokens(value: Any, visit: str) -> Any:
    """JSON without the tokens of this visit."""
    match value:
        case str():
            return _TOKEN.sub(lambda found: HIDDEN if _is_of(found[1], visit) else found[0], value)
        case dict():
            return {
                without_tokens(name, visit): without_tokens(inner, visit) for name, inner in value.items()
            }
        case list():
            return [without_tokens(inner, visit) for inner in value]
        case _:
            return value


def without_query(location: str) -> str:
    """An address without its query."""
    path, mark, _ = location.partition("?")
    return f"{path}?..." if mark else path


def _is_of(text: str, visit: str) -> bool:
    try:
        told = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return False
    return told.partition("\n")[2] == visit
