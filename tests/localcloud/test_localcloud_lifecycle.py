"""Starting, stopping, what is left behind (nothing), and pointing a server at it."""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import aiohttp
import pytest
import uvloop

from localcloud.app import LocalCloud, serve
from localcloud.client import connect
from localcloud.loading import FunctionsError
from localcloud.settings import LocalCloudSettings
from localcloud.vendor import PROVIDERS
from tests.localcloud.calling import caller_of, cloud_with, write

QUEUE = """
import azure.functions as func
app = func.FunctionApp()
@app.queue_output(arg_name="out", queue_name="q", connection="c")
@app.route(route="x")
def g(req, out): ...
"""
ROOT = Path(__file__).parents[2]


def answers(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def key_file_of(cloud: LocalCloud) -> Path:
    return Path(cloud.environment()["SIDESTEP_PROVIDERS__GCP__CREDENTIALS_FILE"])


def mode_of(path: Path) -> int | None:
    return path.stat().st_mode & 0o777 if path.exists() else None


def token_uri_of(path: Path) -> str:
    return str(json.loads(path.read_text())["token_uri"])


async def test_after_stop_no_port_thread_or_file_is_left() -> None:
    before = set(threading.enumerate())
    cloud = LocalCloud(LocalCloudSettings(port=0))
    await cloud.start()
    async with caller_of(cloud) as caller:
        for provider in PROVIDERS:
            assert (await caller.call(provider)).status == 200
    urls = [cloud.control_url, *cloud.urls.values()]
    key_file = key_file_of(cloud)
    assert all(answers(url) for url in urls)
    await cloud.stop()
    assert not any(answers(url) for url in urls)
    assert mode_of(key_file) is None
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not [name for name in left if name.startswith("localcloud")]


async def test_the_environment_points_a_server_here() -> None:
    async with LocalCloud(LocalCloudSettings(port=0)) as cloud:
        environment = cloud.environment()
        assert cloud.environment() == environment
        prefix = "SIDESTEP_PROVIDERS__"
        assert {name.removeprefix(prefix) for name in environment} == {
            "AWS__ENDPOINT_URL",
            "AWS__REGION",
            "AWS__ACCESS_KEY_ID",
            "AWS__SECRET_ACCESS_KEY",
            "GCP__BASE_URL",
            "GCP__PROJECT",
            "GCP__LOCATION",
            "GCP__CREDENTIALS_FILE",
            "AZURE__BASE_URL",
            "AZURE__FUNCTION_KEY",
        }
        key_file = key_file_of(cloud)
        assert mode_of(key_file) == 0o600
        assert token_uri_of(key_file) == f"{cloud.urls['GCP']}/token"


def test_before_the_start_there_is_no_environment() -> None:
    with pytest.raises(RuntimeError):
        LocalCloud().environment()


async def test_a_key_file_of_ones_own_is_private_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text("an older file that everybody may read")
    path.chmod(0o644)
    async with LocalCloud(LocalCloudSettings(port=0, credentials_file=path)) as cloud:
        cloud.environment()
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["type"] == "service_account"


async def test_ports_follow_the_control_port() -> None:
    base = free_run_of_ports()
    async with LocalCloud(LocalCloudSettings(port=base)) as cloud:
        urls = [cloud.control_url, *cloud.urls.values()]
        assert urls == [f"http://127.0.0.1:{base + offset}" for offset in range(4)]
        assert list(cloud.urls) == ["AWS", "GCP", "AZURE"]
        assert all(answers(url) for url in urls)


def free_run_of_ports() -> int:
    for base in range(20_000, 30_000, 7):
        if not any(answers(f"http://127.0.0.1:{base + offset}") for offset in range(4)):
            return base
    raise AssertionError("no four free ports in a row")


async def test_a_taken_port_is_an_error_and_nothing_stays_open() -> None:
    base = free_run_of_ports()
    with socket.socket() as other:
        other.bind(("127.0.0.1", base + 2))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            await LocalCloud(LocalCloudSettings(port=base)).start()
        assert [answers(f"http://127.0.0.1:{base + offset}") for offset in (0, 1, 3)] == [False] * 3
    async with LocalCloud(LocalCloudSettings(port=base)):
        pass


async def test_two_local_clouds_live_side_by_side() -> None:
    async with (
        LocalCloud(LocalCloudSettings(port=0)) as one,
        LocalCloud(LocalCloudSettings(port=0)) as two,
        connect(one.control_url) as control,
        caller_of(one) as a,
        caller_of(two) as b,
    ):
        await control.set_outage("AZURE", "503")
        assert (await a.call("AZURE")).status == 503
        assert (await b.call("AZURE")).status == 200
        # A token of the one is worth nothing at the other.
        await a.call("GCP")
        b._token = a._token
        assert (await b.call("GCP")).status == 401


async def test_an_advertised_host_is_what_callers_are_told() -> None:
    settings = LocalCloudSettings(port=0, advertised_host="clouds")
    async with LocalCloud(settings) as cloud:
        assert cloud.control_url.startswith("http://clouds:")
        assert token_uri_of(key_file_of(cloud)).startswith("http://clouds:")


def test_all_of_it_works_under_uvloop() -> None:
    async def scenario() -> None:
        async with (
            LocalCloud(LocalCloudSettings(port=0)) as cloud,
            caller_of(cloud) as caller,
            connect(cloud.control_url) as control,
        ):
            for provider in PROVIDERS:
                assert (await caller.call(provider)).status == 200
                for kind in ("refused", "reset", "reply-lost", "truncated"):
                    await control.set_outage(provider, kind)
                    with pytest.raises(aiohttp.ClientError):
                        await caller.call(provider)
                    await control.clear()
                assert (await caller.call(provider)).status == 200

    uvloop.run(scenario())


async def test_serve_runs_until_it_is_told_to_end() -> None:
    ready = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(LocalCloudSettings(port=0), ready.set_result))
    cloud = await ready
    assert answers(cloud.control_url)
    os.kill(os.getpid(), signal.SIGTERM)
    await task
    assert not answers(cloud.control_url)


