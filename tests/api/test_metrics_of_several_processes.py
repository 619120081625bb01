"""Whoever of several processes is asked for numbers tells those of all."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from api.metrics import Family, exposition
from api.roles import Role
from api.server import serve
from api.siblings import MOST_BYTES, Siblings
from tests.api.serving import settings_for
from tests.api.test_stores_that_are_away import Remote, runtime_on

PLACES = re.compile(r'sidestep_engine_restarts_total\{process="(\d)"\} 0\n')


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A socket's path may have about a hundred bytes; a test's name is longer.
    return tmp_path_factory.mktemp("s")


async def test_a_scrape_of_one_process_has_the_numbers_of_all(folder: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    urls: list[asyncio.Future[str]] = [loop.create_future() for _ in range(2)]
    servers = [
        asyncio.create_task(
            serve(
                settings_for(),
                runtime=runtime_on(Remote(), Role.BOTH),
                ready=url.set_result,
                stop=stop,
                siblings=Siblings(folder, number, 3),
            )
        )
        for number, url in enumerate(urls, 1)
    ]
    try:
        async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as client:
            pages = [(await client.get(f"{url}/metrics")).text for url in await asyncio.gather(*urls)]
            for page in pages:
                # The third is being started again; the page says that it tells of two.
                assert PLACES.findall(page) == ["1", "2"]
                assert "sidestep_processes 2\n" in page
                assert page.count("# TYPE sidestep_engine_restarts_total") == 1
                assert page.count('sidestep_executions{status="COMPLETED"}') == 1
    finally:
        stop.set()
        await asyncio.gather(*servers)


async def test_a_sibling_that_is_stuck_broken_or_without_end_is_left_out(folder: Path) -> None:
    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stuck.wait()
        writer.close()

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * (MOST_BYTES + 1))
        writer.close()

    stuck = asyncio.Event()
    (folder / "4.sock").write_text("no socket")
    one, five = Siblings(folder, 1, 5), Siblings(folder, 5, 5)
    async with (
        await asyncio.start_unix_server(hang, folder / "2.sock"),
        await asyncio.start_unix_server(flood, folder / "3.sock"),
        five.telling(lambda: b"[]"),
    ):
        assert await one.ask() == {5: b"[]"}
        stuck.set()


async def test_the_socket_of_a_process_that_was_killed_is_taken_over(folder: Path) -> None:
    (folder / "1.sock").touch()
    first, second = Siblings(folder, 1, 2), Siblings(folder, 2, 2)
    async with first.telling(lambda: b"[]"):
        assert await second.ask() == {1: b"[]"}


async def test_a_folder_that_is_gone_leaves_each_with_its_own_numbers(folder: Path) -> None:
    alone = Siblings(folder / "gone", 1, 2)
    async with alone.telling(lambda: b"[]"):
        assert await alone.ask() == {}


def test_a_label_of_a_process_stands_beside_the_others() -> None:
    family = Family("sidestep_x_total", "counter", "X.", (({"provider": "AWS"}, 2),))
    page = exposition("1", None, {1: (family,), 2: (family,)})
    assert 'sidestep_x_total{process="1",provider="AWS"} 2\n' in page
    assert 'sidestep_x_total{process="2",provider="AWS"} 2\n' in page
