"""Names that last: visit paths and idempotency keys.

A visit is named by where it is (`fan/0/charge`: branch 0 of PARALLEL `fan`) and, from the second entering of
the same step on, by its count (`charge~2`). Step ids are percent-encoded in it where they hold `/`, `~`, `%`
or anything outside printable ASCII, so that a path is unique and can stand in a header.
"""

import hashlib
from urllib.parse import quote

_SAFE = "!\"#$&'()*+,:;<=>?@[\\]^`{|}"
_LONGEST_KEY = 200


def visit_path(scope: str, step_id: str, count: int) -> str:
    """The path of the `count`th visit (from 1) of a step in a scope ("" is the root's)."""
    plain = step_id.isalnum() and step_id.isascii() and not scope
    base = step_id if plain else base_path(scope, step_id)
    return base if count == 1 else f"{base}~{count}"


def base_path(scope: str, step_id: str) -> str:
    """What the paths of all visits of a step in a scope begin with."""
    name = (
        step_id if step_id.isalnum() and step_id.isascii() else quote(step_id, safe=_SAFE).replace("~", "%7E")
    )
    return f"{scope}/{name}" if scope else name


def branch_scope(visit: str, index: int) -> str:
    """The scope of the branch (or item) number `index` of a visit."""
    return f"{visit}/{index}"


def idempotency_key(execution_id: str, visit: str, round_: int) -> str:
    """The same for every attempt of a round, at every provider; printable ASCII, 200 characters at most.

    A long visit path is replaced by its SHA-256, so that the key stays unique and short.
    """
    key = f"{execution_id}/{visit}/{round_}"
    if len(key) <= _LONGEST_KEY:
        return key
    return f"{execution_id}/sha256-{hashlib.sha256(visit.encode()).hexdigest()}/{round_}"


def trace_of(execution_id: str) -> str:
    """The id of the W3C trace of an execution."""
    return hashlib.sha256(execution_id.encode()).hexdigest()[:32]


def traceparent(trace: str, key: str, attempt: int) -> str:
    """A W3C trace context: one `trace` an execution, one span an attempt."""
    span = hashlib.blake2b(f"{key}#{attempt}".encode(), digest_size=8).hexdigest()
    return f"00-{trace}-{span}-01"
