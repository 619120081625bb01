"""What people read of providers: a line each, one whole, overrides, events, durations."""

import pytest

from cli.durations import seconds, told
from cli.failures import USAGE, Stop
from cli.standing import about_replica, happened, listed, overridden, whole

BREAKER = {
    "state": "OPEN",
    "why": "7 of 9 overdue",
    "since": "2026-01-02T12:00:01.250Z",
    "nextProbeAt": "2026-01-02T12:00:06.500Z",
    "rampAt": "2026-01-02T12:01:01.250Z",
    "share": 0.0,
    "openings": 1,
}
FUNCTION = {
    "functionId": "charge",
    "breaker": {**BREAKER, "state": "CLOSED", "why": ""},
    "window": {"seconds": 10, "calls": 9, "failures": 0, "overdue": 7},
    "inFlight": 7,
    "p50Ms": 38.5,
    "p95Ms": 61.2,
    "p99Ms": 88.0,
    "room": 40,
}
PLACE = {"region": "eu-west-1", "breaker": BREAKER, "window": FUNCTION["window"], "functions": [FUNCTION]}
FAILED = {
    "at": "2026-01-02T12:00:00.750Z",
    "target": {"provider": "AWS", "region": "eu-west-1", "functionId": "charge"},
    "ok": False,
    "executed": "MAYBE",
    "scope": "provider",
    "signal": "read-timeout",
    "error": "Sidestep.Timeout",
    "durationMs": 1204,
}
DRAIN = {
    "region": None,
    "state": "DRAINED",
    "reason": "their status page is red",
    "actor": "ada",
    "at": "2026-01-02T12:00:00.000Z",
    "until": "2026-01-02T12:30:00.000Z",
}
AWS = {
    "provider": "AWS",
    "configured": True,
    "whyNot": None,
    "state": "OPEN",
    "why": "breaker AWS eu-west-1 open since 12:00:01 (7 of 9 overdue)",
    "overrides": [],
    "places": [PLACE],
    "inFlight": 7,
    "calls": 412,
    "failures": 9,
    "recent": [FAILED],
    "p50Ms": 38.5,
    "p95Ms": 61.2,
    "sidesteps": {"in": 3, "out": 57},
    "hedges": 0,
    "rehearsals": 0,
    "probes": 2,
    "parked": 4,
    "queued": 5,
}
HTTP = {"provider": "HTTP", "configured": False, "whyNot": "HTTP is not configured.", "state": "CLOSED"}


def test_each_provider_is_one_line_with_its_state_its_numbers_and_why() -> None:
    head, aws, http = (line.plain for line in listed([AWS, HTTP]))
    assert head.split()[:3] == ["PROVIDER", "STATE", "CALLS"]
    assert aws.split()[:2] == ["AWS", "OPEN"]
    assert aws.split()[2:] == [
        *("412", "9", "0.04", "s", "0.06", "s", "3", "57", "4", "5", "12:00:06"),
        *["breaker", "AWS", "eu-west-1", "open", "since", "12:00:01", "(7", "of", "9", "overdue)"],
    ]
    assert http.split()[:2] == ["HTTP", "none"]
    assert http.endswith("HTTP is not configured.")


def test_a_provider_that_is_well_shows_its_newest_failure() -> None:
    _, line = (line.plain for line in listed([{**AWS, "state": "CLOSED", "why": ""}]))
    assert line.endswith("last failure: timed out (AWS eu-west-1 charge, 12:00:00)")


def test_a_line_says_what_a_person_said_and_no_state_twice() -> None:
    opened = {**AWS, "why": "AWS is OPEN (5 of 9 failed)"}
    region = {**DRAIN, "region": "eu-west-1", "actor": ""}
    rows = [opened, {**opened, "overrides": [region]}, {**AWS, "state": "DRAINED", "overrides": [DRAIN]}]
    _, plain, partly, drained = (line.plain.rpartition("12:00:06")[2].strip() for line in listed(rows))
    assert plain == "5 of 9 failed"
    until = "is drained until 2026-01-02 12:30:00 UTC"
    assert partly == f"5 of 9 failed; eu-west-1 {until}: their status page is red"
    assert drained == f"{until} by ada: their status page is red"


