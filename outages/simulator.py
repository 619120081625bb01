"""Virtual time: an event loop on which waiting takes none, and a case played on it.

The loop hands out the time of its next timer instead of waiting for it. Whatever runs on it, the engine
itself included, runs to the end of a minute in as long as its own computing takes, and the same seed gives
the same run. Computing itself takes no time there: what Sidestep costs is measured on the wire.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol, TypeVar

from core.ports.clock import Clock
from outages.cases import Case
from outages.clouds import EPOCH_MS, Clouds
from outages.seen import Happening, Seen, Told

T = TypeVar("T")

SEED: Final = 1
_DRAIN_SECONDS: Final = 60.0
_TURNS: Final = 20_000
"""So many turns of the loop without a timer are no work, however many calls end at one instant."""


class TimeStandsStill(RuntimeError):
    """Something on the loop is always ready: time would never pass again."""


class _Selector(selectors.DefaultSelector):
    """Never waits; the time that it was asked to wait for goes to the loop."""

    passed: Callable[[float], None]
    _turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self._turns = 0
            self.passed(timeout)
        self._turns += 1
        if self._turns > _TURNS:
            self._turns = 0  # what ends the loop needs it too
            raise TimeStandsStill(f"{_TURNS} turns of the loop at one instant: something spins")
        found: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock begins at 0 and runs only while everybody waits."""

    def __init__(self) -> None:
        self._virtual = 0.0
        selector = _Selector()
        selector.passed = self._pass
        super().__init__(selector)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._virtual

    def _pass(self, seconds: float) -> None:
        self._virtual += seconds


class VirtualClock(Clock):
    """The clock port over the running loop's time."""

    def now_ms(self) -> int:
        """As the port says."""
        return int(EPOCH_MS + self.monotonic() * 1000)

    def monotonic(self) -> float:
        """As the port says."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """As the port says."""
        if seconds > 0:
            await asyncio.sleep(seconds)

    def call_later(self, seconds: float, ring: Callable[[], object]) -> Callable[[], None]:
        """As the port says."""
        return asyncio.get_running_loop().call_later(seconds, ring).cancel


class Strategy(Protocol):
    """A way to call clouds that fail. It lives in virtual time, for one case."""

    async def start(self) -> None:
        """Begin, before the first execution."""
        ...

    async def submit(self, number: int) -> str:
        """Take execution `number`; its id. It goes on by itself."""
        ...

    async def stop(self, seconds: float) -> None:
        """Wait until all have ended, `seconds` at most; then end what still runs."""
        ...

    async def executions(self) -> Mapping[str, Told]:
        """What became of them."""
        ...

    async def happenings(self) -> list[Happening]:
        """What its breakers did."""
        ...


Maker = Callable[[Case, Clouds], Strategy]


def simulate(case: Case, make: Maker, seconds: float, rate: float) -> Seen:
    """Play a case in virtual time: `rate` executions a second for `seconds`, open loop.

    Raises TimeStandsStill where the strategy spins.
    """
    return _run(lambda: _simulated(case, make, seconds, rate))


async def _simulated(case: Case, make: Maker, seconds: float, rate: float) -> Seen:
    clouds = Clouds(case, seconds, SEED)
    strategy = make(case, clouds)
    loop = asyncio.get_running_loop()
    await strategy.start()
    ids = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, number / rate - loop.time()))
        ids.append(await strategy.submit(number))
    await asyncio.sleep(max(0.0, seconds - loop.time()))
    await strategy.stop(_DRAIN_SECONDS)
    return Seen(
        began=float(EPOCH_MS),
        seconds=seconds,
        submitted=len(ids),
        acknowledged=frozenset(ids),
        executions=dict(await strategy.executions()),
        ran=clouds.ran,
        happenings=await strategy.happenings(),
    )


def _run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
