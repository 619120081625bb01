"""Rules and their times, with a clock that the test moves."""

from typing import Any

import pytest

from localcloud.aws.errors import FAULTS as AWS
from localcloud.azure.errors import FAULTS as AZURE
from localcloud.gcp.errors import FAULTS as GCP
from localcloud.outages import MAX_RULES, Outages, TooManyRulesError
from localcloud.reading import InvalidRuleError, parse
from localcloud.rules import BEFORE_REQUESTS, KINDS, SLOWER
from localcloud.vendor import Faults


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def outages(*bodies: dict[str, Any]) -> tuple[Outages, Clock]:
    clock = Clock()
    active = Outages(clock)
    for body in bodies:
        active.put(parse(body, AWS))
    return active, clock


def kind_met(active: Outages, function: str | None = "f") -> str | None:
    rule = active.meet(function).rule
    return rule.kind if rule else None


def problems_of(body: object, faults: Faults = AWS) -> list[str]:
    with pytest.raises(InvalidRuleError) as raised:
        parse(body, faults)
    return raised.value.problems


def test_a_rule_ends_when_its_time_is_over() -> None:
    active, clock = outages({"kind": "reset", "for_seconds": 5})
    clock.now += 4.999
    assert kind_met(active) == "reset"
    clock.now += 0.001
    assert kind_met(active) is None
    assert active.listed() == []


def test_flapping_begins_with_on_and_alternates() -> None:
    active, clock = outages({"kind": "reset", "flap": [5, 3]})
    seen = []
    for _ in range(16):
        seen.append("x" if kind_met(active) else ".")
        clock.now += 1
    assert "".join(seen) == "xxxxx...xxxxx..."


def test_a_refusal_says_when_it_will_change() -> None:
    active, clock = outages({"kind": "refused", "flap": [5, 3], "for_seconds": 9})
    assert (active.refused(), active.next_socket_change()) == (True, 5.0)
    clock.now += 6
    assert (active.refused(), active.next_socket_change()) == (False, 2.0)
    clock.now += 2.5
    assert (active.refused(), active.next_socket_change()) == (True, 0.5)
    clock.now += 0.5
    assert (active.refused(), active.next_socket_change()) == (False, None)


def test_a_refusal_decides_nothing_about_requests() -> None:
    active, _ = outages({"kind": "refused"}, {"kind": "reset"})
    assert kind_met(active) == "reset"


def test_a_slow_ramp_grows_to_its_full_delay() -> None:
    active, clock = outages({"kind": "slow", "delay_ms": 1000, "ramp_seconds": 10})
    delays = []
    for _ in range(4):
        delays.append(round(active.meet("f").delay, 3))
        clock.now += 5
    assert delays == [0.0, 0.5, 1.0, 1.0]


def test_a_factor_grows_too_and_factors_multiply() -> None:
    active, clock = outages(
        {"kind": "slow", "factor": 10, "ramp_seconds": 10}, {"kind": "slow", "factor": 2, "id": "b"}
    )
    factors = []
    for _ in range(3):
        factors.append(round(active.meet("f").factor, 3))
        clock.now += 5
    assert factors == [2.0, 11.0, 20.0]


def test_lookups_and_handshakes_meet_their_own_rules_by_share_and_no_request_does() -> None:
    active = Outages(Clock())
    for body in (
        {"kind": "dns-nxdomain", "percent": 50, "seed": 1},
        {"kind": "bad-certificate", "percent": 50, "seed": 2},
    ):
        active.put(parse(body, AWS, tls=True))
    lookups = [active.look_up() for _ in range(1_000)]
    assert set(lookups) == {None, "dns-nxdomain"}
    assert abs(lookups.count(None) - 500) < 60
    assert abs(sum(active.forged() for _ in range(1_000)) - 500) < 60
    assert kind_met(active) is None
    assert abs(active.listed()[0]["hits"] - 500) < 60


def test_rules_that_close_connections_are_cutting_while_they_are_on() -> None:
    active, clock = outages(
        {"kind": "dns-nxdomain", "flap": [5, 3]},
        {"kind": "dns-timeout", "close_connections": False},
        {"kind": "reset"},
    )
    first = active.cutting()
    assert [rule for rule, _ in first] == ["dns-nxdomain"]
    assert active.next_socket_change() == 5.0
    clock.now += 5
    assert active.cutting() == frozenset()
    active.put(parse({"kind": "dns-nxdomain"}, AWS))
    assert active.cutting() - first  # the same rule, begun anew


