"""What an attempt proved. The adapters map vendors' signals to these; everything else reads only these.

Two questions are answered for every attempt: did the function execute, and whose fault is it. The answers,
not the vendor's words, decide what happens next (see routing.py).
"""

from enum import StrEnum
from typing import Any, Final

import msgspec


class Executed(StrEnum):
    """Did the function execute? MAYBE means that nobody can know from here."""

    NO = "NO"
    MAYBE = "MAYBE"
    YES = "YES"


class Scope(StrEnum):
    """Whose fault a failure is.

    NONE is nobody's (a success, or an owner that died), RESPONSE an answer that came back broken after the
    function ran, SATURATION a function or account that was asked for too much at once.
    """

    NONE = "none"
    PROVIDER = "provider"
    FUNCTION = "function"
    CALLER = "caller"
    CREDENTIALS = "credentials"
    SATURATION = "saturation"
    RESPONSE = "response"


class Outcome(msgspec.Struct, frozen=True, gc=False, kw_only=True, rename="camel", omit_defaults=True):
    """What one attempt proved.

    `signal` is a stable, lower-case code of what was seen (`connect-refused`, `aws-service-exception`, ...).
    `error` is the name that a step's `retries` and `catch` match: the function's own `errorType`, or a name
    that starts with `Sidestep.`. `cause` is for people and never holds a secret. `output` is the function's
    JSON result where `ok`. `retry_after_ms` is the provider's own wish; `retry_here` asks for one more try at
    the same target before any sidestep. `partial` marks a function that ran, in part (it was cut off).
    `accepted`, where `ok`, says that the result comes later: from `location`, where that is set. `size` is
    how many bytes of JSON `output` came in, where the adapter read it from JSON within the depth and the
    kinds of value that a journal can keep; 0 where it says nothing of that, and the output has to be looked
    at.
    """

    executed: Executed
    scope: Scope = Scope.NONE
    ok: bool = False
    signal: str = "ok"
    error: str = ""
    cause: str = ""
    status: int | None = None
    retry_after_ms: int | None = None
    retry_here: bool = False
    partial: bool = False
    output: Any = None
    size: int = 0
    accepted: bool = False
    location: str | None = None

    @property
    def ambiguous(self) -> bool:
        """True when running it again could be a second execution that nobody asked for.

        That is: it may have run, it ran in part, or it ran and its answer was lost or broken.
        """
        if self.ok or self.executed is Executed.NO:
            return False
        return self.executed is Executed.MAYBE or self.partial or self.scope is Scope.RESPONSE

    @property
    def own_error(self) -> bool:
        """True when the function ran, to its own end, and said that it failed."""
        return not self.ok and self.executed is Executed.YES and not self.ambiguous


_YES: Final = Executed.YES
"""To ask an enumeration for a member takes as long as to make an outcome."""


def succeeded(output: Any) -> Outcome:
    """The function ran and answered with `output` (JSON)."""
    return Outcome(executed=_YES, ok=True, output=output)


def interrupted() -> Outcome:
    """The owner of the attempt died with it open: it may have run, and nobody is to blame."""
    return Outcome(
        executed=Executed.MAYBE,
        signal="interrupted",
        error="Sidestep.Interrupted",
        cause="the process that sent this attempt ended before it had an answer; it may have run",
    )
