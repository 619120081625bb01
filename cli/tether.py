"""Ending: by signals, and with the process that started this one."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


def tether(patience: float | None = None) -> None:
    """Send this process SIGTERM when its standard input ends, that is, when the parent that holds it dies,
    and SIGKILL where it has not ended `patience` seconds later.
    """
    threading.Thread(target=_watch_stdin, args=(patience,), name="sidestep-tether", daemon=True).start()


def _watch_stdin(patience: float | None) -> None:
    # os.read and no buffered reader: a daemon thread inside one blocks the interpreter's end.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    if patience is not None:
        time.sleep(patience)
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def until_signalled() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set, inside a running loop; a second signal has its usual effect."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def ask() -> None:
        asked.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, ask)
    try:
        yield asked
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
