"""Where a store's payloads are: an area of its own in the place that the settings name.

The first `open` makes the area, marks it, and keeps its name in the store. A folder is not shared between
machines by itself, and a wrong bucket is quickly named: a process that finds no mark in the area that the
store names refuses to start, before it writes what others cannot read. As no two stores have one area, none
collects another's payloads.
"""

import secrets

from core.errors import PayloadNotFound, StoreMismatch
from core.ports.clock import Clock
from core.ports.payloads import Payloads
from core.ports.store import Store

FACT = "payloads"
"""The store's fact that holds its area's name."""

_MARK = "_place/mark"
_NOW = "_place/now"
"""No group of an execution begins with an underscore."""

_DUTY = "payloads-area"
_DUTY_SECONDS = 30.0
_PAUSE = 0.2


async def area_of(store: Store, place: Payloads, clock: Clock) -> Payloads:
    """The store's area of `place`, open; made where the store has none yet, once for all who ask together.

    Raises StoreMismatch where the store has one elsewhere, ConfigurationError, StoreUnavailable.
    """
    owner = f"open-{secrets.token_hex(6)}"
    while True:
        name = await store.get_fact(FACT)
        if name is not None:
            return await _enter(place, name)
        if await store.lead(_DUTY, owner, _DUTY_SECONDS):
            # Another may have had the duty and done it since the fact was read.
            if await store.get_fact(FACT) is None:
                await _make(store, place)
        else:
            await clock.sleep(_PAUSE)


async def check_inline(store: Store) -> None:
    """Raise StoreMismatch where the store's journals may refer to payloads elsewhere."""
    if await store.get_fact(FACT) is not None:
        raise StoreMismatch(
            "This store has large payloads in a place of their own, so they cannot be kept in the store: set "
            "SIDESTEP_PAYLOADS to that place."
        )


async def is_marked(area: Payloads) -> bool:
    """Whether this is an area at all, and not what an unmounted disk or an emptied bucket left."""
    try:
        await area.get(_MARK)
    except PayloadNotFound:
        return False
    return True


async def now_ms(area: Payloads) -> int:
    """The place's own time: ages of payloads are told by it, whatever the clocks of the machines say."""
    await area.put(_NOW, b"")
    return await area.stamp(_NOW)


async def _make(store: Store, place: Payloads) -> None:
    name = secrets.token_hex(16)
    area = place.inside(name)
    await area.open()
    try:
        await area.put(_MARK, b"An area of payloads of one Sidestep store.\n")
    finally:
        await area.close()
    await store.put_fact(FACT, name.encode())


async def _enter(place: Payloads, name: bytes) -> Payloads:
    area = place.inside(name.decode())
    await area.open()
    try:
        marked = await is_marked(area)
    except BaseException:
        await area.close()
        raise
    if marked:
        return area
    await area.close()
    raise StoreMismatch(
        f"The large payloads of this store are not in {place.place}: set SIDESTEP_PAYLOADS to the one place "
        "that all processes of this store share."
    )
