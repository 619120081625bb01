"""Whether this replica is cut off: calls that fail at two providers at once speak of the way out of here.

Such a replica opens nothing and tells nothing of what it counts; targets of the providers that fail for it
are called throttled (fail static) where nothing else is left. A truly double outage looks the same from one
replica and is handled the same.

Where other replicas are heard, it is `cut_off`: they can do what this one cannot. So it takes no work, calls
nothing at the providers that fail, and asks them itself, with probes, whether it is over.

Two signs speak against it: a third provider that answers calls sent after the failures began (the way out is
fine, so both are really down), and failures that only other replicas counted.
"""

from core.engine.health.places import PlaceWatch
from core.engine.health.register import Register
from core.engine.health.watched import LETS_THROUGH
from core.failover.breaker import breach
from core.failover.settings import FailoverSettings

AT_ONCE_MS = 2_000
"""An opening of one provider this short before the breach of a second one belongs to the same event."""

ASK_MS = 1_000
"""How often a replica that is cut off asks whether it is over."""

RELAPSE_MS = 10_000
"""A replica that is isolated again so soon after a probe said that it was over was told wrong: a front door
may answer while calls vanish. Each time it then waits twice as long before it asks again,
"""

ASK_LONGEST_MS = 30_000
"""but never longer than this: that calls work is only known once work is tried."""


class Isolation:
    """`since` is when it began (Unix epoch, milliseconds; None: it is not), `providers` those that fail.

    `others` says whether other replicas are heard, `ask_at` when to ask next whether it is over.
    """

    def __init__(self, register: Register, settings: FailoverSettings) -> None:
        self._register = register
        self._settings = settings
        self.since: int | None = None
        self.providers: tuple[str, ...] = ()
        self.others = False
        self.ask_at = 0
        self._pause = ASK_MS
        self._mute = False
        self._believed_at: int | None = None

    @property
    def cut_off(self) -> bool:
        """Whether work is better left to the other replicas: they are heard, and this one can find out by
        itself when it is over.
        """
        return self.asking and not self._mute

    @property
    def asking(self) -> bool:
        """Whether it has to find out by itself when it is over."""
        return self.since is not None and self.others

    @property
    def told(self) -> str | None:
        """Why this replica takes itself for cut off; None where it does not."""
        if self.since is None:
            return None
        return f"calls fail at {' and '.join(self.providers)} at once: this replica seems to be cut off"

    def why(self, provider: str) -> str | None:
        """The same, where it concerns this provider."""
        return self.told if provider in self.providers else None

    def with_others(
        self, place: PlaceWatch, now: int, silent: tuple[PlaceWatch, ...] = ()
    ) -> tuple[str, ...]:
        """Which providers fail together with this one, whose place is about to be opened, so that this
        replica must be cut off; none where it is not. `silent` are places that were asked just now, and did
        not answer.
        """
        if not (place.streak.length or place.late or place.hang.failed):
            return ()
        rivals = [
            other
            for other in self._register.places.values()
            if other.provider != place.provider and (other in silent or self._fails(other, now))
        ]
        if not rivals or self._answered(place, rivals):
            return ()
        return tuple(dict.fromkeys(one.provider for one in (place, *rivals)))

    def begin(self, providers: tuple[str, ...], now: int) -> None:
        """It is cut off."""
        self.since = now
        self.providers = providers
        self._mute = False
        relapse = self._believed_at is not None and now - self._believed_at <= RELAPSE_MS
        self._pause = min(ASK_LONGEST_MS, 2 * self._pause) if relapse else ASK_MS
        self.ask_at = now + self._pause

    def add(self, provider: str) -> None:
        """Another provider fails as well."""
        if provider not in self.providers:
            self.providers = (*self.providers, provider)

    def over(self, sent_ms: int) -> bool:
        """A call that was sent then was answered by its place: whether that ends it."""
        return self.since is not None and sent_ms >= self.since

    def asks(self, now: int) -> None:
        """A round of probes begins."""
        self.ask_at = now + self._pause

    def asked(self, began: int | None, providers: set[str]) -> bool:
        """A round of probes ended, of an isolation that `began` then; these `providers` could be asked. Says
        whether `cut_off` changes with that: where one that fails cannot be asked, calls have to find out.
        """
        if self.since is None or self.since != began:
            return False
        before, self._mute = self._mute, not providers.issuperset(self.providers)
        return self._mute != before

    def end(self, now: int, *, by_probe: bool) -> None:
        """It is not cut off any more."""
        self.since = None
        self.providers = ()
        self._believed_at = now if by_probe else None

    def _fails(self, place: PlaceWatch, now: int) -> bool:
        """Whether this replica's own calls fail there, as of now or of a moment ago.

        Many in a row are enough, whichever functions they were of: calls that are cut off are those of the
        few functions that workflows begin with.
        """
        row = place.streak.length + sum(len(function.late) for function in place.late)
        if not (row or place.hang.failed >= self._settings.hang_probes):
            return False
        lately = now - place.called_at <= 1_000 * self._settings.window_seconds
        if row >= self._settings.consecutive and lately and place.breaker.phase in LETS_THROUGH:
            return True
        opened = place.opened_here
        if opened is not None and now - opened <= AT_ONCE_MS:
            return True
        return (
            place.breaker.phase in LETS_THROUGH
            and breach(place.counts(now, thorough=True), self._settings) is not None
        )

    def _answered(self, place: PlaceWatch, rivals: list[PlaceWatch]) -> bool:
        """Whether another provider answered a call that was sent after all these began to fail."""
        failing = {place.provider, *(one.provider for one in rivals)}
        began = max(one.failing_since for one in (place, *rivals))
        return any(
            other.streak.newest_success is not None and other.streak.newest_success > began
            for other in self._register.places.values()
            if other.provider not in failing
        )