def test_a_set_replaces_all_rules_and_what_stays_the_same_goes_on() -> None:
    active, clock = outages({"kind": "reset", "for_seconds": 5}, {"kind": "slow", "delay_ms": 5})
    active.meet("f")
    clock.now += 4
    active.replace(
        [
            parse(body, AWS)
            for body in (
                {"kind": "503"},
                {"kind": "reset", "for_seconds": 5},
                {"kind": "slow", "delay_ms": 6},
            )
        ]
    )
    assert [(rule["id"], rule["hits"]) for rule in active.listed()] == [("503", 0), ("reset", 1), ("slow", 0)]
    clock.now += 1
    assert [rule["id"] for rule in active.listed()] == ["503", "slow"]
    with pytest.raises(TooManyRulesError):
        active.replace([parse({"kind": "reset", "id": f"r{i}"}, AWS) for i in range(MAX_RULES + 1)])
    active.replace([])
    assert active.listed() == []


def test_the_first_rule_that_hits_decides_and_slowness_adds_up() -> None:
    active, _ = outages(
        {"kind": "slow", "delay_ms": 100, "id": "a"},
        {"kind": "reset", "percent": 0},
        {"kind": "slow", "delay_ms": 50, "id": "b"},
        {"kind": "blackhole"},
        {"kind": "slow", "delay_ms": 1, "id": "never reached".replace(" ", "-")},
    )
    verdict = active.meet("f")
    assert verdict.rule is not None
    assert (verdict.rule.kind, round(verdict.delay, 3)) == ("blackhole", 0.15)
    assert [rule["hits"] for rule in active.listed()] == [1, 0, 1, 1, 0]


@pytest.mark.parametrize("percent", [0, 25, 50, 99.5, 100])
def test_a_percentage_holds_over_many_calls(percent: float) -> None:
    active, _ = outages({"kind": "reset", "percent": percent, "seed": 7})
    hits = sum(kind_met(active) is not None for _ in range(10_000))
    assert abs(hits / 100 - percent) < 2


@pytest.mark.parametrize(
    ("plane", "function", "control"),
    [("invoke", "reset", None), ("control", None, "reset"), ("all", "reset", "reset")],
)
def test_a_plane_is_what_a_rule_meets(plane: str, function: str | None, control: str | None) -> None:
    active, _ = outages({"kind": "reset", "plane": plane})
    assert (kind_met(active), kind_met(active, None)) == (function, control)


def test_the_same_id_replaces_and_starts_anew() -> None:
    active, clock = outages({"kind": "reset", "for_seconds": 5})
    clock.now += 4
    active.put(parse({"kind": "reset", "for_seconds": 5}, AWS))
    clock.now += 4
    assert kind_met(active) == "reset"
    assert len(active.listed()) == 1


def test_default_ids_tell_functions_and_errors_apart() -> None:
    ids = [
        parse(body, AWS).id
        for body in (
            {"kind": "503"},
            {"kind": "503", "function": "f"},
            {"kind": "error", "name": "ServiceException"},
            {"kind": "error", "status": 429, "function": "f"},
        )
    ]
    assert ids == ["503", "503:f", "error:ServiceException", "error:TooManyRequestsException:f"]


