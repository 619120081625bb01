"""Reading a Task."""

from typing import Final

from core.graph.model import TaskStep
from core.graph.native_policies import MAX_DEADLINE_MS
from core.graph.states_language.flows import read_flow
from core.graph.states_language.policies import deadline, read_catchers, read_retries
from core.graph.states_language.resources import read_callee, read_fallbacks
from core.graph.states_language.state import MAX_WHOLE, State

LONGEST_RUN_MS: Final = 900_000
"""The default timeout of a call that is answered: a Lambda function runs 15 minutes at most."""


def read_task(state: State) -> TaskStep:
    """A Task without its `next`; its targets are empty after a problem."""
    fields = state.fields
    if fields.raw("Credentials") not in (None, {}):
        fields.wrong(
            "Credentials",
            "unsupported-field",
            "roles of other accounts are not supported.",
            "Remove it: the credentials are those of this process.",
        )
    callee = read_callee(state)
    fallbacks = read_fallbacks(state, callee)
    retries = read_retries(state)
    timeout = state.amount(fields, "TimeoutSeconds", 1, MAX_WHOLE, "seconds")
    heartbeat = state.amount(fields, "HeartbeatSeconds", 1, MAX_WHOLE, "seconds")
    if timeout is not None and heartbeat is not None and heartbeat >= timeout:
        fields.wrong(
            "HeartbeatSeconds",
            "contradiction",
            f"a heartbeat of {heartbeat:.0f} s is not shorter than the timeout of {timeout:.0f} s.",
            "Make it shorter than 'TimeoutSeconds'.",
        )
    catch = read_catchers(state)
    flow = read_flow(state, "Task")
    awaits = callee.awaits if callee is not None else "answer"
    evaluated = {"TimeoutSeconds", "TimeoutSecondsPath"} & state.evaluated.keys()
    default = LONGEST_RUN_MS if awaits == "answer" else MAX_DEADLINE_MS
    timeout_ms = default if timeout is None else min(round(timeout * 1000), MAX_DEADLINE_MS)
    if timeout is None and not evaluated and fallbacks and awaits == "answer":
        fields.findings.hint(
            (*fields.place, "TimeoutSeconds"),
            "timeout-undeclared",
            f"{fields.subject} has fallbacks and no 'TimeoutSeconds': a call that is never answered "
            f"is waited for {LONGEST_RUN_MS // 1000} s, unless its breaker opens before.",
            "Set 'TimeoutSeconds' to somewhat more than the function takes.",
        )
    targets = (callee.target, *fallbacks) if callee is not None else fallbacks
    return TaskStep(
        id=state.name,
        targets=targets,
        retries=retries,
        timeout_ms=timeout_ms,
        deadline_ms=MAX_DEADLINE_MS if evaluated else deadline(timeout_ms, len(targets), retries),
        heartbeat_ms=None if heartbeat is None else round(heartbeat * 1000),
        awaits=awaits,
        lambda_envelope=callee is not None and callee.envelope,
        dynamic_function=callee is not None and callee.dynamic,
        flow=flow,
        catch=catch,
    )
