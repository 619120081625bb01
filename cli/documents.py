"""Reading JSON that a user names: a file, `-` for standard input, or the text itself."""

import json
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from cli.failures import USAGE, Stop, usage

MAX_BYTES = 64 * 1024 * 1024
"""More than any server takes; it keeps a mistaken `/dev/zero` from filling the memory."""

_SCALAR = re.compile(r"-?[0-9][0-9.eE+-]*|true|false|null")


class NotJson(Stop):
    """A file that could be read, and is no JSON."""


def read_json(name: str) -> Any:
    """The JSON in the file `name`, or in standard input for `-`.

    Raises Stop (2) with a sentence where it cannot be read, NotJson (2) where it is no JSON.
    """
    where = "standard input" if name == "-" else name
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise usage(f"{where} cannot be read: {problem.strerror or problem}.") from problem
    except ValueError as problem:
        raise usage(f"{where!r} is no file name: {problem}.") from problem
    if len(data) > MAX_BYTES:
        raise usage(f"{where} is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    return parse_json(data, where)


def read_input(text: str | None) -> Any:
    """An execution's input, as `read_value` reads it; None is `{}`.

    Natively it has to be an object, which the server judges: it alone knows a registered workflow's language.
    """
    return {} if text is None else read_value(text, "--input")


def read_value(text: str, option: str) -> Any:
    """What an `option` is given: text that begins with `{`, `[` or `"` is JSON itself.

    So is a number, true, false or null of which there is no file; any other text names a file.
    """
    if text.lstrip()[:1] in {"{", "[", '"'} or (_SCALAR.fullmatch(text) and not Path(text).exists()):
        return parse_json(text.encode("utf-8", "surrogateescape"), option)
    return read_json(text)


def parse_json(data: bytes, where: str) -> Any:
    """The JSON in `data`. Raises NotJson with the place of the mistake."""
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as problem:
        raise _not_json(f"{where} is not UTF-8 text (byte {problem.start}).") from problem
    except json.JSONDecodeError as problem:
        raise _not_json(
            f"{where} is not JSON: {problem.msg} (line {problem.lineno}, column {problem.colno})."
        ) from problem
    except RecursionError as problem:
        raise _not_json(f"{where} is nested too deeply.") from problem
    except ValueError as problem:
        raise _not_json(f"{where} is not JSON: {problem}.") from problem


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _not_json(message: str) -> NotJson:
    return NotJson(message, USAGE)
