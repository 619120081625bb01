"""Reading a machine: the scopes of the document into the one flat model."""

from collections import deque
from typing import Final

from core.graph.draft import Draft, Node, Words
from core.graph.fields import Fields
from core.graph.findings import Findings, Place, pointer, shown
from core.graph.model import Json, Step
from core.graph.native import MAX_SECONDS
from core.graph.states_language.state import (
    LANGUAGES,
    MAX_STATE_NAME,
    MAX_WHOLE,
    Inner,
    QueryLanguage,
)
from core.graph.states_language.states import read_state

WORDS: Final = Words(
    step="state",
    lead_to="Lead to it with 'Next', a rule, 'Default' or a catcher, or remove it.",
    lead_out='Lead out of the loop to a state with "End": true, a Succeed or a Fail.',
)

PROCESSORS: Final = ("ItemProcessor", "Iterator")
VERSIONS: Final = ("1.0",)


def recognises(document: dict[str, Json]) -> bool:
    """Whether a document is a machine in the States Language."""
    return ("StartAt" in document or "States" in document) and "steps" not in document


def read_states_language(document: dict[str, Json], findings: Findings) -> Draft:
    """Read all of `document`, noting every problem that a single state shows."""
    fields = Fields(findings, document, (), "The machine")
    said = fields.one_of("QueryLanguage", tuple(LANGUAGES), "unknown-query-language")
    fields.one_of("Version", VERSIONS, "unknown-version")
    timeout = fields.whole("TimeoutSeconds", 1, MAX_WHOLE, "seconds")
    machine = _Machine(findings, LANGUAGES[said] if said is not None else "jsonpath")
    start = machine.read_scope(fields, processor=False)
    while machine.waiting:
        inner = machine.waiting.popleft()
        scope = Fields(findings, inner.members, inner.place, inner.subject)
        machine.read_scope(scope, processor=inner.place[-1] in PROCESSORS)
    return Draft(
        id=None,
        name=None,
        start_at=start,
        start_place=("StartAt",),
        timeout_ms=None if timeout is None else min(timeout, MAX_SECONDS) * 1000,
        steps=machine.steps,
        nodes={} if machine.overfull else machine.nodes,
        incomplete=machine.incomplete,
        language="states",
        words=WORDS,
        start_home=("States",),
        endless=True,
    )


def find_state(document: Json, name: str) -> Place | None:
    """Where the state of that name stands in a document that was accepted."""
    waiting: deque[tuple[Place, Json]] = deque([((), document)])
    while waiting:
        place, scope = waiting.popleft()
        states = scope.get("States") if isinstance(scope, dict) else None
        if not isinstance(states, dict):
            continue
        if name in states:
            return (*place, "States", name)
        for other, state in states.items():
            if isinstance(state, dict):
                here = (*place, "States", other)
                branches = state.get("Branches")
                if isinstance(branches, list):
                    waiting.extend(((*here, "Branches", at), one) for at, one in enumerate(branches))
                waiting.extend(((*here, part), state.get(part)) for part in PROCESSORS)
    return None


class _Machine:
    """What has been read of a document so far."""

    def __init__(self, findings: Findings, language: QueryLanguage) -> None:
        self.findings = findings
        self.language: QueryLanguage = language
        self.steps: dict[str, Step] = {}
        self.nodes: dict[str, Node] = {}
        self.waiting: deque[Inner] = deque()
        self.incomplete = False
        self.overfull = False
        self._places: dict[str, Place] = {}
        self._count = 0

    def read_scope(self, fields: Fields, *, processor: bool) -> str | None:
        """Read the states of one scope, and note the scopes within it; the state that it starts with."""
        fields.text("Comment", limit=self.findings.limits.definition_bytes, empty=True)
        if processor:
            fields.raw("ProcessorConfig")
        start = fields.text("StartAt", required="Name the state to start with.")
        home = (*fields.place, "States")
        if not fields.present("States"):
            fields.missing("States", 'Add the states: "States": {"First": {"Type": "Pass", "End": true}}.')
        states = fields.members("States")
        if states is None:
            if fields.present("States") and not fields.has("States"):
                detail = "'States' must be an object, not null."
                fields.wrong("States", "wrong-type", detail, "Make it an object.")
            self.incomplete = True
        elif not states:
            fields.wrong("States", "empty", "'States' is empty.", "Add at least one state.")
            self.incomplete = True
        else:
            self._read_states(states, home)
        fields.close()
        return start

    def _read_states(self, states: dict[str, Json], home: Place) -> None:
        self._count += len(states)
        limit = self.findings.limits.steps
        if self._count > limit:
            detail = f"The machine has more than {limit} states."
            self.findings.error(home, "too-many", detail, "Split the machine.")
            self.overfull = True
            return
        for name, entry in states.items():
            place = (*home, name)
            self._check_name(name, place)
            read = read_state(self.findings, name, entry, home, self.language)
            self.waiting.extend(read.inner)
            step_id = name
            if name in self._places:
                # In the graph it stands under another id, so that what it leads to is still looked at.
                step_id = f"{name}\n{pointer(place)}"
            else:
                self._places[name] = place
                if read.step is not None:
                    self.steps[name] = read.step
            self.nodes[step_id] = Node(step_id, place, read.references, read.ends, name, home)

    def _check_name(self, name: str, place: Place) -> None:
        if name in self._places:
            self.findings.error(
                place,
                "duplicate-state",
                f"There is another state {shown(name)}, at {pointer(self._places[name])}.",
                "Give each state of the machine its own name, in all scopes.",
            )
        if not name or len(name) > MAX_STATE_NAME:
            detail = f"The name of a state has 1 to {MAX_STATE_NAME} characters; this one has {len(name)}."
            self.findings.error(place, "invalid-id", detail, "Choose another name.")
        elif any(char < " " or "\x7f" <= char <= "\x9f" for char in name):
            detail = f"The name {shown(name)} contains a control character."
            self.findings.error(place, "invalid-id", detail, "Use printable characters only.")