def test_a_provider_is_told_whole_with_its_overrides_places_and_functions() -> None:
    lines = [line.plain for line in whole({**AWS, "overrides": [DRAIN]})]
    assert lines[0] == "AWS  OPEN  breaker AWS eu-west-1 open since 12:00:01 (7 of 9 overdue)"
    assert lines[1] == "  is drained until 2026-01-02 12:30:00 UTC by ada: their status page is red"
    assert "  412 calls, 9 failed, 7 in flight; p50 0.04 s, p95 0.06 s" in lines
    assert "  sidesteps: 3 in, 57 out; probes 2; parked 4; queued 5" in lines
    assert (
        "eu-west-1  OPEN since 12:00:01 (7 of 9 overdue), next probe 12:00:06, calls come back from 12:01:01"
        "; 9 calls in 10 s, 7 overdue"
    ) in lines
    function = next(line for line in lines if line.strip().startswith("charge"))
    assert function.split()[-8:] == ["7", "0.04", "s", "0.06", "s", "0.09", "s", "40"]
    assert "  12:00:00  AWS eu-west-1 charge  timed out after 1.2 s" in lines


def test_a_provider_that_is_not_configured_says_only_why() -> None:
    assert [line.plain for line in whole(HTTP)] == ["HTTP  HTTP is not configured."]


def test_a_provider_of_another_version_is_told_as_far_as_it_is_understood() -> None:
    odd = {"configured": True, "places": [None, {}], "overrides": [{}], "recent": [{}], "sidesteps": 3}
    assert whole(odd) != []
    assert len(listed([odd, {}])) == 3
    assert len(happened([{}])) == 2


def test_an_override_of_one_region_names_it_and_text_of_strangers_moves_no_cursor() -> None:
    one = {**DRAIN, "region": "eu-west-1", "state": "FORCED_OPEN", "reason": "a\x1b[31m\nb", "actor": ""}
    assert overridden("AWS", one).plain == (
        "AWS eu-west-1 counts as dead until 2026-01-02 12:30:00 UTC: a\ufffd[31m b"
    )


def test_an_event_is_one_line() -> None:
    opened = {
        "id": "1-0",
        "at": "2026-01-02T12:00:01.250Z",
        "kind": "BREAKER_OPENED",
        "provider": "AWS",
        "region": "eu-west-1",
        "functionId": "charge",
        "why": "7 of 9\noverdue",
        "actor": "",
        "replica": "api-1",
    }
    alone = {**opened, "kind": "REPLICA_ISOLATED", "provider": None, "region": None, "functionId": None}
    _, first, second = (line.plain for line in happened([opened, alone]))
    assert first.split() == [
        *("2026-01-02", "12:00:01", "breaker", "opened", "AWS", "eu-west-1", "charge", "api-1"),
        *("7", "of", "9", "overdue"),
    ]
    assert "replica isolated  -" in second


@pytest.mark.parametrize(("actor", "said"), [("ada", "ada"), ("", "-")])
def test_an_event_of_an_override_tells_the_person_and_no_replica(actor: str, said: str) -> None:
    row = {
        "at": "2026-01-02T12:00:01.250Z",
        "kind": "OVERRIDE_SET",
        "provider": "AWS",
        "why": "DRAINED until then: why",
        "actor": actor,
        "replica": "api-1",
    }
    _, line = (line.plain.split() for line in happened([row]))
    assert line[2:6] == ["override", "set", "AWS", said]
    assert "api-1" not in line


def test_a_replica_that_is_cut_off_or_alone_says_so() -> None:
    assert about_replica({"isolated": None, "alone": None}) == []
    isolated, alone = about_replica({"isolated": "AWS and GCP fail", "alone": "the store is away"})
    assert "cut off" in isolated.plain
    assert "AWS and GCP fail" in isolated.plain
    assert alone.plain.endswith("the store is away")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30), ("30m", 1_800), ("2h", 7_200), ("1h30m", 5_400), ("7d", 604_800), (" 1.5S ", 1.5)],
)
def test_a_duration_is_read_as_people_write_it(text: str, expected: float) -> None:
    assert seconds(text, "--for") == expected


@pytest.mark.parametrize("text", ["", "30", "m", "-5s", "0s", "0.5s", "8d", "1e9s", "1 h", "9" * 400 + "s"])
def test_what_is_no_duration_of_a_second_to_a_week_is_a_usage_error(text: str) -> None:
    with pytest.raises(Stop) as stop:
        seconds(text, "--for")
    assert stop.value.code == USAGE
    assert "--for" in stop.value.message
    assert len(stop.value.message) < 120


def test_seconds_are_written_as_they_are_read() -> None:
    assert [told(total) for total in (0, 30, 90, 3_600, 90_061)] == ["0s", "30s", "1m30s", "1h", "1d1h1m1s"]
