"""Writing: results to standard output, remarks to standard error, colours only on a terminal.

What is shown comes from workflows and functions, that is, from strangers: control characters are replaced
before anything reaches a terminal, so that no text can move the cursor or change colours.
"""

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.text import Text

_DIRECTIONS: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *_DIRECTIONS)
_SAFE: Final = {code: "\ufffd" for code in _CONTROLS if chr(code) not in "\n\t"}

# JSON escapes the first 32 controls by itself; the others can stand inside its strings only.
_ESCAPED: Final = {code: f"\\u{code:04x}" for code in _CONTROLS if code > 0x1F}  # noqa: PLR2004 - see above


def clean(text: str) -> str:
    """`text` with each control character replaced, one for one; newlines and tabs stay."""
    return text.translate(_SAFE)


def on_line(text: str) -> str:
    """`text` as part of one line: white space of any kind becomes single spaces."""
    return clean(" ".join(text.split()))


def styled(*parts: str | tuple[str, str]) -> "Text | str":
    """A line of texts, some of them with a style of rich's. Where standard output is no terminal, nothing is
    styled, and rich is not loaded.
    """
    if not sys.stdout.isatty():
        return "".join(part if isinstance(part, str) else part[0] for part in parts)
    from rich.text import Text

    return Text.assemble(*parts)


def say(*lines: "Text | str") -> None:
    """Write lines to standard output, with their styles where that is a terminal."""
    _write(lines, sys.stdout)


def complain(*lines: "Text | str") -> None:
    """Write lines to standard error, with their styles where that is a terminal."""
    _write(lines, sys.stderr)


def emit(document: Any) -> None:
    """Write one JSON document to standard output."""
    _dump(document, indent=2)


def emit_line(document: Any) -> None:
    """Write one JSON document as one line of standard output, at once."""
    _dump(document, separators=(",", ":"))


def _dump(document: Any, **form: Any) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, **form).translate(_ESCAPED) + "\n")
    sys.stdout.flush()


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    return Console().width


def _write(lines: "Iterable[Text | str]", stream: TextIO) -> None:
    if not stream.isatty():
        stream.writelines(clean(str(line)).rstrip() + "\n" for line in lines)
        stream.flush()
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    for line in lines:
        text = line.copy() if isinstance(line, Text) else Text(line)
        # Each character is replaced by one, so the styled spans stay where they are.
        text.plain = clean(text.plain)
        console.print(text, soft_wrap=True)
