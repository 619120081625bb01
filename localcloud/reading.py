"""Reads outage rules from JSON, and lists every problem of one that may not stand."""

import re
from collections.abc import Mapping
from typing import Any, cast

from localcloud.rules import BEFORE_REQUESTS, BELONGS, KINDS, PLANES, RAISES, Kind, Plane, Rule
from localcloud.vendor import FaultOptions, Faults

_OPTIONS = (
    "id", "kind", "percent", "seed", "function", "for_seconds", "flap", "plane",
    "delay_ms", "ramp_seconds", "factor", "warm", "close_connections",
    "name", "status", "reason", "retry_after", "executed", "error", "message",
)  # fmt: skip
_MAX_SECONDS = 86_400.0
_MAX_DELAY_MS = 600_000.0
_MAX_FACTOR = 1_000.0
_MAX_WARM = 1_000_000
_MAX_TEXT = 1_000
_ID = re.compile(r"[A-Za-z0-9._:\-]{1,200}")
_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_RAISED = "DatabaseUnavailable"


class InvalidRuleError(ValueError):
    """A rule that cannot stand. `problems` lists every reason, a sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse(body: object, faults: Faults, *, tls: bool = False) -> Rule:
    """Read a rule from a JSON value; `faults` are its provider's, `tls` whether it has certificates.

    Raises InvalidRuleError.
    """
    if not isinstance(body, dict):
        raise InvalidRuleError(['the body must be a JSON object such as {"kind": "refused"}'])
    return _Reader(body, faults, tls=tls).rule()


def parse_set(body: list[object], faults: Faults, *, tls: bool = False) -> list[Rule]:
    """Read a set of rules, in their order. Raises InvalidRuleError with the problems of all."""
    rules: list[Rule] = []
    problems: list[str] = []
    for number, one in enumerate(body):
        try:
            rules.append(parse(one, faults, tls=tls))
        except InvalidRuleError as error:
            problems += [f"rule {number}: {problem}" for problem in error.problems]
    ids = [rule.id for rule in rules]
    twice = sorted({rule_id for rule_id in ids if ids.count(rule_id) > 1})
    problems += [f"two rules have the id {rule_id}: give one of them another id" for rule_id in twice]
    if problems:
        raise InvalidRuleError(problems)
    return rules


class _Reader:
    """Collects every problem of one body."""

    def __init__(self, body: Mapping[str, Any], faults: Faults, *, tls: bool) -> None:
        self._body = body
        self._faults = faults
        self._tls = tls
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
        if plane not in PLANES:
            self._problem(f"plane must be one of {', '.join(PLANES)}")
        if function is not None and plane == "control":
            self._problem("plane 'control' meets no function; leave out function or plane")
        for_seconds = self._number("for_seconds", None, 0.001, _MAX_SECONDS)
        flap = self._flap()
        delay_ms, ramp_seconds, factor = self._slowness(kind)
        warm = self._warm(kind)
        fault = self._fault(kind)
        error = self._error(kind)
        options = FaultOptions(
            message=self._text("message"), reason=self._reason(fault), retry_after=self._retry_after()
        )
        executed = self._flag("executed", default=False)
        close_connections = self._flag("close_connections", default=True)
        for name, kinds in BELONGS.items():
            if name in self._body and kind is not None and kind not in kinds:
                self._problem(f"{name} belongs to {', '.join(kinds)}, not to {kind}")
        self._before_requests(kind)
        default_id = ":".join(part for part in (kind, fault if kind == "error" else None, function) if part)
        rule_id = self._text("id") or default_id
        if rule_id and not _ID.fullmatch(rule_id):
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
            factor=factor,
            warm=warm,
            close_connections=close_connections,
            fault=fault,
            executed=executed,
            error=error,
            options=options,
        )

    def _problem(self, sentence: str) -> None:
        self._problems.append(sentence)

    def _kind(self) -> Kind | None:
        kind = self._body.get("kind")
        if kind not in KINDS:
            self._problem(f"kind must be one of {', '.join(KINDS)}")
            return None
        if kind == "bad-certificate" and not self._tls:
            self._problem(
                "bad-certificate needs certificates, and these clouds speak plain HTTP: "
                "start localcloud with --tls"
            )
        if kind == "function-raises-unmarked" and self._faults.marks_errors:
            self._problem(
                "function-raises-unmarked is not there: AWS marks every error of a function; "
                "use function-raises"
            )
        return cast("Kind", kind)

    def _before_requests(self, kind: Kind | None) -> None:
        if kind == "refused":
            for name in ("function", "percent", "plane"):
                if name in self._body:
                    self._problem(
                        f"refused closes the provider's socket, which knows neither functions nor shares of "
                        f"calls: leave out {name}, or use reset"
                    )
        elif kind in BEFORE_REQUESTS:
            for name in ("function", "plane"):
                if name in self._body:
                    self._problem(f"{kind} is met before there is a request: leave out {name}, or use reset")

    def _number(self, name: str, default: float | None, low: float, high: float) -> float | None:
        value = self._body.get(name, default)
        if value is None and name not in self._body:
            return None
        # `low <= value <= high` is false for NaN too.
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self._problem(f"{name} must be a number from {low:g} to {high:g}")
            return default
        return float(value)

    def _flag(self, name: str, *, default: bool) -> bool:
        value = self._body.get(name, default)
        if not isinstance(value, bool):
            self._problem(f"{name} must be true or false")
            return default
        return value

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

    def _slowness(self, kind: Kind | None) -> tuple[float, float, float]:
        if kind not in ("slow", "cold-start"):
            return 0.0, 0.0, 1.0
        if "delay_ms" not in self._body and not (kind == "slow" and "factor" in self._body):
            other = " or factor, how many times as long it takes" if kind == "slow" else ""
            self._problem(f"{kind} needs delay_ms, how long an execution is held back{other}")
        delay = self._number("delay_ms", 0.0, 0, _MAX_DELAY_MS) or 0.0
        ramp = self._number("ramp_seconds", 0.0, 0, _MAX_SECONDS) or 0.0
        return delay, ramp, self._number("factor", 1.0, 1, _MAX_FACTOR) or 1.0

    def _warm(self, kind: Kind | None) -> int:
        warm = self._number("warm", 0, 0, _MAX_WARM) if kind == "cold-start" else 0
        if warm is not None and warm != int(warm):
            self._problem("warm must be a whole number of instances")
        return int(warm or 0)

    def _error(self, kind: Kind | None) -> str | None:
        if kind not in RAISES:
            return None
        given = self._body.get("error", _RAISED)
        if not isinstance(given, str) or not _CLASS.fullmatch(given):
            self._problem("error must be the name of a class: 1 to 100 letters, digits or _, no digit first")
            return None
        return given

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
