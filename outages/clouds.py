"""The clouds of the simulator: providers that fail by the same rules as localcloud's, in virtual time.

They answer the provider port, so that the engine itself and the baselines call them alike. A healthy call
takes about as long as one on loopback does; what a failure proves is what the case's spell says.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.graph.model import Target
from core.ports.provider import Call, Provider
from outages.cases import Case, Spell

WORK_SECONDS: Final = 0.006
"""The median of a call on a healthy day; drawn log-normally, so that p99 is about 1.6 times as long."""

_SPREAD: Final = 0.2
_REFUSED_SECONDS: Final = 0.001
_ANSWER_SECONDS: Final = 0.002
_UNREACHED: Final = frozenset({"refused", "dns-nxdomain", "bad-certificate"})
_ANSWERED: Final = frozenset({"error", "503", "throttled", "expired-credentials"})
_SLOWER: Final = frozenset({"slow", "cold-start"})
_TIMEOUT: Final = Outcome(
    executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="timeout", error="Sidestep.Timeout"
)
_NOT_STARTED: Final = Outcome(
    executed=Executed.NO, scope=Scope.PROVIDER, signal="not-started", error="Sidestep.NotStarted"
)


class Clouds:
    """All clouds of a case whose load begins at `loop.time()` 0 and is sent for `seconds`.

    `ran` is the ledger: who ran each idempotency key.
    """

    def __init__(self, case: Case, seconds: float, seed: int) -> None:
        self.ran: dict[str, list[tuple[str, int]]] = {}
        self.providers: Mapping[str, Provider] = {
            name: Cloud(name, case, seconds, self, random.Random(f"{seed}-{name}"))  # noqa: S311 - no secret
            for name in ("AWS", "GCP", "AZURE")
        }


class Cloud(Provider):
    """One provider."""

    def __init__(self, name: str, case: Case, seconds: float, clouds: Clouds, chance: random.Random) -> None:
        self.name = name
        self._spells = [one for one in case.spells if one.provider == name]
        self._seconds = seconds
        self._clouds = clouds
        self._chance = chance
        self._busy: Counter[str] = Counter()
        self._instances: dict[str, int] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    def check(self, target: Target) -> str | None:  # noqa: ARG002 - every target is known here
        """Every target can be called."""
        return None

    async def prepare(self, targets: tuple[Target, ...]) -> None:
        """Nothing to prepare."""

    async def invoke(self, call: Call) -> Outcome:
        """As the port says."""
        function = call.target.function_id
        self._busy[function] += 1
        try:
            async with asyncio.timeout(call.timeout_ms / 1000):
                return await self._answer(call, function)
        except TimeoutError:
            return _TIMEOUT
        finally:
            self._busy[function] -= 1

    async def poll(self, target: Target, location: str, timeout_ms: int) -> Outcome:  # noqa: ARG002 - see below
        """Nothing is ever only accepted here."""
        return Outcome(executed=Executed.NO, scope=Scope.PROVIDER, signal="no-poll")

    async def probe(self, target: Target, timeout_ms: int) -> Outcome:
        """Whether a connection comes about; what runs behind it is not asked."""
        met = next((one for one in self._spells if self._on(one) and one.kind in _UNREACHED), None)
        await asyncio.sleep(min(_REFUSED_SECONDS, timeout_ms / 1000))
        if met is not None:
            return _failed(met)
        hole = next((one for one in self._spells if self._on(one) and one.kind == "blackhole"), None)
        if hole is not None and hole.options.get("function") in {None, target.function_id}:
            await asyncio.sleep(timeout_ms / 1000)
            return Outcome(executed=Executed.NO, scope=Scope.PROVIDER, signal="timeout")
        return Outcome(executed=Executed.NO, ok=True)

    async def _answer(self, call: Call, function: str) -> Outcome:
        spell, delay, factor = self._met(function)
        if spell is not None and spell.kind in _UNREACHED:
            await asyncio.sleep(_REFUSED_SECONDS)
            return _failed(spell)
        await asyncio.sleep(delay)
        if spell is not None and spell.kind in _ANSWERED:
            await asyncio.sleep(_ANSWER_SECONDS)
            return _failed(spell)
        if spell is not None and spell.kind == "reset":
            return _failed(spell)
        if spell is not None and spell.kind == "blackhole":
            await _never()
        return await self._ran(call, function, spell, factor)

    async def _ran(self, call: Call, function: str, spell: Spell | None, factor: float) -> Outcome:
        if _now_ms() > call.not_after_ms:
            return _NOT_STARTED
        ledger = self._clouds.ran.setdefault(call.idempotency_key, [])
        ledger.append((self.name, call.attempt))
        await asyncio.sleep(factor * WORK_SECONDS * self._chance.lognormvariate(0.0, _SPREAD))
        if spell is not None and spell.kind == "blackhole-after":
            await _never()
        if spell is not None:
            return _failed(spell)
        if function.startswith("buggy"):
            return Outcome(
                executed=Executed.YES, scope=Scope.FUNCTION, signal="function-error", error="ValueError"
            )
        return succeeded({"ranOn": self.name})

    def _met(self, function: str) -> tuple[Spell | None, float, float]:
        """The spell that decides, and how much the slow ones before it add and multiply."""
        delay, factor = 0.0, 1.0
        for spell in self._spells:
            options = spell.options
            if not self._on(spell) or options.get("function") not in {None, function}:
                continue
            if self._chance.random() * 100 >= float(options.get("percent", 100)):
                continue
            if spell.kind not in _SLOWER:
                return spell, delay, factor
            more, times = self._slower(spell, function)
            delay, factor = delay + more, factor * times
        return None, delay, factor

    def _slower(self, spell: Spell, function: str) -> tuple[float, float]:
        options = spell.options
        delay = float(options.get("delay_ms", 0)) / 1000
        if spell.kind == "cold-start":
            there = self._instances.setdefault(function, int(options.get("warm", 0)))
            if self._busy[function] <= there:
                return 0.0, 1.0
            self._instances[function] = there + 1
            return delay, 1.0
        ramp = float(options.get("ramp_seconds", 0))
        grown = 1.0 if ramp <= 0 else min(1.0, (_time() - spell.begin * self._seconds) / ramp)
        return delay * grown, 1.0 + (float(options.get("factor", 1)) - 1.0) * grown

    def _on(self, spell: Spell) -> bool:
        now = _time()
        begin, end = spell.begin * self._seconds, spell.end * self._seconds
        if not begin <= now < end:
            return False
        flap: Any = spell.options.get("flap")
        return flap is None or (now - begin) % (flap[0] + flap[1]) < flap[0]


def _failed(spell: Spell) -> Outcome:
    """What a call proves that a spell met."""
    return Outcome(
        executed=spell.executed,
        scope=spell.scope,
        signal=spell.kind,
        error=f"Simulated.{spell.kind}",
        retry_here=spell.again,
    )


async def _never() -> None:
    """Wait until the caller's time is over."""
    await asyncio.get_running_loop().create_future()


def _time() -> float:
    return asyncio.get_running_loop().time()


def _now_ms() -> float:
    return EPOCH_MS + _time() * 1000


EPOCH_MS: Final = 1_760_000_000_000
"""The instant at which a simulated load begins."""
