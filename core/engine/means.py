"""What the drivers of one engine share."""

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.engine.attempts import Attempts
from core.engine.complaints import Complaints
from core.engine.definitions import Definitions
from core.engine.endings import Endings
from core.engine.posting import Post
from core.engine.settings import EngineSettings
from core.engine.waiting import WaitingRoom
from core.machine.run import Rules
from core.ports.clock import Clock
from core.ports.evaluator import Evaluator
from core.ports.health import HealthBoard
from core.ports.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """`entropy` draws 64 random bits: what chance is for one decision."""

    owner: str
    store: Store
    definitions: Definitions
    attempts: Attempts
    post: Post
    board: HealthBoard
    clock: Clock
    settings: EngineSettings
    rules: Rules
    complaints: Complaints
    waiting: WaitingRoom
    endings: Endings
    evaluator: Evaluator | None
    entropy: Callable[[], int]


def chance() -> Callable[[], int]:
    """Draws 64 bits of the system's randomness at each call; it is asked for many at once."""
    return _draws().__next__


def _draws() -> Iterator[int]:
    while True:
        yield from struct.unpack("64Q", os.urandom(512))
