"""Shapes and deaths in short: that what is counted adds up. No figure is judged."""

from dataclasses import replace

import pytest

from benchmarks.__main__ import run
from benchmarks.children import endpoint
from benchmarks.concurrent import measure
from benchmarks.deaths import death
from benchmarks.judged import judged
from benchmarks.line import STEPS
from benchmarks.report import document, markdown
from benchmarks.shapes import lengths, maps, shards
from benchmarks.sizes import TINY

pytestmark = pytest.mark.timeout(120)


async def test_each_length_runs_about_as_many_steps() -> None:
    with endpoint() as port:
        rows = await lengths("everysec", port, TINY)
    assert [row.size for row in rows] == list(TINY.lengths)
    assert all(row.executions % TINY.length_at_once == 0 for row in rows)
    assert rows[0].slope_us is None
    assert all(row.slope_us is not None for row in rows[1:])


async def test_maps_of_each_size_complete() -> None:
    with endpoint() as port:
        rows = await maps("sqlite", port, TINY)
    assert [row.size for row in rows] == list(TINY.items)
    assert all(row.executions > 0 for row in rows)


async def test_each_number_of_shards_is_a_store_of_its_own() -> None:
    with endpoint() as port:
        rows = await shards("everysec", port, TINY)
    assert [row.size for row in rows] == list(TINY.shards)
    assert all(row.executions > 0 for row in rows)


@pytest.mark.parametrize("store", ["sqlite", "everysec"])
async def test_nothing_is_lost_by_a_death_and_only_what_was_under_way_is_repeated(store: str) -> None:
    found = await death(store, TINY)
    assert found.completed == found.executions == TINY.killed
    assert 0 < found.called_at_kill <= TINY.killed * STEPS
    assert found.repeated <= TINY.killed
    assert found.sent_twice == 0
    assert 0 < found.ready <= found.seconds


async def test_a_part_alone_makes_a_table_and_a_document() -> None:
    said: list[str] = []
    results, problems = await run(["maps", "many"], TINY, said.append)
    assert problems == ()
    assert [line.split(":")[0] for line in said] == ["[1/2] maps", "[2/2] many"]
    verdict = judged(results)
    text = markdown(results, verdict)
    assert "### The items of a MAP" in text
    assert "### By provider" not in text
    assert "not measured" in text
    assert b'"maps"' in document(results, verdict)


async def test_a_part_that_cannot_be_measured_is_told_of_and_the_others_are_measured() -> None:
    said: list[str] = []
    # A store has 4,096 shards at most: this server does not start.
    results, problems = await run(["shards", "maps"], replace(TINY, shards=(5_000,)), said.append)
    assert len(problems) == 1
    assert problems[0].startswith("shards: server did not start: ")
    assert [row.size for row in results.maps] == list(TINY.items)


def test_many_at_once_are_counted() -> None:
    assert measure("sqlite", 40)["executions"] == 40
