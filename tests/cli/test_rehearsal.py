"""A rehearsal against a server that does what a test needs: overrides that vanish, lifts that fail."""

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cli.client import Client
from cli.drained import Tally, quantiles
from tests.cli.running import COMMAND, PATIENCE, Sidestep, environment, eventually

SINCE = "2026-01-02T12:00:00.000Z"
LATER = "2026-01-02T12:00:01.000Z"
PASSED = "passed over AWS charge: AWS is DRAINED by ada: rehearsal: monthly"


def provider(name: str, **more: Any) -> dict[str, Any]:
    known = {"configured": True, "state": "CLOSED", "overrides": [], "sidesteps": {"in": 0, "out": 0}}
    return {"provider": name, **known, "p50Ms": 40.0, "p95Ms": 60.0, **more}


class Standin:
    """What a server of providers and executions would answer. `before` is asked about each request first: a
    status it gives is the answer.
    """

    def __init__(self) -> None:
        self.url = ""
        self.rows = {name: provider(name) for name in ("AWS", "GCP")}
        self.views: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.before: Callable[[str, str], int | None] = lambda _method, _path: None

    def answer(self, method: str, url: str, body: Any) -> tuple[int, Any]:
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        self.calls.append((method, path))
        status = self.before(method, path)
        if status is not None:
            return status, {"status": status, "detail": "Not now.", "problems": []}
        _, kind, *rest = path.split("/")
        if method == "PUT":
            kept = {**body, "state": "DRAINED", "region": None, "at": SINCE, "until": LATER}
            self.rows[rest[0]]["overrides"].append(kept)
            return 200, kept
        if method == "DELETE":
            self.rows[rest[0]]["overrides"].clear()
            return 204, None
        if kind == "executions" and rest:
            return 200, self.views[rest[0]]
        if kind == "executions":
            status_ = query.get("status", [""])[0]
            found = [view for view in self.views.values() if not status_ or view["status"] == status_]
            rows = [{"executionId": view["executionId"], "updatedAt": view["updatedAt"]} for view in found]
            return 200, {"executions": rows, "nextCursor": None}
        if rest:
            row = self.rows.get(rest[0])
            return (
                (404, {"status": 404, "detail": "There is no such provider."}) if row is None else (200, row)
            )
        return 200, {"providers": list(self.rows.values())}


@pytest.fixture
def standin() -> Iterator[Standin]:
    with serving(Standin()) as running:
        yield running


@contextmanager
def serving(standin: Standin) -> Iterator[Standin]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, told = standin.answer(self.command, self.path, json.loads(body) if body else None)
            data = b"" if told is None else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    standin.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def ask(standin: Standin, tmp_path: Path) -> Callable[..., Any]:
    sidestep = Sidestep(tmp_path, standin.url, "http://127.0.0.1:9")

    def rehearse(*more: str, seconds: str = "1s") -> Any:
        return sidestep("rehearse", "aws", "--for", seconds, "--reason", "monthly", "--actor", "ada", *more)

    return rehearse


def view(name: str, status: str, *visits: dict[str, Any]) -> dict[str, Any]:
    return {"executionId": name, "status": status, "updatedAt": LATER, "steps": list(visits)}


def visit(status: str, *attempts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"stepId": "charge", "status": status, "attempts": list(attempts), **more}


def attempt(status: str, *, reasons: tuple[str, ...] = (PASSED,), **more: Any) -> dict[str, Any]:
    known = {"provider": "GCP", "startedAt": LATER, "durationMs": 50.0, "reasons": list(reasons)}
    return {**known, "status": status, **more}


def test_a_rehearsal_drains_lifts_and_reports_what_the_fallback_made_of_it(
    standin: Standin, ask: Callable[..., Any]
) -> None:
    standin.views = {
        "a": view("a", "COMPLETED", visit("COMPLETED", attempt("COMPLETED"))),
        "b": view("b", "COMPLETED", visit("COMPLETED", attempt("COMPLETED", durationMs=70.0))),
        # Neither waited for AWS nor moved because of it.
        "c": view("c", "FAILED", visit("FAILED", attempt("FAILED", reasons=()), error="Bug")),
    }
    done = ask()
    assert done.code == 0
    assert "AWS is drained until 2026-01-02 12:00:01 UTC by ada: rehearsal: monthly" in done.err
    assert "AWS goes by its breakers." in done.err
    lines = done.out.splitlines()
    assert lines[0] == "1s without AWS"
    assert "  executions  2 passed it over: 2 completed" in lines
    assert "  steps       2 passed it over: 2 completed" in lines
    numbers = next(line for line in lines if line.split()[:1] == ["GCP"])
    assert numbers.replace(" s", "").split() == ["GCP", "2", "0.04", "0.05", "0.04", "0.06", "0.07", "0.06"]
    assert lines[-1] == "Nothing failed because of it."
    assert standin.rows["AWS"]["overrides"] == []


