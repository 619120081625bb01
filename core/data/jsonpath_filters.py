"""Filters of JSONPath: Jayway's dialect over RFC 9535's, which knows no `=~`, `in` and `nin`."""

import re
from typing import Final

import re2
from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathQuery
from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction

from core.data.conditions import MAX_PATTERN, PATTERN_MEMORY

MAX_FILTER: Final = 4_096
"""Characters of one filter."""

_REGEX: Final = re.compile(r"(@[^\s=~]*|\$[^\s=~]*)\s*=~\s*/((?:[^/\\]|\\.)*)/(i?)")
_AMONG: Final = re.compile(r"(@[^\s,()]*)\s+(n?in)\s*\[((?:[^\]'\"]|'[^']*'|\"[^\"]*\")*)\]", re.IGNORECASE)
_ITEM: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s,'\"]+")


class Whole(FilterFunction):
    """`whole(value, pattern)`: a regular expression of RE2 matches the whole of a string. Linear in time."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - the base class has it so
    return_type = ExpressionType.LOGICAL

    def __call__(self, value: object, pattern: object) -> bool:
        """False for any value that is no string."""
        if not isinstance(value, str) or not isinstance(pattern, str):
            return False
        try:
            return re2.fullmatch(pattern, value, _options()) is not None
        except (re2.error, UnicodeEncodeError):
            return False


def compile_filter(condition: str) -> JSONPathQuery:
    """The query `$[?...]` that a filter's condition spells. Raises ValueError, with the reason."""
    if len(condition) > MAX_FILTER:
        raise ValueError(f"it has more than {MAX_FILTER} characters")
    environment = JSONPathEnvironment()
    environment.function_extensions["whole"] = Whole()
    try:
        return environment.compile(f"$[?{_AMONG.sub(_among, _REGEX.sub(_regex, condition)).strip()}]")
    except (JSONPathError, RecursionError) as refused:
        raise ValueError(str(refused)[:200].rstrip(".") or "it is nested too deep") from refused


def _regex(found: re.Match[str]) -> str:
    pattern = ("(?i)" if found[3] else "") + found[2].replace("\\/", "/")
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a regular expression has at most {MAX_PATTERN} characters")
    try:
        re2.compile(pattern, _options())
    except (re2.error, UnicodeEncodeError) as refused:
        raise ValueError("its regular expression is none that RE2 accepts") from refused
    quoted = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return f"whole({found[1]}, '{quoted}')"


def _among(found: re.Match[str]) -> str:
    equal = " || ".join(f"{found[1]} == {item}" for item in _ITEM.findall(found[3])) or "1 == 2"
    return f"{'!' if found[2].lower() == 'nin' else ''}({equal})"


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY
    options.log_errors = False
    options.never_capture = True
    return options
