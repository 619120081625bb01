"""JSONata that needs no interpreter: literals, and walks through objects. For any process."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final, Literal

from core.data.paths import MISSING, Json, Missing

MAX_EXPRESSION: Final = 32_768
"""The longest expression, in characters."""


class Undecided(Enum):
    """The type of `UNDECIDED`: the interpreter has to be asked."""

    UNDECIDED = "undecided"


UNDECIDED: Final = Undecided.UNDECIDED


_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")
_STRING: Final = re.compile(r"\"[^\"\\]*\"|'[^'\\]*'")
_WALK: Final = re.compile(
    r"(?P<variable>\$\$|\$[A-Za-z_][A-Za-z0-9_]*|\$)?(?P<keys>(?:(?:^|\.)(?:[A-Za-z_][A-Za-z0-9_]*|`[^`]+`))*)"
)
_KEY: Final = re.compile(r"`([^`]+)`|([A-Za-z_][A-Za-z0-9_]*)")
_WORDS: Final = {"true": True, "false": False, "null": None}
_OPERATORS: Final = frozenset({"and", "or", "in", *_WORDS})


def plain_walk(
    expression: str, root: Json, bindings: Mapping[str, Json]
) -> Json | Literal[Missing.MISSING, Undecided.UNDECIDED]:
    """What `evaluate_jsonata` would give, where that is a literal or a walk through objects: `1`, `'text'`,
    `$name.key`, `key.key`. UNDECIDED where it is anything else, or where an array is walked through, since
    JSONata maps over it. Takes time linear in the length of the expression; never raises.

    The value is that of the root or the binding itself, not a copy.
    """
    text = expression.strip(" \t\n\r")
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        number = float(text)
        return int(number) if number.is_integer() else number
    if _STRING.fullmatch(text):
        return text[1:-1]
    walk = _WALK.fullmatch(text)
    if not text or walk is None or len(text) > MAX_EXPRESSION:
        return UNDECIDED
    match walk["variable"]:
        case None | "$" | "$$":
            here = MISSING if root is None else root
        case named if named[1:] in bindings:
            here = bindings[named[1:]]
        case _:
            return UNDECIDED
    keys = walk["keys"]
    if walk["variable"] is None and keys.startswith("."):
        return UNDECIDED
    for key in _KEY.finditer(keys):
        if key[2] in _OPERATORS or isinstance(here, list):
            return UNDECIDED
        here = here.get(key[1] or key[2], MISSING) if isinstance(here, dict) else MISSING
    return here
