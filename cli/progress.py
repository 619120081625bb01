"""What a terminal shows while an execution is waited for: a spinner, and its newest events."""

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from cli import telling

KEPT = 8


class Progress:
    """Takes events and remarks; shows nothing."""

    def event(self, _event: dict[str, Any]) -> None:
        """Note an event of the execution."""

    def remark(self, _text: str) -> None:
        """Note something about the connection."""


class _Shown(Progress):
    def __init__(self, live: Live, title: str) -> None:
        self._live = live
        self._spinner = Spinner("dots", Text(title, "bold"))
        self._lines: deque[Text] = deque(maxlen=KEPT)

    def event(self, event: dict[str, Any]) -> None:
        self._add(telling.event(event))

    def remark(self, text: str) -> None:
        self._add(Text(text, "yellow"))

    def _add(self, line: Text) -> None:
        line.no_wrap, line.overflow = True, "ellipsis"
        self._lines.append(line)
        self._live.update(Group(self._spinner, *self._lines))


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Something to tell the events of an execution to; visible only on a terminal, and only meanwhile."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    with Live(console=Console(stderr=True, highlight=False), transient=True, refresh_per_second=12) as live:
        shown = _Shown(live, title)
        live.update(Spinner("dots", Text(title, "bold")))
        yield shown
