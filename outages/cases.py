"""What a case of the matrix is, as data that the wire and the simulator read alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

from core.failover.outcome import Executed, Scope

Sort = Literal["outage", "healthy day", "replay"]

BEGIN: Final = 0.4
END: Final = 0.8
"""Which part of the load's time an outage takes, where a case does not say otherwise."""


class Promise(StrEnum):
    """What must hold in a case. The values stand in the report where one is broken.

    In every case besides: nothing acknowledged is lost, and no `atMostOnce` step runs twice.
    """

    COMPLETE = "every execution completes; parked atMostOnce steps are counted apart"
    OPENS_FAST = "the breaker opens in less than a second"
    CHEAP = "with the breaker open an execution costs less than 5 ms more (median)"
    FEW_MOVES = "there are three moves at most"
    QUIET = "nothing opens"
    PLACES_QUIET = "no provider's breaker opens"
    NO_SIDESTEPS = "nothing is sidestepped"
    ONE_FUNCTION = "one function moves, and no other"
    OTHERS_KNOW = "no replica calls a cloud that was found dead more than 200 ms before"
    FEW_STUCK = "ten times fewer calls are stuck than with a breaker on five consecutive failures"
    AS_TOLD = "what the attempts proved is what the table of outcomes says"


class Act(StrEnum):
    """What is done to Sidestep's own processes."""

    KILL_SERVER = "kill -9 the server, and start it again"
    STOP_REPLICA = "SIGSTOP the second replica, SIGCONT"
    CUT_STORE = "the second replica loses the store"
    CUT_WAY_OUT = "the second replica loses every cloud"


@dataclass(frozen=True, slots=True)
class Spell:
    """One provider fails for a while, from `begin` to `end` (shares of the load's time).

    `kind` and `options` are a rule of localcloud's. `executed` and `scope` are what a call that it meets
    proves by the table of outcomes, `again` whether it asks for one more try at the same target.
    """

    provider: str
    kind: str
    begin: float = BEGIN
    end: float = END
    options: Mapping[str, Any] = field(default_factory=dict)
    executed: Executed = Executed.NO
    scope: Scope = Scope.PROVIDER
    again: bool = False


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done to a process of Sidestep's, from `begin` to `end` (shares of the load's time)."""

    act: Act
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `primary` is the provider that every step calls first; the others are its fallbacks.

    `seconds`: how long load is sent where the case needs a time of its own. `settings` are variables of the
    server's environment. `swaps` puts another function in a function's place. `on_function_error` lets the
    steps fail over on functions' own errors. `tls`: the clouds are called over TLS, `names`: by
    names, not addresses.
    """

    name: str
    title: str
    sort: Sort
    promises: frozenset[Promise]
    spells: tuple[Spell, ...] = ()
    deeds: tuple[Deed, ...] = ()
    primary: str = "AWS"
    replicas: int = 1
    seconds: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    swaps: Mapping[str, str] = field(default_factory=dict)
    on_function_error: bool = False
    tls: bool = False
    names: bool = False

    @property
    def onset(self) -> float:
        """When the first thing goes wrong, as a share of the load's time."""
        return min((*(one.begin for one in self.spells), *(one.begin for one in self.deeds)), default=BEGIN)

    @property
    def dark(self) -> float:
        """When the first cloud fails, as a share of the load's time; the onset where none does."""
        return min((one.begin for one in self.spells), default=self.onset)

    @property
    def over(self) -> float:
        """When the last thing is well again, as a share of the load's time."""
        return max((*(one.end for one in self.spells), *(one.end for one in self.deeds)), default=END)

    @property
    def only_wire(self) -> bool:
        """Whether it is about processes of Sidestep's own, of which the simulator has none."""
        return bool(self.deeds) or self.replicas > 1

    @property
    def dead(self) -> frozenset[str]:
        """The providers that fail."""
        return frozenset(one.provider for one in self.spells)