async def test_it_runs_as_a_program(tmp_path: Path) -> None:
    file = tmp_path / "env"
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "localcloud", "--port", "0", "--env-file", str(file)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    lines = [await asyncio.wait_for(program.stdout.readline(), 30) for _ in range(5)]
    names = [b"control", b"AWS", b"GCP", b"AZURE", b"names"]
    assert [line.split()[0] for line in lines] == names
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"SIDESTEP_PROVIDERS__AWS__ENDPOINT_URL={lines[1].split()[1].decode()}\n" in file.read_text()
    program.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(program.communicate(), 30)
    assert (program.returncode, errors) == (0, b"")


async def test_a_directory_that_makes_no_sense_ends_the_program_with_a_sentence(tmp_path: Path) -> None:
    write(tmp_path, aws="FUNCTIONS = 3")
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "localcloud", "--port", "0", "--functions", str(tmp_path)),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(program.communicate(), 30)
    assert program.returncode == 2
    assert b"FUNCTIONS must be a dict" in errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("vendor", "text", "word"),
    [
        ("aws", "raise ValueError('at once')", "ValueError: at once"),
        ("aws", "def broken(:", "SyntaxError"),
        ("aws", "FUNCTIONS = {'f': 3}", "f must be a handler"),
        ("aws", "FUNCTIONS = {'f': {'handler': print, 'memory': 1}}", "f must be a handler"),
        ("aws", "FUNCTIONS = {'f': {}}", "f has no handler"),
        ("aws", "FUNCTIONS = {'f': {'fault': 'Nope'}}", "no error of AWS"),
        ("aws", "FUNCTIONS = {'f': {'handler': print, 'timeoutSeconds': 0}}", "timeoutSeconds"),
        ("aws", "FUNCTIONS = {'f': {'handler': print, 'aliases': 1}}", "aliases"),
        ("aws", "FUNCTIONS = {3: print}", "no function name"),
        ("gcp", "import nothing_of_this_name", "ModuleNotFoundError"),
        (
            "gcp",
            "import functions_framework.aio as a\n@a.http\nasync def f(request): return 'x'\n",
            "functions_framework.aio",
        ),
        ("azure", "app = 3", "FunctionApp"),
        (
            "azure",
            "import azure.functions as f\napp = f.FunctionApp()\n@app.route(route='x{y}z')\ndef g(req): ...",
            "segment",
        ),
        (
            "azure",
            "import azure.functions as f\napp = f.FunctionApp()\n@app.route(route='x')\ndef g(other): ...",
            "no parameter 'req'",
        ),
        (
            "azure",
            QUEUE,
            "queue",
        ),
    ],
)
async def test_functions_that_cannot_be_used_are_said_to_be_at_the_start(
    tmp_path: Path, vendor: str, text: str, word: str
) -> None:
    with pytest.raises(FunctionsError) as raised:
        await LocalCloud(LocalCloudSettings(port=0, functions=write(tmp_path, **{vendor: text}))).start()
    assert word in str(raised.value)
    assert str(tmp_path) in str(raised.value)


async def test_equally_named_helpers_of_two_vendors_stay_apart(tmp_path: Path) -> None:
    write(
        tmp_path,
        aws="import helper\ndef where_handler(event, context): return helper.WHERE",
        gcp=(
            "import functions_framework\nimport helper\n"
            "@functions_framework.http\ndef where(request): return helper.WHERE"
        ),
        azure=(
            "import azure.functions as func\nimport helper\napp = func.FunctionApp()\n"
            "@app.route(route='where')\ndef where(req: func.HttpRequest) -> str: return helper.WHERE"
        ),
    )
    for vendor in ("aws", "gcp", "azure"):
        (tmp_path / vendor / "helper.py").write_text(f"WHERE = 'in {vendor}'")
    path, modules, environment = list(sys.path), set(sys.modules), dict(os.environ)
    async with cloud_with(tmp_path) as (_, caller):
        assert sys.path == path
        assert "helper" not in set(sys.modules) - modules
        assert dict(os.environ) == environment
        assert (await caller.call("AWS", "where")).json == "in aws"
        assert (await caller.call("GCP", "where")).body == b"in gcp"
        assert (await caller.call("AZURE", "where")).body == b"in azure"


async def test_a_users_function_wins_over_the_demos(tmp_path: Path) -> None:
    write(tmp_path, aws="FUNCTIONS = {'flakey-func': lambda event, context: 'mended'}")
    async with cloud_with(tmp_path) as (_, caller):
        assert (await caller.call("AWS", "flakey-func")).json == "mended"
        assert (await caller.call("AWS", "my-func")).status == 200
