"""Scripts, and what an error reply of Redis means to us."""

import hashlib
import re
from dataclasses import dataclass, field

from core.errors import StoreError, StoreFull, StoreUnavailable

_SHOWN = 200  # characters of an error of Redis that are repeated; it may quote what a caller sent
_CODE = re.compile(r"[A-Z][A-Z0-9_]*")
# Redis 6.2 wraps what a script's call met: "ERR Error running script (...): @user_script:1: -READONLY ...".
_INSIDE = re.compile(r"(?:@user_script:\s*\d+|\(call to f_\w+\)): -?([A-Z][A-Z0-9_]+) ")

_AWAY = {
    "LOADING": "is still loading its data",
    "READONLY": "is a replica now",
    "MASTERDOWN": "is a replica without its primary",
    "CLUSTERDOWN": "says that the cluster is down",
    "TRYAGAIN": "is moving these keys",
    "NOREPLICAS": "has fewer replicas than it asks for",
    "BUSY": "is busy with a script",
    "UNKILLABLE": "is busy with a script",
    "MISCONF": "cannot write to its disk",
    "UNBLOCKED": "changed its role",
    "NOAUTH": "wants a password",
    "WRONGPASS": "refuses the user or the password",
    "NOPERM": "does not permit this user the command",
    "MOVED": "sent this command from node to node",
    "ASK": "sent this command from node to node",
}


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script under a name; `sha1` is what EVALSHA calls it by."""

    name: str
    source: str
    sha1: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha1", digest)


class ScriptRefused(StoreError):
    """A script answered `redis.error_reply("SIDESTEP_...")`: `code` is that word, `detail` what follows."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code} {detail}".strip())


def code_of(text: str) -> str:
    """The code of an error reply: its first word, or that of the call inside a script that met the error."""
    found = _CODE.match(text)
    code = found.group() if found else ""
    if code == "ERR":
        inside = _INSIDE.search(text)
        if inside:
            return inside.group(1)
    return code


def judge(text: str, where: str) -> StoreError:
    """The error to raise for an error reply of the node `where`.

    ScriptRefused for a script's own refusal, StoreFull where memory is full, StoreUnavailable for what passes
    or leaves the outcome unknown, and StoreError for the rest: a mistake of ours.
    """
    code = code_of(text)
    if code.startswith("SIDESTEP_"):
        return ScriptRefused(code, text[text.find(code) + len(code) :].strip()[:_SHOWN])
    if code == "OOM":
        return StoreFull(f"Redis at {where} has no memory left: give it more, or remove executions")
    if code in _AWAY:
        return StoreUnavailable(f"Redis at {where} {_AWAY[code]}")
    if text.startswith("ERR max number of clients"):
        return StoreUnavailable(f"Redis at {where} takes no more connections")
    return StoreError(f"Redis at {where} refused a command: {text[:_SHOWN]}")
