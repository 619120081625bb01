"""Errors by the names of the definition's language: a States Language machine knows AWS's names only."""

from typing import Final

from msgspec.structs import replace

from core.failover.outcome import Outcome
from core.graph.model import TaskStep
from core.machine.state import Failure, State

STATES: Final = {
    "Sidestep.Timeout": "States.Timeout",
    "Sidestep.DeadlineExceeded": "States.Timeout",
    "Sidestep.TimedOut": "States.Timeout",
    "Sidestep.HeartbeatTimeout": "States.HeartbeatTimeout",
    "Sidestep.DataLimitExceeded": "States.DataLimitExceeded",
    "Sidestep.NoChoiceMatched": "States.NoChoiceMatched",
    "Sidestep.VisitBudgetExceeded": "States.Runtime",
    "Sidestep.TooManyItemsFailed": "States.ExceedToleratedFailureThreshold",
    "Sidestep.ItemsNotAList": "States.Runtime",
}
"""What the States Language's specification (appendix A) and AWS call errors that are ours."""

THRESHOLD: Final = "The specified tolerated failure threshold was exceeded"

_CAUSELESS: Final = frozenset({"States.Timeout", "States.HeartbeatTimeout"})


def named(state: State, failure: Failure) -> Failure:
    """The failure with its name in the language of the definition, and AWS's cause where it has one."""
    if state.workflow.language == "native" or failure.error not in STATES:
        return failure
    match failure.error:
        case "Sidestep.TooManyItemsFailed":
            cause = THRESHOLD
        case "Sidestep.NoChoiceMatched":
            cause = (
                f"Failed to transition out of the state '{failure.step_id}'. "
                "The state does not point to a next state."
            )
        case _:
            cause = failure.cause
    return Failure(STATES[failure.error], cause, failure.step_id)


def renamed(state: State, step: TaskStep, outcome: Outcome) -> Outcome:
    """The outcome of a call of `step`, with its error's name in the language of the definition.

    The cause stands in what a catcher gives on, so it is AWS's: none of a timeout, and its sentence of an
    answer that is too large.
    """
    if state.workflow.language == "native" or outcome.error not in STATES:
        return outcome
    name, cause = STATES[outcome.error], outcome.cause
    if name in _CAUSELESS:
        cause = ""
    if outcome.signal == "output-too-large":
        called = "lambda" if step.lambda_envelope else step.targets[0].function_id
        cause = (
            f"The state/task '{called}' returned a result with a size exceeding the maximum number of bytes "
            "service limit."
        )
    return replace(outcome, error=name, cause=cause)
