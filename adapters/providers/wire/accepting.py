"""Answers that only accept a call: what they prove, and where its result is asked for later."""

from urllib.parse import urljoin

from yarl import URL

from adapters.providers.wire import outcomes
from adapters.providers.wire.origins import MAX_URL, BadUrl, parse_url
from adapters.providers.wire.reply import Reply
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Await

ACCEPTED = 202


def taken(awaits: Await, reply: Reply, outcome: Outcome, url: URL) -> Outcome:
    """The outcome of a call of `url` whose result comes later, from what its answer says as any other's.

    A callback is told by somebody: any success accepts the call, whatever its body is. To be polled, it takes
    a 202 with a `Location` of the same origin; any other answer is what it would be.
    """
    if awaits == "callback":
        if outcome.ok or (reply.success and outcome.scope is Scope.RESPONSE):
            return Outcome(executed=Executed.YES, ok=True, accepted=True, status=reply.status)
        return outcome
    if awaits != "poll" or reply.status != ACCEPTED:
        return outcome
    location = reply.headers.get("Location")
    if not location:
        return _bad(reply, "it was accepted, and the answer has no Location to ask for the result")
    try:
        return Outcome(
            executed=Executed.YES,
            ok=True,
            accepted=True,
            status=reply.status,
            location=followed(url, location),
            retry_after_ms=outcomes.retry_after_ms(reply.headers.get("Retry-After")),
        )
    except BadUrl as problem:
        return _bad(reply, f"it was accepted, and its Location cannot be asked: {problem}")


def still(reply: Reply, outcome: Outcome) -> Outcome:
    """The outcome of a question for a result: a 202 says that there is none yet."""
    if reply.status != ACCEPTED:
        return outcome
    return Outcome(
        executed=Executed.YES,
        ok=True,
        accepted=True,
        status=reply.status,
        retry_after_ms=outcomes.retry_after_ms(reply.headers.get("Retry-After")),
    )


def followed(url: URL, location: str) -> str:
    """The absolute URL of `location`, as a server at `url` gave it. Raises BadUrl where it cannot be used, or
    leads to another origin: with our credentials, it could lead anywhere.
    """
    if len(location) > MAX_URL:
        raise BadUrl(f"the URL is longer than {MAX_URL} characters")
    base = str(url.with_query(None))
    try:
        # Relative ones are read as RFC 3986 says; what is sent has to be a plain URL whatever was read.
        found = parse_url(location if "://" in location else urljoin(base, location))
    except BadUrl:
        raise
    except ValueError:
        raise BadUrl("it is no URL") from None
    if found.origin != parse_url(base).origin:
        raise BadUrl("it leads to another origin than the function's")
    return str(found)


def _bad(reply: Reply, why: str) -> Outcome:
    return Outcome(
        executed=Executed.YES,
        scope=Scope.RESPONSE,
        signal="no-location",
        error=outcomes.BAD_RESPONSE,
        cause=f"status {reply.status}: {why}",
        status=reply.status,
    )
