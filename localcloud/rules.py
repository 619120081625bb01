"""What an outage rule is: its kinds, and what each of them may say. `reading` makes one from JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from localcloud.vendor import FaultOptions

Kind = Literal[
    "refused",
    "dns-nxdomain",
    "dns-timeout",
    "bad-certificate",
    "blackhole",
    "blackhole-after",
    "reply-lost",
    "reset",
    "error",
    "503",
    "throttled",
    "slow",
    "cold-start",
    "expired-credentials",
    "corrupt",
    "truncated",
    "function-raises",
    "function-raises-unmarked",
]
Plane = Literal["invoke", "control", "all"]

KINDS: tuple[Kind, ...] = get_args(Kind)
PLANES: tuple[Plane, ...] = get_args(Plane)

LOOKUPS: tuple[Kind, ...] = ("dns-nxdomain", "dns-timeout")
"""They meet the lookups of a provider's name."""

CUTTING: tuple[Kind, ...] = (*LOOKUPS, "bad-certificate")
"""They meet new connections only, so that they close those which are there (`close_connections`)."""

BEFORE_REQUESTS: tuple[Kind, ...] = ("refused", *CUTTING)
"""They meet no request: what they hit never becomes one."""

FAULTS: tuple[Kind, ...] = ("error", "503", "throttled", "expired-credentials")
"""They are answered with one of the vendor's own errors."""

RAISES: tuple[Kind, ...] = ("function-raises", "function-raises-unmarked")
"""The functions run, and fail by their own error."""

SLOWER: tuple[Kind, ...] = ("slow", "cold-start")
"""They hold a request back and decide nothing: the rules after them are met too."""

BELONGS: Mapping[str, tuple[Kind, ...]] = {
    "name": ("error",),
    "status": ("error",),
    "reason": FAULTS,
    "retry_after": FAULTS,
    "executed": FAULTS,
    "message": FAULTS + RAISES,
    "error": RAISES,
    "delay_ms": SLOWER,
    "ramp_seconds": ("slow",),
    "factor": ("slow",),
    "warm": ("cold-start",),
    "close_connections": CUTTING,
}
"""The options that some kinds have and others do not."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One outage. Times in seconds but `delay_ms`; `flap` is (on, off), beginning with on.

    `plane`: which requests it meets: invocations (default), the management and token plane, or all.
    `ramp_seconds`: a slow rule's delay and factor grow to what they are over this time.
    `factor`: an execution and its answer take so many times as long as without the rule.
    `warm`: how many instances of a function a `cold-start` rule finds there.
    `executed`: the function runs, and its caller gets the vendor's error all the same.
    `error`: the class of what functions raise.
    """

    id: str
    kind: Kind
    percent: float = 100.0
    seed: int = 0
    function: str | None = None
    for_seconds: float | None = None
    flap: tuple[float, float] | None = None
    plane: Plane = "invoke"
    delay_ms: float = 0.0
    ramp_seconds: float = 0.0
    factor: float = 1.0
    warm: int = 0
    close_connections: bool = True
    fault: str | None = None
    executed: bool = False
    error: str | None = None
    options: FaultOptions = field(default_factory=FaultOptions)

    def as_json(self) -> dict[str, Any]:
        """The rule as the control API shows it, without what was not said."""
        shown: dict[str, Any] = {"id": self.id, "kind": self.kind}
        if self.kind != "refused":
            shown["percent"] = self.percent
        if self.kind not in BEFORE_REQUESTS:
            shown["plane"] = self.plane
        if self.percent < 100:  # noqa: PLR2004 - per cent
            shown["seed"] = self.seed
        if self.kind == "slow":
            shown |= {"delay_ms": self.delay_ms, "ramp_seconds": self.ramp_seconds}
            shown |= {"factor": self.factor} if self.factor > 1 else {}
        if self.kind == "cold-start":
            shown |= {"delay_ms": self.delay_ms, "warm": self.warm}
        if self.kind in CUTTING:
            shown["close_connections"] = self.close_connections
        if self.executed:
            shown["executed"] = True
        optional = {
            "function": self.function,
            "for_seconds": self.for_seconds,
            "flap": self.flap,
            "name": self.fault,
            "error": self.error,
            "reason": self.options.reason,
            "retry_after": self.options.retry_after,
            "message": self.options.message,
        }
        return shown | {name: value for name, value in optional.items() if value is not None}
