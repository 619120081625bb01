"""Query parameters, read by hand so that every mistake is listed with its mend."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from starlette.requests import Request

from api.problems import Refusal, invalid_request, told
from api.schemas.instants import EXAMPLE, epoch_ms
from core.errors import Problem
from core.graph.findings import shown

CURSOR = re.compile(r"[0-9a-hjkmnp-tv-z]{26}-[0-9]{1,10}")
"""The form of an execution's id, which is what a cursor is."""

MAX_DIGITS = 18
"""Of a number in a query; longer ones are out of every range, and costly to read."""


class Query:
    """The parameters of one request; `done` refuses the request if any of them was wrong."""

    def __init__(self, request: Request) -> None:
        self._given: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            self._given.setdefault(name, []).append(value)
        self._known: list[str] = []
        self._problems: list[Mapping[str, str]] = []

    def text(self, name: str, limit: int = 128) -> str | None:
        """A text of 1 to `limit` characters."""
        value = self._one(name)
        if value is not None and not 0 < len(value) <= limit:
            self._wrong(name, f"it must have 1 to {limit} characters", "Leave it out, or give it a value.")
            return None
        return value

    def required(self, name: str, limit: int = 128) -> str:
        """A text that has to be there; empty where it is wrong."""
        if name not in self._given:
            self._known.append(name)
            detail = f"The query parameter '{name}' is missing."
            self._note(name, "missing-parameter", detail, f"Send ?{name}=...")
            return ""
        return self.text(name, limit) or ""

    def choice(self, name: str, options: Sequence[str]) -> str | None:
        """One of `options`, in any case."""
        value = self._one(name)
        if value is None or value.upper() in options:
            return value if value is None else value.upper()
        close = get_close_matches(value.upper()[:64], options, 1)
        mend = f"Did you mean {close[0]}?" if close else f"Use one of {', '.join(options)}."
        self._wrong(name, f"it is {shown(value)}, and must be one of {', '.join(options)}", mend)
        return None

    def flag(self, name: str) -> bool | None:
        """`true` or `false`."""
        value = self._one(name)
        if value is None or value in ("true", "false"):
            return None if value is None else value == "true"
        self._wrong(name, f"it is {shown(value)}, and must be true or false", "Use true or false.")
        return None

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self._one(name)
        if value is None:
            return default
        digits = value.removeprefix("-") if low < 0 else value
        if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS and low <= int(value) <= high:
            return int(value)
        self._wrong(
            name,
            f"it is {shown(value)}, and must be a whole number from {low} to {high}",
            (f"Leave it out for {default}, or use" if low <= default else "Leave it out, or use")
            + f" a number from {low} to {high}.",
        )
        return default

    def instant(self, name: str) -> int | None:
        """A time of RFC 3339, as Unix epoch milliseconds."""
        value = self._one(name)
        if value is None:
            return None
        ms = epoch_ms(value)
        if ms is None:
            # In a query, a plus stands for a space.
            mend = f"Use RFC 3339 with an offset: {EXAMPLE}. Send a plus as %2B."
            self._wrong(name, f"{shown(value)} is no time", mend)
        return ms

    def cursor(self, name: str = "cursor", form: re.Pattern[str] = CURSOR) -> str | None:
        """The `nextCursor` of an earlier page, which has this form; of executions, unless told otherwise."""
        value = self._one(name)
        if value is None or form.fullmatch(value):
            return value
        self._wrong(
            name,
            f"{shown(value)} is no cursor",
            "Send the 'nextCursor' of the page before as it is, or leave it out to begin at the newest.",
        )
        return None

    def done(self) -> None:
        """Raise a Refusal that lists everything that was wrong, unknown parameters too."""
        for name in self._given:
            if name not in self._known:
                close = get_close_matches(name[:64], self._known, 1)
                if close:
                    mend = f"Did you mean '{close[0]}'?"
                elif self._known:
                    mend = f"Leave it out. There are {', '.join(self._known)}."
                else:
                    mend = "Leave it out: this call takes none."
                self._note(
                    name, "unknown-parameter", f"There is no query parameter {shown(name)} here.", mend
                )
        if self._problems:
            raise invalid_request(tuple(self._problems))

    def _one(self, name: str) -> str | None:
        self._known.append(name)
        values = self._given.get(name)
        if values is None:
            return None
        if len(values) > 1:
            self._wrong(name, "it is given more than once", "Give it once.")
            return None
        return values[0]

    def _wrong(self, name: str, what: str, mend: str) -> None:
        self._note(name, "invalid-parameter", f"The query parameter '{name}' cannot be used: {what}.", mend)

    def _note(self, name: str, code: str, detail: str, mend: str) -> None:
        self._problems.append(told(Problem("", code, detail, mend), parameter=shown(name)[1:-1]))


def no_query(request: Request) -> None:
    """Refuse any query parameter: a call that takes none must not ignore one silently."""
    if request.scope["query_string"]:
        Query(request).done()


def refuse_parameter(name: str, code: str, detail: str, mend: str) -> Refusal:
    """A refusal because of one parameter or header."""
    return invalid_request((told(Problem("", code, detail, mend), parameter=name),))
