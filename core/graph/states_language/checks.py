"""Looking at the paths and expressions of a definition before anything runs.

Every check notes its problem at the place of the expression and says whether there was none.
"""

from typing import Final

from core.graph.fields import Fields
from core.graph.findings import Place, shown
from core.graph.model import Json

OPEN: Final = "{%"
SHUT: Final = "%}"

MAX_NESTING: Final = 64


def is_expression(value: Json) -> bool:
    """Whether a value of a JSONata state is to be evaluated."""
    return isinstance(value, str) and value.startswith(OPEN) and value.endswith(SHUT)


def check_path(fields: Fields, name: str, text: str, *, intrinsic: bool = False) -> bool:
    """A path (`$.a`, `$$.a`, `$variable`), or, with `intrinsic`, a call of an intrinsic function."""
    if text.startswith("$") or (intrinsic and text.startswith("States.")):
        return True
    fields.wrong(
        name,
        "invalid-path",
        f"{shown(text)} is no path.",
        "Write it as $.order.total" + (", or call an intrinsic function." if intrinsic else "."),
    )
    return False


def check_template(fields: Fields, place: Place, value: Json, language: str) -> None:
    """Every expression in a payload template."""
    stack: list[tuple[Place, Json]] = [(place, value)]
    while stack:
        here, part = stack.pop()
        if isinstance(part, dict):
            for member, inner in part.items():
                if language == "jsonpath" and member.endswith(".$"):
                    _check_dynamic(fields, (*here, member), inner)
                else:
                    stack.append(((*here, member), inner))
        elif isinstance(part, list):
            stack.extend(((*here, at), inner) for at, inner in enumerate(part))


def _check_dynamic(fields: Fields, place: Place, value: Json) -> None:
    if isinstance(value, str) and value.startswith(("$", "States.")):
        return
    fields.findings.error(
        place,
        "invalid-path",
        f"{fields.subject}: {shown(value)} is no path and no intrinsic function, which a name that ends in "
        "'.$' asks for.",
        "Write a path such as $.order.total, or take '.$' off the name.",
    )
