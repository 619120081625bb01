"""Asks one target, once, whether it is well: its provider's cheapest call, or a canary that really runs."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping

import msgspec

from core.engine.health.places import PlaceWatch
from core.engine.health.watched import Watched
from core.failover.evidence import Against, against
from core.failover.health import place_of
from core.failover.outcome import Executed, Outcome, Scope
from core.failover.settings import FailoverSettings
from core.graph.model import Target
from core.machine.paths import trace_of, traceparent
from core.ports.clock import Clock
from core.ports.provider import Call, Provider

log = logging.getLogger("sidestep.health")

GRACE = 1.0
"""Seconds after which a probe that ignores its time limit is given up."""

WARN_EVERY = 60.0
"""Seconds between two warnings of the same canary."""

CANARY = {"sidestep": "canary"}
"""What a canary function is called with."""


class Answer(msgspec.Struct, frozen=True):
    """What a probe showed. `real` says that the function ran."""

    ok: bool
    why: str
    real: bool


class Asking:
    """`probed` is told of each probe that goes out, by its provider's name."""

    def __init__(
        self,
        clock: Clock,
        settings: FailoverSettings,
        providers: Mapping[str, Provider],
        canaries: Mapping[str, Target],
        probed: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._providers = providers
        self._canaries = canaries
        self._probed = probed
        self._warned: dict[str, float] = {}

    def target(self, watched: Watched, place: PlaceWatch) -> Target | None:
        """What is probed for a key; None where nothing is known of it."""
        if isinstance(watched.key, Target):
            return watched.key
        canary = self._canaries.get(place.provider)
        if canary is not None and place_of(canary) == place.place:
            return canary
        return place.last_target

    def seconds(self, target: Target | None) -> float:
        """How long `ask` takes at most: a canary may have to be followed by the cheapest call."""
        one = self._settings.probe_timeout_ms / 1000 + GRACE
        return 2 * one if target is not None and self._is_canary(target) else one

    async def ask(self, watched: Watched, target: Target) -> Answer | None:
        """Probe; None where this process could not, or what it saw says nothing.

        A canary that cannot be called as it is set (not deployed, refused credentials, misconfigured) says
        nothing of its place: then the cheapest call decides, as where none is set.
        """
        canary = self._is_canary(target)
        outcome = await self._outcome(target, canary=canary)
        if outcome is None:
            return None
        proof = _proof(outcome)
        if canary and proof is Against.FUNCTION and isinstance(watched, PlaceWatch):
            self._warn(target, outcome)
            if watched.last_target is None:
                return None
            canary = False
            outcome = await self._outcome(watched.last_target, canary=False)
            if outcome is None:
                return None
            proof = _proof(outcome)
        ok = verdict(watched, proof)
        return None if ok is None else Answer(ok=ok, why=outcome_told(outcome), real=canary)

    async def reach(self, watched: Watched, target: Target) -> Answer | None:
        """Make the cheapest call, even of a canary; None where it says nothing."""
        outcome = await self._outcome(target, canary=False)
        ok = None if outcome is None else verdict(watched, _proof(outcome))
        return None if outcome is None or ok is None else Answer(ok=ok, why=outcome_told(outcome), real=False)

    async def _outcome(self, target: Target, *, canary: bool) -> Outcome | None:
        """What one probe came to; None where none went out or its adapter raised."""
        provider = self._providers.get(target.provider)
        if provider is None:
            return None
        self._probed(target.provider)
        limit = self._settings.probe_timeout_ms
        try:
            async with asyncio.timeout(limit / 1000 + GRACE):
                if canary:
                    return await provider.invoke(self._canary(target, limit))
                return await provider.probe(target, limit)
        except TimeoutError:
            return _SILENT
        except Exception:
            log.exception("the %s adapter raised when it was asked to probe", target.provider)
            return None

    def _is_canary(self, target: Target) -> bool:
        return target == self._canaries.get(target.provider)

    def _warn(self, canary: Target, outcome: Outcome) -> None:
        now = self._clock.monotonic()
        warned = self._warned.get(canary.provider)
        if warned is not None and now - warned < WARN_EVERY:
            return
        self._warned[canary.provider] = now
        log.warning(
            "%s: the canary function says nothing of its place (%s); the cheapest call decides instead. "
            "Mend the function, or SIDESTEP_PROVIDERS__%s__CANARY.",
            canary.provider,
            outcome_told(outcome),
            canary.provider,
        )

    def _canary(self, target: Target, limit: int) -> Call:
        key = f"sidestep-canary/{secrets.token_hex(16)}"
        return Call(
            target=target,
            payload=CANARY,
            idempotency_key=key,
            attempt=1,
            timeout_ms=limit,
            not_after_ms=self._clock.now_ms() + limit,
            traceparent=traceparent(trace_of(key), key, 1),
        )


_SILENT = Outcome(
    executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="read-timeout", error="it did not answer"
)
"""Of a probe that ignores its time limit."""


def _proof(outcome: Outcome) -> Against:
    return Against.NOBODY if outcome.ok else against(outcome)


def verdict(watched: Watched, proof: Against) -> bool | None:
    """What an outcome says of a key: it is well, it is not, or (None) nothing."""
    match proof:
        case Against.NOBODY:
            return True
        case Against.PROVIDER:
            return False
        case Against.FUNCTION:
            return not isinstance(watched.key, Target)
        case Against.SATURATION:
            return None if isinstance(watched.key, Target) else True
        case _:
            return None


def outcome_told(outcome: Outcome) -> str:
    """An outcome in a few words, without what the vendor said."""
    return outcome.error or outcome.signal
