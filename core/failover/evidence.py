"""What an outcome says, and against whom. Pure.

Breakers, limits and streaks all go by this one answer, so that no two of them disagree about whose fault a
failure was.
"""

from enum import StrEnum
from typing import assert_never

from core.failover.outcome import Outcome, Scope


class Against(StrEnum):
    """Whom an outcome speaks against.

    NOBODY is an answer: a success, the function's own error, or a request that was wrong. PROVIDER is a
    failure of the function's window and of its place's. FUNCTION is a failure of the function alone (its
    set-up, its credentials, an answer that came back broken): its place answered. SATURATION is an answer of
    the place, counts neither way for the function, and cuts limits. UNKNOWN counts nowhere: whoever waited
    for the call is gone.
    """

    NOBODY = "NOBODY"
    PROVIDER = "PROVIDER"
    FUNCTION = "FUNCTION"
    SATURATION = "SATURATION"
    UNKNOWN = "UNKNOWN"


def against(outcome: Outcome) -> Against:
    """Whom this outcome speaks against.

    A function that ran to its own end and raised (`own_error`) speaks against nobody: a bug in a workflow's
    code moves no call to another cloud.
    """
    if outcome.ok:
        return Against.NOBODY
    match outcome.scope:
        case Scope.PROVIDER:
            return Against.PROVIDER
        case Scope.FUNCTION:
            return Against.NOBODY if outcome.own_error else Against.FUNCTION
        case Scope.CREDENTIALS | Scope.RESPONSE:
            return Against.FUNCTION
        case Scope.SATURATION:
            return Against.SATURATION
        case Scope.CALLER:
            return Against.NOBODY
        case Scope.NONE:
            return Against.UNKNOWN
        case _:
            assert_never(outcome.scope)
