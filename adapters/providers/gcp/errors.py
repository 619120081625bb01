"""What answers of Cloud Functions and Cloud Run mean, where our wrapper's mark does not say it."""

from collections.abc import Iterable

from adapters.providers.wire import platform
from adapters.providers.wire.reply import Reply
from adapters.providers.wire.rows import CLIENT_ROWS, SERVER_ROWS, no_instance
from core.failover.outcome import Outcome

ROWS = (
    *CLIENT_ROWS,
    # "The request was aborted because there was no available instance" (Cloud Run, troubleshooting).
    no_instance((500, 503), "no available instance", "no instance available", "no instance was available"),
    *SERVER_ROWS,
)
"""In order; the first row that means an answer counts."""

_STATUS_HEADER, _CRASH = "X-Google-Status", "crash"
_SERVER_ERROR = 500


def classify(reply: Reply, secrets: Iterable[str]) -> Outcome:
    """What an answer proves. `X-Google-Status: crash` is how functions-framework marks an exception."""
    crashed = reply.status == _SERVER_ERROR and reply.headers.get(_STATUS_HEADER) == _CRASH
    if crashed and platform.MARK not in reply.headers:
        return platform.function_error(reply, secrets, cause="the function raised an exception")
    return platform.classify(reply, ROWS, secrets)
