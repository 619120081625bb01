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
from core.failover.outcome import Outcome
from core.failover.settings import FailoverSettings
from core.graph.model import Target
from core.machine.paths import traceparent
from core.ports.clock import Clock
from core.ports.provider import Call, Provider

log = logging.getLogger("sidestep.health")

GRACE = 1.0
"""Seconds after which a probe that ignores its time limit is given up."""

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

    def target(self, watched: Watched, place: PlaceWatch) -> Target | None:
        """What is probed for a key; None where nothing is known of it."""
        if isinstance(watched.key, Target):
            return watched.key
        canary = self._canaries.get(place.provider)
        if canary is not None and place_of(canary) == place.place:
            return canary
        return place.last_target

    async def ask(self, watched: Watched, target: Target) -> Answer | None:
        """Probe; None where this process could not."""
        provider = self._providers.get(target.provider)
        if provider is None:
            return None
        self._probed(target.provider)
        limit = self._settings.probe_timeout_ms
        canary = target == self._canaries.get(target.provider)
        try:
            async with asyncio.timeout(limit / 1000 + GRACE):
                if canary:
                    outcome = await provider.invoke(self._canary(target, limit))
                else:
                    outcome = await provider.probe(target, limit)
        except TimeoutError:
            return Answer(ok=False, why="it did not answer", real=canary)
        except Exception:
            log.exception("the %s adapter raised when it was asked to probe", target.provider)
            return None
        ok = verdict(watched, Against.NOBODY if outcome.ok else against(outcome))
        return None if ok is None else Answer(ok=ok, why=outcome_told(outcome), real=canary)

    def _canary(self, target: Target, limit: int) -> Call:
        key = f"sidestep-canary/{secrets.token_hex(16)}"
        return Call(
            target=target,
            payload=CANARY,
            idempotency_key=key,
            attempt=1,
            timeout_ms=limit,
            not_after_ms=self._clock.now_ms() + limit,
            traceparent=traceparent(key, key, 1),
        )


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
