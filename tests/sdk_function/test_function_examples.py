"""The examples as they are, on localcloud; and the wrapper where it is installed from."""

import asyncio
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

import sidestep_function
from localcloud.vendor import PROVIDERS, ProviderName
from tests.localcloud.calling import Caller, cloud_with

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "sdk" / "function" / "python" / "sidestep_function.py"

every_provider = pytest.mark.parametrize("provider", PROVIDERS)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "stock.db"
    monkeypatch.setenv("STOCK_DB", str(path))
    return path


@pytest.fixture
async def caller(database: Path) -> AsyncIterator[Caller]:  # noqa: ARG001 - the functions find it by its variable
    async with cloud_with(ROOT / "examples" / "functions") as (_, caller):
        yield caller


def left(database: Path) -> int | None:
    if not database.exists():
        return None
    with closing(sqlite3.connect(database)) as connection:
        quantity: int = connection.execute("SELECT quantity FROM stock WHERE item = 'book'").fetchone()[0]
        return quantity


async def test_one_key_reserves_once_whichever_clouds_run_it(caller: Caller, database: Path) -> None:
    answers = [
        (await caller.call(provider, "reserve-stock", {"item": "book", "quantity": 3}, key="k")).json
        for provider in PROVIDERS
    ]
    assert [answer["repeated"] for answer in answers] == [False, True, True]
    assert left(database) == 97
    other = await caller.call("GCP", "reserve-stock", {"item": "book"}, key="other")
    assert other.json["repeated"] is False
    assert left(database) == 96
    assert caller.cloud.ledger.summary()["runTwice"]["keys"] == 1


async def test_two_clouds_at_once_reserve_once(caller: Caller, database: Path) -> None:
    await caller.call("GCP", "my-func")
    calls = [caller.call(provider, "reserve-stock", {"item": "book"}, key="k") for provider in PROVIDERS * 4]
    answers = await asyncio.gather(*calls)
    assert sum(not answer.json["repeated"] for answer in answers) == 1
    assert left(database) == 99


@every_provider
async def test_a_late_start_reserves_nothing(caller: Caller, database: Path, provider: ProviderName) -> None:
    late = {"sidestep-not-after": str(int(time.time() * 1000) - 5_000)}
    answer = await caller.call(provider, "reserve-stock", {"item": "book"}, key="k", headers=late)
    assert answer.json["errorType"] == "Sidestep.NotStarted"
    assert answer.status == (200 if provider == "AWS" else 412)
    assert left(database) is None


@every_provider
async def test_an_own_error_says_its_name(caller: Caller, provider: ProviderName) -> None:
    answer = await caller.call(provider, "reserve-stock", {"item": "book", "quantity": 1_000}, key="k")
    assert answer.json["errorType"] == "OutOfStockError"
    mark = answer.headers.get("X-Amz-Function-Error" if provider == "AWS" else "Sidestep-Error")
    assert mark == ("Unhandled" if provider == "AWS" else "function")


async def test_a_coroutine_knows_how_long_its_caller_waits(caller: Caller) -> None:
    until = {"sidestep-not-after": str(int(time.time() * 1000) + 60_000)}
    answer = await caller.call("AZURE", "time-left", headers=until)
    assert 30 < answer.json["seconds"] <= 60


def test_the_installed_wrapper_is_the_one_that_is_copied() -> None:
    assert Path(str(sidestep_function.__file__)).resolve() == SOURCE


def test_a_wheel_holds_the_wrapper_and_the_demos_functions(tmp_path: Path) -> None:
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    subprocess.run(build, cwd=ROOT, check=True, timeout=60, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("sidestep_function.py") == SOURCE.read_bytes()
        assert "localcloud/functions/gcp/main.py" in archive.namelist()


def test_the_wrapper_imports_nothing_but_the_standard_library() -> None:
    names = {
        line.split()[1].split(".")[0]
        for line in SOURCE.read_text(encoding="utf-8").splitlines()
        if line.startswith(("import ", "from "))
    }
    assert names <= set(sys.stdlib_module_names)
