"""Executions in words: what an attempt did, how long it took, what an event says.

Reads the API's JSON and trusts none of it: a field of another version is told as far as it is understood.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from cli import reasons
from cli.output import clean, on_line

Json = Mapping[str, Any]

STYLES: Final = {
    "PENDING": "dim",
    "RUNNING": "cyan",
    "COMPLETED": "green",
    "FAILED": "red",
    "CANCELLED": "yellow",
    "TIMED_OUT": "red",
    "SKIPPED": "dim",
    "PARKED": "magenta",
    "PAUSED": "magenta",
}

_PHRASES: Final = {
    "address-refused": "address not allowed",
    "aws-function-not-ready": "not ready yet",
    "bad-request": "request refused as wrong",
    "connect-failed": "no connection",
    "connect-refused": "connection refused",
    "connect-timeout": "no connection in time",
    "connection-lost": "connection lost",
    "credentials-missing": "no credentials",
    "credentials-refused": "credentials refused",
    "dns-failure": "no such host",
    "function-timed-out": "cut off by its cloud's time limit",
    "gateway-error": "no good answer from its front end",
    "interrupted": "interrupted, its server ended",
    "not-deployed": "not deployed there",
    "not-started": "came too late, was not started",
    "overdue": "overdue, cut short",
    "provider-error": "provider error",
    "read-timeout": "timed out",
    "response-too-large": "answer too large",
    "response-truncated": "answer cut off",
    "target-refused": "target not allowed",
    "throttled": "throttled",
    "tls-failure": "no TLS session",
    "tls-timeout": "no TLS session in time",
    "token-unreachable": "token service not reached",
    "unmarked-500": "answered 500",
}
_PROOF: Final = {"NO": "did not run", "MAYBE": "may have run", "YES": "ran"}
_STATUS: Final = re.compile(r"status (\d{3})\b")
_ANSWERED: Final = re.compile(r"answered \d{3}")
HEDGE: Final = "hedge"
_MINUTE_MS: Final = 60_000
_SLOW_MS: Final = 100
_LONG_TEXT: Final = 160


def duration(ms: float | None) -> str:
    """Milliseconds as people say them: `0.004 s`, `0.04 s`, `1.2 s`, `2 min 5 s`."""
    if ms is None:
        return ""
    if ms >= _MINUTE_MS - 50:
        minutes, seconds = divmod(round(ms / 1000), 60)
        return f"{minutes} min {seconds} s"
    digits = next((digits for limit, digits in ((9.5, 3), (995, 2)) if ms < limit), 1)
    return f"{ms / 1000:.{digits}f} s"


def target(call: Json) -> str:
    """`AWS eu-west-1 charge`."""
    return on_line(" ".join(str(call[k]) for k in ("provider", "region", "functionId") if call.get(k)))


def attempt(call: Json) -> Text:
    """One attempt: `#1 AWS eu-west-1 charge  timed out after 1.2 s, may have run`; `#2 GCP charge (hedge)  ok
    0.04 s` where its role is no ordinary one, a hedge's with how long the call beside it had taken.
    """
    text = Text()
    text.append(f"#{call.get('attempt', '?')} ", "dim")
    text.append(target(call))
    said = role(call)
    if said:
        text.append(f" ({said})", "cyan")
    text.append("  ")
    text.append_text(_ending(call))
    return text


def role(call: Json) -> str:
    """What kind of call it was: `retry`, `hedge after 0.04 s`; empty for the ordinary ones."""
    named = reasons.role(call)
    after = reasons.hedged_after(call) if named == HEDGE else None
    return named if after is None else f"{named} after {duration(after)}"


def brief(call: Json, *, proof: bool = False) -> Text:
    """One attempt in a few words: `AWS timed out after 0.70 s`, `AWS answered 503`, `GCP ok`.

    `proof` adds whether it ran: `, may have run`.
    """
    who = on_line(str(call.get("provider", "")))
    if call.get("status") == "COMPLETED":
        return Text.assemble(f"{who} ", ("ok", "green"))
    if call.get("status") != "FAILED":
        return Text.assemble(f"{who} ", _ending(call))
    said = failure(call)
    answered = _ANSWERED.match(said)
    slow = float(call.get("durationMs") or 0) >= _SLOW_MS
    when = f" after {duration(call['durationMs'])}" if slow and not proof else ""
    ran = f", {_PROOF.get(str(call.get('executed')), '')}" if proof else ""
    return Text.assemble(f"{who} ", (f"{answered.group() if answered else said}{when}{ran}", "yellow"))


def _ending(call: Json) -> Text:
    took = duration(call.get("durationMs"))
    proof = _PROOF.get(str(call.get("executed")), "")
    match call.get("status"):
        case "RUNNING":
            return Text("under way", "cyan")
        case "ACCEPTED":
            asked = f", asked {call['polls']} times" if call.get("polls") else ""
            return Text(f"accepted, and answered later{asked}", "cyan")
        case "COMPLETED":
            return Text(f"ok {took}".rstrip(), "green")
        case "INTERRUPTED":
            return Text(f"interrupted, its server ended, {_PROOF['MAYBE']}", "magenta")
        case "ABANDONED":
            why = on_line(str(call.get("cause") or ""))
            return Text(f"given up{f' ({why})' if why else ''}, {_PROOF['MAYBE']}", "yellow")
        case _:
            said = failure(call)
            if call.get("signal") == "function-error":
                return Text(_own_error(call, took), "red")
            if call.get("scope") == "function" and call.get("executed") == "YES":
                return Text(f"{said} after {took}" if took else said, "red")
            return Text(f"{said} after {took}, {proof}" if took else f"{said}, {proof}", "yellow")


def _own_error(call: Json, took: str) -> str:
    """`failed after 0.03 s, ran: CardDeclined: no funds`: what the function said of itself stands last."""
    error, cause = str(call.get("error") or ""), str(call.get("cause") or "")
    when = f" after {took}" if took else ""
    said = f"{error}: {cause}" if cause else error
    return shorten(on_line(f"failed{when}, ran: {said}"))


def failure(call: Json) -> str:
    """What went wrong, in a few words."""
    signal, error, cause = (str(call.get(name) or "") for name in ("signal", "error", "cause"))
    status = _STATUS.match(cause)
    if signal == "function-error":
        return shorten(on_line(f"failed, {error}: {cause}" if cause else f"failed, {error}"))
    if signal in {"provider-error", "gateway-error"} and status:
        return f"answered {status.group(1)}"
    if signal.startswith("aws-") and signal.endswith("-exception"):
        name = "".join(part.capitalize() for part in signal.removeprefix("aws-").split("-"))
        return on_line(f"answered {status.group(1)} {name}" if status else name)
    if signal == "tls-failure" and "certificate" in cause.lower():
        return "bad certificate"
    said = _PHRASES.get(signal) or signal.replace("-", " ") or error or "failed"
    return on_line(said)


def event(told: Json) -> Text:
    """One event of a history on one line: time, type, step, and what matters of its details."""
    kind = str(told.get("type", ""))
    text = Text()
    text.append(clock(told.get("timestamp")), "dim")
    text.append(f"  {on_line(kind):<20}", _event_style(kind))
    if told.get("stepId"):
        text.append(f"  {on_line(str(told['stepId']))}")
    said = _said(kind, told.get("details") or {})
    if said:
        text.append(f"  {said}")
    return text


def _said(kind: str, details: Json) -> str:
    number = f"#{details['attempt']} " if "attempt" in details else ""
    match kind:
        case "ATTEMPT_STARTED":
            given = details.get("reasons") or ()
            why = f"  ({on_line('; '.join(map(str, given)))})" if given else ""
            kind = f" ({reasons.role(details)})" if reasons.role(details) else ""
            return f"{number}{target(details.get('target') or {})}{kind}{shorten(why)}"
        case "ATTEMPT_SUCCEEDED":
            return f"{number}ok {duration(details.get('durationMs'))}"
        case "ATTEMPT_FAILED":
            outcome = details.get("outcome") or {}
            proof = _PROOF.get(str(outcome.get("executed")), "")
            return f"{number}{failure(outcome)} after {duration(details.get('durationMs', 0))}, {proof}"
        case "ATTEMPT_ACCEPTED":
            return f"{number}accepted after {duration(details.get('durationMs', 0))}, and answered later"
        case "ATTEMPT_POLLED":
            why = on_line(str(details.get("why") or "not done yet"))
            return shorten(f"{number}asked again at {clock(details.get('pollAt'))}  ({why})")
        case "SIGNAL_RECEIVED":
            return on_line(str(details.get("name", "")))
        case "ATTEMPT_INTERRUPTED":
            return f"{number}its server ended, {_PROOF['MAYBE']}"
        case "FAILED_OVER":
            hop = f"{target(details.get('fromTarget') or {})} -> {target(details.get('toTarget') or {})}"
            return shorten(f"{hop}  ({on_line(str(details.get('reason', '')))})")
        case "RETRY_SCHEDULED":
            return shorten(f"at {clock(details.get('wakeAt'))}  ({on_line(str(details.get('reason', '')))})")
        case _:
            named = (details.get(name) for name in ("error", "cause", "reason", "next"))
            return shorten(number + "  ".join(on_line(str(value)) for value in named if value))


def _event_style(kind: str) -> str:
    if kind in {"FAILED_OVER", "RETRY_SCHEDULED", "CANCEL_REQUESTED"}:
        return "bold yellow"
    if kind.endswith(("_COMPLETED", "_SUCCEEDED")):
        return "green"
    if kind.endswith(("_FAILED", "_TIMED_OUT")):
        return "red"
    if kind.endswith(("_INTERRUPTED", "_ABANDONED", "_PARKED", "_CANCELLED")):
        return "magenta"
    return ""


def clock(timestamp: object) -> str:
    """The time of day of an RFC 3339 instant, to the millisecond, as it is written (UTC)."""
    match = re.search(r"T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)", str(timestamp))
    return match.group(1) if match else "--:--:--"


def shorten(text: str, limit: int = _LONG_TEXT) -> str:
    """`text`, with no line end in it, at most `limit` characters."""
    flat = clean(text.replace("\n", " "))
    return flat if len(flat) <= limit else flat[: limit - 3].rstrip() + "..."


def clock_of_ms(at_ms: object) -> str:
    """The time of day, in UTC, of milliseconds since the Unix epoch."""
    if not isinstance(at_ms, int | float):
        return "--:--:--"
    seconds, ms = divmod(int(at_ms), 1000)
    minutes, second = divmod(seconds % 86_400, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}.{ms:03}"
