"""What people said of providers, as long as it holds."""

from collections.abc import Mapping

from core.errors import InvalidInput
from core.failover.health import OVERRIDES, Place
from core.graph.model import PROVIDERS
from core.ports.link import Override

LONGEST_MS = 7 * 86_400_000
"""No override holds longer: one that is forgotten must not outlive the reason for it by months."""

LONGEST_TEXT = 1_000


def checked(override: Override) -> Override:
    """The same. Raises InvalidInput where it names nothing there is, gives no reason, or ends too late."""
    if override.provider not in PROVIDERS:
        raise InvalidInput(f"There is no such provider; there are {', '.join(PROVIDERS)}.")
    if override.state not in OVERRIDES:
        raise InvalidInput(f"An override's state is one of {', '.join(OVERRIDES)}.")
    if not override.reason.strip():
        raise InvalidInput("An override needs a reason.")
    if max(len(override.reason), len(override.actor), len(override.region or "")) > LONGEST_TEXT:
        raise InvalidInput(f"An override's texts have {LONGEST_TEXT} characters at most.")
    if not 0 < override.until - override.at <= LONGEST_MS:
        raise InvalidInput("An override ends within seven days from now.")
    return override


class Overrides:
    """The overrides that hold, by provider and region (None: every region).

    `homes` are the regions of the settings, by provider: what is said of such a region holds for targets that
    name none as well, since that is where they run.
    """

    def __init__(self, homes: Mapping[str, str] | None = None) -> None:
        self._homes = dict(homes or {})
        self._held: dict[Place, Override] = {}
        self._next = 0

    def replace(self, overrides: tuple[Override, ...], now: int) -> set[str]:
        """Take these for all that there are, but for what has expired; returns the providers concerned."""
        fresh = {(one.provider, one.region): one for one in overrides if one.until > now}
        if fresh == self._held:
            return set()
        changed = {
            key[0] for key in fresh.keys() | self._held.keys() if fresh.get(key) != self._held.get(key)
        }
        self._held = fresh
        self._note_next()
        return changed

    def drop(self, provider: str, region: str | None) -> None:
        """One is lifted."""
        self._held.pop((provider, region), None)
        self._note_next()

    def expired(self, now: int) -> list[Override]:
        """Take out and return those whose time is over."""
        if not self._next or now < self._next:
            return []
        over = [one for one in self._held.values() if one.until <= now]
        for one in over:
            del self._held[one.provider, one.region]
        self._note_next()
        return over

    def of(self, place: Place) -> Override | None:
        """What holds for a place: what was said of its region goes before what was said of all."""
        if not self._held:
            return None
        provider, region = place
        named = self._held.get((provider, region or self._homes.get(provider)))
        return named or self.of_all(provider)

    def of_all(self, provider: str) -> Override | None:
        """What holds for all regions of a provider."""
        return self._held.get((provider, None))

    def places(self, override: Override) -> tuple[Place, ...]:
        """The places that an override names: none where it is for all regions."""
        provider, region = override.provider, override.region
        if region is None:
            return ()
        home = ((provider, None),) if self._homes.get(provider) == region else ()
        return (*home, (provider, region))

    def of_provider(self, provider: str) -> tuple[Override, ...]:
        """All that hold for regions of this provider, the one for all first."""
        found = [one for one in self._held.values() if one.provider == provider]
        return tuple(sorted(found, key=lambda one: one.region or ""))

    def _note_next(self) -> None:
        self._next = min((one.until for one in self._held.values()), default=0)
