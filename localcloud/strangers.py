"""Reading what strangers send: secrets compared in constant time, forms that may be anything."""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs

_MAX_FIELDS = 20


def same(given: str, own: str) -> bool:
    """Whether a secret as given in a header is this one. Takes as long whichever byte differs."""
    # Headers are decoded so that any byte survives; it must survive the way back too.
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), own.encode())


def form(body: bytes) -> Mapping[str, list[str]]:
    """The fields of an urlencoded body of at most 20 fields; none of a body that is something else."""
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}
