"""Answers of HTTP platforms (GCP, AZURE, HTTP): our wrapper's marks first, then the vendor's table.

The wrapper marks with a header what a status cannot say: that the function ran and failed by itself, or that
it refused to start because the attempt's `not-after` was over.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from adapters.providers.wire import outcomes
from adapters.providers.wire.payload import NotJson, decode
from adapters.providers.wire.reply import Reply
from adapters.providers.wire.rows import Row, first_match
from core.failover.outcome import Executed, Outcome, Scope

MARK = "Sidestep-Error"
FUNCTION_MARK, NOT_STARTED_MARK = "function", "not-started"


def classify(reply: Reply, rows: Sequence[Row], secrets: Iterable[str]) -> Outcome:
    """What `reply` proves, by the wrapper's mark, else by its status and `rows`."""
    if reply.success:
        return outcomes.from_success(reply)
    if reply.redirect:
        return outcomes.from_redirect(reply)
    match reply.headers.get(MARK):
        case "function":
            return function_error(reply, secrets)
        case "not-started":
            return not_started(reply)
        case _:
            return first_match(rows, reply).outcome(reply, secrets)


def function_error(reply: Reply, secrets: Iterable[str], *, cause: str = "") -> Outcome:
    """The function ran and failed by itself; its name and message are in the body, or `cause` stands in."""
    document = None
    with suppress(NotJson):
        document = decode(reply.body)
    error, message = outcomes.named_error(document, secrets, default=outcomes.FUNCTION_ERROR)
    return Outcome(
        executed=Executed.YES,
        scope=Scope.FUNCTION,
        signal="function-error",
        error=error,
        cause=message or cause or "the function failed, and did not say why",
        status=reply.status,
    )


def not_started(reply: Reply) -> Outcome:
    """The wrapper refused to start after `not-after`: the request was on its way for too long."""
    return Outcome(
        executed=Executed.NO,
        scope=Scope.PROVIDER,
        signal="not-started",
        error=outcomes.NOT_STARTED,
        cause="the request reached the function after its not-after instant, and was not started",
        status=reply.status,
    )
