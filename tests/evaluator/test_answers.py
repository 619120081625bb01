"""What the evaluator answers, through real processes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.flow import EXPRESSION_ERROR, QUERY_ERROR, Language
from tests.evaluator.evaluating import alive, asking, pool, until


async def test_an_expression_is_answered() -> None:
    async with pool() as evaluator:
        answer = await evaluator.evaluate(asking("$sum($states.input.numbers)", {"numbers": [1, 2, 3]}))
        assert (answer.value, answer.error) == (6, "")


async def test_nothing_runs_before_there_is_something_to_do() -> None:
    async with pool() as evaluator:
        assert not evaluator.pids
        await evaluator.evaluate(asking("1 + 1"))
        assert len(evaluator.pids) == 1


async def test_two_hundred_callers_each_get_their_own_answer() -> None:
    async with pool() as evaluator:
        answers = await asyncio.gather(
            *(evaluator.evaluate(asking(f"{number} * 2"), key=str(number % 7)) for number in range(200))
        )
        assert [answer.value for answer in answers] == [number * 2 for number in range(200)]
        assert 1 <= len(evaluator.pids) <= 2


@pytest.mark.parametrize(("language", "error"), [("jsonata", QUERY_ERROR), ("native", EXPRESSION_ERROR)])
async def test_a_failure_has_the_name_of_its_language(language: Language, error: str) -> None:
    async with pool() as evaluator:
        for expression in ("$error('told')", "($f := function() { $f() }; $f())", "[1..1000000]"):
            answer = await evaluator.evaluate(asking(expression, language=language))
            assert answer.error == error
            assert answer.cause


async def test_a_result_of_more_than_a_mebibyte_is_refused() -> None:
    async with pool(cpu_ms=5_000) as evaluator:
        answer = await evaluator.evaluate(asking("$pad('', 1100000)"))
        assert answer.error == QUERY_ERROR
        assert (await evaluator.evaluate(asking("1"))).value == 1


async def test_data_that_is_no_json_fails_its_own_request() -> None:
    async with pool() as evaluator:
        answer = await evaluator.evaluate(asking("$states.input.x & 'a'", {"x": "\ud800"}))
        assert answer.error == QUERY_ERROR


async def test_large_data_goes_both_ways() -> None:
    data = {"rows": [{"n": number, "text": "é" * 20} for number in range(3_000)]}
    async with pool(cpu_ms=5_000) as evaluator:
        answer = await evaluator.evaluate(asking("{'rows': $states.input.rows}", data))
        assert answer.value == data


async def test_a_process_without_work_ends_and_another_is_started_when_there_is_some() -> None:
    async with pool(idle_seconds=0.05) as evaluator:
        await evaluator.evaluate(asking("1 + 1"))
        (first,) = evaluator.pids
        await until(lambda: not evaluator.pids and not alive(first))
        assert (await evaluator.evaluate(asking("2 + 2"))).value == 4
        assert first not in evaluator.pids


async def test_a_process_has_nothing_of_the_servers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDESTEP_STORE", "redis://:secret@nowhere")
    async with pool() as evaluator:
        await evaluator.evaluate(asking("1 + 1"))
        (pid,) = evaluator.pids
        assert b"secret" not in _of(pid, "environ")


def _of(pid: int, what: str) -> bytes:
    return Path(f"/proc/{pid}/{what}").read_bytes()


async def test_a_caller_that_gives_up_costs_nobody_else_an_answer() -> None:
    async with pool(workers=1) as evaluator:
        gone = [asyncio.create_task(evaluator.evaluate(asking("1 + 1"))) for _ in range(20)]
        stays = asyncio.create_task(evaluator.evaluate(asking("2 + 2")))
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        assert (await stays).value == 4
        assert all(isinstance(done, asyncio.CancelledError) for done in await _outcomes(gone))


async def _outcomes(tasks: list["asyncio.Task[Any]"]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_it_works_on_the_loop_that_servers_use() -> None:
    async def body() -> None:
        async with pool() as evaluator:
            assert (await evaluator.evaluate(asking("1 + 1"))).value == 2
            slow = await evaluator.evaluate(asking("($f := function() { $f() }; $f())"))
            assert "100 ms" in slow.cause
            assert (await evaluator.evaluate(asking("1 + 1"))).value == 2

    uvloop.run(body())


words = st.sampled_from(
    [
        "$",
        "$f",
        ":=",
        "function($x){",
        "}",
        "(",
        ")",
        "[1..",
        "]",
        "$map",
        ",",
        "1",
        "'a'",
        "/(a+)+$/",
        "~>",
        ".",
        "*",
    ]
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(words, max_size=14).map("".join) | st.text(max_size=30), min_size=10, max_size=40))
def test_whatever_is_asked_is_answered(expressions: list[str]) -> None:
    async def body() -> None:
        async with pool() as evaluator, asyncio.timeout(60):
            asked = (evaluator.evaluate(asking(expression), key="wild") for expression in expressions)
            for answer in await asyncio.gather(*asked):
                assert answer.error in ("", QUERY_ERROR)
            assert (await evaluator.evaluate(asking("1 + 1"))).value == 2

    asyncio.run(body())
