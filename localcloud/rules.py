"""What an outage rule may say, and every problem of one that may not stand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from localcloud.vendor import FaultOptions, Faults

Kind = Literal[
    "refused",
    "blackhole",
    "blackhole-after",
    "reply-lost",
    "reset",
    "error",
    "503",
    "throttled",
    "slow",
    "expired-credentials",
    "corrupt",
    "truncated",
]
Plane = Literal["invoke", "control", "all"]

KINDS: tuple[Kind, ...] = get_args(Kind)
_PLANES: tuple[Plane, ...] = get_args(Plane)
_OPTIONS = (
    "id", "kind", "percent", "seed", "function", "for_seconds", "flap", "plane",
    "delay_ms", "ramp_seconds", "name", "status", "reason", "retry_after", "message",
)  # fmt: skip
_NAMES_A_FAULT = ("error", "503", "throttled", "expired-credentials")
_MAX_SECONDS = 86_400.0
_MAX_DELAY_MS = 600_000.0
_MAX_TEXT = 1_000
_ID = re.compile(r"[A-Za-z0-9._:\-]{1,200}")


class InvalidRuleError(ValueError):
    """A rule that cannot stand. `problems` lists every reason, a sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Rule:
    """One outage. Times in seconds but `delay_ms`; `flap` is (on, off), beginning with on.

    `plane`: which requests it meets: invocations (default), the management and token plane, or all.
    `ramp_seconds`: a slow rule's delay grows to `delay_ms` over this time.
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
    fault: str | None = None
    options: FaultOptions = field(default_factory=FaultOptions)

    def as_json(self) -> dict[str, Any]:
        """The rule as the control API shows it, without what was not said."""
        shown: dict[str, Any] = {"id": self.id, "kind": self.kind}
        if self.kind != "refused":
            shown |= {"percent": self.percent, "plane": self.plane}
        if self.percent < 100:  # noqa: PLR2004 - per cent
            shown["seed"] = self.seed
        if self.kind == "slow":
            shown |= {"delay_ms": self.delay_ms, "ramp_seconds": self.ramp_seconds}
        optional = {
            "function": self.function,
            "for_seconds": self.for_seconds,
            "flap": self.flap,
            "name": self.fault,
            "reason": self.options.reason,
            "retry_after": self.options.retry_after,
            "message": self.options.message,
        }
        return shown | {name: value for name, value in optional.items() if value is not None}


def parse(body: object, faults: Faults) -> Rule:
    """Read a rule from a JSON value; `faults` are its provider's. Raises InvalidRuleError."""
    if not isinstance(body, dict):
        raise InvalidRuleError(['the body must be a JSON object such as {"kind": "refused"}'])
    return _Reader(body, faults).rule()


