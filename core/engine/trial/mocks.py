"""What a caller of a trial says that its steps are answered.

`{step id: [answer, ...]}`; an answer is `{"output": JSON}`, `{"error": name, "cause": text or JSON}` or
`{"timeout": true}`. They are used in order, and the last one is repeated.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from core.errors import InvalidMocks, Problem
from core.graph.fields import Fields, object_at
from core.graph.findings import Findings, pointer, shown
from core.graph.limits import Limits
from core.graph.model import Json, Step, TaskStep, WaitStep, Workflow, WorkflowStep

MOST_ANSWERS: Final = 10_000
"""Answers of one step."""

MAX_ERROR: Final = 256
MAX_CAUSE: Final = 32_768
"""Characters of an error's name and cause, as the States Language bounds them."""


class Output(msgspec.Struct, frozen=True):
    """The step is given this."""

    value: Json


class Error(msgspec.Struct, frozen=True):
    """What was called says that it failed."""

    error: str
    cause: str = ""


class Timeout(msgspec.Struct, frozen=True):
    """No answer comes."""


Answer = Output | Error | Timeout


class Mocks:
    """The answers of one trial, and how far they are used up. Belongs to that trial."""

    def __init__(self, answers: Mapping[str, tuple[Answer, ...]]) -> None:
        self._answers = answers
        self._used: dict[str, int] = {}
        self.missing: dict[str, None] = {}

    def take(self, step_id: str) -> Answer | None:
        """The step's next answer; None, and noted as missing, where it has none."""
        answers = self._answers.get(step_id)
        if not answers:
            self.missing[step_id] = None
            return None
        used = self._used.get(step_id, 0)
        self._used[step_id] = used + 1
        return answers[min(used, len(answers) - 1)]

    def problems(self) -> tuple[Problem, ...]:
        """A problem for each step that was called without an answer."""
        return tuple(
            Problem(
                pointer(("mocks", step_id)),
                "no-mock",
                f"Step {shown(step_id)} was reached, and 'mocks' has no answer for it.",
                'Add it: "mocks": {' + _quoted(step_id) + ': [{"output": ...}]}.',
            )
            for step_id in self.missing
        )


def is_answered(step: Step) -> bool:
    """Whether a step waits for something from outside, so that a trial needs an answer for it."""
    match step:
        case TaskStep() | WorkflowStep():
            return True
        case WaitStep():
            return step.signal is not None or step.callback
        case _:
            return False


def read_mocks(document: Json, workflow: Workflow) -> Mocks:
    """The answers that `document` (JSON; None is none) gives to the steps of `workflow`.

    Raises InvalidMocks with every problem; its pointers begin with `/mocks`.
    """
    if document is None:
        return Mocks({})
    findings = Findings(Limits(), None)
    given = object_at(findings, document, ("mocks",), "'mocks'")
    answers: dict[str, tuple[Answer, ...]] = {}
    if given is not None:
        for step_id, listed in document.items():
            answers[step_id] = _answers(findings, given, step_id, listed, workflow)
    if findings.errors:
        raise InvalidMocks(findings.in_order({"mocks": document}))
    return Mocks(answers)


def _answers(
    findings: Findings, given: Fields, step_id: str, listed: Json, workflow: Workflow
) -> tuple[Answer, ...]:
    step = workflow.steps.get(step_id)
    place = ("mocks", step_id)
    if step is None:
        mend = findings.did_you_mean(step_id, workflow.steps, "Name a step of the workflow.")
        findings.error(place, "unknown-step", f"There is no step {shown(step_id)} in the workflow.", mend)
    elif not is_answered(step):
        detail = f"Step {shown(step_id)} asks nothing outside, so an answer to it is never used."
        findings.error(place, "pointless", detail, "Remove it.")
    items = given.items(step_id, MOST_ANSWERS, empty=True)
    cannot_fail = isinstance(step, WaitStep) and step.signal is not None
    read = [_answer(findings, step_id, at, item) for at, item in enumerate(items)]
    for at, answer in enumerate(read):
        if cannot_fail and isinstance(answer, Error):
            detail = "A signal brings a payload, and cannot fail."
            findings.error((*place, at), "pointless", detail, 'Write {"output": ...} or {"timeout": true}.')
    return tuple(answer for answer in read if answer is not None) if listed else ()


def _answer(findings: Findings, step_id: str, at: int, item: Json) -> Answer | None:
    place = ("mocks", step_id, at)
    fields = object_at(findings, item, place, "An answer")
    if fields is None:
        return None
    kinds = [name for name in ("output", "error", "timeout") if fields.present(name)]
    if len(kinds) != 1:
        detail = "An answer has exactly one of 'output', 'error' and 'timeout'."
        mend = 'Write {"output": ...}, {"error": "..."} or {"timeout": true}.'
        findings.error(place, "one-answer", detail, mend)
        return None
    match kinds[0]:
        case "output":
            answer: Answer | None = Output(fields.raw("output"))
        case "error":
            name = fields.text("error", required="Name the error.", limit=MAX_ERROR)
            answer = None if name is None else Error(name, _cause(fields))
        case _:
            answer = Timeout() if fields.raw("timeout") is True else None
            if answer is None:
                fields.wrong("timeout", "wrong-type", "'timeout' can only be true.", "Write true.")
    fields.close()
    return answer


def _cause(fields: Fields) -> str:
    """Text as it is; any other JSON as its compact text, as a function's error is told by its platform."""
    value = fields.raw("cause")
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) > MAX_CAUSE:
        detail = f"'cause' has {len(text)} characters; the limit is {MAX_CAUSE}."
        fields.wrong("cause", "too-long", detail, "Shorten it.")
        return ""
    return text


def _quoted(step_id: str) -> str:
    return msgspec.json.encode(step_id).decode()