def test_what_failed_or_was_parked_is_exit_1_and_told_by_signal(
    standin: Standin, ask: Callable[..., Any]
) -> None:
    broken = attempt("FAILED", signal="not-deployed")
    standin.views = {
        "a": view("a", "FAILED", visit("FAILED", broken, error="Sidestep.NotDeployed")),
        "b": view("b", "PARKED", visit("PARKED", attempt("FAILED", signal="read-timeout"))),
        "c": view("c", "FAILED", visit("FAILED", cause=PASSED, endedAt=LATER, error="Nowhere")),
        "d": view("d", "COMPLETED", visit("COMPLETED", attempt("COMPLETED", provider="AWS", role="static"))),
    }
    done = ask("--json")
    assert done.code == 1
    told = done.json()
    assert told["ok"] is False
    assert told["executions"] == {
        "touched": 4,
        "completed": 0,
        "nowhere": 1,
        "failed": 2,
        "parked": 1,
        "cancelled": 0,
        "underWay": 0,
    }
    assert told["steps"]["nowhere"] == 1
    assert told["signals"] == {"GCP": {"not-deployed": 1, "read-timeout": 1}}
    assert told["errors"] == {"Sidestep.NotDeployed": 1, "Nowhere": 1}
    plain = ask()
    assert plain.code == 1
    assert "attempts that failed at GCP: not-deployed 1, read-timeout 1" in plain.out
    assert "was called at AWS all the same" in plain.out
    assert plain.out.endswith("Without AWS, of 4 steps 1 had nowhere else to go, 2 failed, 1 parked.\n")


def test_steps_with_nowhere_else_to_go_are_a_finding_of_their_own(
    standin: Standin, ask: Callable[..., Any]
) -> None:
    static = attempt("COMPLETED", provider="AWS", role="static")
    standin.views = {"d": view("d", "COMPLETED", visit("COMPLETED", static))}
    done = ask()
    assert done.code == 1
    assert done.out.endswith("Without AWS, of 1 step 1 had nowhere else to go.\n")


def test_a_rehearsal_that_nobody_noticed_says_that_it_shows_nothing(ask: Callable[..., Any]) -> None:
    done = ask()
    assert done.code == 0
    assert "Nothing wanted to call AWS meanwhile, so this shows nothing." in done.out


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("AWS", {"configured": False}), "AWS is not configured here"),
        (("GCP", {"configured": False}), "would be an outage"),
        (("GCP", {"state": "OPEN"}), "would be an outage"),
        (
            ("AWS", {"overrides": [{"region": None, "state": "DRAINED", "reason": "r", "until": LATER}]}),
            "AWS is drained until 2026-01-02 12:00:01 UTC: r. Lift that first.",
        ),
    ],
)
def test_a_rehearsal_that_would_harm_does_not_begin(
    standin: Standin, ask: Callable[..., Any], row: tuple[str, dict[str, Any]], said: str
) -> None:
    standin.rows[row[0]] |= row[1]
    done = ask()
    assert done.code == 1
    assert said in done.err
    assert not [method for method, _ in standin.calls if method != "GET"]


def test_one_that_somebody_else_lifts_ends_early_and_says_so(
    standin: Standin, ask: Callable[..., Any]
) -> None:
    def lifted(method: str, _path: str) -> None:
        if method == "GET" and ("PUT", "/providers/AWS/override") in standin.calls:
            standin.rows["AWS"]["overrides"].clear()

    standin.before = lifted
    done = ask(seconds="10m")
    assert done.code == 0
    assert "ended early: somebody else lifted it or said otherwise" in done.out


def test_what_somebody_else_said_meanwhile_is_left_alone(standin: Standin, ask: Callable[..., Any]) -> None:
    other = {"region": None, "state": "FORCED_OPEN", "reason": "dead", "actor": "bo", "until": LATER}

    def replaced(method: str, _path: str) -> None:
        if method == "GET" and ("PUT", "/providers/AWS/override") in standin.calls:
            standin.rows["AWS"]["overrides"] = [other]

    standin.before = replaced
    done = ask(seconds="10m")
    assert "is left as it is" in done.err
    assert standin.rows["AWS"]["overrides"] == [other]
    assert "DELETE" not in {method for method, _ in standin.calls}


def test_a_lift_that_fails_is_tried_again(standin: Standin, ask: Callable[..., Any]) -> None:
    def busy(method: str, _path: str) -> int | None:
        return 503 if method == "DELETE" and standin.calls.count(("DELETE", _path)) < 3 else None

    standin.before = busy
    assert ask().code == 0
    assert standin.rows["AWS"]["overrides"] == []


