"""What is known about the targets when a decision is made, as a value."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from core.failover.roles import HEDGE, PROBE, STATIC
from core.graph.model import Target

DRAINED = "DRAINED"
FORCED_OPEN = "FORCED_OPEN"
FORCED_CLOSED = "FORCED_CLOSED"
"""How a person overrides a breaker: no new calls (it is well, but shall rest); take it as dead; take it as
well.
"""

OVERRIDES = (DRAINED, FORCED_OPEN, FORCED_CLOSED)

Place = tuple[str, str | None]
"""A provider and a region (None: the one of the settings): what a provider's breaker is about."""


def place_of(target: Target) -> Place:
    """The place of a target."""
    return target.provider, target.region


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one target now.

    `state` is its override, or the worse of its provider's and its own breaker (CLOSED, SUSPECT, OPEN,
    HALF_OPEN, RAMPING), `why` tells it in words for the journal, `share` is what a RAMPING one may get.
    `probe` says that a HALF_OPEN one may get one call now, as a probe. `p95_ms`, `p99_ms` and `overdue_ms`
    are of its function's answers; None where too few are known. `room` is how many more sidestepped calls it
    may get at once (None: any number), `static_room` the same for calls that it gets although it is known to
    fail. `retry` says whether the engine's budget allows another try at the same provider.
    """

    state: str = "CLOSED"
    why: str = ""
    share: float = 1.0
    probe: bool = False
    p95_ms: float | None = None
    p99_ms: float | None = None
    overdue_ms: float | None = None
    room: int | None = None
    static_room: int = 1
    retry: bool = True


WELL = Standing()
"""Nothing is known against it."""


class Health(msgspec.Struct, frozen=True):
    """What a decision knows of the targets.

    `refused` says why a provider cannot be called at all, by its name. Of a function that `functions` does
    not know, its place's standing holds, and of a place that `places` does not know, that of its provider in
    `providers` (a person's word for all regions). `hedges` says whether the budget allows another hedge,
    `rehearse` is the share of `pure` steps that go to their fallback though all is well. `spent` holds the
    standings that calls decided in the same breath have changed. `reserve_share` and `reserve_factor` are the
    settings' of the same name.
    """

    refused: Mapping[str, str] = {}
    functions: Mapping[Target, Standing] = {}
    places: Mapping[Place, Standing] = {}
    hedges: bool = True
    rehearse: float = 0.0
    spent: Mapping[Target, Standing] = {}
    reserve_share: float = 0.4
    reserve_factor: float = 2.0
    providers: Mapping[str, Standing] = {}

    def refusal(self, target: Target) -> str | None:
        """Why this target cannot be called at all, in a few words; None where it can."""
        return self.refused.get(target.provider)

    def of(self, target: Target) -> Standing:
        """How a target stands."""
        standing = self.functions.get(target)
        if self.spent:
            standing = self.spent.get(target) or standing
        if standing is not None:
            return standing
        return self.places.get(place_of(target)) or self.providers.get(target.provider, WELL)

    def is_plain(self, target: Target) -> bool:
        """True where a primary may be called as if nothing were known of anything."""
        return self.of(target).state == "CLOSED" and target.provider not in self.refused

    def after(self, target: Target, role: str) -> "Health":
        """What is left for further calls of the same decision once one of `target` in `role` is decided.

        A probe's permit and room are gone; whether the hedge budget bears a second one is not known, so it is
        taken as spent. A plain call takes nothing.
        """
        standing = self.of(target)
        if not role and not standing.probe:
            return self
        limited = standing.room is not None or role in {PROBE, STATIC}
        if not limited and role != HEDGE:
            return self
        left = replace(
            standing,
            probe=False,
            room=standing.room - 1 if standing.room is not None and role else standing.room,
            static_room=standing.static_room - (role == STATIC),
        )
        spent = {**self.spent, target: left} if limited else self.spent
        return replace(self, spent=spent, hedges=self.hedges and role != HEDGE)


ALL_WELL = Health()
"""Nothing is known against any target."""
