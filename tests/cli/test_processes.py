"""What runs until it is told to end: the server, localcloud, a watch over broken connections."""

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.clouds import prepare
from cli.serving import Wanted, _settings
from tests.cli.running import EXAMPLES, Sidestep, document, on_terminal, started

WAITS = {
    "id": "waits",
    "startAt": "a",
    "steps": [
        {"id": "a", "type": "WAIT", "seconds": 0.6, "next": "b"},
        {"id": "b", "type": "WAIT", "seconds": 0.6, "next": "c"},
        {"id": "c", "type": "WAIT", "seconds": 0.6},
    ],
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ended_by(process: "subprocess.Popen[str]", number: int) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_and_its_localcloud_end_in_order_on_a_signal(tmp_path: Path, number: int) -> None:
    ports = ("--port", "0", "--localcloud-port", "0")
    with started("serve", "--localcloud", *ports, "--json", folder=tmp_path) as process:
        where = document(process.stdout)
        assert httpx.get(f"{where['server']}/health", trust_env=False).json()["status"] == "OK"
        assert set(where["localcloud"]["providers"]) == {"AWS", "GCP", "AZURE"}
        code, errors = ended_by(process, number)
    assert code == 0
    assert "Traceback" not in errors
    assert (tmp_path / "sidestep.db").exists()


def test_a_plain_server_says_where_it_is_without_escape_codes(tmp_path: Path) -> None:
    with started("serve", "--port", "0", "--store", "memory:", folder=tmp_path) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Sidestep is up at http://127.0.0.1:")
        assert "\x1b" not in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--store", "postgres://user:hunter2@host/db", "--port", "0"), "names no store"),
        (("--store", "memory:", "--config", "missing.toml"), "missing.toml cannot be read"),
        (("--store", "memory:", "--port", "{taken}"), "Cannot listen on 127.0.0.1 port {taken}"),
        (("--store", "memory:", "--localcloud", "--localcloud-port", "{taken}"), "one of them is taken"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_a_sentence(
    sidestep: Sidestep, arguments: tuple[str, ...], said: str
) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = sidestep.apart("serve", *(argument.replace("{taken}", port) for argument in arguments))
    assert done.code == 1
    assert said.replace("{taken}", port) in done.err
    assert "hunter2" not in done.err


def test_a_second_server_on_the_same_store_is_refused(tmp_path: Path, sidestep: Sidestep) -> None:
    store = f"sqlite:{tmp_path / 'one.db'}"
    with started("serve", "--port", "0", "--store", store, "--json", folder=tmp_path) as process:
        document(process.stdout)
        done = sidestep.apart("serve", "--port", "0", "--store", store)
    assert done.code == 1
    assert len(done.err.strip().splitlines()) == 1


async def test_the_settings_of_localcloud_stay_out_of_the_environment() -> None:
    cloud = prepare(0)
    before = dict(os.environ)
    async with cloud:
        wanted = Wanted({"port": 0}, config=None, localcloud_port=0, as_json=False, tethered=False)
        settings = _settings(wanted, cloud)
        assert settings.providers.aws is not None
        assert settings.providers.aws.endpoint_url == cloud.urls["AWS"]
        assert settings.providers.azure is not None
        assert settings.providers.azure.base_url == cloud.urls["AZURE"]
    assert dict(os.environ) == before


def test_localcloud_alone_prints_what_to_export_and_ends_on_a_signal(tmp_path: Path) -> None:
    with started("localcloud", "--port", "0", folder=tmp_path) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        text = next(line for line in lines if "SIDESTEP_PROVIDERS__AWS__ENDPOINT_URL" in line)
        assert text.startswith("export ")
        code, errors = ended_by(process, signal.SIGINT)
    assert (code, errors) == (0, "")


def test_a_tethered_process_ends_with_its_parents_end_of_the_pipe(tmp_path: Path) -> None:
    with started("localcloud", "--port", "0", "--json", "--tethered", folder=tmp_path) as process:
        where = document(process.stdout)
        assert where["environment"]["SIDESTEP_PROVIDERS__AWS__ENDPOINT_URL"] == where["providers"]["AWS"]
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0
        process.stdin = None


def test_outages_are_put_listed_and_cleared(sidestep: Sidestep) -> None:
    rule = ("503", "--function", "nobody", "--percent", "50", "--for", "60")
    said = sidestep("localcloud", "outage", "azure", *rule).out
    assert said == "AZURE is out: 503 (50 % of calls, function nobody, for 60 s)\n"
    assert "503:" in sidestep("localcloud", "status").out
    listed = sidestep("localcloud", "status", "--json").json()["providers"]["AZURE"]["outages"]
    assert [(one["kind"], one["percent"], one["for_seconds"]) for one in listed] == [("503", 50, 60)]
    assert sidestep("localcloud", "clear", "AZURE", "--json").json() == {"ended": 1}
    wrong = sidestep("localcloud", "outage", "AWS", "sleepy")
    assert wrong.code == 2
    assert "blackhole" in wrong.err
    assert sidestep("localcloud", "outage", "MARS", "refused").code == 1


def test_the_ledger_counts_what_ran(sidestep: Sidestep) -> None:
    done = sidestep("run", str(EXAMPLES / "order.json"), "--wait", "--json")
    key = done.json()["steps"][0]["attempts"][0]["idempotencyKey"]
    (entry,) = sidestep("localcloud", "ledger", "--key", key, "--json").json()["entries"]
    assert (entry["provider"], entry["function"], entry["state"]) == ("AWS", "reserve-stock", "completed")
    assert key in sidestep("localcloud", "ledger", "--function", "reserve-stock").out
    assert "keys ran more than once" in sidestep("localcloud", "ledger", "--summary").out


def test_no_server_is_exit_5_with_what_to_do(sidestep: Sidestep) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    for command in (
        ("list",),
        ("show", "x"),
        ("watch", "x"),
        ("run", str(EXAMPLES / "hello.json"), "--wait"),
    ):
        done = sidestep(*command, server=nobody)
        assert done.code == 5
        assert "sidestep serve" in done.err
    told = sidestep("list", "--json", server=nobody).json()
    assert (told["exitCode"], nobody in told["error"]) == (5, True)
    assert sidestep("localcloud", "status", "--url", nobody).code == 5


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Hello</html>")

    def log_message(self, *_: Any) -> None:
        pass


def test_another_kind_of_server_is_exit_5(sidestep: Sidestep) -> None:
    with HTTPServer(("127.0.0.1", 0), _Page) as page:
        thread = threading.Thread(target=page.serve_forever)
        thread.start()
        try:
            done = sidestep("list", server=f"http://127.0.0.1:{page.server_port}")
        finally:
            page.shutdown()
            thread.join()
    assert done.code == 5
    assert "is no Sidestep server" in done.err


class CuttingProxy:
    """Passes connections on to a server, and cuts the first `cuts` of them after `after` bytes of answer."""

    def __init__(self, port: int, cuts: int, after: int) -> None:
        self._port, self._cuts, self._after = port, cuts, after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._servers: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextmanager
    def running(self) -> Iterator["CuttingProxy"]:
        self._threads[0].start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for server in self._servers:
                with suppress(OSError):  # it is closed already
                    server.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                limit = self._after if self._cuts > 0 else 1 << 30
                self._cuts -= 1
                thread = threading.Thread(target=self._pass_on, args=(client, limit))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, client: socket.socket, limit: int) -> None:
        with ExitStack() as stack:
            stack.enter_context(client)
            stack.enter_context(suppress(OSError))
            server = stack.enter_context(socket.create_connection(("127.0.0.1", self._port)))
            self._servers.append(server)
            server.sendall(client.recv(65_536))
            while limit > 0 and (data := server.recv(min(limit, 65_536))):
                client.sendall(data)
                limit -= len(data)


def test_a_watch_takes_up_a_connection_that_was_cut_and_tells_each_event_once(sidestep: Sidestep) -> None:
    port = int(sidestep.server.rpartition(":")[2])
    execution_id = sidestep("run", sidestep.file(WAITS), "--json").json()["executionId"]
    with CuttingProxy(port, cuts=2, after=700).running() as proxy:
        done = sidestep("watch", execution_id, "--json", server=proxy.url)
    events = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "WORKFLOW_COMPLETED"
    assert done.err.count("connecting again") == 2


def test_a_watch_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    port = free_port()
    serve = ("serve", "--port", str(port), "--store", f"sqlite:{tmp_path / 'kept.db'}", "--json")
    server = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        first = stack.enter_context(started(*serve, folder=tmp_path))
        document(first.stdout)
        created = httpx.post(f"{server}/executions", json={"workflow": WAITS, "input": {}}, trust_env=False)
        execution_id = created.json()["executionId"]
        watch = stack.enter_context(
            started("watch", execution_id, "--json", "--server", server, folder=tmp_path)
        )
        assert watch.stdout is not None
        lines = [watch.stdout.readline()]
        assert ended_by(first, signal.SIGTERM)[0] == 0
        second = stack.enter_context(started(*serve, folder=tmp_path))
        document(second.stdout)
        lines += watch.stdout.readlines()
        assert watch.wait(timeout=30) == 0
    seqs = [json.loads(line)["seq"] for line in lines]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_terminal_gets_colours_and_lines_that_fit(sidestep: Sidestep) -> None:
    done = sidestep("run", str(EXAMPLES / "flakey.json"), "--wait", "--json")
    shown = on_terminal("show", done.json()["executionId"], "--server", sidestep.server, columns=90)
    assert "\x1b[" in shown
    plain = [line for line in shown.splitlines() if "->" in line]
    assert plain
    assert plain[0].lstrip().startswith("\x1b")