def test_where_it_cannot_be_lifted_it_is_said_until_when_it_lasts(
    standin: Standin, ask: Callable[..., Any]
) -> None:
    standin.before = lambda method, _path: 503 if method == "DELETE" else None
    done = ask()
    assert done.code == 5
    assert "could not be lifted; it lasts until 2026-01-02 12:00:01 UTC" in done.err


def test_an_order_that_is_refused_is_not_lifted(standin: Standin, ask: Callable[..., Any]) -> None:
    standin.before = lambda method, _path: 400 if method == "PUT" else None
    assert ask().code == 2
    assert "DELETE" not in {method for method, _ in standin.calls}


def test_an_order_of_which_it_is_not_known_whether_it_was_kept_is_lifted(
    standin: Standin, ask: Callable[..., Any]
) -> None:
    def kept_and_lost(method: str, _path: str) -> int | None:
        if method != "PUT":
            return None
        ours = {"state": "DRAINED", "reason": "rehearsal: monthly", "actor": "ada", "region": None}
        standin.rows["AWS"]["overrides"].append(ours)
        return 503

    standin.before = kept_and_lost
    assert ask().code == 1
    assert standin.rows["AWS"]["overrides"] == []


@pytest.mark.parametrize("missing", ["--for", "--reason"])
def test_without_a_time_or_a_reason_it_is_a_usage_error_in_one_sentence(
    standin: Standin, tmp_path: Path, missing: str
) -> None:
    options = {"--for": "1s", "--reason": "monthly"}
    del options[missing]
    sidestep = Sidestep(tmp_path, standin.url, "")
    done = sidestep("rehearse", "AWS", *[part for pair in options.items() for part in pair])
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert missing in done.err
    assert standin.calls == []


def test_ctrl_c_brings_the_provider_back(standin: Standin) -> None:
    command = ["rehearse", "AWS", "--for", "10m", "--reason", "monthly"]
    process = subprocess.Popen(
        [*COMMAND, *command],
        env=environment(SIDESTEP_SERVER=standin.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: bool(standin.rows["AWS"]["overrides"]), "it is drained")
        # Not while the answer to the order is read, but in the wait.
        eventually(lambda: standin.calls.count(("GET", "/providers")) > 1, "it is watched")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 130
    assert standin.rows["AWS"]["overrides"] == []
    assert "AWS goes by its breakers." in err
    assert "Traceback" not in err


def test_steps_under_way_are_waited_for(standin: Standin) -> None:
    standin.views = {"a": view("a", "RUNNING", visit("RUNNING", attempt("RUNNING")))}

    def ended(_method: str, path: str) -> None:
        if standin.calls.count(("GET", path)) > 2:
            standin.views["a"] = view("a", "COMPLETED", visit("COMPLETED", attempt("COMPLETED")))

    standin.before = ended
    tally = Tally("AWS", None, SINCE)
    with Client(standin.url) as client:
        tally.read(client, ["a"])
    assert tally.told()["steps"]["completed"] == 1


def test_a_step_that_never_ends_is_told_as_under_way(standin: Standin) -> None:
    standin.views = {"a": view("a", "RUNNING", visit("RUNNING", attempt("RUNNING")))}
    tally = Tally("AWS", None, SINCE)
    with Client(standin.url) as client:
        tally.read(client, ["a"], seconds=0)
    assert tally.told()["steps"]["underWay"] == 1


def test_only_what_moved_in_its_time_and_region_counts(standin: Standin) -> None:
    here = ("passed over AWS eu-west-1 charge: AWS eu-west-1 is DRAINED",)
    before = attempt("COMPLETED", reasons=here, startedAt="2026-01-02T11:59:59.000Z")
    elsewhere = attempt("COMPLETED", reasons=("passed over AWS us-east-1 charge: AWS us-east-1 is DRAINED",))
    standin.views = {
        "a": view("a", "COMPLETED", visit("COMPLETED", before)),
        "b": view("b", "COMPLETED", visit("COMPLETED", elsewhere)),
        "c": view("c", "COMPLETED", visit("COMPLETED", attempt("COMPLETED", reasons=here))),
    }
    tally = Tally("AWS", "eu-west-1", SINCE)
    with Client(standin.url) as client:
        tally.read(client, ["a", "b", "c"])
    assert tally.told()["executions"]["touched"] == 1


def test_quantiles_are_of_nearest_rank() -> None:
    assert quantiles([]) == {"calls": 0, "p50Ms": None, "p95Ms": None}
    assert quantiles([float(ms) for ms in range(1, 102)]) == {"calls": 101, "p50Ms": 51, "p95Ms": 96}
