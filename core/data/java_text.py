"""Values as text in States.Format: AWS writes objects and arrays as Java's collections do."""

import math
from typing import Final

from core.data.paths import Json

_PLAIN_FROM: Final = 1e-3
_PLAIN_TO: Final = 1e7


def java_text(value: Json) -> str:
    """`{a=1, b=[x, null]}` for an object, `[1, 2.0]` for a list, a string itself; numbers as Java's
    Double.toString and Long.toString write them.
    """
    match value:
        case str():
            return value
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return _whole(value)
        case float():
            return _double(value)
        case list():
            return f"[{', '.join(map(java_text, value))}]"
        case dict():
            return f"{{{', '.join(f'{name}={java_text(member)}' for name, member in value.items())}}}"
        case _:
            return str(value)


def _whole(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        # Python refuses to write out integers of thousands of digits.
        return _double(math.inf if value > 0 else -math.inf)


def _double(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if value == 0 or _PLAIN_FROM <= abs(value) < _PLAIN_TO:
        return repr(value)
    written = repr(value)
    if "e" in written:
        digits, _, exponent = written.partition("e")
    else:
        digits, exponent = _scientific(written)
    if "." not in digits:
        digits += ".0"
    return f"{digits}E{int(exponent)}"


def _scientific(written: str) -> tuple[str, str]:
    """`12345678.5` as digits `1.23456785` and exponent `7`."""
    sign, body = ("-", written[1:]) if written.startswith("-") else ("", written)
    whole, _, fraction = body.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = (
        len(whole.lstrip("0")) - 1 if whole.strip("0") else -(len(fraction) - len(fraction.lstrip("0")) + 1)
    )
    rest = digits[1:].rstrip("0")
    return f"{sign}{digits[0]}.{rest or '0'}", str(exponent)
