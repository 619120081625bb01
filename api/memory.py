"""What this process does before its memory runs out: it takes nothing more on, and finishes what it has.

It looks at its resident memory in the background, a few times a second. From the limit on, requests that make
work (creations, reruns, redrives, trials) are refused before their bodies are read, and the engine claims
nothing; what it holds goes on, and what it does not claim stays in the store, where other workers take it.
Signals, callbacks, cancels and reads go on, since they let work end.

The way back is below the limit by a tenth, so that it does not flap. Memory that was freed is hardly ever
given back to the system: an allocator keeps every page of which a part is in use. So near the limit it is
estimated what is in use of what is resident (`in_use`), or the first flood would close a process for ever.
And a process with nothing in hand has nothing to wait for, so it takes on a little whatever it has. A limit
that is too low makes it slow, and not dead.

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
from typing import Final, NamedTuple

from api.problems import Refusal

log = logging.getLogger("sidestep.memory")

LOOK_SECONDS: Final = 0.25
"""Between two looks in the background."""

BACK: Final = 0.9
"""The share of the limit below which work is taken on again."""

CREDIT: Final = 1.15
"""So many times the limit may be resident while less is in use."""

GROWN: Final = 1.02
"""So many times the most that was resident is more."""

FEW: Final = 8
"""Executions that may be claimed at once whatever there is."""

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


class Mark(NamedTuple):
    """How much was resident when that was the most so far, and how many blocks of memory were in use then."""

    resident: int
    blocks: int


def in_use(resident: int, blocks: int, most: Mark, limit: int) -> int:
    """Bytes in use of so many resident ones, by the `blocks` in use against those when `most` was resident.

    What was freed since is there for what comes, so long as no more becomes resident. What has grown beyond
    CREDIT times the limit is taken as it is.
    """
    if resident >= limit * CREDIT:
        return resident
    return min(resident, most.resident * blocks // most.blocks)


def most_of(before: Mark, now: Mark) -> Mark:
    """What counts as the most that was resident so far. A few pages more while less is in use are no news:
    they would make what has just been freed look as if it were in use.
    """
    grown = now.resident > before.resident and now.blocks >= before.blocks
    return now if grown or now.resident > before.resident * GROWN else before


def is_over(before: bool, used: int, limit: int) -> bool:
    """Whether too much is used, where that was so `before` or not: from `limit` bytes on, until less than
    BACK of them are.
    """
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
    """The memory of this process. `idle` says whether it drives no execution; `resident` gives its resident
    bytes, `blocks` how many blocks of memory are in use.
    """

    def __init__(
        self,
        limit: int,
        idle: Callable[[], bool],
        resident: Callable[[], int] | None = None,
        blocks: Callable[[], int] = sys.getallocatedblocks,
    ) -> None:
        self._meter = Meter()
        self.limit = limit
        self.resident = 0
        """Bytes, at the last look."""
        self.full = False
        """Whether work is refused."""
        self.refused = 0
        """How many requests were."""
        self.bodies = 0
        """Bytes of the requests' bodies that are in hand now."""
        self._idle = idle
        self._read_resident = resident or self._meter
        self._blocks = blocks
        self._used = 0
        self._most = Mark(0, 1)
        self._over = False
        self._claimed = self._read = 0

    def look(self) -> None:
        """See what is used, and what follows. Logs each change once."""
        self._claimed = self._read = 0
        self.resident = self._used = self._read_resident()
        if self.resident >= self.limit * BACK:
            # Counting blocks takes 20 us for 100 MB, so it is done only where it matters.
            blocks = self._blocks()
            self._most = most_of(self._most, Mark(self.resident, blocks))
            self._used = in_use(self.resident, blocks, self._most, self.limit)
        before, self._over = self._over, is_over(self._over, self._used, self.limit)
        self.full = self._over and not (self.bodies == 0 and self._idle())
        if self._over and not before:
            log.warning(
                "this process uses %d MiB of the %d MiB that it may have: it takes on nothing more until it "
                "uses less than %d MiB",
                *(self._used // MIB, self.limit // MIB, int(self.limit * BACK) // MIB),
            )
        elif before and not self._over:
            log.info("this process uses %d MiB: it takes on work again", self._used // MIB)

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
        """How many executions may be claimed where so many are wanted: but for a few, no more than there
        would be room for if each had large data.
        """
        if self._claimed >= CLAIMS_A_LOOK:
            self.look()
        # Callers may wait, with their bodies in hand, for what is to be claimed: they do not count here.
        if self._over and not self._idle():
            return 0
        granted = min(wanted, max(FEW, (self.limit - self._used) // CLAIM_BYTES))
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
