"""Sending one attempt, once."""

import asyncio
import logging
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from core.data.decoding import check_depth
from core.engine.guard import Guard
from core.engine.hiding import HIDDEN
from core.engine.polling import ask, ended, first_poll_at, next_poll_at
from core.engine.settings import EngineSettings
from core.engine.site import NOWHERE, Site
from core.errors import InvalidInput
from core.failover.outcome import Executed, Outcome, Scope
from core.failover.words import cut
from core.graph.model import Json
from core.machine.events import AttemptAccepted, AttemptFailed, AttemptPolled, AttemptSucceeded
from core.machine.paths import traceparent
from core.machine.run import Poll
from core.machine.tasks import Send
from core.ports.clock import Clock
from core.ports.health import HealthBoard
from core.ports.provider import Call, Provider

log = logging.getLogger("sidestep.engine")

_ABANDONED = Outcome(executed=Executed.MAYBE, signal="abandoned", error="Sidestep.Abandoned")

LATEST = "$LATEST"
"""The version of a function that Lambda runs where none is named."""

ADAPTER_GRACE = 2.0
"""Seconds after which an adapter that ignores its own time limit is given up."""


class Attempts:
    """Performs `Send` commands through the providers, and reports to the health board.

    An output of more than `data_limit` bytes (JSON) never reaches the journal: its attempt fails by name.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        clock: Clock,
        board: HealthBoard,
        settings: EngineSettings | None = None,
        site: Site = NOWHERE,
        grace: float = ADAPTER_GRACE,
    ) -> None:
        settings = settings or EngineSettings()
        self._site = site
        self._limit = min(settings.data_limit, settings.data_budget)
        self._envelope = settings.envelope
        self._accepts = settings.accepts
        self._providers = providers
        self._clock = clock
        self._board = board
        self._guard = Guard(grace)

    async def send(
        self, execution_id: str, trace: str, send: Send
    ) -> AttemptSucceeded | AttemptFailed | AttemptAccepted:
        """The event that the attempt's answer becomes. Never raises but for cancellation. `trace` is the id
        of the execution's trace.
        """
        started = send.started
        before = self._clock.monotonic()
        flight = self._board.sent(started)
        outcome, size = _ABANDONED, 0
        try:
            outcome = await self._outcome(execution_id, trace, send)
            if outcome.ok and ((send.awaits == "callback" and self._accepts) or outcome.accepted):
                # What it says beside that it took the call on is no result.
                outcome = replace(outcome, accepted=True, output=None)
            elif send.envelope and self._envelope and outcome.ok:
                outcome = replace(outcome, output=lambda_envelope(outcome.output), size=0)
            size = outcome.size
            if not 0 < size <= self._limit:
                outcome, size = journalable(outcome, self._limit)
        finally:
            duration_ms = round((self._clock.monotonic() - before) * 1000, 3)
            flight.ended(outcome, duration_ms)
        if outcome.accepted:
            now = self._clock.now_ms()
            return AttemptAccepted(
                visit=started.visit,
                step_id=started.step_id,
                attempt=started.attempt,
                at=now,
                duration_ms=duration_ms,
                location=outcome.location,
                poll_at=None if outcome.location is None else first_poll_at(outcome, now),
            )
        if outcome.ok:
            return AttemptSucceeded(
                visit=started.visit,
                step_id=started.step_id,
                attempt=started.attempt,
                output=outcome.output,
                size=size,
                duration_ms=duration_ms,
            )
        return AttemptFailed(
            visit=started.visit,
            step_id=started.step_id,
            attempt=started.attempt,
            outcome=outcome,
            duration_ms=duration_ms,
        )

    async def poll(self, poll: Poll) -> AttemptSucceeded | AttemptFailed | AttemptPolled:
        """The event that the answer to one question for a result becomes. The board does not learn of it.
        Never raises but for cancellation.
        """
        before = self._clock.monotonic()
        outcome = await ask(self._providers, poll)
        last = ended(outcome)
        if last is None:
            return AttemptPolled(
                visit=poll.visit,
                step_id=poll.step_id,
                attempt=poll.attempt,
                poll_at=next_poll_at(outcome, poll.polls, self._clock.now_ms()),
                why="" if outcome.ok else cut(f"{outcome.error}: {outcome.cause}"),
            )
        last, size = journalable(last, self._limit)
        duration_ms = round((self._clock.monotonic() - before) * 1000, 3)
        if last.ok:
            return AttemptSucceeded(
                visit=poll.visit,
                step_id=poll.step_id,
                attempt=poll.attempt,
                output=last.output,
                size=size,
                duration_ms=duration_ms,
            )
        return AttemptFailed(
            visit=poll.visit,
            step_id=poll.step_id,
            attempt=poll.attempt,
            outcome=last,
            duration_ms=duration_ms,
        )

    async def _outcome(self, execution_id: str, trace: str, send: Send) -> Outcome:
        started = send.started
        provider = self._providers.get(started.target.provider)
        try:
            refusal = "it is not configured" if provider is None else provider.check(started.target)
        except Exception as error:
            log.exception("the %s adapter raised when it was asked about a target", started.target.provider)
            refusal = f"the adapter raised {type(error).__name__}"
        if provider is None or refusal is not None:
            return Outcome(
                executed=Executed.NO,
                scope=Scope.FUNCTION,
                signal="unusable-target",
                error="Sidestep.UnusableTarget",
                cause=f"{started.target}: {refusal}",
            )
        token = self._site.token(execution_id, started.visit) if send.awaits == "callback" else None
        call = Call(
            target=started.target,
            payload=send.payload,
            idempotency_key=started.key,
            attempt=started.attempt,
            timeout_ms=started.timeout_ms,
            not_after_ms=started.not_after,
            traceparent=traceparent(trace, started.key, started.attempt),
            fresh_connection=send.effects == "atMostOnce",
            awaits=send.awaits,
            callback_token=token,
            callback_url=None if token is None else self._site.url(token),
        )
        caller = self._guard.enter(started.timeout_ms / 1000)
        try:
            outcome = await provider.invoke(call)
        except asyncio.CancelledError:
            if self._guard.gave_up(caller):
                return _broken_adapter("it did not answer within its time limit", "Sidestep.Timeout")
            if caller.cancelling():
                raise
            # Nobody gave the call up: something inside the adapter did, and its answer would never come.
            return _broken_adapter("the adapter gave the call up", "Sidestep.AdapterError")
        except Exception as error:
            # A port's promise was broken. The call may have gone out, so the attempt is ambiguous.
            log.exception("the %s adapter raised; the attempt counts as MAYBE executed", provider.name)
            return _broken_adapter(f"the adapter raised {type(error).__name__}", "Sidestep.AdapterError")
        finally:
            self._guard.leave(caller)
        if token is not None and token in outcome.cause:
            # A function that tells of its call in an error tells everybody who reads what it failed with,
            # and the next attempt has the same token.
            outcome = replace(outcome, cause=outcome.cause.replace(token, HIDDEN))
        return outcome


def _broken_adapter(cause: str, error: str) -> Outcome:
    return Outcome(executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="adapter", error=error, cause=cause)


def lambda_envelope(payload: Json) -> Json:
    """What Lambda's Invoke answers with around a function's result, as a States Language machine sees it."""
    headers = {"Content-Type": "application/json", "X-Amz-Executed-Version": LATEST}
    return {
        "ExecutedVersion": LATEST,
        "Payload": payload,
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": 200,
        },
        "SdkResponseMetadata": {},
        "StatusCode": 200,
    }


def journalable(outcome: Outcome, limit: int) -> tuple[Outcome, int]:
    """The outcome and its output's size in bytes of JSON.

    An output that cannot be kept as JSON (a lone surrogate, lists nested too deep) becomes a broken answer,
    and one that is over the limit is the function's own failure: it would answer so anywhere.
    """
    if outcome.output is None:
        return outcome, 0
    try:
        written = msgspec.json.encode(outcome.output)
        check_depth(written)
    except (
        msgspec.MsgspecError,
        TypeError,
        ValueError,
        RecursionError,
        OverflowError,
        InvalidInput,
    ) as error:
        broken = Outcome(
            executed=Executed.YES,
            scope=Scope.RESPONSE,
            signal="unusable-output",
            error="Sidestep.BadResponse",
            cause=f"the function's answer cannot be kept as JSON ({type(error).__name__})",
        )
        return broken, 0
    if len(written) > limit:
        broken = Outcome(
            executed=Executed.YES,
            scope=Scope.FUNCTION,
            signal="output-too-large",
            error="Sidestep.DataLimitExceeded",
            cause=f"the output has {len(written)} bytes, and a step's output may have {limit}",
        )
        return broken, 0
    return outcome, len(written)
