"""Every exception that this project raises on purpose, as one tree.

::

    SidestepError
    ├── InvalidDefinition        a workflow that cannot run; carries every problem
    ├── InvalidInput             an argument of a caller that cannot be used
    ├── InvalidMocks             the answers of a trial that cannot be used, or are not enough
    ├── TrialStopped             a trial that did not come to an end
    ├── TooManyTrials            as many trials run as there may be
    ├── NotFound
    │   ├── CallbackNotFound     a token that was not made here, or of what is gone
    │   ├── ExecutionNotFound
    │   ├── WorkflowNotFound
    │   └── VisitNotFound        an execution was never there
    ├── Conflict
    │   ├── IdempotencyConflict  one key, two different requests
    │   ├── ExecutionEnded       nothing more can happen to this execution
    │   ├── ExecutionLive        what was asked needs an execution that has ended
    │   ├── NotPossible          what was asked does not fit the execution's status
    │   └── VersionConflict      a workflow version that exists with another content
    ├── IllegalEvent             the machine was given an event that its state does not allow
    ├── JournalUnreadable        a journal of a newer version, or damaged
    ├── ConfigurationError       settings that cannot work, in one sentence
    └── StoreError
        ├── StoreUnavailable     away for now; nothing is known about the last write
        │   └── StoreFull        no room: nothing was written
        ├── StoreInUse           another process has it
        ├── StoreMismatch        made by another version or with other settings
        ├── PayloadNotFound      no payload has this key
        └── NotOwner             the claim lapsed; another owner may hold the execution

A failure of a step is data (a name and a cause in the journal) and never an exception.
Exceptions are for misuse and broken infrastructure. Vendors' errors stop at the adapters.
"""

from dataclasses import dataclass


class SidestepError(Exception):
    """The root: catch this to catch all that the project raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document that a caller sent.

    `pointer` is a JSON Pointer (RFC 6901) into that document, `detail` a sentence that says what is
    wrong, `mend` one that says how to put it right, and `code` a stable name for programs.
    `severity` is "error" or "hint"; a hint refuses nothing.
    """

    pointer: str
    code: str
    detail: str
    mend: str = ""
    severity: str = "error"


class InvalidDefinition(SidestepError):
    """A definition that cannot run. `problems` holds every error, in the document's order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = len(problems)
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''}: {problems[0].detail if problems else ''}"
        )


class InvalidInput(SidestepError):
    """An argument of a caller that cannot be used; the message says which and why."""


class InvalidMocks(SidestepError):
    """The answers that a trial was given cannot be used, or a step was reached that has none.

    `problems` holds each, with a pointer into the request (`/mocks/...`).
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__(" ".join(problem.detail for problem in problems[:3]))


class TrialStopped(SidestepError):
    """A trial did not come to an end; `code` names why for programs (`too-long`, `waits-for-ever`)."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class TooManyTrials(SidestepError):
    """As many trials run, and wait, as there may be: ask again."""


class NotFound(SidestepError):
    """What was named does not exist."""


class CallbackNotFound(NotFound):
    """Nobody made this token here, or what it was made for is gone."""


class ExecutionNotFound(NotFound):
    """No execution has this id."""


class WorkflowNotFound(NotFound):
    """No workflow has this id, or not this version."""


class VisitNotFound(NotFound):
    """An execution has entered no step by this path."""


class Conflict(SidestepError):
    """The request contradicts what is already there."""


class IdempotencyConflict(Conflict):
    """An idempotency key was used again with a different request."""


class ExecutionEnded(Conflict):
    """The execution has ended: it takes no more messages."""


class ExecutionLive(Conflict):
    """What was asked needs an execution that has ended, and this one has not."""


class NotPossible(Conflict):
    """What was asked does not fit the execution's status; the message says which it has."""


class VersionConflict(Conflict):
    """A version exists with another content; versions are immutable."""


class IllegalEvent(SidestepError):
    """The machine was given an event that its state does not allow; the state is as it was."""


class JournalUnreadable(SidestepError):
    """A journal was written by a newer version, or is damaged; it is left alone."""


class ConfigurationError(SidestepError):
    """Settings that cannot work. The message is one sentence that says what to do."""


class StoreError(SidestepError):
    """The store did not do what was asked."""


class StoreUnavailable(StoreError):
    """The store is away for now. Whether the last write happened is not known: read again."""


class StoreFull(StoreUnavailable):
    """The store has no room left for this: nothing was written. Remove something, or give it more."""


class StoreInUse(StoreError):
    """Another process has this store. The message says what to do."""


class StoreMismatch(StoreError):
    """The store was made by another version or with other settings. The message says what to do."""


class PayloadNotFound(StoreError):
    """The place of the payloads answers, and has none with this key."""


class NotOwner(StoreError):
    """The epoch of this claim is over; another owner may hold the execution. Send nothing more."""
