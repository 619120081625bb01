"""What the readers of a state share: its members, its query language, where it leads to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from core.data.flow import Template
from core.graph.draft import FLOW, Reference
from core.graph.fields import Fields
from core.graph.findings import Findings, Place, shown
from core.graph.model import Json
from core.graph.states_language.checks import check_path, check_template, is_expression

QueryLanguage = Literal["jsonpath", "jsonata"]

LANGUAGES: Final[Mapping[str, QueryLanguage]] = {"JSONPath": "jsonpath", "JSONata": "jsonata"}
SPELT: Final[Mapping[QueryLanguage, str]] = {"jsonpath": "JSONPath", "jsonata": "JSONata"}

MAX_STATE_NAME: Final = 80
"""Characters of a state's name (AWS Step Functions, "State machine structure")."""

MAX_WHOLE: Final = 99_999_999
"""The largest number of seconds, attempts and the like (AWS Step Functions, "Task state", "Retry")."""

JSONPATH_ONLY: Final = (
    "InputPath",
    "Parameters",
    "Result",
    "ResultSelector",
    "ResultPath",
    "OutputPath",
    "ItemsPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "SecondsPath",
    "TimestampPath",
    "ErrorPath",
    "CausePath",
    "MaxConcurrencyPath",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentagePath",
    "MaxItemsPath",
    "MaxItemsPerBatchPath",
    "MaxInputBytesPerBatchPath",
    "Variable",
)
JSONATA_ONLY: Final = ("Arguments", "Output", "Items", "Condition")


class Inner(NamedTuple):
    """A machine within a state: a branch, or what a Map walks."""

    members: dict[str, Json]
    place: Place
    subject: str


@dataclass(slots=True)
class State:
    """One state, as it is read.

    `home` is the place of the States that it is one of. `evaluated` collects the further fields of its flow,
    by their names in the document.
    """

    name: str
    fields: Fields
    language: QueryLanguage
    home: Place
    references: list[Reference] = field(default_factory=list)
    inner: list[Inner] = field(default_factory=list)
    evaluated: dict[str, Template] = field(default_factory=dict)

    @property
    def findings(self) -> Findings:
        """Where problems are noted."""
        return self.fields.findings

    def leads(self, target: str, place: Place) -> None:
        """Note that the flow goes on from here with the state of that name."""
        self.references.append(Reference(target, place, FLOW, self.home))

    def template(self, fields: Fields, name: str, *, members: bool = False) -> Template | None:
        """The member as a payload template: absent None, null a value. `members` asks for an object."""
        if not fields.present(name):
            return None
        value = fields.raw(name)
        if members and not isinstance(value, dict):
            wrong = f"'{name}' must be an object, not {shown(value)}."
            fields.wrong(name, "wrong-type", wrong, "Make it an object.")
            return None
        check_template(fields, (*fields.place, name), value, self.language)
        return Template(value)

    def path(self, fields: Fields, name: str, *, reference: bool = False) -> str | None:
        """The member as a path, where there is one; a null is the caller's to judge."""
        text = fields.text(name)
        if text is not None and not check_path(fields, name, text, reference=reference):
            return None
        return text

    def amount(
        self, fields: Fields, name: str, low: int, high: int, unit: str = "", *, whole: bool = True
    ) -> float | None:
        """A number: literal, else None and, where it is to be evaluated, an entry in `evaluated`."""
        path = f"{name}Path"
        if self.language == "jsonpath" and fields.present(path):
            text = self.path(fields, path)
            if fields.has(name):
                fields.wrong(
                    path, "contradiction", f"there are both '{name}' and '{path}'.", "Keep one of them."
                )
            if text is not None:
                self.evaluated[path] = Template(text)
            fields.raw(name)
            return None
        value = fields.raw(name)
        if self.language == "jsonata" and is_expression(value):
            check_template(fields, (*fields.place, name), value, self.language)
            self.evaluated[name] = Template(value)
            return None
        return fields.whole(name, low, high, unit) if whole else fields.number(name, low, high, unit)

    def text(self, name: str) -> str | None:
        """A text that may also be evaluated, as `amount` does."""
        path = f"{name}Path"
        if self.language == "jsonpath" and self.fields.present(path):
            text = self.fields.text(path)
            if self.fields.has(name):
                both = f"there are both '{name}' and '{path}'."
                self.fields.wrong(path, "contradiction", both, "Keep one of them.")
            if text is not None and check_path(self.fields, path, text, intrinsic=True):
                self.evaluated[path] = Template(text)
            self.fields.raw(name)
            return None
        value = self.fields.raw(name)
        if self.language == "jsonata" and is_expression(value):
            check_template(self.fields, (*self.fields.place, name), value, self.language)
            self.evaluated[name] = Template(value)
            return None
        return self.fields.text(name, limit=MAX_CAUSE, empty=True)

    def comment(self, fields: Fields) -> None:
        """A remark, which any object may have."""
        fields.text("Comment", limit=self.findings.limits.definition_bytes, empty=True)

    def close(self, fields: Fields) -> None:
        """Report the members of the other query language, then those that nobody knows."""
        others = JSONPATH_ONLY if self.language == "jsonata" else JSONATA_ONLY
        for name in others:
            if fields.holds(name) and not fields.asked(name):
                fields.raw(name)
                fields.wrong(
                    name,
                    "wrong-query-language",
                    f"'{name}' is of {SPELT[_OTHER[self.language]]}, "
                    f"and this state uses {SPELT[self.language]}.",
                    _MENDS.get(name, "Remove it."),
                )
        fields.close()


MAX_CAUSE: Final = 32_768
"""Characters of a literal cause."""

_OTHER: Final[Mapping[QueryLanguage, QueryLanguage]] = {"jsonpath": "jsonata", "jsonata": "jsonpath"}

_MENDS: Final = {
    "Parameters": "Write it as 'Arguments' with {% ... %}.",
    "Result": "Write it as 'Output'.",
    "ResultSelector": "Write it as 'Output' with {% $states.result ... %}.",
    "ResultPath": "Write it as 'Output' with {% $merge([$states.input, ...]) %}.",
    "OutputPath": "Write it as 'Output'.",
    "ItemsPath": "Write it as 'Items' with {% ... %}.",
    "Variable": "Write the rule as 'Condition' with {% ... %}.",
    "Arguments": 'Write it as \'Parameters\', or set "QueryLanguage": "JSONata" for this state.',
    "Output": 'Set "QueryLanguage": "JSONata" for this state.',
    "Items": 'Write it as \'ItemsPath\', or set "QueryLanguage": "JSONata" for this state.',
    "Condition": 'Write it as a comparison, or set "QueryLanguage": "JSONata" for this state.',
}
