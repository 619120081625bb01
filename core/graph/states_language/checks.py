"""Looking at the paths and expressions of a definition before anything runs.

Every check notes its problem at the place of the expression and says whether there was none. What was
accepted once (`Findings.quiet`) is not looked at again.
"""

from typing import Final

from core.data import checking
from core.data.templates import CLOSING, OPENING
from core.graph.expressions import check_expression
from core.graph.fields import Fields
from core.graph.findings import Findings, Place, shown
from core.graph.model import Json

_PATH_MEND: Final = "Write it as $.order.total"


def is_expression(value: Json) -> bool:
    """Whether a value of a JSONata state is meant to be evaluated."""
    return isinstance(value, str) and value.startswith(OPENING)


def check_path(
    fields: Fields, name: str, text: str, *, intrinsic: bool = False, reference: bool = False
) -> bool:
    """A path (`$.a`, `$$.a`, `$variable`), or, with `intrinsic`, a call of an intrinsic function.

    With `reference` it names one place of the state's own data, into which something is put.
    """
    if fields.findings.quiet:
        return True
    wrong = checking.check_find(text) if intrinsic else checking.check_path(text, reference=reference)
    if wrong is None and reference and not text.startswith(("$.", "$[")) and text != "$":
        wrong = "It has to lead into the state's own data."
    if wrong is None:
        return True
    _no_path(fields, (*fields.place, name), text, wrong, intrinsic=intrinsic)
    return False


def check_template(fields: Fields, place: Place, value: Json, language: str) -> bool:
    """Every expression in a payload template."""
    if fields.findings.quiet:
        return True
    before = fields.findings.errors
    stack: list[tuple[Place, Json]] = [(place, value)]
    while stack:
        here, part = stack.pop()
        match part:
            case dict():
                for member, inner in part.items():
                    if language == "jsonpath" and member.endswith(".$"):
                        _check_member(fields, (*here, member), part, member)
                    else:
                        stack.append(((*here, member), inner))
            case list():
                stack.extend(((*here, at), inner) for at, inner in enumerate(part))
            case str() if language == "jsonata" and is_expression(part):
                _check_expression(fields.findings, part, here, fields.subject)
            case _:
                pass
    return fields.findings.errors == before


def _check_member(fields: Fields, place: Place, holder: dict[str, Json], name: str) -> None:
    text = holder[name]
    if not isinstance(text, str):
        _no_path(fields, place, text, "It is no text.", intrinsic=True)
        return
    wrong = checking.check_find(text)
    if wrong is not None:
        _no_path(fields, place, text, wrong, intrinsic=True)
    bare = name.removesuffix(".$")
    if bare in holder:
        detail = f"{fields.subject}: there are both {shown(bare)} and {shown(name)}."
        fields.findings.error(place, "contradiction", detail, "Keep one of them.")


def _no_path(fields: Fields, place: Place, text: Json, wrong: str, *, intrinsic: bool) -> None:
    kinds = "no path and no intrinsic function" if intrinsic else "no path"
    fields.findings.error(
        place,
        "invalid-path",
        f"{fields.subject}: {shown(text)} is {kinds}: {wrong}",
        f"{_PATH_MEND}, or call a function such as States.Format('{{}}', $.a)."
        if intrinsic
        else f"{_PATH_MEND}.",
    )


def _check_expression(findings: Findings, text: str, place: Place, subject: str) -> None:
    inner = text[len(OPENING) : -len(CLOSING)]
    if not text.endswith(CLOSING) or len(text) < len(OPENING) + len(CLOSING):
        wrong = f"{shown(text)} begins an expression and does not end it."
        mend = f"End it with '{CLOSING}'."
    elif not inner.strip():
        wrong = f"there is nothing between '{OPENING}' and '{CLOSING}'."
        mend = "Write a JSONata expression there, such as {% $states.input.total %}."
    else:
        check_expression(findings, inner, place, subject)
        return
    findings.error(place, "invalid-expression", f"{subject}: {wrong}", mend)
