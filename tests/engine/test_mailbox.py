"""What a driver waits for: nothing that comes is lost, whenever it comes."""

import asyncio

import pytest

from core.engine.mailbox import Mailbox
from core.engine.posting import Told

PLENTY = 1_000


async def test_what_came_before_the_wait_ends_it_at_once() -> None:
    mailbox = Mailbox()
    mailbox.put(Told("a"))
    await asyncio.wait_for(mailbox.wait(), 1)
    assert mailbox.take(PLENTY) == ([Told("a")], False)
    assert mailbox.empty


async def test_what_comes_while_nobody_looks_is_there_in_its_order() -> None:
    mailbox = Mailbox()
    waiting = asyncio.create_task(mailbox.wait())
    await asyncio.sleep(0)
    for name in "abc":
        mailbox.put(Told(name))
    mailbox.ring()
    await asyncio.wait_for(waiting, 1)
    assert mailbox.take(PLENTY) == ([Told("a"), Told("b"), Told("c")], True)


async def test_a_ring_is_heard_once_and_a_time_that_comes_is_no_ring() -> None:
    mailbox = Mailbox()
    mailbox.ring()
    assert mailbox.take(PLENTY) == ([], True)
    mailbox.wake()
    await asyncio.wait_for(mailbox.wait(), 1)
    assert mailbox.take(PLENTY) == ([], False)
    assert mailbox.empty


async def test_a_wait_that_was_cancelled_loses_nothing() -> None:
    mailbox = Mailbox()
    waiting = asyncio.create_task(mailbox.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    mailbox.put(Told("a"))
    await asyncio.wait_for(mailbox.wait(), 1)
    assert mailbox.take(PLENTY)[0] == [Told("a")]


async def test_what_is_broken_is_raised_to_whoever_takes_it() -> None:
    mailbox = Mailbox()
    mailbox.put(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        mailbox.take(PLENTY)
