"""Reading one object of a document, member by member, noting everything that is wrong on the way.

A member that is asked for is known; `close` reports the rest. Null stands for an absent member wherever
that is optional. Every reader returns None (or an empty value) for what is absent or wrong.
"""

import re
from collections.abc import Collection
from typing import Any, Final

from core.graph.findings import Findings, Place, shown
from core.graph.model import Json

MAX_ID: Final = 128
"""Characters of a workflow's or a step's id."""

MAX_TEXT: Final = 4_096
"""Characters of any other text."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Fields:
    """The members of one object at `place`; `subject` names it in sentences ("Step 'charge'")."""

    def __init__(self, findings: Findings, members: dict[str, Json], place: Place, subject: str) -> None:
        self.findings = findings
        self.place = place
        self.subject = subject
        self._members = members
        self._known: dict[str, None] = {}

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        return self.raw(name) is not None

    def raw(self, name: str) -> Json:
        """The member as it is, or None."""
        self._known[name] = None
        return self._members.get(name)

    def present(self, name: str) -> bool:
        """Whether the member is there, be it null."""
        self._known[name] = None
        return name in self._members

    def holds(self, name: str) -> bool:
        """Whether the member is there, be it null, without asking for it."""
        return name in self._members

    def asked(self, name: str) -> bool:
        """Whether the member was asked for."""
        return name in self._known

    def unasked(self) -> list[str]:
        """The members that nobody asked for yet."""
        return [name for name in self._members if name not in self._known]

    def wrong(self, name: str, code: str, detail: str, mend: str = "") -> None:
        """Note a problem of the member `name`."""
        self.findings.error((*self.place, name), code, f"{self.subject}: {detail}", mend)

    def missing(self, name: str, mend: str) -> None:
        """Note that a required member is not there."""
        self.wrong(name, "missing-field", f"'{name}' is missing.", mend)

    def text(
        self, name: str, *, required: str = "", limit: int = MAX_TEXT, empty: bool = False
    ) -> str | None:
        """A string of 1 to `limit` characters, or of none where `empty`; `required` is the mend."""
        value = self.raw(name)
        if value is None and not self._null_counts(name, required):
            return None
        if not isinstance(value, str):
            self._wrong_type(name, value, "a string")
        elif not value and not empty:
            self.wrong(name, "empty", f"'{name}' is empty.", f"Give '{name}' a value.")
        elif len(value) > limit:
            detail = f"'{name}' has {len(value)} characters; the limit is {limit}."
            self.wrong(name, "too-long", detail, "Shorten it.")
        else:
            return value
        return None

    def identifier(self, name: str, *, required: str = "") -> str | None:
        """An id: a string of 1 to 128 characters without control characters."""
        value = self.text(name, required=required, limit=MAX_ID)
        if value is not None and _CONTROL.search(value):
            detail = f"'{name}' contains a control character."
            self.wrong(name, "invalid-id", detail, "Use printable characters only.")
            return None
        return value

    def whole(self, name: str, low: int, high: int, unit: str, *, required: str = "") -> int | None:
        """A whole number from `low` to `high`; true and 1.0 are none."""
        value = self.raw(name)
        if value is None and not self._null_counts(name, required):
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong_type(name, value, f"a whole number{unit and ' of '}{unit}")
        elif not low <= value <= high:
            self._out_of_range(name, value, f"{low} to {high} {unit}".rstrip())
        else:
            return value
        return None

    def number(self, name: str, low: float, high: float, unit: str) -> float | None:
        """A number from `low` to `high`; true is none."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong_type(name, value, f"a number{unit and ' of '}{unit}")
        elif not low <= value <= high:
            self._out_of_range(name, value, f"{_plain(low)} to {_plain(high)} {unit}".rstrip())
        else:
            return float(value)
        return None

    def flag(self, name: str) -> bool:
        """True or false; absent and null count as false."""
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self._wrong_type(name, value, "true or false")
        return False

    def one_of(self, name: str, options: Collection[str], code: str, *, required: str = "") -> str | None:
        """One of `options`; another string is a problem of this `code` with a suggestion."""
        value = self.raw(name)
        if value is None and not self._null_counts(name, required):
            return None
        if not isinstance(value, str):
            self._wrong_type(name, value, "a string")
        elif value not in options:
            otherwise = f"Use one of {', '.join(options)}."
            mend = self.findings.did_you_mean(value, options, otherwise)
            self.wrong(name, code, f"{shown(value)} is no {_NOUNS.get(name, name)}.", mend)
        else:
            return value
        return None

    def strings(self, name: str, limit: int) -> tuple[str, ...] | None:
        """A list of 1 to `limit` strings, none of them empty."""
        values = self.items(name, limit)
        if not values:
            return None
        good = [value for value in values if isinstance(value, str) and 0 < len(value) <= MAX_TEXT]
        for at, value in enumerate(values):
            if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
                self.findings.error(
                    (*self.place, name, at),
                    "wrong-type",
                    f"{self.subject}: '{name}' lists {shown(value)}, which is no usable name.",
                    f"Use strings of 1 to {MAX_TEXT} characters.",
                )
        return tuple(good) if len(good) == len(values) else None

    def items(self, name: str, limit: int, *, required: str = "", empty: bool = False) -> list[Json]:
        """A list of 1 to `limit` items (or none, where `empty`); an empty list for what is wrong."""
        value = self.raw(name)
        if value is None and not self._null_counts(name, required):
            return []
        if not isinstance(value, list):
            self._wrong_type(name, value, "a list")
        elif not value and not empty:
            self.wrong(
                name, "empty", f"'{name}' is empty.", required or f"List at least one, or leave '{name}' out."
            )
        elif len(value) > limit:
            detail = f"'{name}' has {len(value)} entries; the limit is {limit}."
            self.wrong(name, "too-many", detail, "Split it.")
        else:
            return value
        return []

    def members(self, name: str) -> dict[str, Json] | None:
        """An object."""
        value = self.raw(name)
        if value is not None and not isinstance(value, dict):
            self._wrong_type(name, value, "an object")
            return None
        return value

    def close(self) -> None:
        """Report the members that nobody asked for."""
        for name in self.unasked():
            open_names = [known for known in self._known if known not in self._members]
            mend = self.findings.did_you_mean(
                name, [*open_names, *(k for k in self._known if k in self._members)], "Remove it."
            )
            self.findings.error(
                (*self.place, name),
                "unknown-field",
                f"{self.subject}: there is no field {shown(name)} here.",
                mend,
            )

    def _null_counts(self, name: str, required: str) -> bool:
        """Whether a null is judged as a value, as it is for a required member; reports an absent one."""
        if not required:
            return False
        if self.present(name):
            return True
        self.missing(name, required)
        return False

    def _wrong_type(self, name: str, value: Any, wanted: str) -> None:
        self.wrong(
            name, "wrong-type", f"'{name}' must be {wanted}, not {shown(value)}.", f"Make it {wanted}."
        )

    def _out_of_range(self, name: str, value: Any, allowed: str) -> None:
        detail = f"'{name}' is {shown(value)}, outside {allowed}."
        self.wrong(name, "out-of-range", detail, f"Use a value from {allowed}.")


def object_at(findings: Findings, value: Json, place: Place, subject: str) -> Fields | None:
    """The members of `value`, or None and a problem if it is no object."""
    if isinstance(value, dict):
        return Fields(findings, value, place, subject)
    detail = f"{subject} must be an object, not {shown(value)}."
    findings.error(place, "wrong-type", detail, "Make it an object.")
    return None


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


_NOUNS: Final = {
    "type": "step type",
    "Type": "state type",
    "QueryLanguage": "query language",
    "Version": "version of the language",
    "Mode": "mode of a processor",
    "ExecutionType": "execution type",
    "JitterStrategy": "kind of jitter",
    "InputType": "supported kind of input",
    "OutputType": "supported kind of output",
    "Transformation": "way to transform results",
    "fallbackProvider": "provider",
    "onAmbiguous": "way to settle an ambiguous outcome",
    "effects": "kind of effects",
    "jitter": "kind of jitter",
    "as": "way to settle a step",
}
