"""What a vendor's front must offer so that `wire` can carry its requests and its outages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from localcloud.executor import Call, Executor, Reply

ProviderName = Literal["AWS", "GCP", "AZURE"]
PROVIDERS: tuple[ProviderName, ...] = ("AWS", "GCP", "AZURE")


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """What a rule says of a vendor's error beyond its name."""

    message: str | None = None
    reason: str | None = None
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Faults:
    """A vendor's errors by name.

    `statuses`: name to HTTP status. `by_status`: which name stands for a bare status. `unavailable`,
    `throttled` and `expired` are the names behind the kinds `503`, `throttled` and `expired-credentials`.
    `marks_errors`: the platform itself marks every error of a function, so that none goes unmarked.
    """

    statuses: Mapping[str, int]
    by_status: Mapping[int, str]
    unavailable: str
    throttled: str
    expired: str
    reasons: tuple[str, ...] = ()
    marks_errors: bool = False


class Vendor(Protocol):
    """One provider's front. `answer` never raises for what a caller or a function did."""

    @property
    def provider(self) -> ProviderName:
        """Its name."""

    @property
    def executor(self) -> Executor:
        """Where its functions run."""

    @property
    def faults(self) -> Faults:
        """Its errors by name."""

    @property
    def max_body(self) -> int:
        """The largest request body, in bytes."""

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions that it has."""

    def function_of(self, call: Call) -> str | None:
        """The function that a request invokes; None for a request of its management or token plane.

        Empty for a call that invokes none and yet belongs to the plane of invocations.
        """

    async def answer(self, call: Call) -> Reply:
        """Authenticate, route, run, answer."""

    def fault(self, name: str, options: FaultOptions) -> Reply:
        """One of its errors (a name of `faults.statuses`) in its own words."""

    async def stop(self, grace: float) -> None:
        """End its threads, waiting at most `grace` seconds for functions that still run."""

    def too_large(self) -> Reply:
        """Its answer to a body over `max_body`."""
