"""Changing JSON so that it stays JSON: values are replaced, removed, repeated, wrapped or taken elsewhere."""

import json
from collections.abc import Sequence
from copy import deepcopy
from random import Random
from typing import Any, Final

ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 0.5, 1e308, -0.0, 2**63, 10**300, "", " ", "x", "$", "$.", "$.a",
    "$$.Map.Item", "$[*]", "$[?(@.a == 1)]", "$..a", "$[-1:]", "{% $ %}", "{% $states.input.a %}", "{% ( %}",
    "{%%}", "*", "States.ALL", "States.Runtime", "States.Format('{}', $.a)", "States.ArrayRange(1, 9, 2)",
    "States.JsonMerge($.a, $.b, false)", "a.b.0", "2020-02-29T12:00:00Z", "arn:aws:states:::lambda:invoke",
    "\u2028", "\U0001f4a5", [], {}, [[]], [1, "a", None], {"a": {"b": [1]}},
)  # fmt: skip

MOST: Final = 8
"""Changes that are made to one input at once."""


def mutate(data: bytes, random: Random, pool: Sequence[Any], max_size: int) -> bytes:
    """Another input: `data`, if it is JSON, with a few of its values changed. `pool` holds values to take."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return scramble(data, random)[:max_size]
    for _ in range(random.randint(1, MOST)):
        document = _changed(document, random, pool)
    try:
        made = json.dumps(document).encode()
    except (ValueError, RecursionError):
        return data
    return made if len(made) <= max_size else scramble(data, random)[:max_size]


def scramble(data: bytes, random: Random) -> bytes:
    """`data` with a few bytes changed, put in or taken out."""
    made = bytearray(data or b"\0")
    for _ in range(random.randint(1, MOST)):
        at = random.randrange(len(made) + 1)
        match random.randrange(4):
            case 0:
                made[at:at] = random.choice((b'"', b"{", b"]", b"\\u", b"\xff", b"e9", b"-", b"(", b"%}"))
            case 1:
                del made[at : at + random.randint(1, MOST)]
            case 2:
                made[at : at + 1] = bytes([random.randrange(256)])
            case _:
                other = random.randrange(len(made) + 1)
                made[at:at] = made[other : other + random.randint(1, 32)]
    return bytes(made)


def values(document: Any) -> list[Any]:
    """Every value within a document, and every member's name."""
    found: list[Any] = []
    waiting = [document]
    while waiting:
        here = waiting.pop()
        found.append(here)
        if isinstance(here, dict):
            found += here
            waiting += here.values()
        elif isinstance(here, list):
            waiting += here
    return found


def _changed(document: Any, random: Random, pool: Sequence[Any]) -> Any:
    """`document`, changed in place, or what stands in its place.

    What is put in is a copy: it may be changed next, and a document that held itself could not be written.
    """
    holders = [one for one in values(document) if isinstance(one, dict | list) and one]
    if not holders or random.random() < 0.02:
        return deepcopy(random.choice(ODD))
    holder = random.choice(holders)
    key: Any = random.choice(list(holder)) if isinstance(holder, dict) else random.randrange(len(holder))
    match random.randrange(7):
        case 0:
            del holder[key]
        case 1:
            holder[key] = deepcopy(random.choice(ODD))
        case 2 if isinstance(holder, dict):
            name = random.choice([one for one in pool if isinstance(one, str)] or ["x"])
            holder[name] = holder.pop(key)
        case 3 if isinstance(holder, list):
            holder.append(deepcopy(holder[key]))
        case 4 if isinstance(holder[key], str):
            at = random.randint(0, len(holder[key]))
            holder[key] = holder[key][:at] + str(random.choice(ODD)) + holder[key][at:]
        case 5:
            holder[key] = [holder[key]] if random.random() < 0.5 else {str(key): holder[key]}
        case _:
            holder[key] = deepcopy(random.choice(pool or ODD))
    return document