def test_a_provider_holds_a_hundred_rules() -> None:
    active, clock = outages(*({"kind": "reset", "id": f"r{i}", "for_seconds": 9} for i in range(MAX_RULES)))
    with pytest.raises(TooManyRulesError):
        active.put(parse({"kind": "reset", "id": "more"}, AWS))
    active.put(parse({"kind": "reset", "id": "r0"}, AWS))
    clock.now += 9
    active.put(parse({"kind": "reset", "id": "more"}, AWS))
    assert [rule["id"] for rule in active.listed()] == ["r0", "more"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_and_shown_as_it_was_said(kind: str) -> None:
    body: dict[str, Any] = {"kind": kind}
    body |= {"delay_ms": 5} if kind in SLOWER else {}
    body |= {"name": "crash"} if kind == "error" else {}
    body |= {"for_seconds": 3, "flap": [1, 2]}
    body |= {} if kind == "refused" else {"percent": 50, "seed": 3}
    body |= {} if kind in BEFORE_REQUESTS else {"function": "f"}
    shown = parse(body, GCP, tls=True).as_json()
    assert body.items() <= {**shown, "flap": list(shown["flap"])}.items()


def test_refused_knows_neither_functions_nor_percentages_and_says_why() -> None:
    problems = problems_of({"kind": "refused", "function": "f", "percent": 50})
    assert len(problems) == 2
    assert all("refused closes the provider's socket" in problem for problem in problems)


def test_every_problem_is_listed_at_once() -> None:
    problems = problems_of(
        {
            "kind": "nope",
            "percent": 101,
            "seed": "x",
            "function": "",
            "for_seconds": 0,
            "flap": [1],
            "plane": "sky",
            "id": "a b",
            "surprise": 1,
        }
    )
    for word in ("kind", "percent", "seed", "function", "for_seconds", "flap", "plane", "id", "surprise"):
        assert any(word in problem for problem in problems), word


@pytest.mark.parametrize(
    ("body", "faults", "word"),
    [
        (None, AWS, "JSON object"),
        ([], AWS, "JSON object"),
        ({}, AWS, "kind must be one of"),
        ({"kind": ["refused"]}, AWS, "kind must be one of"),
        ({"kind": "slow"}, AWS, "slow needs delay_ms"),
        ({"kind": "slow", "delay_ms": -1}, AWS, "delay_ms"),
        ({"kind": "slow", "delay_ms": float("nan")}, AWS, "delay_ms"),
        ({"kind": "slow", "delay_ms": 10**400}, AWS, "delay_ms"),
        ({"kind": "reset", "delay_ms": 5}, AWS, "delay_ms belongs to slow"),
        ({"kind": "reset", "percent": True}, AWS, "percent"),
        ({"kind": "reset", "percent": None}, AWS, "percent"),
        ({"kind": "reset", "flap": [0, 1]}, AWS, "flap"),
        ({"kind": "reset", "flap": [True, 1]}, AWS, "flap"),
        ({"kind": "reset", "flap": "ab"}, AWS, "flap"),
        ({"kind": "reset", "name": "ServiceException"}, AWS, "name belongs to error"),
        ({"kind": "reset", "function": "f", "plane": "control"}, AWS, "meets no function"),
        ({"kind": "error"}, AWS, "error needs a name"),
        ({"kind": "error", "name": "NoSuchException"}, AWS, "name must be one of"),
        ({"kind": "error", "name": ["x"]}, AWS, "name must be one of"),
        ({"kind": "error", "status": 418}, AWS, "error needs a name"),
        ({"kind": "error", "status": [500]}, AWS, "error needs a name"),
        ({"kind": "error", "name": "ServiceException", "status": 502}, AWS, "has status 500"),
        ({"kind": "error", "name": "ServiceException"}, GCP, "name must be one of"),
        ({"kind": "throttled", "reason": "Because"}, AWS, "reason must be one of"),
        ({"kind": "throttled", "reason": "CallerRateLimitExceeded"}, AZURE, "AWS's"),
        ({"kind": "503", "reason": "CallerRateLimitExceeded"}, AWS, "TooManyRequestsException only"),
        ({"kind": "throttled", "retry_after": -1}, AWS, "retry_after"),
        ({"kind": "503", "message": "a\nb"}, AWS, "message"),
        ({"kind": "503", "message": "x" * 2_000}, AWS, "message"),
        ({"kind": "reset", "x" * 5_000: 1}, AWS, "unknown"),
        ({"kind": "dns-nxdomain", "function": "f"}, AWS, "met before there is a request: leave out function"),
        ({"kind": "dns-timeout", "plane": "all"}, AWS, "leave out plane"),
        ({"kind": "dns-timeout", "close_connections": "no"}, AWS, "close_connections must be true or false"),
        ({"kind": "reset", "close_connections": True}, AWS, "close_connections belongs to dns-nxdomain"),
        ({"kind": "bad-certificate"}, AWS, "start localcloud with --tls"),
        ({"kind": "cold-start"}, AWS, "cold-start needs delay_ms"),
        ({"kind": "cold-start", "delay_ms": 5, "warm": -1}, AWS, "warm must be a number"),
        ({"kind": "cold-start", "delay_ms": 5, "warm": 1.5}, AWS, "warm must be a whole number"),
        ({"kind": "slow", "delay_ms": 5, "warm": 1}, AWS, "warm belongs to cold-start"),
        ({"kind": "slow", "factor": 0.5}, AWS, "factor must be a number from 1"),
        ({"kind": "cold-start", "delay_ms": 1, "factor": 2}, AWS, "factor belongs to slow"),
        ({"kind": "cold-start", "delay_ms": 1, "ramp_seconds": 2}, AWS, "ramp_seconds belongs to slow"),
        ({"kind": "reset", "executed": True}, AWS, "executed belongs to error"),
        ({"kind": "503", "executed": 1}, AWS, "executed must be true or false"),
        ({"kind": "function-raises", "error": "a b"}, GCP, "error must be the name of a class"),
        (
            {"kind": "function-raises", "error": "Sidestep.NotStarted"},
            GCP,
            "error must be the name of a class",
        ),
        ({"kind": "function-raises", "error": ["E"]}, GCP, "error must be the name of a class"),
        ({"kind": "503", "error": "E"}, GCP, "error belongs to function-raises"),
        ({"kind": "function-raises-unmarked"}, AWS, "AWS marks every error"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(body: object, faults: Faults, word: str) -> None:
    problems = problems_of(body, faults)
    assert any(word in problem for problem in problems), problems
    assert all(len(problem) < 4_000 for problem in problems)