class _Reader:
    """Collects every problem of one body."""

    def __init__(self, body: Mapping[str, Any], faults: Faults) -> None:
        self._body = body
        self._faults = faults
        self._problems: list[str] = []

    def rule(self) -> Rule:
        unknown = sorted(set(self._body) - set(_OPTIONS))
        if unknown:
            self._problem(f"unknown: {', '.join(unknown)[:_MAX_TEXT]}; known are {', '.join(_OPTIONS)}")
        kind = self._kind()
        percent = self._number("percent", 100.0, 0, 100)
        seed = self._number("seed", 0, 0, 2**53)
        function = self._text("function")
        plane = self._body.get("plane", "invoke")
        if plane not in _PLANES:
            self._problem(f"plane must be one of {', '.join(_PLANES)}")
        if function is not None and plane == "control":
            self._problem("plane 'control' meets no function; leave out function or plane")
        for_seconds = self._number("for_seconds", None, 0.001, _MAX_SECONDS)
        flap = self._flap()
        delay_ms, ramp_seconds = self._slowness(kind)
        fault = self._fault(kind)
        options = FaultOptions(
            message=self._text("message"), reason=self._reason(fault), retry_after=self._retry_after()
        )
        self._only_for("name", kind, ("error",))
        self._only_for("status", kind, ("error",))
        for name in ("reason", "retry_after", "message"):
            self._only_for(name, kind, _NAMES_A_FAULT)
        if kind == "refused":
            for name in ("function", "percent", "plane"):
                if name in self._body:
                    self._problem(
                        f"refused closes the provider's socket, which knows neither functions nor shares of "
                        f"calls: leave out {name}, or use reset"
                    )
        default_id = ":".join(part for part in (kind, fault if kind == "error" else None, function) if part)
        rule_id = self._text("id") or default_id
        if not _ID.fullmatch(rule_id):
            self._problem("id must be 1 to 200 letters, digits or . _ : -")
        if self._problems or kind is None or percent is None:
            raise InvalidRuleError(self._problems)
        return Rule(
            id=rule_id,
            kind=kind,
            percent=percent,
            seed=int(seed or 0),
            function=function,
            for_seconds=for_seconds,
            flap=flap,
            plane=cast("Plane", plane),
            delay_ms=delay_ms,
            ramp_seconds=ramp_seconds,
            fault=fault,
            options=options,
        )

    def _problem(self, sentence: str) -> None:
        self._problems.append(sentence)

    def _kind(self) -> Kind | None:
        kind = self._body.get("kind")
        if kind not in KINDS:
            self._problem(f"kind must be one of {', '.join(KINDS)}")
            return None
        return cast("Kind", kind)

    def _number(self, name: str, default: float | None, low: float, high: float) -> float | None:
        value = self._body.get(name, default)
        if value is None and name not in self._body:
            return None
        # `low <= value <= high` is false for NaN too.
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self._problem(f"{name} must be a number from {low:g} to {high:g}")
            return default
        return float(value)

    def _text(self, name: str) -> str | None:
        value = self._body.get(name)
        if name not in self._body:
            return None
        if not isinstance(value, str) or not 1 <= len(value) <= _MAX_TEXT or not value.isprintable():
            self._problem(f"{name} must be a printable string of 1 to {_MAX_TEXT} characters")
            return None
        return value

    def _flap(self) -> tuple[float, float] | None:
        if "flap" not in self._body:
            return None
        match self._body["flap"]:
            case [int() | float() as on, int() | float() as off] if (
                not isinstance(on, bool)
                and not isinstance(off, bool)
                and all(0.01 <= part <= _MAX_SECONDS for part in (on, off))  # noqa: PLR2004 - 10 ms
            ):
                return float(on), float(off)
            case _:
                self._problem("flap must be [seconds on, seconds off], each 0.01 to 86400")
                return None

    def _slowness(self, kind: Kind | None) -> tuple[float, float]:
        self._only_for("delay_ms", kind, ("slow",))
        self._only_for("ramp_seconds", kind, ("slow",))
        if kind != "slow":
            return 0.0, 0.0
        if "delay_ms" not in self._body:
            self._problem("slow needs delay_ms, how long an execution is held back")
            return 0.0, 0.0
        delay = self._number("delay_ms", 0.0, 0, _MAX_DELAY_MS) or 0.0
        return delay, self._number("ramp_seconds", 0.0, 0, _MAX_SECONDS) or 0.0

    def _fault(self, kind: Kind | None) -> str | None:
        match kind:
            case "503":
                return self._faults.unavailable
            case "throttled":
                return self._faults.throttled
            case "expired-credentials":
                return self._faults.expired
            case "error":
                return self._named_fault()
            case _:
                return None

    def _named_fault(self) -> str | None:
        name, status = self._body.get("name"), self._body.get("status")
        if name is not None:
            if not isinstance(name, str) or name not in self._faults.statuses:
                self._problem(f"name must be one of {', '.join(sorted(self._faults.statuses))}")
                return None
            if status is not None and status != self._faults.statuses[name]:
                self._problem(f"{name} has status {self._faults.statuses[name]}; leave out status")
            return name
        if isinstance(status, int) and status in self._faults.by_status:
            return self._faults.by_status[status]
        known = ", ".join(str(code) for code in sorted(self._faults.by_status))
        self._problem(
            f"error needs a name ({', '.join(sorted(self._faults.statuses))}) or a status ({known})"
        )
        return None

    def _reason(self, fault: str | None) -> str | None:
        reason = self._text("reason")
        if reason is None:
            return None
        if not self._faults.reasons or fault != self._faults.throttled:
            self._problem("reason belongs to AWS's TooManyRequestsException only")
        elif reason not in self._faults.reasons:
            self._problem(f"reason must be one of {', '.join(self._faults.reasons)}")
        return reason

    def _retry_after(self) -> int | None:
        seconds = self._number("retry_after", None, 0, _MAX_SECONDS)
        return None if seconds is None else int(seconds)

    def _only_for(self, name: str, kind: Kind | None, kinds: tuple[Kind | str, ...]) -> None:
        if name in self._body and kind is not None and kind not in kinds:
            self._problem(f"{name} belongs to {', '.join(kinds)}, not to {kind}")
