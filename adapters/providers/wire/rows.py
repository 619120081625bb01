"""Tables of vendors' answers: a row says which answers it means and what such an answer proves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adapters.providers.wire import outcomes
from adapters.providers.wire.reply import Reply
from core.failover.outcome import Executed, Outcome, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table. It means an answer whose status is in `statuses` and whose body holds one of
    `phrases` (lower case; none: any body).

    `quiet` keeps the vendor's words out of the cause: answers about credentials repeat what was signed.
    """

    statuses: range | tuple[int, ...]
    executed: Executed
    scope: Scope
    signal: str
    error: str
    cause: str
    phrases: tuple[str, ...] = ()
    retry_here: bool = False
    quiet: bool = False

    def means(self, reply: Reply) -> bool:
        """True where `reply` is such an answer."""
        if reply.status not in self.statuses:
            return False
        if not self.phrases:
            return True
        text = reply.body[:4096].lower()
        return any(phrase.encode() in text for phrase in self.phrases)

    def outcome(self, reply: Reply, secrets: Iterable[str], words: str | None = None) -> Outcome:
        """What the answer proves. `words` are the vendor's own (default: the beginning of the body)."""
        said = "" if self.quiet else (words if words is not None else outcomes.excerpt(reply.body, secrets))
        return Outcome(
            executed=self.executed,
            scope=self.scope,
            signal=self.signal,
            error=self.error,
            cause=f"status {reply.status}: {self.cause}" + (f" ({said})" if said else ""),
            status=reply.status,
            retry_after_ms=outcomes.retry_after_ms(reply.headers.get("Retry-After")),
            retry_here=self.retry_here,
        )


CLIENT_ERRORS, SERVER_ERRORS = range(400, 500), range(500, 600)

THROTTLED = Row(
    statuses=(429,),
    executed=Executed.NO,
    scope=Scope.SATURATION,
    signal="throttled",
    error=outcomes.THROTTLED,
    cause="the function or account has no capacity left",
    retry_here=True,
)
UNAUTHORISED = Row(
    statuses=(401, 403, 407),
    executed=Executed.NO,
    scope=Scope.CREDENTIALS,
    signal="credentials-refused",
    error=outcomes.CREDENTIALS,
    cause="our credentials were refused, or may not call this function",
    quiet=True,
)
NOT_DEPLOYED = Row(
    statuses=(404, 410),
    executed=Executed.NO,
    scope=Scope.FUNCTION,
    signal="not-deployed",
    error=outcomes.NOT_DEPLOYED,
    cause="there is no such function there",
)
CUT_OFF = Row(
    # Cloud Functions of the 1st generation answer so when they stop a function at its own time limit.
    statuses=(408,),
    executed=Executed.MAYBE,
    scope=Scope.FUNCTION,
    signal="request-timeout",
    error=outcomes.TIMEOUT,
    cause="the platform gave up waiting; the function may have run in part",
)
UNMARKED_500 = Row(
    statuses=(500,),
    executed=Executed.MAYBE,
    scope=Scope.FUNCTION,
    signal="unmarked-500",
    error=outcomes.FUNCTION_FAULT,
    cause="a 500 without a mark; an exception of the function's own code looks so",
)
REFUSED_REQUEST = Row(
    statuses=CLIENT_ERRORS,
    executed=Executed.NO,
    scope=Scope.CALLER,
    signal="bad-request",
    error=outcomes.BAD_REQUEST,
    cause="the request was refused as wrong",
)
GATEWAY_TIMEOUT = Row(
    statuses=(502, 504),
    executed=Executed.MAYBE,
    scope=Scope.PROVIDER,
    signal="gateway-error",
    error=outcomes.UNAVAILABLE,
    cause="a front end had no good answer from the function; it may have run, or run on",
)
PROVIDER_FAULT = Row(
    statuses=SERVER_ERRORS,
    executed=Executed.MAYBE,
    scope=Scope.PROVIDER,
    signal="provider-error",
    error=outcomes.UNAVAILABLE,
    cause="the provider failed; the function may have run",
)
UNKNOWN = Row(
    statuses=range(1000),
    executed=Executed.MAYBE,
    scope=Scope.PROVIDER,
    signal="status-unexpected",
    error=outcomes.UNAVAILABLE,
    cause="an answer that no provider gives; the function may have run",
)

CLIENT_ROWS = (THROTTLED, UNAUTHORISED, NOT_DEPLOYED, CUT_OFF, REFUSED_REQUEST)
"""4xx of an HTTP platform, in order."""
SERVER_ROWS = (UNMARKED_500, GATEWAY_TIMEOUT, PROVIDER_FAULT)
"""5xx of an HTTP platform, in order, after its own."""


def no_instance(statuses: tuple[int, ...], *phrases: str) -> Row:
    """The row of a platform that says in these words that nothing could take the request."""
    return Row(
        statuses=statuses,
        phrases=phrases,
        executed=Executed.NO,
        scope=Scope.PROVIDER,
        signal="no-instance",
        error=outcomes.UNAVAILABLE,
        cause="no instance was available to take the request",
    )


def first_match(rows: Sequence[Row], reply: Reply) -> Row:
    """The first row that means `reply`."""
    return next((row for row in rows if row.means(reply)), UNKNOWN)
