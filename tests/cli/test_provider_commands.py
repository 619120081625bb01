"""Providers from the command line, against a real server and its clouds."""

import getpass
import json
import threading
from collections.abc import Iterator

import pytest

from tests.cli.running import Sidestep, eventually

STEP = {
    "id": "a",
    "type": "TASK",
    "provider": "AWS",
    "functionId": "my-func",
    "fallbackProvider": "GCP",
}
FLOW = {"id": "through", "startAt": "a", "steps": [STEP]}


@pytest.fixture
def lifted(sidestep: Sidestep) -> Iterator[Sidestep]:
    """The command; what it says of AWS and AZURE is lifted at the end."""
    yield sidestep
    for provider in ("AWS", "AZURE"):
        sidestep("provider", "lift", provider)
        sidestep("provider", "lift", provider, "--region", "eu-west-1")


def test_a_drained_provider_is_passed_over_and_everything_says_so(lifted: Sidestep) -> None:
    done = lifted("provider", "drain", "aws", "--for", "30m", "--reason", "it is red", "--actor", "ada")
    assert done.code == 0
    assert done.out.startswith("AWS is drained until 20")
    assert done.out.endswith(" UTC by ada: it is red\n")
    line = next(line for line in lifted("providers").out.splitlines() if line.startswith("AWS"))
    assert line.split()[1] == "DRAINED"
    assert "by ada: it is red" in line
    shown = lifted("provider", "show", "AWS")
    assert shown.out.startswith("AWS  DRAINED\n")
    assert "by ada: it is red" in shown.out

    ran = lifted("run", lifted.file(FLOW), "--wait")
    assert ran.code == 0
    assert "#1 GCP my-func  ok" in ran.out
    assert "; AWS is drained by ada: it is red" in ran.out

    assert lifted("provider", "lift", "AWS", "--actor", "bo").out == "AWS goes by its breakers again.\n"
    assert "#1 AWS my-func  ok" in lifted("run", lifted.file(FLOW), "--wait").out
    events = lifted("provider", "events", "AWS", "--limit", "2").out.splitlines()[1:]
    assert "override lifted  AWS    bo" in events[0]
    assert "override set     AWS    ada" in events[1]
    assert "DRAINED until 20" in events[1]


@pytest.mark.parametrize(("command", "state"), [("open", "FORCED_OPEN"), ("close", "FORCED_CLOSED")])
def test_a_provider_is_forced_by_the_user_who_is_logged_in(
    lifted: Sidestep, command: str, state: str
) -> None:
    told = lifted("provider", command, "AZURE", "--for", "1h30m", "--reason", "a test", "--json").json()
    assert (told["provider"], told["state"], told["region"]) == ("AZURE", state, None)
    assert told["actor"] == getpass.getuser()
    assert lifted("provider", "show", "AZURE", "--json").json()["state"] == state


def test_one_region_is_overridden_and_lifted_apart(lifted: Sidestep) -> None:
    region = ("--region", "eu-west-1")
    done = lifted("provider", "drain", "AWS", "--for", "1h", "--reason", "r", *region)
    assert done.out.startswith("AWS eu-west-1 is drained until")
    assert done.err == "Note: no call goes to region eu-west-1 so far.\n"
    refused = lifted("provider", "lift", "AWS")
    assert refused.code == 1
    assert "There is one for eu-west-1." in refused.err
    assert lifted("provider", "lift", "AWS", *region).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("drain", "AWS"), "An override needs --for (for how long, such as 30m) and --reason (why)."),
        (("open", "AWS", "--for", "30m"), "An override needs --reason (why)."),
        (("close", "AWS", "--reason", "x"), "An override needs --for (for how long, such as 30m)."),
        (("drain", "AWS", "--for", "30m", "--reason", " "), "An override needs --reason (why)."),
        (("drain", "AWS", "--for", "8d", "--reason", "x"), "--for takes 1s to 7d; '8d' is more."),
        (("drain", "..", "--for", "1h", "--reason", "x"), "Name a provider: AWS, GCP, AZURE or HTTP."),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(
    sidestep: Sidestep, arguments: tuple[str, ...], said: str
) -> None:
    done = sidestep("provider", *arguments)
    assert (done.code, done.err) == (2, f"{said}\n")


def test_a_provider_that_there_is_not_is_exit_1(sidestep: Sidestep) -> None:
    for arguments in (("show",), ("events",), ("lift",), ("drain", "--for", "1h", "--reason", "x")):
        command, *options = arguments
        done = sidestep("provider", command, "ORACLE", *options)
        assert done.code == 1, command
        assert "There are AWS, GCP, AZURE, HTTP." in done.err


def test_a_page_of_events_leads_to_the_next(lifted: Sidestep) -> None:
    for number in range(3):
        lifted("provider", "drain", "AZURE", "--for", "1h", "--reason", f"page {number}")
    first = lifted("provider", "events", "AZURE", "--limit", "1")
    assert "page 2" in first.out
    cursor = first.err.split()[-1]
    second = lifted("provider", "events", "AZURE", "--limit", "1", "--cursor", cursor, "--json").json()
    assert "page 1" in second["events"][0]["why"]


def test_a_rehearsal_reports_what_the_fallback_did_meanwhile(lifted: Sidestep) -> None:
    flow = lifted.file(FLOW)
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            lifted.apart("run", flow, "--wait")

    client = threading.Thread(target=load)
    client.start()
    try:
        done = lifted.apart("rehearse", "AWS", "--for", "6s", "--reason", "monthly", "--json")
    finally:
        over.set()
        client.join()
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["ok"] is True
    assert told["executions"]["completed"] == told["executions"]["touched"] > 0
    assert told["latency"]["GCP"]["meanwhile"]["calls"] == told["steps"]["completed"]
    assert "AWS goes by its breakers." in done.err
    eventually(
        lambda: not lifted("provider", "show", "AWS", "--json").json()["overrides"], "the drain is over"
    )
