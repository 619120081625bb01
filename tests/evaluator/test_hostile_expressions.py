"""Expressions that take all time or memory there is take none from others."""

import asyncio
import time

import pytest

from core.data.flow import QUERY_ERROR
from tests.evaluator.evaluating import ENDLESS, asking, pool, until

HOSTILE = {
    "an endless loop": ENDLESS,
    "endless recursion": "($f := function($n) { $f($n + 1) + 1 }; $f(1))",
    "recursion that branches": "($f := function($n) { $f($n + 1) + $f($n + 2) }; $f(1))",
    "ten million calls": "$map([1..10000000], function($v) { $v * 2 })",
    "pairs of a million": "[1..1000000].([1..1000000].($))",
    "a regular expression that backtracks": f"$match('{'a' * 40}!', /^(a+)+$/)",
    "a replacement that backtracks": f"$replace('{'x' * 40}', /(x+x+)+y/, '')",
    "a string that doubles": "($d := function($s) { $d($s & $s) }; $d('0123456789'))",
    "an array that doubles": "($d := function($a) { $d($append($a, $a)) }; $d([1, 2]))",
    "a string of gigabytes": "$pad('', 4000000000)",
    "a power of powers": "$power($power(10, 300), 300)",
    "a range of everything": "$sum($range(0, 9999999, 1))",
    "a range within ranges": "$count([1..9999999][$ in [1..9999999]])",
    "sorting with a bad order": "$sort([1..100000], function($a, $b) { $random() > 0.5 })",
    "a join of a million": "$length($join($map([1..1000000], function() { 'abcdefghij' })))",
    "brackets": "(" * 3_000 + "1" + ")" * 3_000,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_it_is_answered_in_time_and_others_go_on(name: str) -> None:
    async with pool() as evaluator:
        # Both processes are there before the clock runs.
        await asyncio.gather(*(evaluator.evaluate(asking("1 + 1")) for _ in range(2)))
        await until(lambda: len(evaluator.pids) == 2)
        began = time.monotonic()
        hostile = asyncio.create_task(evaluator.evaluate(asking(HOSTILE[name]), key="hostile"))
        answered, longest = 0, 0.0
        while not hostile.done():
            asked = time.monotonic()
            assert (await evaluator.evaluate(asking("1 + 1"), key="honest")).value == 2
            longest = max(longest, time.monotonic() - asked)
            answered += 1
        assert (await hostile).error == QUERY_ERROR
        assert time.monotonic() - began < 5
        assert answered
        assert longest < 3


async def test_what_it_did_wrong_is_told() -> None:
    async with pool(cpu_ms=50) as evaluator:
        assert "50 ms of CPU time" in (await evaluator.evaluate(asking(ENDLESS))).cause


async def test_memory_has_a_limit_where_time_has_almost_none() -> None:
    async with pool(cpu_ms=10_000, memory_mb=64) as evaluator:
        for name in ("a string that doubles", "an array that doubles", "a string of gigabytes"):
            answer = await evaluator.evaluate(asking(HOSTILE[name]))
            assert answer.error == QUERY_ERROR
            assert "memory" in answer.cause or "evaluated" in answer.cause, name
        assert (await evaluator.evaluate(asking("1 + 1"))).value == 2


async def test_the_loop_goes_on_while_every_process_is_busy() -> None:
    async with pool() as evaluator:
        hostile = [asyncio.create_task(evaluator.evaluate(asking(ENDLESS))) for _ in range(6)]
        longest = 0.0
        while not all(task.done() for task in hostile):
            before = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - before)
        # On a machine that has other things to do; evaluated in this process it would be for ever.
        assert longest < 2


async def test_many_of_one_key_do_not_keep_another_waiting() -> None:
    async with pool(workers=1, cpu_ms=1_000) as evaluator:
        many = [asyncio.create_task(evaluator.evaluate(asking("1 + 1"), key="many")) for _ in range(300)]
        await asyncio.sleep(0)
        await evaluator.evaluate(asking("2 + 2"), key="one")
        assert sum(task.done() for task in many) < 30
        await asyncio.gather(*many)


async def test_only_so_many_requests_wait() -> None:
    async with pool(workers=1, cpu_ms=200, most_waiting=3) as evaluator:
        asked = [asyncio.create_task(evaluator.evaluate(asking(ENDLESS))) for _ in range(5)]
        refused = [task for task in asked if "Too many" in (await task).cause]
        assert refused == asked[3:]


async def test_a_key_that_is_always_killed_leaves_a_process_to_the_others() -> None:
    async with pool(cpu_ms=1_000) as evaluator:
        hostile = [asyncio.create_task(evaluator.evaluate(asking(ENDLESS), key="hostile")) for _ in range(8)]
        await asyncio.wait(hostile, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(20):
            # In turns alone, each of these would wait until one of the hostile has had its second.
            assert (await evaluator.evaluate(asking("1 + 1"), key="honest")).value == 2
        assert sum(task.done() for task in hostile) < 5
        await evaluator.close()
        await asyncio.gather(*hostile, return_exceptions=True)
