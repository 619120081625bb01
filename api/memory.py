"""What this process does before its memory runs out: it takes nothing more on, and finishes what it has.

It looks at its resident memory in the background, a few times a second. From the limit on, requests that make
work (creations, reruns, redrives, trials) are refused before their bodies are read, and the engine claims
nothing; what it holds goes on, and what it does not claim stays in the store, where other workers take it.
Signals, callbacks, cancels and reads go on, since they let work end.

The way back is below the limit by a tenth, so that it does not flap. But memory that was freed is not always
given back to the system (an allocator keeps pages of which a part is in use). A process with nothing in hand
has nothing to wait for, so it takes work again whatever it has: a little at a time, and at the next look it
is full again if it has to be. A limit that is too low makes it slow, and not dead.

Between two looks, bounds in bytes hold: of bodies and of answers (api/limits.py), and of what a claim may
bring (`claimable`).
"""

import asyncio
import logging
import os
import random
import resource
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from api.problems import Refusal

log = logging.getLogger("sidestep.memory")

LOOK_SECONDS: Final = 0.25
"""Between two looks in the background."""

BACK: Final = 0.9
"""The share of the limit below which work is taken on again."""

CLAIM_BYTES: Final = 1 << 20
"""What a claimed execution counts for until it is seen what it takes. A usual one takes some 16 KiB, one with
large data several times that data.
"""

CLAIMS_A_LOOK: Final = 64
READ_A_LOOK: Final = 1 << 20
"""After so many claims, or bytes of bodies, there is a look, however soon: one costs 4 us."""

MIB: Final = 1 << 20

AGAIN: Final = (1, 5)
"""Whole seconds, one of them at random, after which who was refused may come again: not all at once."""


def refuses(before: bool, used: int, limit: int, *, idle: bool) -> bool:
    """Whether work is refused now, where it was or was not `before`: from `limit` bytes on, until less than
    BACK of them are used. Never where the process is `idle`: then no waiting would free any.
    """
    if idle:
        return False
    return used >= (limit * BACK if before else limit)


def adds_work(method: str, path: str) -> bool:
    """Whether a request makes work that the process would have to hold."""
    if method != "POST":
        return False
    match path.split("/"):
        case ["", "executions"] | ["", "workflows", "test"]:
            return True
        case ["", "executions", _, "rerun" | "redrive"]:
            return True
        case _:
            return False


class Memory:
    """The memory of this process. `idle` says whether it holds no work; `resident` how many bytes it has."""

    def __init__(
        self, limit: int, idle: Callable[[], bool], resident: Callable[[], int] | None = None
    ) -> None:
        self._meter = Meter()
        self.limit = limit
        self.used = 0
        """Bytes, at the last look."""
        self.full = False
        """Whether work is refused."""
        self.refused = 0
        """How many requests were."""
        self.bodies = 0
        """Bytes of the requests' bodies that are in hand now."""
        self._idle = idle
        self._resident = resident or self._meter
        self._claimed = self._read = 0
        self._warned = False

    def look(self) -> None:
        """See what is used, and what follows. Logs each change once."""
        self._claimed = self._read = 0
        self.used = self._resident()
        idle = self.bodies == 0 and self._idle()
        self.full = refuses(self.full, self.used, self.limit, idle=idle)
        # A process that is over its limit with nothing in hand opens and closes all the time.
        over = refuses(self._warned, self.used, self.limit, idle=False)
        if over and not self._warned:
            log.warning(
                "this process has %d MiB of the %d MiB that it may have: it takes on nothing more until it "
                "has less than %d MiB",
                *(self.used // MIB, self.limit // MIB, int(self.limit * BACK) // MIB),
            )
        elif self._warned and not over:
            log.info("this process has %d MiB: it takes on work again", self.used // MIB)
        self._warned = over

    async def watch(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                self.look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._meter.close()

    def take(self, size: int) -> None:
        """So many bytes more of a body are in hand."""
        self.bodies += size
        self._read += size
        if self._read >= READ_A_LOOK:
            self.look()

    def give_back(self, size: int) -> None:
        """The request whose body they were is over."""
        self.bodies -= size

    def check(self) -> None:
        """Before work is taken on. Raises a Refusal where there is no memory for it."""
        if not self.full:
            return
        self.refused += 1
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "memory-full",
            "Memory full",
            "This process has as much memory as it may have, and finishes what it holds first. Nothing was "
            "created. Send the request again later.",
            headers={"retry-after": str(random.randint(*AGAIN))},  # noqa: S311 - spreads callers, no secret
        )

    def claimable(self, wanted: int) -> int:
        """How many executions may be claimed where so many are wanted: never more than there would be room
        for if each had large data.
        """
        if self._claimed >= CLAIMS_A_LOOK:
            self.look()
        if self.full:
            return 0
        granted = min(wanted, max(1, (self.limit - self.used) // CLAIM_BYTES))
        self._claimed += granted
        return granted

    def note(self) -> str | None:
        """What whoever looks at this process should know, in a sentence."""
        if not self.full:
            return None
        return (
            f"The process has as much memory as it may have ({self.limit // MIB} MiB, by "
            "SIDESTEP_MEMORY_LIMIT): it finishes what it holds, and takes on nothing more until it has less."
        )


class Meter:
    """Reads the resident memory of this process, in bytes. Close it when it is not needed any more."""

    def __init__(self) -> None:
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._file: int | None = None

    def __call__(self) -> int:
        """The number now."""
        try:
            if self._file is None:
                # Kept open: it is read also where no further file can be opened.
                self._file = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._file, 128, 0).split()[1]) * self._page
        except OSError:
            return _most_resident()

    def close(self) -> None:
        """Let go of the file; the next reading opens it again."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _most_resident() -> int:
    """The most that it ever was, where the system does not tell what it is: it never falls, so that a process
    which was full once takes work on only while it has none in hand.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
