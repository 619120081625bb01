"""The catalogue holds every outage that failover promises to survive, in rules that localcloud takes."""

import re

import pytest

from localcloud.aws.errors import FAULTS as AWS
from localcloud.azure.errors import FAULTS as AZURE
from localcloud.gcp.errors import FAULTS as GCP
from localcloud.reading import parse
from outages.cases import Case, Promise
from outages.catalogue import CATALOGUE, case_of
from outages.orders import OTHERS, WORKFLOWS, once, order

FAULTS = {"AWS": AWS, "GCP": GCP, "AZURE": AZURE}


def test_no_two_cases_share_a_name() -> None:
    names = [case.name for case in CATALOGUE]
    assert sorted(set(names)) == sorted(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


def test_every_outage_that_is_promised_to_be_survived_has_a_case() -> None:
    wanted = (
        "refused nxdomain bad-certificate black-hole-before black-hole-after reply-lost throttle "
        "thirty-percent one-function flapping slow-ramp corrupt-body expired-credentials slow-fallback "
        "both-down-one-back database-down database-down-failover-on killed-mid-sidestep partitioned-replica "
        "cold-starts slow-one-percent one-hanging-function stopped-replica way-out-cut user-bug-everywhere "
        "aws-2025-10-19 gcp-2025-06-12 azure-2025-10-29"
    )
    assert set(wanted.split()) <= {case.name for case in CATALOGUE}


@pytest.mark.parametrize("case", CATALOGUE, ids=lambda case: case.name)
def test_localcloud_takes_every_rule(case: Case) -> None:
    for spell in case.spells:
        rule = {"kind": spell.kind, "id": "x", "for_seconds": 1, **spell.options}
        parse(rule, FAULTS[spell.provider], tls=case.tls)
        assert 0 <= spell.begin < spell.end <= 1


@pytest.mark.parametrize("case", CATALOGUE, ids=lambda case: case.name)
def test_a_case_of_minutes_is_no_case(case: Case) -> None:
    assert case.seconds is None or case.seconds <= 60


def test_a_healthy_day_opens_nothing_or_one_function() -> None:
    for case in CATALOGUE:
        if case.sort == "healthy day":
            assert case.promises & {Promise.QUIET, Promise.PLACES_QUIET}, case.name


def test_four_workflows_of_three_steps_call_six_functions() -> None:
    assert [name for name, _ in WORKFLOWS] == ["pure", "idempotent", "at-most-once", "mixed"]
    assert {len(steps) for _, steps in WORKFLOWS} == {3}
    assert len({function for _, steps in WORKFLOWS for _, function, _ in steps}) == 6
    for _, steps in WORKFLOWS:
        for step_id, _, effects in steps:
            assert once(step_id) == (effects == "atMostOnce")


def test_an_order_calls_the_primary_first_and_falls_back_to_another_cloud() -> None:
    for primary, others in OTHERS.items():
        case = Case("x", "x", "outage", frozenset(), primary=primary)
        for number in range(4):
            for step in order(case, number)["workflow"]["steps"]:
                assert step["provider"] == primary
                assert step["fallbacks"][0]["provider"] in others


def test_a_swap_calls_the_other_function_everywhere() -> None:
    steps = order(case_of("user-bug-everywhere"), 3)["workflow"]["steps"]
    called = [(step["functionId"], step["fallbacks"][0]["functionId"]) for step in steps]
    assert ("buggy-func", "buggy-func") in called
    assert not any("echo-meta" in pair for pair in called)
