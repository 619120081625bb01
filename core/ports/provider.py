"""The provider port: how the engine calls a function on some cloud."""

from typing import Any, Protocol

import msgspec

from core.failover.outcome import Outcome
from core.graph.model import Await, Target


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, ready to be sent.

    `payload` is the function's input (JSON object). `idempotency_key` is the same at every provider and for
    every attempt of a round; `attempt` numbers the calls of a visit from 1 and is never used twice.
    `timeout_ms` bounds the whole attempt, connecting included. `not_after_ms` (Unix epoch, milliseconds) is
    the instant after which a function must refuse to start. `fresh_connection` asks for a connection that
    cannot have gone stale (steps that must not run twice). `awaits` says what makes the step done (see
    core.graph.model.Await): for `callback`, any success accepts the call, and `callback_token` and
    `callback_url` go with it; for `poll`, a 202 with a `Location` accepts it. The token is a secret.
    """

    target: Target
    payload: Any
    idempotency_key: str
    attempt: int
    timeout_ms: int
    not_after_ms: int
    traceparent: str
    fresh_connection: bool = False
    awaits: Await = "answer"
    callback_token: str | None = None
    callback_url: str | None = None


class Provider(Protocol):
    """One cloud (or plain HTTP). Implementations hold pooled connections and cached credentials.

    An implementation makes no call to a management or token plane inside `invoke`: what it needs is resolved
    by `prepare` and refreshed in the background.
    """

    name: str
    """As definitions write it: AWS, GCP, AZURE or HTTP."""

    async def open(self) -> None:
        """Start: connections, credentials, background refreshing. Raises ConfigurationError."""
        ...

    async def close(self) -> None:
        """Stop and release everything; calls in flight end as outcomes."""
        ...

    def check(self, target: Target) -> str | None:
        """Why this target can never be called from here (a foreign origin, an unusable name), in a sentence;
        None where it can. Pure and fast: it is asked at submission and again before a call.
        """
        ...

    async def prepare(self, targets: tuple[Target, ...]) -> None:
        """Resolve ahead of time what `invoke` will need (URIs, tokens). Best effort: it raises nothing."""
        ...

    async def invoke(self, call: Call) -> Outcome:
        """Send one attempt, once. Never retries, and never raises for what the network or the function did.

        Cancelling it closes its connection. Whoever cancels must take the attempt as MAYBE executed.
        """
        ...

    async def poll(self, target: Target, location: str, timeout_ms: int) -> Outcome:
        """Ask for the result of a call that `target` accepted, at the `location` that its outcome bore.

        It goes to the target's own origin only, with the target's credentials, changes nothing there, never
        retries and never raises. `ok` and `accepted`: it is not done yet. Else as the answer of a call.
        """
        ...

    async def probe(self, target: Target, timeout_ms: int) -> Outcome:
        """Whether `target` can be reached, by the cheapest thing of its vendor that shows it.

        It never runs the function (so `executed` is always NO, where `ok` too), always makes a connection of
        its own, ends within `timeout_ms`, never retries and never raises. `ok` proves no more than the vendor
        lets it: at some, that there is a front end that takes connections. What a failure says (`scope`,
        `signal`) is what the same failure of a call says.
        """
        ...
