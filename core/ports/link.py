"""The health link port: what replicas tell one another of the targets, and what outlives them.

A host that processes share carries it between them; within one process it keeps what must survive a restart
(overrides and events). Losing it is no outage: every method may raise StoreUnavailable, and then each replica
decides alone.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from core.failover.breaker import Breaker
from core.failover.health import Place
from core.graph.model import Target

Key = Target | Place
"""What a breaker is about: a function, or a place (a provider and a region)."""


MOST_OVERRIDES = 500
"""How many overrides there may be at once."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one function in one second, by when they were sent: all, those that failed by their provider's
    fault, those that failed by the function's (wrong set-up, unmarked 500, a broken answer).
    """

    calls: int = 0
    failures: int = 0
    faults: int = 0


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker as all replicas know it. `version` grows by one with each change; `by` is the replica."""

    key: Key
    version: int
    breaker: Breaker
    by: str


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said of a provider, for one region or (None) all: DRAINED, FORCED_OPEN or FORCED_CLOSED.
    Times are Unix epoch milliseconds; it holds until `until`.
    """

    provider: str
    state: str
    reason: str
    actor: str
    at: int
    until: int
    region: str | None = None


class HealthEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something that a person may ask about later. `at` is Unix epoch milliseconds.

    `kind` is BREAKER_OPENED, BREAKER_HALF_OPEN, BREAKER_RAMPING, BREAKER_CLOSED, OVERRIDE_SET,
    OVERRIDE_LIFTED, OVERRIDE_EXPIRED, REPLICA_ISOLATED or REPLICA_REJOINED. `function_id` is None where it is
    about the whole provider.
    """

    at: int
    kind: str
    provider: str = ""
    region: str | None = None
    function_id: str | None = None
    why: str = ""
    actor: str = ""
    replica: str = ""


class NumberedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its id: text that grows with time, the cursor of listings."""

    event_id: str
    event: HealthEvent


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """What the others know: the sums of their tallies by second (Unix epoch) and function, for the last
    window; every breaker that is not closed and untouched, and those that were lately; every override that
    holds; how many replicas beat lately, this one included.
    """

    tallies: Mapping[int, Mapping[Target, Tally]] = {}
    breakers: tuple[Kept, ...] = ()
    overrides: tuple[Override, ...] = ()
    replicas: int = 1


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What changed just now at some replica: a breaker, or (all of them, anew) the overrides."""

    breaker: Kept | None = None
    overrides: tuple[Override, ...] | None = None


class HealthLink(Protocol):
    """Carries health between replicas. Open the store first."""

    async def open(self) -> None:
        """Start to listen."""
        ...

    async def close(self) -> None:
        """Stop; a second call does nothing."""
        ...

    def subscribe(self, heard: Callable[[News], None]) -> Callable[[], None]:
        """Hear of what other replicas change, within 100 ms where nothing is broken. Best effort: the next
        beat has it anyway. Returns what ends the subscription.
        """
        ...

    async def beat(self, replica: str, tallies: Mapping[int, Mapping[Target, Tally]], window: int) -> Beat:
        """Say what this replica counted since its last beat (added to what it said of those seconds before;
        what it takes back is negative), and hear of the others' last `window` seconds.

        Where it raises, what was said may have been heard: it is not to be said again.
        """
        ...

    async def move(self, kept: Kept, event: HealthEvent | None) -> Kept:
        """Change a breaker where its version is below `kept.version`, write the event, and tell all.

        A change raises the version by one, so of two replicas that change the same one at once the first
        wins; a replica that went on alone is ahead by more, and wins. What nobody changed for long (a quarter
        of an hour where it is closed and untouched, an hour else) is forgotten, and takes any version.
        Returns what is there afterwards: `kept`, or what won.
        """
        ...

    async def permit(self, key: Key, replica: str, seconds: float) -> bool:
        """Whether `replica` may probe `key` for the next `seconds`: nobody else does. Asked again by the
        replica that has it, it lasts for `seconds` from then.
        """
        ...

    async def give_up(self, key: Key, replica: str) -> None:
        """End a permit before its time; another's is left alone."""
        ...

    async def put_override(self, override: Override, event: HealthEvent) -> tuple[Override, ...]:
        """Set it, durably, in place of one of the same provider and region; returns all that hold now.

        Raises InvalidInput where there are MOST_OVERRIDES of others.
        """
        ...

    async def lift_override(self, provider: str, region: str | None, event: HealthEvent) -> bool:
        """End one, durably; False (and no event) where there was none.

        With an event of kind OVERRIDE_EXPIRED it ends one whose `until` has passed (within a second), and of
        several replicas that say so one is told True; else it ends one that holds.
        """
        ...

    async def note(self, event: HealthEvent) -> None:
        """Keep an event."""
        ...

    async def events(self, before: str | None, limit: int) -> tuple[NumberedEvent, ...]:
        """The newest events below the id `before`, newest first. At least the last 1,000 are kept.

        Raises InvalidInput for a `before` that is no id and a limit that is not 1 to 500.
        """
        ...
