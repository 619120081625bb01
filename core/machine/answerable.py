"""Whether a visit can be told from outside how it ended.

Pure, and used twice: when the word comes in, to refuse it at once, and when it is taken up, because the state
may have changed in between.
"""

from typing import Literal, get_args

from core.graph.model import TaskStep, WaitStep
from core.machine.state import State, Visit
from core.machine.transitions import PARKED, RUNNING, TERMINAL

Said = Literal["success", "failure", "heartbeat"]
"""What a callback can say."""

SAID: tuple[str, ...] = get_args(Said)

CALLBACK = "callback"
SIGNAL = "signal"
"""The kinds of these messages."""

MAX_SIGNALS = 1_000
MAX_SIGNAL_BYTES = 4 * 1024 * 1024
"""How many signals an execution keeps for WAITs to come, and how many bytes of JSON all of them may have."""

FAILED_BY_CALLBACK = "Sidestep.CallbackFailed"
"""The error's name where a callback gave none."""


def callback_visit(state: State, path: str, said: str) -> Visit | str:
    """The visit that takes this word, or why none does.

    The word is of the visit, and not of one attempt: all of them share a key, and so an intent. A result ends
    it even between two attempts, or while it is parked. A failure needs an attempt that it ends; without one
    the next is on its way already.
    """
    if state.status in TERMINAL:
        return "the execution has ended"
    visit = state.visits.get(path)
    if visit is None:
        return "the step has ended"
    step = state.step_of(visit)
    if visit.failure is not None or (visit.outcome is not None and visit.outcome.ok):
        return "the step has its result"
    if visit.status == PARKED:
        return visit if said != "heartbeat" and _calls_back(step) else "the step is parked"
    if visit.status != RUNNING:
        return "the step has not begun"
    if isinstance(step, WaitStep) and step.callback:
        return visit if said != "heartbeat" else "a WAIT needs no heartbeats"
    if not _calls_back(step):
        return "the step awaits no callback"
    if not visit.attempts or (said != "success" and not visit.open):
        return "no call of the step is under way"
    return visit


def signal_refusal(state: State, name: str, size: int) -> str | None:
    """Why a signal of `size` bytes cannot be kept; None where it can.

    One that a WAIT waits for by now has as much room again: what nobody asked for must not keep it out.
    """
    kept = [signal for signals in state.signals.values() for signal in signals]
    listeners = sum(heard == name for heard in state.listening.values())
    room = 2 if listeners > len(state.signals.get(name, ())) else 1
    if len(kept) >= room * MAX_SIGNALS:
        return f"{MAX_SIGNALS} signals wait for a WAIT already"
    if sum(signal.size for signal in kept) + size > room * MAX_SIGNAL_BYTES:
        return f"the signals that wait for a WAIT would have more than {MAX_SIGNAL_BYTES} bytes together"
    return None


def _calls_back(step: object) -> bool:
    return isinstance(step, TaskStep) and step.awaits == "callback"
