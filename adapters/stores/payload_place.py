"""That a store and a place of payloads belong together: both bear one mark, which the first `open` makes.

A folder is not shared between machines by itself, and a wrong bucket is quickly named. A worker that would
look for its payloads in the wrong place, or collect those of another store, refuses to start instead.
"""

import secrets

from core.errors import PayloadNotFound, StoreMismatch
from core.ports.clock import Clock
from core.ports.payloads import Payloads
from core.ports.store import Store

FACT = "payloads"
"""The store's fact that holds the mark."""

MARK = "_place/mark"
_NOW = "_place/now"
"""No group of an execution begins with an underscore."""

_CLAIMING = b"claiming:"
_DUTY = "payloads-mark"
_DUTY_SECONDS = 30.0
_PAUSE = 0.2


async def agree(store: Store, payloads: Payloads, clock: Clock) -> bytes:
    """The mark that both bear; where neither has one they get it, in one order for all who try at once.

    Raises StoreMismatch, StoreUnavailable.
    """
    owner = f"open-{secrets.token_hex(6)}"
    while True:
        # The store's note comes before the place's mark, so it is read after it.
        mark = await read_mark(payloads)
        fact = await store.get_fact(FACT)
        if fact is not None and not fact.startswith(_CLAIMING):
            # It may have been made between the two readings.
            if fact in (mark, await read_mark(payloads)):
                return fact
            raise StoreMismatch(
                f"The large payloads of this store are not in {payloads.place}: set SIDESTEP_PAYLOADS to the "
                "one place that all processes of this store share."
            )
        if fact is None and mark is not None:
            raise _strange(payloads)
        if await store.lead(_DUTY, owner, _DUTY_SECONDS):
            await _make(store, payloads)
        else:
            await clock.sleep(_PAUSE)


async def check_inline(store: Store) -> None:
    """Raise StoreMismatch where the store's journals may refer to payloads elsewhere."""
    if await store.get_fact(FACT) is not None:
        raise StoreMismatch(
            "This store has large payloads in a place of their own, so they cannot be kept in the store: set "
            "SIDESTEP_PAYLOADS to that place."
        )


async def read_mark(payloads: Payloads) -> bytes | None:
    """What the place bears."""
    try:
        return await payloads.get(MARK)
    except PayloadNotFound:
        return None


async def now_ms(payloads: Payloads) -> int:
    """The place's own time: ages of payloads are told by it, whatever the clocks of the machines say."""
    await payloads.put(_NOW, b"")
    return await payloads.stamp(_NOW)


async def _make(store: Store, payloads: Payloads) -> None:
    fact = await store.get_fact(FACT)
    if fact is not None and not fact.startswith(_CLAIMING):
        return
    claimed = None if fact is None else fact.removeprefix(_CLAIMING)
    mark = await read_mark(payloads)
    if mark is None:
        # A new one, even where one was claimed: that one may stand in another place already.
        claimed = secrets.token_hex(16).encode()
        await store.put_fact(FACT, _CLAIMING + claimed)
        await payloads.put(MARK, claimed)
    elif mark != claimed:
        raise _strange(payloads)
    await store.put_fact(FACT, claimed)


def _strange(payloads: Payloads) -> StoreMismatch:
    return StoreMismatch(
        f"{payloads.place} holds the payloads of another store: set SIDESTEP_PAYLOADS to a place of its own, "
        "or remove this one where its store is gone."
    )
